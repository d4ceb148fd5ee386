"""The exporter's own counters and gauges, as prometheus_client instruments of the rows in catalog/exporter.py."""

import os
import platform
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from exporter import __version__
from exporter.enums import CallbackOutcome, ReadFailure, Rejection, Source
from exporter.errors import BadSchema
from exporter.log_queue import dropped_lines
from exporter.metrics.catalog import Family
from exporter.metrics.catalog import exporter as rows
from exporter.model.task import ReadResult
from exporter.volcengine.callbacks import CALLBACK_FIELDS
from exporter.volcengine.replies import FIELDS

CALL_FAILURES = tuple(failure for failure in ReadFailure if failure is not ReadFailure.NOT_FOUND)
SCHEDULER_EVENTS = ("error", "max_instances", "missed")
REVISION_VARIABLE = "WEBCAST_EXPORTER_REVISION"
"""Set in the image to the commit that it was built from."""


class AccountNumbers(NamedTuple):
    """The state of an account's polling at a scrape; None = no such series."""

    configured_rate: float
    effective_rate: float
    demand: float
    up: bool | None
    clock_skew: float | None
    oldest_due: float | None


class SelfMetrics:
    """Every instrument, on one registry; others set or count the public attributes."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._requests = _counter(rows.API_REQUESTS, registry)
        self._failures = _counter(rows.API_REQUEST_FAILURES, registry)
        self._durations = Histogram(
            rows.API_REQUEST_DURATION.name,
            rows.API_REQUEST_DURATION.help,
            rows.API_REQUEST_DURATION.labels,
            buckets=rows.API_REQUEST_DURATION.buckets,
            registry=registry,
        )
        self._throttle_wait = _counter(rows.API_THROTTLE_WAIT, registry)
        self._unexpected = _counter(rows.API_UNEXPECTED_VALUES, registry)
        self._targets = _gauge(rows.TARGETS, registry)
        self._rejected = _gauge(rows.TARGETS_REJECTED, registry)
        self._discovery_failures = _counter(rows.DISCOVERY_FAILURES, registry)
        self._discovery_last_success = _gauge(rows.DISCOVERY_LAST_SUCCESS, registry)
        self._callbacks = _counter(rows.CALLBACK_EVENTS, registry)
        self._closed_accounts: set[str] = set()
        self.state_write_failures = _counter(rows.STATE_WRITE_FAILURES, registry)
        self.reload_successful = _gauge(rows.CONFIG_RELOAD_SUCCESSFUL, registry)
        self.reload_timestamp = _gauge(rows.CONFIG_RELOAD_TIMESTAMP, registry)
        self.leader = _gauge(rows.LEADER, registry)
        self.scheduler_events = _counter(rows.SCHEDULER_EVENTS, registry)
        self.internal_errors = _counter(rows.INTERNAL_ERRORS, registry)
        self.runtime = RuntimeCollector()
        registry.register(self.runtime)
        for field in (*FIELDS, *CALLBACK_FIELDS):
            self._unexpected.labels(field)
        for outcome in CallbackOutcome:
            self._callbacks.labels(outcome)
        for event in SCHEDULER_EVENTS:
            self.scheduler_events.labels(event)
        self.listed({}, {})
        revision = os.environ.get(REVISION_VARIABLE) or "unknown"
        _gauge(rows.BUILD_INFO, registry).labels(__version__, revision, platform.python_version()).set(1)

    def open_account(self, account: str) -> None:
        """Create the account's counters, at zero."""
        self._closed_accounts.discard(account)
        self._requests.labels(account)
        self._durations.labels(account)
        self._throttle_wait.labels(account)
        for failure in CALL_FAILURES:
            self._failures.labels(account, failure)

    def close_account(self, account: str) -> None:
        """Remove the series of an account that the configuration no longer has."""
        self._closed_accounts.add(account)
        for instrument in (self._requests, self._durations, self._throttle_wait):
            instrument.remove(account)
        for failure in CALL_FAILURES:
            self._failures.remove(account, failure)

    def observe(self, account: str, result: ReadResult) -> None:
        """Count one attempt; not that of an account that is gone meanwhile."""
        if account in self._closed_accounts:
            return
        self._requests.labels(account).inc(result.calls)
        self._throttle_wait.labels(account).inc(result.waited)
        self._durations.labels(account).observe(result.elapsed)
        error = result.error
        if error is not None and error.failure is not ReadFailure.NOT_FOUND:
            self._failures.labels(account, error.failure).inc()
        for field in error.unexpected if isinstance(error, BadSchema) else result.unexpected:
            self.unexpected(field)

    def unexpected(self, field: str) -> None:
        """Count an undocumented value of a field."""
        self._unexpected.labels(field).inc()

    def called_back(self, outcome: CallbackOutcome) -> None:
        """Count one callback."""
        self._callbacks.labels(outcome).inc()

    def listed(self, by_source: Mapping[Source, int], rejected: Mapping[Rejection, int]) -> None:
        """Set how many targets the sources list now, and how many of them are not accepted."""
        for source in Source:
            self._targets.labels(source).set(by_source.get(source, 0))
        for rejection in Rejection:
            self._rejected.labels(rejection).set(rejected.get(rejection, 0))

    def open_feed(self, source: Source, place: str) -> None:
        """Create the counter and gauge of a list, at zero; `place` is its path in the configuration."""
        self._discovery_failures.labels(source, place)
        self._discovery_last_success.labels(source, place)

    def close_feed(self, source: Source, place: str) -> None:
        """Remove the series of a list that the configuration no longer has."""
        self._discovery_failures.remove(source, place)
        self._discovery_last_success.remove(source, place)

    def refreshed(self, source: Source, place: str, failures: int, at: float) -> None:
        """Count one refresh of a list; `at` is Unix seconds."""
        self._discovery_failures.labels(source, place).inc(failures)
        if not failures:
            self._discovery_last_success.labels(source, place).set(at)


