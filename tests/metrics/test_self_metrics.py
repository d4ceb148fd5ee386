"""The exporter's own counters and gauges."""

from collections.abc import Callable

import pytest
from prometheus_client import CollectorRegistry

from exporter import REVISION_VARIABLE, __version__
from exporter.enums import CallbackOutcome, ReadFailure, Rejection, Source, Status
from exporter.errors import AppRefused, BadSchema, CredentialsRefused, NotFound, ReadError, Throttled, TimedOut
from exporter.metrics.self_metrics import (
    AccountNumbers,
    SelfMetrics,
    account_families,
    state_families,
)
from exporter.model.target import TargetId
from exporter.model.task import ReadResult, Task
from exporter.volcengine.callbacks import CALLBACK_FIELDS
from exporter.volcengine.replies import FIELDS

TARGET = TargetId("App1", "Room1", "Task1")
CALL_FAILURES = [failure.value for failure in ReadFailure if failure is not ReadFailure.NOT_FOUND]

Values = dict[tuple[str, ...], float]


@pytest.fixture
def self_metrics(registry: CollectorRegistry) -> SelfMetrics:
    return SelfMetrics(registry)


@pytest.fixture
def values(registry: CollectorRegistry) -> Callable[[str], Values]:
    def found(name: str) -> Values:
        samples = [sample for metric in registry.collect() for sample in metric.samples]
        return {tuple(sample.labels.values()): sample.value for sample in samples if sample.name == name}

    return found


def read_result(outcome: Task | ReadError, *, unexpected: tuple[str, ...] = ()) -> ReadResult:
    """One attempt that took 0.3 s after waiting 0.25 s."""
    return ReadResult(TARGET, 0.0, 0.0, elapsed=0.3, outcome=outcome, waited=0.25, unexpected=unexpected)


def test_what_can_be_counted_is_at_zero_from_the_start(
    self_metrics: SelfMetrics, values: Callable[..., Values]
) -> None:
    assert isinstance(self_metrics, SelfMetrics)
    assert values("webcast_api_unexpected_values_total") == {(field,): 0.0 for field in (*FIELDS, *CALLBACK_FIELDS)}
    assert values("webcast_targets") == {(source.value,): 0.0 for source in Source}
    assert values("webcast_targets_rejected") == {(rejection.value,): 0.0 for rejection in Rejection}
    assert values("webcast_callback_events_total") == {(outcome.value,): 0.0 for outcome in CallbackOutcome}
    assert set(values("webcast_exporter_scheduler_events_total").values()) == {0.0}
    assert values("webcast_state_write_failures_total") == {(): 0.0}
    assert values("webcast_exporter_internal_errors_total") == {(): 0.0}


def test_an_account_has_every_counter_at_zero_once_it_is_open(
    self_metrics: SelfMetrics, values: Callable[..., Values]
) -> None:
    """Each reason of a failed call, and no `not_found`, which is an answer."""
    assert values("webcast_api_requests_total") == {}
    self_metrics.open_account("default")
    assert values("webcast_api_requests_total") == {("default",): 0.0}
    assert values("webcast_api_request_failures_total") == {("default", reason): 0.0 for reason in CALL_FAILURES}
    assert values("webcast_api_request_duration_seconds_count") == {("default",): 0.0}
    assert values("webcast_api_throttle_wait_seconds_total") == {("default",): 0.0}


def test_opening_an_account_again_takes_nothing_back(self_metrics: SelfMetrics, values: Callable[..., Values]) -> None:
    """A reload names the same account once more, and its counters go on."""
    self_metrics.observe("default", read_result(Task(Status.RUNNING)))
    self_metrics.open_account("default")
    assert values("webcast_api_requests_total") == {("default",): 1.0}


def test_each_attempt_is_counted_and_timed(self_metrics: SelfMetrics, values: Callable[..., Values]) -> None:
    """Calls, how long they took, and how long they waited for the budget: by account."""
    self_metrics.observe("default", read_result(Task(Status.RUNNING)))
    self_metrics.observe("default", read_result(TimedOut("too slow")))
    assert values("webcast_api_requests_total") == {("default",): 2.0}
    assert values("webcast_api_throttle_wait_seconds_total") == {("default",): 0.5}
    assert values("webcast_api_request_duration_seconds_sum") == {("default",): 0.6}
    buckets = values("webcast_api_request_duration_seconds_bucket")
    assert (buckets["default", "0.25"], buckets["default", "0.5"], buckets["default", "+Inf"]) == (0.0, 2.0, 2.0)


@pytest.mark.parametrize("error", [TimedOut, Throttled, CredentialsRefused, AppRefused, BadSchema])
def test_a_failed_call_is_counted_by_its_reason(
    self_metrics: SelfMetrics, values: Callable[..., Values], error: type[ReadError]
) -> None:
    self_metrics.open_account("default")
    self_metrics.observe("default", read_result(error("what went wrong")))
    failures = {reason: value for (_, reason), value in values("webcast_api_request_failures_total").items() if value}
    assert failures == {error.failure.value: 1.0}


