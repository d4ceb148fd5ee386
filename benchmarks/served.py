"""Servers, each a process that prints its URL and serves until standard input ends.

`python -m benchmarks.served ours|library|vendor 3600`
"""

import sys
import threading
from collections.abc import Iterator

from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from benchmarks.fleet import CHECKED, read_fleet, target
from exporter.metrics.families import Group, Kind, task_families
from exporter.model.task_state import TaskState
from exporter.service.exporter import Exporter
from exporter.simulator.lifecycle import RunPlan, task_document
from exporter.simulator.replies import CallMetadata, success
from exporter.simulator.server import Simulation, SimulationOptions
from exporter.web.app import create_app
from exporter.web.server import Listener, bind

ROWS = task_families(Group, ["team"], callbacks=False)


class Families(Collector):
    """The same families by the client library's own means, made at each scrape, as its documentation teaches."""

    def __init__(self, states: list[TaskState]) -> None:
        self._states = states

    def collect(self) -> Iterator[Metric]:
        """All of them."""
        for row in ROWS:
            make = CounterMetricFamily if row.family.kind is Kind.COUNTER else GaugeMetricFamily
            metric = make(row.family.name, row.family.help, labels=row.family.labels)
            for state in self._states:
                for values, number in row.samples(state):
                    metric.add_metric((*state.target.id, *values), number)
            yield metric


def ours(exporter: Exporter) -> str:
    """Our own site; its URL."""
    listener = Listener(create_app(exporter, exporter.failed), bind("127.0.0.1:0"), exporter.failed)
    listener.start()
    return listener.url


def library(exporter: Exporter) -> str:
    """prometheus_client's server over the same families; its URL."""
    registry = CollectorRegistry(auto_describe=True)
    registry.register(Families(exporter.tracked()))
    server, _ = start_http_server(0, "127.0.0.1", registry)
    return f"http://127.0.0.1:{server.server_port}"


BARE = "/bare"
NO_LIMIT = 1_000_000


def vendor(tasks: int) -> None:
    """Serve a simulated vendor without rate limit; it answers BARE to anyone as a signed call."""
    with Simulation(SimulationOptions(tasks=0, speed=1, qps=NO_LIMIT)) as simulation:
        for number in range(tasks):
            simulation.fleet.begin(target(number), RunPlan(CHECKED), age=600)
        simulation.gateway.pages[BARE] = lambda at: _reply(simulation, int(at * 1000))
        print(simulation.url, flush=True)
        sys.stdin.read()


def _reply(simulation: Simulation, at: int) -> object:
    life = simulation.fleet.run(target(0), at)
    assert life is not None
    metadata = CallMetadata("0123456789abcdef", "GetWebCastTask", "2020-12-01", "cn-north-1")
    return success(metadata, {"WebcastTask": task_document(life, at)}).document


def main(kind: str, tasks: int) -> None:
    """Serve."""
    if kind == "vendor":
        vendor(tasks)
    else:
        print({"ours": ours, "library": library}[kind](read_fleet(tasks)), flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    threading.excepthook = lambda _args: None
    main(sys.argv[1], int(sys.argv[2]))
