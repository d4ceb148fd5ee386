"""The exporter's own families, and their prometheus_client instruments."""

import os
import platform
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import NamedTuple

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from exporter import REVISION_VARIABLE, __version__
from exporter.enums import CallbackOutcome, ReadFailure, Rejection, Source
from exporter.errors import BadSchema
from exporter.logs import blocked_since, dropped_lines
from exporter.metrics.families import Family, Kind
from exporter.model.task import ReadResult
from exporter.volcengine.callbacks import CALLBACK_FIELDS
from exporter.volcengine.replies import FIELDS

LATENCY_BUCKETS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
EXPORTER = (
    Family(
        "webcast_api_up",
        Kind.GAUGE,
        "1 if any call within polling.stale_after, or else the latest, was answered well; absent before the first.",
        ("account",),
    ),
    Family("webcast_api_requests_total", Kind.COUNTER, "Calls sent, every attempt.", ("account",)),
    Family(
        "webcast_api_request_failures_total",
        Kind.COUNTER,
        "Calls that failed, by reason; a task that is not found is an answer, not a failure.",
        ("account", "reason"),
    ),
    Family(
        "webcast_api_request_duration_seconds",
        Kind.HISTOGRAM,
        "From sending a call to its whole answer.",
        ("account",),
        LATENCY_BUCKETS,
    ),
    Family(
        "webcast_api_rate_limit_requests_per_second",
        Kind.GAUGE,
        "Calls a second: configured (max_qps), and effective after throttling by the vendor.",
        ("account", "kind"),
    ),
    Family(
        "webcast_api_throttle_wait_seconds_total", Kind.COUNTER, "Time that calls waited for the budget.", ("account",)
    ),
    Family(
        "webcast_api_unexpected_values_total",
        Kind.COUNTER,
        "Fields of replies that were missing, of a wrong type or out of the documented range.",
        ("field",),
    ),
    Family(
        "webcast_api_clock_skew_seconds",
        Kind.GAUGE,
        "The server's Date minus the local clock; Date has whole seconds.",
        ("account",),
    ),
    Family(
        "webcast_poll_demand_requests_per_second",
        Kind.GAUGE,
        "Calls a second that the configured intervals need, unstretched.",
        ("account",),
    ),
    Family(
        "webcast_poll_oldest_due_timestamp_seconds",
        Kind.GAUGE,
        "Since when the longest waiting read has been due, Unix seconds; absent when nothing is due.",
        ("account",),
    ),
    Family("webcast_targets", Kind.GAUGE, "Accepted targets; one counts under each source that lists it.", ("source",)),
    Family("webcast_targets_rejected", Kind.GAUGE, "Targets listed now and not accepted, by reason.", ("reason",)),
    Family(
        "webcast_discovery_failures_total",
        Kind.COUNTER,
        "Refreshes of a list of targets that failed; the list keeps its last content.",
        ("source", "config"),
    ),
    Family(
        "webcast_discovery_last_success_timestamp_seconds",
        Kind.GAUGE,
        "When all lists of a section were last refreshed successfully, Unix seconds; 0 until then.",
        ("source", "config"),
    ),
    Family(
        "webcast_callback_events_total", Kind.COUNTER, "Callbacks that came in, by what became of them.", ("outcome",)
    ),
    Family("webcast_state_write_failures_total", Kind.COUNTER, "Writes to the state that failed; each is tried again."),
    Family(
        "webcast_state_changes_dropped_total",
        Kind.COUNTER,
        "Changes that were lost because the state could not be written for so long that its queue was full.",
    ),
    Family(
        "webcast_state_oldest_queued_timestamp_seconds",
        Kind.GAUGE,
        "Since when the oldest change waits to be written to the state, Unix seconds; absent when none waits.",
    ),
    Family(
        "webcast_exporter_config_last_reload_successful",
        Kind.GAUGE,
        "1 if the latest load of the configuration succeeded.",
    ),
    Family(
        "webcast_exporter_config_last_reload_success_timestamp_seconds",
        Kind.GAUGE,
        "When the configuration was last loaded successfully, Unix seconds.",
    ),
    Family("webcast_exporter_leader", Kind.GAUGE, "1 if this process reads the tasks; always 1 without a standby."),
    Family(
        "webcast_exporter_scheduler_events_total",
        Kind.COUNTER,
        "Runs of scheduled jobs that did not go as planned.",
        ("event",),
    ),
    Family(
        "webcast_exporter_hung_job_start_timestamp_seconds",
        Kind.GAUGE,
        "When a job began that has been running for over 5 s, Unix seconds; absent while there is none.",
        ("job_name",),
    ),
    Family(
        "webcast_exporter_log_blocked_since_timestamp_seconds",
        Kind.GAUGE,
        "Since when nothing reads the log, so that lines wait, Unix seconds; absent while they are written.",
    ),
    Family(
        "webcast_exporter_lease_last_answer_timestamp_seconds",
        Kind.GAUGE,
        "When the database last answered about the lease, or was first asked, Unix seconds; absent without PostgreSQL.",
    ),
    Family("webcast_exporter_internal_errors_total", Kind.COUNTER, "Unexpected errors; each is logged."),
    Family(
        "webcast_exporter_log_lines_dropped_total",
        Kind.COUNTER,
        "Log lines not written: nothing read the log (queue_full), or too many of one kind (rate_limited).",
        ("reason",),
    ),
    Family(
        "webcast_exporter_build_info",
        Kind.GAUGE,
        "Always 1. The version that runs.",
        ("version", "revision", "python_version"),
    ),
)
"""Families of the exporter itself: the API calls it makes, its polling, its targets, its state."""
_BY_NAME = {family.name: family for family in EXPORTER}

