"""A simulated vendor in a process of its own: `python -m benchmarks.vendor 500` prints its URL and serves.

It answers `BARE` to whoever asks with the reply that a signed call gets, and keeps no rate limit.
"""

import sys

from benchmarks.fleet import CHECKED, target
from exporter.simulator.lifecycle import RunPlan, task_document
from exporter.simulator.replies import CallMetadata, success
from exporter.simulator.server import Simulation, SimulationOptions

BARE = "/bare"
NO_LIMIT = 1_000_000


def main(tasks: int) -> None:
    """Serve until standard input ends."""
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


if __name__ == "__main__":
    main(int(sys.argv[1]))
