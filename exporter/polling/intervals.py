"""When a target is worth its next read: pure functions of what is known of it.

Calls go where news is likely: starting, near the deadline, unknown; hardly any for what has stopped. All in seconds.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from exporter.errors import Fault, ReadError
from exporter.model.known import Known
from exporter.vocabulary import ReadFailure, Status

FAST_PHASE = 600.0
"""How long not started, unknown, or not found at the expected start is worth the fast interval."""

NEAR_DEADLINE = 60.0
"""This close to StartTime + MaxRunningTime, on either side, a running task is read at the fast interval."""


@dataclass(frozen=True, slots=True)
class Cadence:
    """The `polling` section, and `lifecycle.forget_unknown_after`."""

    interval: float
    fast_interval: float
    max_backoff: float
    reread_stopped: float
    forget_unknown_after: float


class Lane(Enum):
    """What kind of wait a target is in. FAST and NORMAL are stretched when the budget is short."""

    FAST = "fast"
    NORMAL = "normal"
    BACKOFF = "backoff"
    REREAD = "reread"


@dataclass(frozen=True, slots=True)
class Wait:
    """A lane, and the seconds between two reads in it as configured."""

    lane: Lane
    seconds: float


def next_wait(known: Known, error: ReadError | None, now: float, strikes: int, cadence: Cadence) -> Wait:
    """The wait after a read. `strikes` counts the failures in a row that were the target's own fault."""
    own_fault = error is not None and error.fault is Fault.TARGET
    if own_fault and not known.over:
        return _after_own_fault(known, now, strikes, cadence)
    if known.task is None:
        return Wait(Lane.NORMAL, cadence.interval)
    if known.task.status.stopped:
        return Wait(Lane.REREAD, cadence.reread_stopped)
    if known.task.status is Status.RUNNING:
        return _while_running(known, now, cadence)
    fast = known.status_since is not None and now - known.status_since < FAST_PHASE
    return _fast(cadence) if fast else Wait(Lane.NORMAL, cadence.interval)


def _fast(cadence: Cadence) -> Wait:
    return Wait(Lane.FAST, min(cadence.fast_interval, cadence.interval))


def _while_running(known: Known, now: float, cadence: Cadence) -> Wait:
    deadline = known.task.deadline if known.task else None
    if deadline is None or known.last_success is None:
        return Wait(Lane.NORMAL, cadence.interval)
    # The deadline is told by the vendor's clock; what the last read said of that clock carries over.
    left = deadline - (now + known.task_time - known.last_success)
    if abs(left) <= NEAR_DEADLINE:
        return _fast(cadence)
    if 0 < left - NEAR_DEADLINE < cadence.interval:
        return Wait(Lane.NORMAL, max(left - NEAR_DEADLINE, min(cadence.fast_interval, cadence.interval)))
    return Wait(Lane.NORMAL, cadence.interval)


def _after_own_fault(known: Known, now: float, strikes: int, cadence: Cadence) -> Wait:
    if known.failure is ReadFailure.NOT_FOUND:
        meant = known.target.expected_start
        if meant is not None and now < meant + FAST_PHASE:
            return _fast(cadence)
        since = known.accepted_at if meant is None else meant
        if known.run is None and now >= since + cadence.forget_unknown_after:
            return Wait(Lane.BACKOFF, cadence.forget_unknown_after)
    return Wait(Lane.BACKOFF, backoff(cadence.interval, strikes, cadence.max_backoff))


def backoff(first: float, strikes: int, most: float) -> float:
    """Doubling from `first`, up to `most`: after 1 strike `first`, after 2 twice that."""
    doublings = min(max(strikes - 1, 0), 32)  # beyond any `most`, and far from overflowing
    return min(first * 2.0**doublings, most)


def jittered(seconds: float, chance: Callable[[], float]) -> float:
    """Between 80 and 100 % of it, so that what failed together does not come back together."""
    return seconds * (0.8 + 0.2 * chance())


def stretch(fast: int, normal: int, cadence: Cadence, budget: float) -> tuple[float, float]:
    """The fast and the normal interval in force when `fast` + `normal` targets share `budget` calls a second.

    Fast intervals stretch first, up to the normal one; then all stretch evenly. Nothing is skipped.
    """
    quick, slow = min(cadence.fast_interval, cadence.interval), cadence.interval
    if fast / quick + normal / slow <= budget:
        return quick, slow
    left_for_fast = budget - normal / slow
    if fast and left_for_fast * slow >= fast:
        return fast / left_for_fast, slow
    even = max((fast + normal) / budget, slow)
    return even, even
