import os
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from exporter.simulator.server import Simulation, SimulationOptions
from tests.support.small_world import Shift, World


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """A world without tasks or targets, its state in a file; what was started in it ends with it."""
    shift = Shift()
    with Simulation(SimulationOptions(tasks=0, speed=1), shift.unix) as simulation:
        made = World(simulation, tmp_path, shift, {})
        made.write(
            accounts=[made.account()],
            polling={"interval": "1s", "fast_interval": "1s", "max_backoff": "1s"},
            state={"url": f"sqlite:///{tmp_path}/state.db"},
        )
        yield made
        for exporter in made.running:
            exporter.stop()


@pytest.fixture
def at_sigterm() -> Iterator[Callable[[], None]]:
    """Send the main thread a SIGTERM; the handlers that a test installs are taken away after it."""
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)}
    main = threading.main_thread().ident or os.getpid()
    yield lambda: signal.pthread_kill(main, signal.SIGTERM)
    for number, handler in before.items():
        signal.signal(number, handler)
