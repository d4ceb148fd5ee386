"""A small world: a simulated API, a configuration file, a clock that may be moved on, and exporters over them."""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from exporter.config.loader import load
from exporter.config.schema import Config
from exporter.metrics.exposition import Format
from exporter.model.clock import Clock
from exporter.model.target import TargetId
from exporter.service.exporter import Exporter
from exporter.simulator.lifecycle import Ending, RunPlan, TaskSettings
from exporter.simulator.server import Simulation, SimulationOptions
from exporter.store.lease import FileLock

APP = "661e0000000000000000543c"
Samples = dict[tuple[str, ...], float]


def wait_until(holds: Callable[[], object], what: str, seconds: float = 20) -> None:
    """Come back as soon as `holds` is true; fail after `seconds`, saying for `what` it was waited."""
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            pytest.fail(f"not within {seconds:g} s: {what}")
        time.sleep(0.01)


@dataclass
class Shift:
    """The real time and more: `seconds` is how far a test has moved the clocks on."""

    seconds: float = 0.0

    def unix(self) -> float:
        """The wall clock."""
        return time.time() + self.seconds

    def monotonic(self) -> float:
        """The clock for waits."""
        return time.monotonic() + self.seconds


@dataclass
class World:
    """One folder, one API, and the exporters that were started there."""

    simulation: Simulation
    folder: Path
    shift: Shift
    document: dict[str, Any]
    running: list[Exporter] = field(default_factory=list)

    @property
    def file(self) -> Path:
        """The configuration file."""
        return self.folder / "webcast-exporter.yml"

    def write(self, **sections: Any) -> None:
        """Write the configuration file, with these sections in place of the former ones."""
        self.document |= sections
        self.file.write_text(yaml.safe_dump(self.document))

    def lists(self, *targets: TargetId, **labels: str) -> list[dict[str, Any]]:
        """The section `static_configs` for these targets."""
        return [{"targets": [str(target) for target in targets], "labels": labels}]

    def account(self, **changes: Any) -> dict[str, Any]:
        """An element of `accounts` whose key is good."""
        credentials = self.simulation.credentials
        return {
            "name": "default",
            "endpoint": self.simulation.url,
            "access_key_id": credentials.access_key,
            "secret_access_key": credentials.secret_key,
            **changes,
        }

    def load(self) -> Config:
        """The configuration as the file has it now."""
        return load(self.file, {})

    def task(self, name: str, *, ended: bool = False) -> TargetId:
        """A task that has run for a minute, or ended half a minute ago."""
        target = TargetId(APP, "Room", name)
        settings = TaskSettings(source_url="https://classroom.example.com/live?token=canary-in-the-source")
        ends = 30.0 if ended else None
        plan = RunPlan(settings, ends=ends, ending=Ending.STOPPED_BY_API)
        self.simulation.fleet.begin(target, plan, age=60)
        return target

    def exporter(self) -> Exporter:
        """One that is not started yet."""
        config = self.load()
        clock = Clock(self.shift.unix, self.shift.monotonic)
        self.running.append(Exporter(config, self.load, {}, FileLock(config.state.path).open(), clock))
        return self.running[-1]

    def start(self) -> Exporter:
        """One that reads."""
        exporter = self.exporter()
        exporter.start()
        return exporter

    def stop(self, exporter: Exporter) -> None:
        """Stop it, as a process does at its end."""
        self.running.remove(exporter)
        exporter.stop()

    def reads(self, target: TargetId) -> int:
        """How often the API was asked for a task."""
        return len(self.simulation.calls.reads_of(target))


def text_of(exporter: Exporter) -> str:
    """One scrape."""
    return exporter.exposition.scrape(Format.TEXT).decode()


def samples_of(exporter: Exporter, name: str) -> Samples:
    """All samples called `name`: the label values, in the order of the label names, to the value."""
    exporter._parts.store.flush()
    families = text_string_to_metric_families(text_of(exporter))
    found = [sample for family in families for sample in family.samples if sample.name == name]
    return {tuple(value for _, value in sorted(sample.labels.items())): sample.value for sample in found}


@pytest.fixture
def text() -> Callable[[Exporter], str]:
    """`text(exporter)`: one scrape."""
    return text_of


@pytest.fixture
def samples() -> Callable[[Exporter, str], Samples]:
    """`samples(exporter, name)`."""
    return samples_of


@pytest.fixture
def wait() -> Callable[..., None]:
    """`wait(holds, what, seconds)`: polling with a deadline."""
    return wait_until


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