CALL_FAILURES = tuple(failure for failure in ReadFailure if failure is not ReadFailure.NOT_FOUND)
SCHEDULER_EVENTS = ("error", "max_instances", "missed")

RATE_LIMIT = "webcast_api_rate_limit_requests_per_second"
ACCOUNT_GAUGES = (
    "webcast_poll_demand_requests_per_second",
    "webcast_api_up",
    "webcast_api_clock_skew_seconds",
    "webcast_poll_oldest_due_timestamp_seconds",
)
CHANGES_DROPPED = "webcast_state_changes_dropped_total"
OLDEST_QUEUED = "webcast_state_oldest_queued_timestamp_seconds"
LINES_DROPPED = "webcast_exporter_log_lines_dropped_total"
LOG_BLOCKED = "webcast_exporter_log_blocked_since_timestamp_seconds"
HUNG_JOB = "webcast_exporter_hung_job_start_timestamp_seconds"
LEASE_ANSWER = "webcast_exporter_lease_last_answer_timestamp_seconds"


class AccountNumbers(NamedTuple):
    """The state of an account's polling at a scrape; None = no such series."""

    configured_rate: float
    effective_rate: float
    demand: float
    up: bool | None
    clock_skew: float | None
    oldest_due: float | None


ScrapedSample = tuple[str, tuple[str, ...], float | None]
"""A family's name, the values of its labels, and the value; None = there is no such sample now."""


class ScrapedFamilies(Collector):
    """Families whose samples are asked for at each scrape."""

    def __init__(self, names: Collection[str], samples: Callable[[], Iterable[ScrapedSample]]) -> None:
        self._names = names
        self._samples = samples

    def collect(self) -> Iterator[Metric]:
        """Each family; one without a value has no sample."""
        families = {name: _metric(name) for name in self._names}
        for name, labels, value in self._samples():
            if value is not None:
                families[name].add_metric(labels, value)
        return iter(families.values())


