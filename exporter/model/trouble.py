"""What is wrong with a task, for a person who looks at the whole fleet: the worst first, each with a short sentence."""

from enum import IntEnum
from typing import NamedTuple

from exporter.enums import ReadFailure, Status, StopReason
from exporter.model.known import Known, Lifetimes, Standing, is_hidden

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
    Standing.UNKNOWN: "the API says that its status is unknown",
    Standing.NOT_FOUND: "the API does not know it",
    Standing.STALE: "no fresh read of it",
}
_QUIET = {
    Standing.UNREAD: Trouble(Rank.QUIET),
    Standing.NOT_STARTED: Trouble(Rank.QUIET),
    Standing.RUNNING: Trouble(Rank.RUNNING),
    Standing.ENDED: Trouble(Rank.OVER),
}
_PAST = Trouble(Rank.PAST)


def trouble(known: Known, now: float, lifetimes: Lifetimes) -> Trouble:
    """What is wrong with a task at `now` (Unix seconds); nothing any more once a run's linger is over."""
    standing = known.standing
    if is_hidden(known, now, lifetimes):
        return _PAST
    if standing is Standing.FAILED:
        return Trouble(Rank.FAILED, f"failed: {_reason(known)}")
    if standing is Standing.ENDED:
        return _cut_off(known) or _QUIET[standing]
    return _late(known, standing, now) or _unsure(known, standing) or _page(known, now) or _QUIET[standing]


def elapsed(known: Known, now: float) -> float | None:
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


def _late(known: Known, standing: Standing, now: float) -> Trouble | None:
    """It should have started, or ended, by now."""
    meant = known.target.expected_start
    if meant is not None and now > meant + GRACE and standing in (Standing.NOT_STARTED, Standing.NOT_FOUND):
        if known.run is None or known.run.start is None:
            return Trouble(Rank.OVERDUE, "should have started by now")
        return None
    if standing is not Standing.RUNNING or known.task is None or known.task.max_running_time is None:
        return None
    ran = elapsed(known, now)
    over = ran is not None and ran > known.task.max_running_time + GRACE
    return Trouble(Rank.OVERDUE, "runs on past its limit") if over else None


def _page(known: Known, now: float) -> Trouble | None:
    latest = known.pages.latest
    if not latest or known.task is None or known.task.status is not Status.RUNNING:
        return None
    event = max(latest, key=lambda each: each.at)
    return Trouble(Rank.PAGE, f"page {event.action}: {event.reason}") if now - event.at < LATELY else None


def _reason(known: Known) -> str:
    return (known.task.stop_reason if known.task else None) or StopReason.UNSPECIFIED


def _cut_off(known: Known) -> Trouble | None:
    at_its_limit = known.task is not None and known.task.stop_reason is StopReason.EXCEED_MAX_RUNNING_TIME
    return Trouble(Rank.CUT_OFF, "cut off: it reached its limit") if at_its_limit else None


def _unsure(known: Known, standing: Standing) -> Trouble | None:
    """Nobody can say what it does."""
    if standing in _WORRYING and known.run is not None and known.run.stopped is StopReason.LOST:
        return Trouble(Rank.UNSURE, "lost: it has stopped, its end was never read")
    failing = known.failure not in (None, ReadFailure.NOT_FOUND)
    if standing not in _WORRYING and not failing:
        return None  # as nearly all of 20,000 tasks
    said = (_WORRYING.get(standing, ""), f"its reads fail: {known.failure}" if failing else "")
    return Trouble(Rank.UNSURE, "; ".join(each for each in said if each))
