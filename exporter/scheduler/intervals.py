"""When a target is worth its next read: pure functions of what is known of it.

Calls go where news is likely: starting, near the deadline, unknown; hardly any for what has stopped. All in seconds.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from exporter.enums import Status
from exporter.model.task_state import TaskState

FAST_PHASE = 600.0
"""How long not started, unknown, or not found at the expected start is worth the fast interval."""

NEAR_DEADLINE = 60.0
"""This close to StartTime + MaxRunningTime, on either side, a running task is read at the fast interval."""

REREAD_SHARE = 0.1
"""Rereads of stopped targets take at most this part of the budget."""

SURE_SHARE = 0.98
"""This part of the budget is sure to be used when it is short (contract, section 5)."""


@dataclass(frozen=True, slots=True)
class PollIntervals:
    """The `polling` section, and `lifecycle.forget_unknown_after`."""

    interval: float
    fast_interval: float
    max_backoff: float
    reread_stopped: float
    forget_unknown_after: float


class ReadClass(StrEnum):
    """What kind of wait a target is in. FAST and NORMAL are stretched when the budget is short."""

    FAST = "fast"
    NORMAL = "normal"
    BACKOFF = "backoff"
    REREAD = "reread"


@dataclass(frozen=True, slots=True)
class Wait:
    """A lane, and the seconds between two reads in it as configured; `at_most` bounds the one that begins now."""

    lane: ReadClass
    seconds: float
    at_most: float = math.inf


IntervalFactors = Mapping[ReadClass, float]
"""By how much the waits of a lane are now longer than configured; 1 for a lane that it does not name."""


def periods(intervals: PollIntervals) -> dict[ReadClass, float]:
    """The longest configured wait of each lane."""
    return {
        ReadClass.FAST: min(intervals.fast_interval, intervals.interval),
        ReadClass.NORMAL: intervals.interval,
        ReadClass.BACKOFF: intervals.max_backoff,
        ReadClass.REREAD: intervals.reread_stopped,
    }


def next_wait(known: TaskState, now: float, strikes: int, intervals: PollIntervals) -> Wait:
    """The wait that begins at `now` (Unix seconds); `strikes` counts the target's own faults since its last success."""
    if strikes and not known.finished:
        return _after_own_fault(known, now, strikes, intervals)
    if known.task is None:
        return Wait(ReadClass.NORMAL, intervals.interval)
    if known.task.status.stopped:
        return Wait(ReadClass.REREAD, intervals.reread_stopped)
    if known.task.status is Status.RUNNING:
        return _while_running(known, now, intervals)
    # A clock that was set back must not make the phase longer than twice what it is.
    fast = known.status_since is not None and abs(now - known.status_since) < FAST_PHASE
    return _fast(intervals) if fast else Wait(ReadClass.NORMAL, intervals.interval)


def _fast(intervals: PollIntervals) -> Wait:
    return Wait(ReadClass.FAST, min(intervals.fast_interval, intervals.interval))


def _while_running(known: TaskState, now: float, intervals: PollIntervals) -> Wait:
    deadline = known.task.deadline if known.task else None
    if deadline is None or known.last_success is None:
        return Wait(ReadClass.NORMAL, intervals.interval)
    # The deadline is told by the vendor's clock; what the last read said of that clock carries over.
    left = deadline - (now + known.task_time - known.last_success)
    if abs(left) <= NEAR_DEADLINE:
        return _fast(intervals)
    until_near = max(left - NEAR_DEADLINE, intervals.fast_interval) if left > 0 else math.inf
    return Wait(ReadClass.NORMAL, intervals.interval, until_near)


def _after_own_fault(known: TaskState, now: float, strikes: int, intervals: PollIntervals) -> Wait:
    if known.not_found_since is not None:
        meant = known.target.expected_start
        if meant is not None and now < meant + FAST_PHASE:
            return _fast(intervals)
        since = known.accepted_at if meant is None else meant
        if known.run is None and now >= since + intervals.forget_unknown_after:
            return Wait(ReadClass.BACKOFF, intervals.forget_unknown_after)
    return Wait(ReadClass.BACKOFF, backoff(intervals.interval, strikes, intervals.max_backoff))


def backoff(first: float, strikes: int, most: float) -> float:
    """Doubling from `first`, up to `most`: after 1 strike `first`, after 2 twice that."""
    doublings = min(max(strikes - 1, 0), 32)  # beyond any `most`, and far from overflowing
    return min(first * 2.0**doublings, most)


def jittered(seconds: float, chance: Callable[[], float]) -> float:
    """Between 80 and 100 % of it, so that what failed together does not come back together."""
    return seconds * (0.8 + 0.2 * chance())


def demand(lanes: Mapping[ReadClass | None, int], intervals: PollIntervals) -> float:
    """Calls a second that so many targets in each lane need, unstretched."""
    return sum(lanes.get(lane, 0) / period for lane, period in periods(intervals).items())


def stretch(lanes: Mapping[ReadClass | None, int], intervals: PollIntervals, budget: float) -> IntervalFactors:
    """How far to stretch when the targets in each lane share `budget` calls a second.

    Fast intervals stretch first, up to the normal one; then both stretch evenly. Nothing is skipped.
    """
    fast, normal = lanes.get(ReadClass.FAST, 0), lanes.get(ReadClass.NORMAL, 0)
    quick, slow = min(intervals.fast_interval, intervals.interval), intervals.interval
    left = _left_for_live(lanes, intervals, budget)
    if fast / quick + normal / slow <= left:
        return _UNSTRETCHED
    left_for_fast = left - normal / slow
    if fast and left_for_fast * slow >= fast:
        return {ReadClass.FAST: fast / left_for_fast / quick, ReadClass.NORMAL: 1.0}
    even = max((fast + normal) / left, slow)
    return {ReadClass.FAST: even / quick, ReadClass.NORMAL: even / slow}


_UNSTRETCHED: IntervalFactors = {}


def _left_for_live(lanes: Mapping[ReadClass | None, int], intervals: PollIntervals, budget: float) -> float:
    """What rereads and backed-off targets leave of the budget, and no less than half of it."""
    sure = SURE_SHARE * budget
    rereads = min(lanes.get(ReadClass.REREAD, 0) / intervals.reread_stopped, REREAD_SHARE * budget)
    backed_off = lanes.get(ReadClass.BACKOFF, 0) / intervals.max_backoff
    return max(sure - rereads - backed_off, sure / 2)