class AccountCollector(Collector):
    """Makes the accounts' gauges at each scrape; `numbers` returns them by account."""

    def __init__(self, numbers: Callable[[], Mapping[str, AccountNumbers]]) -> None:
        self._numbers = numbers

    def collect(self) -> Iterator[Metric]:
        """Every family, with a sample for each account that has a number."""
        numbers = self._numbers()
        rate = GaugeMetricFamily(rows.API_RATE_LIMIT.name, rows.API_RATE_LIMIT.help, labels=rows.API_RATE_LIMIT.labels)
        for account, each in numbers.items():
            rate.add_metric((account, "configured"), each.configured_rate)
            rate.add_metric((account, "effective"), each.effective_rate)
        yield rate
        for family, value in _ACCOUNT_GAUGES.items():
            metric = GaugeMetricFamily(family.name, family.help, labels=family.labels)
            for account, each in numbers.items():
                if (number := value(each)) is not None:
                    metric.add_metric((account,), float(number))
            yield metric

    def describe(self) -> Iterator[Metric]:
        """The names alone, for the registry."""
        for family in (rows.API_RATE_LIMIT, *_ACCOUNT_GAUGES):
            yield GaugeMetricFamily(family.name, family.help)


class RuntimeCollector(Collector):
    """Makes the families of what the process waits for: the log, hung jobs, the database of the lease.

    `hung_jobs` returns since when each job hangs, `lease_answered_at` when the database last answered (Unix seconds).
    """

    def __init__(self) -> None:
        self.hung_jobs: Callable[[], Mapping[str, float]] = dict
        self.lease_answered_at: Callable[[], float | None] = lambda: None

    def collect(self) -> Iterator[Metric]:
        """Each family; one without a value has no sample."""
        row = rows.LOG_LINES_DROPPED
        dropped = CounterMetricFamily(row.name, row.help, labels=row.labels)
        for reason, lines in dropped_lines().items():
            dropped.add_metric((reason,), lines)
        yield dropped
        row = rows.HUNG_JOB_START
        hung = GaugeMetricFamily(row.name, row.help, labels=row.labels)
        for job, since in self.hung_jobs().items():
            hung.add_metric((job,), since)
        yield hung
        row = rows.LEASE_LAST_ANSWER
        yield GaugeMetricFamily(row.name, row.help, value=self.lease_answered_at())


class StateCollector(Collector):
    """Makes the families of the state's queue at each scrape.

    `oldest_queued` returns since when the oldest change waits, None when none does; `dropped` how many were lost.
    """

    def __init__(self, oldest_queued: Callable[[], float | None], dropped: Callable[[], int]) -> None:
        self._oldest_queued = oldest_queued
        self._dropped = dropped

    def collect(self) -> Iterator[Metric]:
        """Both families."""
        dropped, oldest = rows.STATE_CHANGES_DROPPED, rows.STATE_OLDEST_QUEUED
        yield CounterMetricFamily(dropped.name, dropped.help, value=self._dropped())
        yield GaugeMetricFamily(oldest.name, oldest.help, value=self._oldest_queued())

    def describe(self) -> Iterator[Metric]:
        """The names alone, for the registry."""
        yield CounterMetricFamily(rows.STATE_CHANGES_DROPPED.name, rows.STATE_CHANGES_DROPPED.help)
        yield GaugeMetricFamily(rows.STATE_OLDEST_QUEUED.name, rows.STATE_OLDEST_QUEUED.help)


_ACCOUNT_GAUGES: Mapping[Family, Callable[[AccountNumbers], float | None]] = {
    rows.API_UP: lambda numbers: numbers.up,
    rows.API_CLOCK_SKEW: lambda numbers: numbers.clock_skew,
    rows.POLL_DEMAND: lambda numbers: numbers.demand,
    rows.POLL_OLDEST_DUE: lambda numbers: numbers.oldest_due,
}


def _counter(row: Family, registry: CollectorRegistry) -> Counter:
    return Counter(row.name, row.help, row.labels, registry=registry)


def _gauge(row: Family, registry: CollectorRegistry) -> Gauge:
    return Gauge(row.name, row.help, row.labels, registry=registry)
