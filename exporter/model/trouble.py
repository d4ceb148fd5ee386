"""What is wrong with a task, for a person who looks at the whole fleet: the worst first, each with a short sentence."""

from enum import IntEnum
from typing import NamedTuple

from exporter.enums import ReadFailure, Status, StopReason
from exporter.model.task_state import DisplayStatus, Lifetimes, TaskState, is_hidden

GRACE = 60.0
"""Seconds that a task may be late, at its expected start or at its limit, before that is worth a word."""

LATELY = 600.0
"""Seconds for which trouble with a page is worth a word."""


class Rank(IntEnum):
    """How much somebody should look at it; from QUIET on nothing is wrong."""

    FAILED = 0
    OVERDUE = 1
    UNSURE = 2
    CUT_OFF = 3
    PAGE = 4
    QUIET = 5
    RUNNING = 6
    OVER = 7
    PAST = 8
    """Over, and its linger too: it counts no more."""


class Trouble(NamedTuple):
    """The rank of a task, and what is wrong with it; an empty sentence when nothing is."""

    rank: Rank
    sentence: str = ""


_WORRYING = {
    DisplayStatus.UNKNOWN: "the API says that its status is unknown",
    DisplayStatus.NOT_FOUND: "the API does not know it",
    DisplayStatus.STALE: "no fresh read of it",
}
_QUIET = {
    DisplayStatus.UNREAD: Trouble(Rank.QUIET),
    DisplayStatus.NOT_STARTED: Trouble(Rank.QUIET),
    DisplayStatus.RUNNING: Trouble(Rank.RUNNING),
    DisplayStatus.ENDED: Trouble(Rank.OVER),
}
_PAST = Trouble(Rank.PAST)


def trouble(known: TaskState, now: float, lifetimes: Lifetimes) -> Trouble:
    """What is wrong with a task at `now` (Unix seconds); nothing any more once a run's linger is over."""
    display_status = known.display_status
    if is_hidden(known, now, lifetimes):
        return _PAST
    if display_status is DisplayStatus.FAILED:
        return Trouble(Rank.FAILED, f"failed: {_reason(known)}")
    if display_status is DisplayStatus.ENDED:
        return _cut_off(known) or _QUIET[display_status]
    return (
        _late(known, display_status, now)
        or _unsure(known, display_status)
        or _page(known, now)
        or _QUIET[display_status]
    )


def elapsed(known: TaskState, now: float) -> float | None:
    """For how many seconds it has run: until its end, or until now by the vendor's clock; None before its start."""
    task = known.task
    if task is None or task.start is None:
        return None
    if task.end is not None:
        return max(0.0, task.end - task.start)
    if task.status.stopped:
        return None
    ahead = 0.0 if known.last_success is None else known.task_time - known.last_success
    return max(0.0, now + ahead - task.start)


def _late(known: TaskState, display_status: DisplayStatus, now: float) -> Trouble | None:
    """It should have started, or ended, by now."""
    meant = known.target.expected_start
    if (
        meant is not None
        and now > meant + GRACE
        and display_status in (DisplayStatus.NOT_STARTED, DisplayStatus.NOT_FOUND)
    ):
        if known.run is None or known.run.start is None:
            return Trouble(Rank.OVERDUE, "should have started by now")
        return None
    if display_status is not DisplayStatus.RUNNING or known.task is None or known.task.max_running_time is None:
        return None
    ran = elapsed(known, now)
    over = ran is not None and ran > known.task.max_running_time + GRACE
    return Trouble(Rank.OVERDUE, "runs on past its limit") if over else None


def _page(known: TaskState, now: float) -> Trouble | None:
    latest = known.pages.latest
    if not latest or known.task is None or known.task.status is not Status.RUNNING:
        return None
    event = max(latest, key=lambda each: each.at)
    return Trouble(Rank.PAGE, f"page {event.action}: {event.reason}") if now - event.at < LATELY else None


def _reason(known: TaskState) -> str:
    return (known.task.stop_reason if known.task else None) or StopReason.UNSPECIFIED


def _cut_off(known: TaskState) -> Trouble | None:
    at_its_limit = known.task is not None and known.task.stop_reason is StopReason.EXCEED_MAX_RUNNING_TIME
    return Trouble(Rank.CUT_OFF, "cut off: it reached its limit") if at_its_limit else None


def _unsure(known: TaskState, display_status: DisplayStatus) -> Trouble | None:
    """Nobody can say what it does."""
    if display_status in _WORRYING and known.run is not None and known.run.stopped is StopReason.LOST:
        return Trouble(Rank.UNSURE, "lost: it has stopped, its end was never read")
    failing = known.failure not in (None, ReadFailure.NOT_FOUND)
    if display_status not in _WORRYING and not failing:
        return None  # as nearly all of 20,000 tasks
    said = (_WORRYING.get(display_status, ""), f"its reads fail: {known.failure}" if failing else "")
    return Trouble(Rank.UNSURE, "; ".join(each for each in said if each))