def test_not_found_is_an_answer(self_metrics: SelfMetrics, values: Callable[..., Values]) -> None:
    """It counts as a call, never as a failure."""
    self_metrics.open_account("default")
    self_metrics.observe("default", read_result(NotFound("no such task")))
    assert values("webcast_api_requests_total") == {("default",): 1.0}
    assert set(values("webcast_api_request_failures_total").values()) == {0.0}
    assert ("default", "not_found") not in values("webcast_api_request_failures_total")


def test_fields_that_were_not_as_documented_are_counted(
    self_metrics: SelfMetrics, values: Callable[..., Values]
) -> None:
    """Those of a reply that could be read, and those that made one unreadable."""
    self_metrics.observe("default", read_result(Task(Status.RUNNING), unexpected=("UserId", "EndTime")))
    fault = BadSchema("Status is missing")
    fault.unexpected = ("Status",)
    self_metrics.observe("default", read_result(fault))
    raised = {field for (field,), value in values("webcast_api_unexpected_values_total").items() if value == 1.0}
    assert raised == {"UserId", "EndTime", "Status"}


def test_lists_say_what_they_hold_now(self_metrics: SelfMetrics, values: Callable[..., Values]) -> None:
    self_metrics.set_targets({Source.STATIC: 3}, {Rejection.DUPLICATE: 2})
    assert values("webcast_targets")["static",] == 3.0
    assert values("webcast_targets_rejected")["duplicate",] == 2.0
    self_metrics.set_targets({}, {Rejection.INVALID: 1})
    assert values("webcast_targets")["static",] == 0.0
    assert values("webcast_targets_rejected") == {
        ("invalid",): 1.0,
        ("duplicate",): 0.0,
        ("no_account",): 0.0,
        ("over_limit",): 0.0,
    }


def test_the_build_says_its_version(
    registry: CollectorRegistry, values: Callable[..., Values], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Always 1, so that it can be joined; the image knows the commit that it was built from."""
    monkeypatch.setenv(REVISION_VARIABLE, "abc123")
    SelfMetrics(registry)
    ((version, revision, python),) = values("webcast_exporter_build_info")
    assert (version, revision) == (__version__, "abc123")
    assert python.startswith("3.")


def test_an_accounts_gauges_are_asked_at_each_scrape(
    registry: CollectorRegistry, values: Callable[..., Values]
) -> None:
    """What cannot be said is absent, and an account that is gone takes its gauges with it."""
    said = {
        "a": AccountNumbers(48.0, 24.0, 120.0, up=None, clock_skew=None, oldest_due=None),
        "b": AccountNumbers(10.0, 10.0, 0.0, up=False, clock_skew=-2.5, oldest_due=7.0),
        "c": AccountNumbers(10.0, 10.0, 0.0, up=True, clock_skew=0.0, oldest_due=0.0),
    }
    registry.register(account_families(lambda: said))
    assert values("webcast_api_up") == {("b",): 0.0, ("c",): 1.0}
    assert values("webcast_api_clock_skew_seconds") == {("b",): -2.5, ("c",): 0.0}
    assert values("webcast_poll_oldest_due_timestamp_seconds") == {("b",): 7.0, ("c",): 0.0}
    assert values("webcast_poll_demand_requests_per_second")["a",] == 120.0
    rates = values("webcast_api_rate_limit_requests_per_second")
    assert (rates["a", "configured"], rates["a", "effective"]) == (48.0, 24.0)
    del said["b"]
    assert values("webcast_api_up") == {("c",): 1.0}


def test_an_account_that_is_gone_takes_its_series_with_it(
    self_metrics: SelfMetrics, values: Callable[..., Values]
) -> None:
    """A renamed account would otherwise be shown twice."""
    for account in ("old", "new"):
        self_metrics.open_account(account)
        self_metrics.observe(account, read_result(TimedOut("too slow")))
    self_metrics.close_account("old")
    self_metrics.observe("old", read_result(TimedOut("a call that was in flight")))
    names = "requests_total request_failures_total request_duration_seconds_count throttle_wait_seconds_total"
    for name in names.split():
        assert {labels[0] for labels in values(f"webcast_api_{name}")} == {"new"}


def test_the_queue_of_the_state_is_asked_at_each_scrape(
    registry: CollectorRegistry, values: Callable[..., Values]
) -> None:
    """Since when the oldest change waits is absent when none does."""
    oldest: list[float | None] = [None, 7.0, None]
    registry.register(state_families(oldest.pop, lambda: 3))
    assert values("webcast_state_oldest_queued_timestamp_seconds") == {(): 7.0}
    assert values("webcast_state_oldest_queued_timestamp_seconds") == {}
    oldest.append(None)
    assert values("webcast_state_changes_dropped_total") == {(): 3.0}
