"""Polling intervals: when a target is read next, as pure functions of its state.

Calls go where news is likely: starting, near the deadline, unknown; hardly any for what has stopped. All in seconds.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from exporter.enums import Status
from exporter.model.task_state import LOOK_BACK, TaskState, vendor_ahead

FAST_PHASE = 600.0
"""How long not started, unknown, or not found at the expected start is worth the fast interval."""

NEAR_DEADLINE = 60.0
"""This close to StartTime + MaxRunningTime, on either side, a running task is read at the fast interval."""

REREAD_SHARE = 0.1
"""Rereads of stopped targets take at most this part of the budget."""

SURE_SHARE = 0.98
"""This part of the budget is sure to be used when it is short (docs/behaviour.md)."""


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
    """A read_class, and the seconds between two reads in it as configured; `at_most` bounds the one that begins now."""

    read_class: ReadClass
    seconds: float
    at_most: float = math.inf


IntervalFactors = Mapping[ReadClass, float]
"""By how much the waits of a read_class are now longer than configured; 1 for a read_class that it does not name."""


def periods(intervals: PollIntervals) -> dict[ReadClass, float]:
    """The longest configured wait of each read_class."""
    return {
        ReadClass.FAST: min(intervals.fast_interval, intervals.interval),
        ReadClass.NORMAL: intervals.interval,
        ReadClass.BACKOFF: intervals.max_backoff,
        ReadClass.REREAD: intervals.reread_stopped,
    }


def next_wait(state: TaskState, now: float, failures: int, intervals: PollIntervals) -> Wait:
    """The wait that begins at `now` (Unix seconds); `failures` counts the target's own since its last success."""
    if failures and not state.finished:
        return _after_own_fault(state, now, failures, intervals)
    if state.task is None:
        return Wait(ReadClass.NORMAL, intervals.interval)
    if state.task.status.stopped:
        return Wait(ReadClass.REREAD, intervals.reread_stopped)
    if now + vendor_ahead(state) >= (state.task.start or math.inf) + LOOK_BACK:
        # The API no longer has to know it: that it still does is news enough now and then.
        return Wait(ReadClass.REREAD, intervals.reread_stopped)
    if state.task.status is Status.RUNNING:
        return _while_running(state, now, intervals)
    # A clock that was set back must not make the phase longer than twice what it is.
    fast = state.status_since is not None and abs(now - state.status_since) < FAST_PHASE
    return _fast(intervals) if fast else Wait(ReadClass.NORMAL, intervals.interval)


def _fast(intervals: PollIntervals) -> Wait:
    return Wait(ReadClass.FAST, min(intervals.fast_interval, intervals.interval))


def _while_running(state: TaskState, now: float, intervals: PollIntervals) -> Wait:
    deadline = state.task.deadline if state.task else None
    if deadline is None or state.last_success is None:
        return Wait(ReadClass.NORMAL, intervals.interval)
    # The deadline is told by the vendor's clock; what the last read said of that clock carries over.
    left = deadline - (now + vendor_ahead(state))
    if abs(left) <= NEAR_DEADLINE:
        return _fast(intervals)
    until_near = max(left - NEAR_DEADLINE, intervals.fast_interval) if left > 0 else math.inf
    return Wait(ReadClass.NORMAL, intervals.interval, until_near)


def _after_own_fault(state: TaskState, now: float, failures: int, intervals: PollIntervals) -> Wait:
    if state.not_found_since is not None:
        meant = state.target.expected_start
        if meant is not None and now < meant + FAST_PHASE:
            return _fast(intervals)
        since = state.accepted_at if meant is None else meant
        if state.run is None and now >= since + intervals.forget_unknown_after:
            return Wait(ReadClass.BACKOFF, intervals.forget_unknown_after)
    return Wait(ReadClass.BACKOFF, backoff(intervals.interval, failures, intervals.max_backoff))


def backoff(first: float, failures: int, most: float) -> float:
    """Doubling from `first`, up to `most`: after 1 strike `first`, after 2 twice that."""
    doublings = min(max(failures - 1, 0), 32)  # beyond any `most`, and far from overflowing
    return min(first * 2.0**doublings, most)


def jittered(seconds: float, jitter: Callable[[], float]) -> float:
    """Between 80 and 100 % of it, so that what failed together does not come back together."""
    return seconds * (0.8 + 0.2 * jitter())


def demand(class_counts: Mapping[ReadClass | None, int], intervals: PollIntervals) -> float:
    """Calls a second that so many targets in each read_class need, unstretched."""
    return sum(class_counts.get(read_class, 0) / period for read_class, period in periods(intervals).items())


def stretch(class_counts: Mapping[ReadClass | None, int], intervals: PollIntervals, budget: float) -> IntervalFactors:
    """How far to stretch when the targets in each read_class share `budget` calls a second.

    Fast intervals stretch first, up to the normal one; then both stretch evenly. Nothing is skipped.
    """
    fast, normal = class_counts.get(ReadClass.FAST, 0), class_counts.get(ReadClass.NORMAL, 0)
    quick, slow = min(intervals.fast_interval, intervals.interval), intervals.interval
    left = _left_for_live(class_counts, intervals, budget)
    if fast / quick + normal / slow <= left:
        return _UNSTRETCHED
    left_for_fast = left - normal / slow
    if fast and left_for_fast * slow >= fast:
        return {ReadClass.FAST: fast / left_for_fast / quick, ReadClass.NORMAL: 1.0}
    even = max((fast + normal) / left, slow)
    return {ReadClass.FAST: even / quick, ReadClass.NORMAL: even / slow}


_UNSTRETCHED: IntervalFactors = {}


def _left_for_live(class_counts: Mapping[ReadClass | None, int], intervals: PollIntervals, budget: float) -> float:
    """What rereads and backed-off targets leave of the budget, and no less than half of it."""
    sure = SURE_SHARE * budget
    rereads = min(class_counts.get(ReadClass.REREAD, 0) / intervals.reread_stopped, REREAD_SHARE * budget)
    backed_off = class_counts.get(ReadClass.BACKOFF, 0) / intervals.max_backoff
    return max(sure - rereads - backed_off, sure / 2)
