"""Registry, store and rendered series of one exporter over a simulated vendor, opened and killed by a test."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import pytest

from exporter.errors import StateError
from exporter.metrics.families import Group, task_families
from exporter.metrics.fleet import FleetCollector
from exporter.metrics.series_cache import SeriesCache
from exporter.model.target import Target, TargetId
from exporter.model.task import Callback
from exporter.model.task_state import Lifetimes
from exporter.scheduler.registry import TaskRegistry
from tests.support.registry import replace_targets
from tests.support.simulated_exporter import World
from tests.support.state import kill, open_store, set_broken

WAITS = Lifetimes(stale_after=120.0, linger=900.0, drain=1800.0)
GAUGES = ("webcast_tasks", "webcast_problem_tasks", "webcast_tasks_without_series")

Shown = dict[tuple[str, ...], float]
"""A sample's name and label values, to its value."""


@dataclass
class Instance:
    """Registry, store and rendered series of one exporter; `open` starts the process, `kill` and `close` end it."""

    file: Path
    world: World
    waits: Lifetimes = WAITS
    broken: bool = False

    def open(self, listed: Iterable[TargetId]) -> None:
        """Start: take up the runs left live and the targets listed, as the composition root does."""
        self.store = open_store(self.file, self._failed)
        self.registry = TaskRegistry(self.store, self.waits, self.world.clock)
        self.series = SeriesCache(task_families(tuple(Group), ()), 100_000, self.registry.get)
        self.registry.attach(self.series)
        self.broken = False
        listed = list(listed)
        live = self.store.live_runs()
        remembered = live | self.store.latest_runs(listed)
        left = {run.target: Target(run.target, "default") for run in live.values()}
        replace_targets(self.registry, left, remembered)
        replace_targets(self.registry, {target: Target(target, "default") for target in listed}, remembered)

    def follow(self, listed: Iterable[TargetId]) -> None:
        """The sources list these now."""
        targets = {target: Target(target, "default") for target in listed}
        new = [target for target in targets if self.registry.get(target) is None]
        replace_targets(self.registry, targets, self.store.latest_runs(new))

    def apply_callback(self, callback: Callback) -> bool:
        """Apply a callback as the service does; whether it was new and is in the store now."""
        try:
            received = self.store.has_receipt(callback)
        except StateError:
            return False
        if not received:
            self.registry.apply_callback(callback)
        return not received

    def kill(self) -> None:
        """End as a killed process does: nothing more is written."""
        kill(self.store)

    def close(self) -> None:
        """A clean stop."""
        self.store.close()

    def set_broken(self, *, broken: bool) -> None:
        """From now on every write fails, or none; what was kept back is written as soon as it may be tried."""
        self.broken = broken
        set_broken(self.store, broken=broken)
        self.registry.expire()

    @property
    def all_written(self) -> bool:
        """Whether nothing waits to be written."""
        return self.store.flush()

    def fleet_counters(self) -> Shown:
        """Every sample of the Fleet counters and histograms, as a scrape would show it now."""
        self.store.flush()
        return {
            (sample.name, *(value for label, value in sorted(sample.labels.items()) if label != "app_id")): sample.value
            for metric in FleetCollector(self.series, self.store.counters, lambda: ("default",)).collect()
            for sample in metric.samples
            if sample.name not in GAUGES
        }

    def _failed(self) -> None:
        assert self.broken


@pytest.fixture
def new_instance() -> Callable[..., Instance]:
    """Make an instance that is not open yet: `new_instance(file, world)`."""
    return Instance
