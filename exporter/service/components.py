"""Makes and wires the components of one exporter."""

from collections.abc import Callable, Collection, Iterator, Mapping

import structlog
from prometheus_client import (
    CollectorRegistry,
    GCCollector,
    PlatformCollector,
    ProcessCollector,
    disable_created_metrics,
)

from exporter.metrics.exposition import Exposition, Format, PrefixFilter
from exporter.metrics.fleet import FleetCollector
from exporter.metrics.self_metrics import SelfMetrics, account_families, state_families
from exporter.metrics.series_cache import SeriesCache
from exporter.metrics.task_history import HistoryLog
from exporter.model.clock import Clock
from exporter.scheduler.registry import TaskRegistry
from exporter.scheduler.scheduler import Scheduler
from exporter.service.accounts import AccountPollers
from exporter.service.settings import Settings
from exporter.service.stored_lists import Drains, StoredLists
from exporter.store.database import Database
from exporter.store.store import LabelsOf, Store
from exporter.volcengine.rate_limiter import RateLimiter

log = structlog.stdlib.get_logger(__name__)

STANDBY_FAMILIES = ("webcast_exporter_", "webcast_callback_events")
"""Families of its own that a standby serves."""


class Components:
    """The components of one exporter over one open state. StartError when the state cannot be read."""

    def __init__(
        self,
        settings: Settings,
        environ: Mapping[str, str],
        database: Database,
        clock: Clock,
        *,
        new_rate_limiter: Callable[[float], RateLimiter],
        labels_of: LabelsOf,
        leads: Callable[[], bool] | None = None,
    ) -> None:
        own = process_registry()
        self.clock = clock
        self.self_metrics = SelfMetrics(own)
        self.store = Store(database, on_failure=self.self_metrics.state_write_failures.inc, labels_of=labels_of)
        self.stored_lists = StoredLists(self.store)
        self.drains = Drains(self.store)
        self.history = HistoryLog()
        self.registry = TaskRegistry(
            self.store,
            settings.lifetimes,
            clock,
            self.stored_lists.listing_times,
            thresholds=settings.thresholds,
            history=self.history,
        )
        self.scheduler = Scheduler(self.self_metrics, clock)
        self.pollers = AccountPollers(
            environ, clock, self.self_metrics, self.scheduler, self.registry, new_rate_limiter=new_rate_limiter
        )
        self.series_cache = SeriesCache(settings.families, settings.config.metrics.max_tasks, self.registry.get)
        self.registry.attach(self.series_cache)
        own.register(FleetCollector(self.series_cache, self.store.counters, self.pollers.numbers))
        own.register(state_families(lambda: self.store.oldest_queued, lambda: self.store.dropped))
        own.register(account_families(self.pollers.numbers))
        self.exposition = Exposition(own, self.series_cache)
        if leads is not None:
            self.exposition = LeaderExposition(self.exposition, standby_exposition(own), leads)

    def failed(self, what: str, error: Exception) -> None:
        """Count and log an unexpected error where it was caught; `what` names the job."""
        fail(self.self_metrics, what, error)


class LeaderExposition(Exposition):
    """Exposition of a replica: everything while it surely leads, else what a standby serves."""

    def __init__(self, leader: Exposition, standby: Exposition, leads: Callable[[], bool]) -> None:
        self._leader = leader
        self._standby = standby
        self._leads = leads

    def pieces(self, fmt: Format, names: Collection[str] = (), *, per_task: bool = True) -> Iterator[bytes]:
        """Yield the text of the role in force."""
        exposition = self._leader if self._leads() else self._standby
        return exposition.pieces(fmt, names, per_task=per_task)


def standby_exposition(inner: CollectorRegistry) -> Exposition:
    """The process, and of `inner` what a standby serves."""
    registry = process_registry()
    registry.register(PrefixFilter(inner, STANDBY_FAMILIES))
    return Exposition(registry, SeriesCache((), 0, lambda _: None))


def fail(self_metrics: SelfMetrics, what: str, error: Exception) -> None:
    """Count and log an unexpected error; `what` names the job."""
    self_metrics.internal_errors.inc()
    log.error("unexpected error", job=what, exc_info=error)


def process_registry() -> CollectorRegistry:
    """A registry with the process's own families alone."""
    disable_created_metrics()
    registry = CollectorRegistry(auto_describe=True)
    for collector in (ProcessCollector, PlatformCollector, GCCollector):
        collector(registry=registry)
    return registry
