"""The parts that work with each other, made and wired."""

import logging
import random
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass

from prometheus_client import (
    CollectorRegistry,
    GCCollector,
    PlatformCollector,
    ProcessCollector,
    disable_created_metrics,
)

from exporter.config.schema import Config
from exporter.metrics.catalog.fleet import FleetCollector
from exporter.metrics.exposition import Exposition, Format, PrefixFilter
from exporter.metrics.self_metrics import AccountCollector, SelfMetrics, StateCollector
from exporter.metrics.series_cache import SeriesCache
from exporter.metrics.task_history import HistoryLog
from exporter.model.clock import Clock
from exporter.model.read_result import ReadResult
from exporter.model.task_state import TaskState
from exporter.scheduler.pool import Pool
from exporter.scheduler.ports import Ports
from exporter.scheduler.registry import TaskRegistry
from exporter.service.account_pollers import AccountPollers
from exporter.service.drains import Drains
from exporter.service.kept import Kept
from exporter.service.settings import lifetimes, problem_thresholds, task_families_of
from exporter.store.database import Database
from exporter.store.store import Store
from exporter.volcengine.rate_limiter import RateLimiter

log = logging.getLogger(__name__)

FRESH_FOR_INTERVALS = 3
"""A read is fresh for so many of the intervals now in force (contract, `polling.stale_after`)."""

STANDBY_FAMILIES = ("webcast_exporter_", "webcast_callback_events", "webcast_state_")
"""Families of its own that a standby serves."""

Failed = Callable[[str, Exception], None]
"""Told of what failed for a reason that nobody foresaw."""


@dataclass(frozen=True, slots=True)
class Components:
    """What the desks, the lists and the pages share."""

    clock: Clock
    self_metrics: SelfMetrics
    store: Store
    kept: Kept
    drains: Drains
    registry: TaskRegistry
    board: SeriesCache
    desks: AccountPollers
    exposition: Exposition
    history: HistoryLog

    def failed(self, what: str, error: Exception) -> None:
        """Count and log an error that nobody foresaw, at the edge where it was caught."""
        fail(self.self_metrics, what, error)


def make_parts(
    config: Config,
    environ: Mapping[str, str],
    database: Database,
    clock: Clock,
    new_pacer: Callable[[float], RateLimiter],
    *,
    leads: Callable[[], bool] | None = None,
) -> Components:
    """All of them over one open state; `new_pacer` makes one for a rate. StartError when the state cannot be read."""
    registry = process_registry()
    self_metrics = SelfMetrics(registry)
    store = Store(database, on_failure=self_metrics.state_write_failures.inc)
    kept = Kept(store, clock)

    def fresh_for(known: TaskState) -> float:
        return FRESH_FOR_INTERVALS * desks.in_force(known)

    history = HistoryLog()
    task_registry = TaskRegistry(
        store,
        lifetimes(config),
        clock,
        fresh_for,
        kept.named,
        thresholds=problem_thresholds(config),
        changed=history.add_change,
    )

    def apply_read(reading: ReadResult) -> TaskState | None:
        known = task_registry.apply_read(reading)
        if known is not None:
            history.add_read(reading)
            if task_registry.get(reading.target) is None:  # forgotten meanwhile
                history.forget([reading.target])
        return known

    ports = Ports(
        submit=Pool().submit,
        apply_read=apply_read,
        count=self_metrics.observe,
        failed=lambda what, error: fail(self_metrics, what, error),
        chance=random.random,
    )
    desks = AccountPollers(environ, clock, self_metrics, ports, new_pacer)
    board = SeriesCache(task_families_of(config), config.metrics.max_tasks, task_registry.get)
    task_registry.attach(board)
    registry.register(FleetCollector(board, store.counters, desks.numbers))
    registry.register(StateCollector(lambda: store.oldest_queued, lambda: store.dropped))
    registry.register(AccountCollector(desks.numbers))
    exposition = Exposition(registry, board)
    if leads is not None:
        exposition = LeaderExposition(exposition, standby_exposition(registry), leads)
    return Components(clock, self_metrics, store, kept, Drains(store), task_registry, board, desks, exposition, history)


class LeaderExposition(Exposition):
    """What a replica serves: all while it surely leads, else what a standby serves."""

    def __init__(self, leader: Exposition, standby: Exposition, leads: Callable[[], bool]) -> None:
        self._leader = leader
        self._standby = standby
        self._leads = leads

    def pieces(self, fmt: Format, names: Collection[str] = (), *, per_task: bool = True) -> Iterator[bytes]:
        """As the role that is in force."""
        exposition = self._leader if self._leads() else self._standby
        return exposition.pieces(fmt, names, per_task=per_task)


def standby_exposition(inner: CollectorRegistry) -> Exposition:
    """The process, and of `inner` what a standby serves."""
    registry = process_registry()
    registry.register(PrefixFilter(inner, STANDBY_FAMILIES))
    return Exposition(registry, SeriesCache((), 0, lambda _: None))


def fail(self_metrics: SelfMetrics, what: str, error: Exception) -> None:
    """Count and log an error that nobody foresaw."""
    self_metrics.internal_errors.inc()
    log.error("%s failed for a reason that nobody foresaw", what, exc_info=error)


def process_registry() -> CollectorRegistry:
    """One that tells of the process alone."""
    disable_created_metrics()  # type: ignore[no-untyped-call]  # untyped in the library
    registry = CollectorRegistry()
    for collector in (ProcessCollector, PlatformCollector, GCCollector):
        collector(registry=registry)
    return registry
