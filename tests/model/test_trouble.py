"""What is wrong with a task, in the order in which somebody should look."""

from dataclasses import replace

import pytest

from exporter.enums import PageAction, PageReason, ReadFailure, Status, StopReason
from exporter.model.callback import PageEvent, Pages
from exporter.model.run import Run
from exporter.model.target import Target, TargetId
from exporter.model.task import Task
from exporter.model.task_state import DisplayStatus, Lifetimes, TaskState
from exporter.model.trouble import GRACE, LATELY, Rank, elapsed, trouble

NOW = 1_768_465_805.0
LIFETIMES = Lifetimes(stale_after=120.0, linger=900.0, drain=1800.0)
ID = TargetId("app", "room", "task")
TARGET = Target(ID, "default")
UNREAD = TaskState(TARGET)
LOST = Run(ID, first_seen=1.0, entered=frozenset({Status.RUNNING}), stopped=StopReason.LOST, end_seen=NOW)


def read(status: Status, **said: object) -> TaskState:
    """A task that was read just now."""
    task = replace(Task(status), **said)  # type: ignore[arg-type]  # the fields of Task
    return TaskState(TARGET, task=task, task_time=NOW, last_read=NOW, last_success=NOW)


def started(ago: float, **said: object) -> TaskState:
    """One that runs."""
    return read(Status.RUNNING, start=NOW - ago, **said)


def with_page(ago: float) -> TaskState:
    """One that runs, and whose page was refreshed."""
    event = PageEvent(PageAction.REFRESH, PageReason.FREEZE, NOW - ago)
    run = Run(ID, first_seen=1.0, entered=frozenset({Status.RUNNING}), pages=Pages(1, 0, (event,)))
    return replace(started(3600), run=run)


@pytest.mark.parametrize(
    ("known", "rank", "sentence"),
    [
        (read(Status.FAILED, stop_reason=StopReason.START_TASK_FAILED), Rank.FAILED, "failed: StartTaskFailed"),
        (read(Status.FAILED), Rank.FAILED, "failed: Unspecified"),
        (started(3600 + GRACE + 1, max_running_time=3600), Rank.OVERDUE, "runs on past its limit"),
        (started(3600, max_running_time=3600), Rank.RUNNING, ""),
        (read(Status.UNKNOWN), Rank.UNSURE, "the API says that its status is unknown"),
        (replace(UNREAD, not_found_since=NOW), Rank.UNSURE, "the API does not know it"),
        (replace(UNREAD, last_read=NOW), Rank.UNSURE, "no fresh read of it"),
        (
            replace(UNREAD, last_read=NOW, failure=ReadFailure.TIMEOUT),
            Rank.UNSURE,
            "no fresh read of it; its reads fail: timeout",
        ),
        (replace(started(60), failure=ReadFailure.DECODE), Rank.UNSURE, "its reads fail: decode"),
        (
            replace(UNREAD, not_found_since=NOW, run=LOST),
            Rank.UNSURE,
            "lost: it has stopped, its end was never read",
        ),
        (
            read(Status.ENDED, stop_reason=StopReason.EXCEED_MAX_RUNNING_TIME),
            Rank.CUT_OFF,
            "cut off: it reached its limit",
        ),
        (with_page(LATELY - 1), Rank.PAGE, "page refresh: PageFreeze"),
        (with_page(LATELY), Rank.RUNNING, ""),
        (UNREAD, Rank.QUIET, ""),
        (read(Status.NOT_STARTED), Rank.QUIET, ""),
        (started(60), Rank.RUNNING, ""),
        (read(Status.ENDED, stop_reason=StopReason.STOP_BY_API), Rank.OVER, ""),
    ],
)
def test_each_trouble(known: TaskState, rank: Rank, sentence: str) -> None:
    """Rank and sentence of each kind; what is as it should be has no sentence."""
    assert trouble(known, NOW, LIFETIMES) == (rank, sentence)


@pytest.mark.parametrize("known", [read(Status.NOT_STARTED), replace(UNREAD, not_found_since=NOW)])
def test_late_for_its_class(known: TaskState) -> None:
    """After its expected start and a grace it should have started."""
    meant = replace(known, target=replace(TARGET, expected_start=NOW - GRACE - 1))
    assert trouble(meant, NOW, LIFETIMES) == (Rank.OVERDUE, "should have started by now")
    assert trouble(meant, NOW - 10, LIFETIMES).rank is not Rank.OVERDUE


def test_a_run_whose_linger_is_over_is_nobody_s_trouble() -> None:
    """It stays listed, and was looked at when it was new."""
    failed = read(Status.FAILED)
    run = Run(ID, 1.0, stopped=StopReason.UNKNOWN, end_seen=NOW, last=failed.task)
    known = replace(failed, run=run)
    assert known.display_status is DisplayStatus.FAILED
    assert trouble(known, NOW + LIFETIMES.linger - 1, LIFETIMES).rank is Rank.FAILED
    assert trouble(known, NOW + LIFETIMES.linger, LIFETIMES) == (Rank.PAST, "")


def test_elapsed() -> None:
    """Until the end, or until now by the vendor's clock; nothing before the start."""
    assert elapsed(UNREAD, NOW) is None
    assert elapsed(started(60), NOW + 5) == 65.0
    assert elapsed(replace(started(60), task_time=NOW + 30), NOW) == 90.0
    assert elapsed(read(Status.ENDED, start=NOW - 60, end=NOW - 20), NOW) == 40.0
    assert elapsed(read(Status.ENDED, start=NOW - 60), NOW) is None
