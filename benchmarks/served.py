"""Servers to be scraped, each a process: `python -m benchmarks.served ours 3600` prints its URL, and serves."""

import sys
import threading
from collections.abc import Iterator

from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from benchmarks.fleet import read_fleet
from exporter.metrics.catalog import Group, Kind
from exporter.metrics.catalog.task import task_families
from exporter.model.task_state import TaskState
from exporter.service.exporter import Exporter
from exporter.web.app import create_app
from exporter.web.server import Listener, bind

ROWS = task_families(Group, ["team"], callbacks=False)


class Families(Collector):
    """The same families by the client library's own means, made at each scrape, as its documentation teaches."""

    def __init__(self, known: list[TaskState]) -> None:
        self._known = known

    def collect(self) -> Iterator[Metric]:
        """All of them."""
        for row in ROWS:
            make = CounterMetricFamily if row.family.kind is Kind.COUNTER else GaugeMetricFamily
            metric = make(row.family.name, row.family.help, labels=row.family.labels)
            for known in self._known:
                for values, number in row.samples(known):
                    metric.add_metric((*known.target.id, *values), number)
            yield metric


def ours(exporter: Exporter) -> str:
    """Our own site; its URL."""
    listener = Listener(create_app(exporter, exporter.failed), bind("127.0.0.1:0"), exporter.failed)
    listener.start()
    return listener.url


def library(exporter: Exporter) -> str:
    """prometheus_client's server over the same families; its URL."""
    registry = CollectorRegistry()
    registry.register(Families(exporter.tracked()))
    server, _ = start_http_server(0, "127.0.0.1", registry)
    return f"http://127.0.0.1:{server.server_port}"


SERVERS = {"ours": ours, "library": library}


def main(kind: str, tasks: int) -> None:
    """Serve until standard input ends."""
    print(SERVERS[kind](read_fleet(tasks)), flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    threading.excepthook = lambda _args: None
    main(sys.argv[1], int(sys.argv[2]))