class SelfMetrics:
    """Every instrument, on one registry; others set or count the public attributes."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._requests = _counter("webcast_api_requests_total", registry)
        self._failures = _counter("webcast_api_request_failures_total", registry)
        latency = _BY_NAME["webcast_api_request_duration_seconds"]
        self._durations = Histogram(
            latency.name, latency.help, latency.labels, buckets=latency.buckets, registry=registry
        )
        self._throttle_wait = _counter("webcast_api_throttle_wait_seconds_total", registry)
        self._unexpected = _counter("webcast_api_unexpected_values_total", registry)
        self._targets = _gauge("webcast_targets", registry)
        self._rejected = _gauge("webcast_targets_rejected", registry)
        self._discovery_failures = _counter("webcast_discovery_failures_total", registry)
        self._discovery_last_success = _gauge("webcast_discovery_last_success_timestamp_seconds", registry)
        self._callbacks = _counter("webcast_callback_events_total", registry)
        self._closed_accounts: set[str] = set()
        self.state_write_failures = _counter("webcast_state_write_failures_total", registry)
        self.reload_successful = _gauge("webcast_exporter_config_last_reload_successful", registry)
        self.reload_timestamp = _gauge("webcast_exporter_config_last_reload_success_timestamp_seconds", registry)
        self.leader = _gauge("webcast_exporter_leader", registry)
        self.scheduler_events = _counter("webcast_exporter_scheduler_events_total", registry)
        self.internal_errors = _counter("webcast_exporter_internal_errors_total", registry)
        self.hung_jobs: Callable[[], Mapping[str, float]] = dict
        """Since when each job hangs (Unix seconds)."""
        self.lease_answered_at: Callable[[], float | None] = lambda: None
        """When the database last answered about the lease (Unix seconds)."""
        registry.register(ScrapedFamilies((LINES_DROPPED, HUNG_JOB, LOG_BLOCKED, LEASE_ANSWER), self._runtime_samples))
        for field in (*FIELDS, *CALLBACK_FIELDS):
            self._unexpected.labels(field)
        for outcome in CallbackOutcome:
            self._callbacks.labels(outcome)
        for event in SCHEDULER_EVENTS:
            self.scheduler_events.labels(event)
        self.set_targets({}, {})
        revision = os.environ.get(REVISION_VARIABLE) or "unknown"
        _gauge("webcast_exporter_build_info", registry).labels(__version__, revision, platform.python_version()).set(1)

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
        if result.waited:
            self._throttle_wait.labels(account).inc(result.waited)
        self._durations.labels(account).observe(result.elapsed)
        error = result.error
        if error is not None and error.failure is not ReadFailure.NOT_FOUND:
            self._failures.labels(account, error.failure).inc()
        for field in error.unexpected if isinstance(error, BadSchema) else result.unexpected:
            self.count_unexpected(field)

    def count_unexpected(self, field: str) -> None:
        """Count an undocumented value of a field."""
        self._unexpected.labels(field).inc()

    def count_callback(self, outcome: CallbackOutcome) -> None:
        """Count one callback."""
        self._callbacks.labels(outcome).inc()

    def set_targets(self, by_source: Mapping[Source, int], rejected: Mapping[Rejection, int]) -> None:
        """Set how many targets the sources list now, and how many of them are not accepted."""
        for source in Source:
            self._targets.labels(source).set(by_source.get(source, 0))
        for rejection in Rejection:
            self._rejected.labels(rejection).set(rejected.get(rejection, 0))

    def open_source(self, source: Source, place: str) -> None:
        """Create the counter and gauge of a list, at zero; `place` is its path in the configuration."""
        self._discovery_failures.labels(source, place)
        self._discovery_last_success.labels(source, place)

    def close_source(self, source: Source, place: str) -> None:
        """Remove the series of a list that the configuration no longer has."""
        self._discovery_failures.remove(source, place)
        self._discovery_last_success.remove(source, place)

    def count_refresh(self, source: Source, place: str, failures: int, at: float) -> None:
        """Count one refresh of a list; `at` is Unix seconds."""
        self._discovery_failures.labels(source, place).inc(failures)
        if not failures:
            self._discovery_last_success.labels(source, place).set(at)

    def _runtime_samples(self) -> Iterator[ScrapedSample]:
        """Samples about the log, jobs that hang, and the database of the lease."""
        for reason, lines in dropped_lines().items():
            yield LINES_DROPPED, (reason,), lines
        for job, since in self.hung_jobs().items():
            yield HUNG_JOB, (job,), since
        yield LOG_BLOCKED, (), blocked_since()
        yield LEASE_ANSWER, (), self.lease_answered_at()


def account_families(numbers: Callable[[], Mapping[str, AccountNumbers]]) -> ScrapedFamilies:
    """The gauges of the accounts, whose `numbers` are by account."""

    def samples() -> Iterator[ScrapedSample]:
        for account, of in numbers().items():
            yield RATE_LIMIT, (account, "configured"), of.configured_rate
            yield RATE_LIMIT, (account, "effective"), of.effective_rate
            for name, value in zip(ACCOUNT_GAUGES, (of.demand, of.up, of.clock_skew, of.oldest_due), strict=True):
                yield name, (account,), value

    return ScrapedFamilies((RATE_LIMIT, *ACCOUNT_GAUGES), samples)


def state_families(oldest_queued: Callable[[], float | None], dropped: Callable[[], int]) -> ScrapedFamilies:
    """The families of the state's queue: since when the oldest change waits, and how many were lost."""
    return ScrapedFamilies(
        (CHANGES_DROPPED, OLDEST_QUEUED),
        lambda: ((CHANGES_DROPPED, (), dropped()), (OLDEST_QUEUED, (), oldest_queued())),
    )


def _metric(name: str) -> CounterMetricFamily | GaugeMetricFamily:
    """A family without samples."""
    row = _BY_NAME[name]
    make = CounterMetricFamily if row.kind is Kind.COUNTER else GaugeMetricFamily
    return make(row.name, row.help, labels=row.labels)


def _counter(name: str, registry: CollectorRegistry) -> Counter:
    row = _BY_NAME[name]
    return Counter(row.name, row.help, row.labels, registry=registry)


def _gauge(name: str, registry: CollectorRegistry) -> Gauge:
    row = _BY_NAME[name]
    return Gauge(row.name, row.help, row.labels, registry=registry)
