import pytest
import structlog

from exporter.enums import Status
from exporter.errors import AppRefused, NotFound, NotJson, ReadError, Rejected, Throttled, TimedOut
from exporter.model.target import TargetId
from exporter.model.task import ReadResult, Task
from exporter.scheduler.circuit_breaker import SUMMARY, FailureLog, Health
from exporter.volcengine.rate_limiter import QUIET

RUNNING = Task(status=Status.RUNNING)
OUTCOMES = list[tuple[float, Task | ReadError]]


def result(outcome: Task | ReadError, name: str = "t", skew: float | None = None) -> ReadResult:
    return ReadResult(TargetId("app", "room", name), 0.0, 0.0, 0.1, outcome, skew=skew)


@pytest.mark.parametrize(
    ("outcomes", "at", "up"),
    [
        ([], 0.0, None),
        ([(0.0, RUNNING)], 500.0, True),
        ([(0.0, NotFound("none"))], 0.0, True),
        ([(0.0, TimedOut("late"))], 0.0, False),
        ([(0.0, RUNNING), (10.0, TimedOut("late"))], 120.0, True),
        ([(0.0, RUNNING), (10.0, TimedOut("late"))], 120.1, False),
        ([(0.0, AppRefused("no")), (1.0, RUNNING)], 1.0, True),
    ],
)
def test_up_is_any_good_answer_within_stale_after_or_else_the_latest(
    outcomes: OUTCOMES,
    at: float,
    up: bool | None,
) -> None:
    health = Health(120.0)
    for now, outcome in outcomes:
        health.add(result(outcome), now)
    assert health.up(at) is up


def test_the_clock_skew_is_that_of_the_latest_answer_with_a_date() -> None:
    health = Health(120.0)
    health.add(result(RUNNING, skew=2.5), 0.0)
    health.add(result(TimedOut("late")), 1.0)
    assert health.clock_skew == 2.5


def test_throttling_is_logged_when_it_begins_and_when_the_rate_is_full_again() -> None:
    """However often calls are throttled in between."""
    failures = FailureLog("a")
    with structlog.testing.capture_logs() as logs:
        for now in (0.0, 1.0, 2.0):
            failures.add(result(Throttled("too many", code="FlowLimitExceeded")), now)
        failures.check(2.0 + QUIET, full_rate=False)
        failures.check(2.0 + QUIET, full_rate=True)
        failures.check(3.0 + QUIET, full_rate=True)
    assert logs == [
        {
            "event": "API throttles calls",
            "log_level": "warning",
            "account": "a",
            "error": "too many (code=FlowLimitExceeded)",
        },
        {"event": "API throttles calls no more", "log_level": "info", "account": "a"},
    ]


@pytest.mark.parametrize("error", [NotJson("cut"), Rejected("no")])
def test_answers_that_cannot_be_used_are_logged_once_for_all_targets(error: ReadError) -> None:
    """With the first of them; the end comes when the last has a good answer or is read no more."""
    failures = FailureLog("a")
    with structlog.testing.capture_logs() as logs:
        for name in ("t1", "t2", "t3"):
            failures.add(result(error, name), 0.0)
        failures.add(result(RUNNING, "t1"), 1.0)
        failures.forget(TargetId("app", "room", "t2"))
        failures.check(2.0, full_rate=True)
        failures.add(result(NotFound("none"), "t3"), 3.0)
        failures.check(4.0, full_rate=True)
    assert [(line["event"], line.get("target")) for line in logs] == [
        ("answer not usable", "app/room/t1"),
        ("answers usable again", None),
    ]


def test_failures_are_summed_up_now_and_then() -> None:
    """By reason, with the latest; not found is none."""
    failures = FailureLog("a")
    with structlog.testing.capture_logs() as logs:
        for number, outcome in enumerate([TimedOut("late"), TimedOut("late"), AppRefused("no"), NotFound("none")]):
            failures.add(result(outcome), float(number))
        failures.check(SUMMARY - 0.1, full_rate=True)
        assert logs == []
        failures.check(SUMMARY, full_rate=True)
        failures.check(2 * SUMMARY, full_rate=True)
    (line,) = logs
    assert (line["event"], line["timeout"], line["auth"], line["latest"]) == ("reads failed", 2, 1, "no")
