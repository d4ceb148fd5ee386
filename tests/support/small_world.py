"""A small world: a simulated API, a configuration file, a clock that may be moved on, and exporters over them."""

import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from exporter.config.loader import load
from exporter.config.schema import Config
from exporter.metrics.exposition import Format
from exporter.model.clock import Clock
from exporter.model.target import TargetId
from exporter.service.exporter import Exporter
from exporter.simulator.lifecycle import Ending, RunPlan, TaskSettings
from exporter.simulator.server import Simulation
from exporter.store.lease import FileLock
from exporter.web.app import create_app
from exporter.web.server import Listener, bind
from tests.support import web_client
from tests.support.credentials import account_of
from tests.support.exposition import Samples, samples_named

APP = "661e0000000000000000543c"


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
        return account_of(self.simulation, **changes)

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
        self.running.append(Exporter(config, self.load, {}, FileLock(config.state.url.path).open(), clock))
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


def text(exporter: Exporter) -> str:
    return exporter.exposition.scrape(Format.TEXT).decode()


def samples(exporter: Exporter, name: str) -> Samples:
    """All samples called `name`: the label values, in the order of the label names, to the value."""
    exporter._components.store.flush()
    return samples_named(text(exporter), name)


class Served:
    """An exporter behind its listener, over a state that outlives it."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.exporter = self.start()

    def start(self) -> Exporter:
        """Start the exporter and its listener."""
        self.exporter = self.world.start()
        self._listener = Listener(
            create_app(self.exporter, self.exporter.failed), bind("127.0.0.1:0"), self.exporter.failed
        )
        self._listener.start()
        self.client = web_client.client(self._listener.url)
        return self.exporter

    def restart(self) -> Exporter:
        """End the process, and start another one over the same state."""
        self.stop()
        self.world.stop(self.exporter)
        return self.start()

    def stop(self) -> None:
        """Stop the listener."""
        self.client.close()
        self._listener.stop()
