"""Tracker, ledger and board of one exporter over a simulated vendor, opened and killed as a test wants."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy.exc import SQLAlchemyError

from exporter.errors import StateError
from exporter.metrics.catalog import Group
from exporter.metrics.catalog.fleet import FleetCollector
from exporter.metrics.catalog.task import task_families
from exporter.metrics.series_cache import SeriesCache
from exporter.model.callback import Callback
from exporter.model.target import Target, TargetId
from exporter.model.task_state import Lifetimes, TaskState
from exporter.scheduler.registry import TaskRegistry
from exporter.store.opening import open_engine
from exporter.store.store import RETRY_AFTER, Store
from tests.whole import World

WAITS = Lifetimes(stale_after=120.0, linger=900.0, drain=1800.0)
GAUGES = ("webcast_tasks", "webcast_problem_tasks", "webcast_tasks_without_series")

Shown = dict[tuple[str, ...], float]
"""A sample's name and label values, to its value."""


@dataclass
class House:
    """Tracker, ledger and board of one exporter; `open` is a start of the process, `kill` and `close` its ends."""

    file: Path
    world: World
    fresh_for: Callable[[TaskState], float] = lambda _known: 0.0
    waits: Lifetimes = WAITS
    broken: bool = False

    def open(self, listed: Iterable[TargetId]) -> None:
        """Start: take up the runs left live and the targets listed, as the composition root does."""
        self.store = Store(open_engine(f"sqlite:///{self.file}"), self.world.clock.monotonic, self._failed)
        self.registry = TaskRegistry(self.store, self.waits, self.world.clock, self.fresh_for)
        self.board = SeriesCache(task_families(tuple(Group), ()), 100_000, self.registry.get)
        self.registry.attach(self.board)
        self.broken = False
        remembered = self.store.latest_runs()
        left = {run.target: Target(run.target, "default") for run in remembered.values() if run.live}
        self.registry.replace_targets(left, remembered)
        self.registry.replace_targets({target: Target(target, "default") for target in listed}, remembered)

    def follow(self, listed: Iterable[TargetId]) -> None:
        """The sources list these now."""
        targets = {target: Target(target, "default") for target in listed}
        new = [target for target in targets if self.registry.get(target) is None]
        self.registry.replace_targets(targets, self.store.latest_runs(new))

    def apply_callback(self, callback: Callback) -> bool:
        """As the desk for callbacks does: whether it was new, and is in the ledger now."""
        try:
            known = self.store.has_heard(callback)
        except StateError:
            return False
        if not known:
            self.registry.apply_callback(callback)
        return not known

    def kill(self) -> None:
        """End as a killed process does: nothing more is written."""
        self.store._engine.dispose()

    def close(self) -> None:
        """A clean stop."""
        self.store.close()

    def set_broken(self, *, broken: bool) -> None:
        """From now on every write fails, or none; what was kept back is written as soon as it may be tried."""
        self.broken = broken
        with self.store._engine.connect() as connection:
            connection.exec_driver_sql(f"PRAGMA query_only = {int(broken)}")
        self.world.now += RETRY_AFTER
        self.registry.expire()

    @property
    def all_written(self) -> bool:
        """Whether nothing waits to be written."""
        return not self.store._backlog

    def fleet_counters(self) -> Shown:
        """Every sample of the Fleet counters and histograms, as a scrape would show it now."""
        return {
            (sample.name, *(value for label, value in sorted(sample.labels.items()) if label != "app_id")): sample.value
            for metric in FleetCollector(self.board, self.store.totals).collect()
            for sample in metric.samples
            if sample.name not in GAUGES
        }

    def _failed(self, error: SQLAlchemyError, *, first: bool) -> None:
        assert self.broken, error
        assert isinstance(first, bool)


@pytest.fixture
def new_house() -> Callable[..., House]:
    """Make a house that is not open yet: `new_house(file, world)`."""
    return House
