import pytest

from exporter.enums import Status
from exporter.errors import AppRefused, NotFound, ReadError, Rejected, Throttled, TimedOut
from exporter.model.read_result import ReadResult
from exporter.model.target import TargetId
from exporter.model.task import Task
from exporter.scheduler.health import Health

RUNNING = Task(status=Status.RUNNING)


def reading(outcome: Task | ReadError, skew: float | None = None) -> ReadResult:
    """A reading that came to this."""
    return ReadResult(TargetId("app", "room", "task"), 0.0, 0.0, 0.1, outcome, skew=skew)


def test_before_the_first_call_nothing_is_said() -> None:
    """Neither up nor down, and no skew."""
    health = Health(120.0)
    assert health.up(0.0) is None
    assert health.clock_skew is None


@pytest.mark.parametrize("outcome", [RUNNING, NotFound("no such task")])
def test_up_while_a_call_was_answered_within_stale_after(outcome: Task | ReadError) -> None:
    """Not found included, and whatever failed since."""
    health = Health(120.0)
    health.saw(reading(outcome), 0.0)
    health.saw(reading(TimedOut("late")), 60.0)
    assert health.up(120.0) is True
    assert health.up(120.1) is False


def test_without_a_call_within_stale_after_the_latest_decides() -> None:
    """An account that has only stopped tasks is called rarely, and is up all the same."""
    health = Health(120.0)
    health.saw(reading(RUNNING), 0.0)
    assert health.up(9999.0) is True


@pytest.mark.parametrize("error", [TimedOut("late"), Throttled("slow"), AppRefused("no"), Rejected("bad")])
def test_a_failed_call_is_not_up(error: ReadError) -> None:
    """Only a task, or that there is none, is as it should be."""
    health = Health(120.0)
    health.saw(reading(error), 0.0)
    assert health.up(0.0) is False


def test_the_skew_is_that_of_the_latest_answer_with_a_date() -> None:
    """A call without an answer does not take it away."""
    health = Health(120.0)
    health.saw(reading(RUNNING, skew=-7200.0), 0.0)
    health.saw(reading(TimedOut("late")), 1.0)
    assert health.clock_skew == -7200.0
