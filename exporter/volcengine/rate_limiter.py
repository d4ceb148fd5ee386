"""The one place that counts an account's calls (contract, section 5: the rows "throttled" and "demand over budget").

Two rules hold at once. Slots lie evenly on a time line that a late wake-up does not shift; and a call is granted, and
later let go, only when the call `max_qps` calls earlier left more than a second before, which holds whatever the line,
a reload or a late thread does.
"""

import math
import threading
from bisect import bisect_left, insort
from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic, sleep
from typing import NamedTuple

SLACK = 0.99
"""Slots come at this part of the rate, so that ordinary jitter seldom meets the guard; 98 % is promised."""
WINDOW = 1.0
ARRIVAL_JITTER = 0.005
"""Seconds by which two calls may come nearer to each other between here and the server."""
CATCH_UP = 0.05
"""A reservation late by no more than so many seconds keeps the time line; a longer idle time starts a new one."""
SLOWEST = 1.0
HALVING_INTERVAL = 1.0
QUIET = 5.0
CLIMB = 0.05
LONGEST_RETRY_AFTER = 60.0


@dataclass(frozen=True, slots=True)
class _Backoff:
    """What throttling does to the rate (calls per second, clock times)."""

    reduced: float
    halved_at: float = -math.inf
    throttled_at: float = -math.inf

    def rate(self, configured: float, now: float) -> float:
        """The reduced rate, climbing once the quiet time is over; never above `configured`."""
        quiet = now - self.throttled_at - QUIET
        return min(configured, self.reduced + max(0.0, quiet) * CLIMB * configured)

    def throttled(self, configured: float, now: float) -> "_Backoff":
        """Halve, unless that was done within the last second; the quiet time begins anew in any case."""
        rate = self.rate(configured, now)
        if now - self.halved_at < HALVING_INTERVAL:
            return _Backoff(rate, self.halved_at, now)
        return _Backoff(max(rate / 2, min(SLOWEST, configured)), now, now)


class Permit(NamedTuple):
    """Leave to make a call: since when (time of the pacer's clock), and how many seconds it was waited for."""

    at: float
    waited: float


RateCap = Callable[[float], float]
"""Makes of a rate, in calls per second, the one that is allowed at this moment; above 0."""


def unrestrained(rate: float) -> float:
    """All of it."""
    return rate


class Interrupted(Exception):
    """The sleep was ended from outside: no call was granted."""


class RateLimiter:
    """Grants an account's calls; any thread may ask it.

    `clock` gives monotonic seconds. `restrain` makes of `max_qps` what of it is allowed at this moment. `sleep` ends a
    wait for good by a true result, as a set `threading.Event.wait` has.
    """

    def __init__(
        self,
        max_qps: float,
        clock: Callable[[], float] = monotonic,
        sleep: Callable[[float], object] = sleep,
        restrain: "RateCap" = unrestrained,
    ) -> None:
        self._clock = clock
        self._restrain = restrain
        self._sleep = sleep
        self._lock = threading.Lock()
        self._configured = _checked(max_qps)
        self._line = -math.inf
        self._grants: list[float] = []
        self._closed_until = -math.inf
        self._backoff = _Backoff(self._configured)

    @property
    def configured(self) -> float:
        """`max_qps`, calls per second."""
        return self._configured

    @property
    def effective(self) -> float:
        """The rate now in force, calls per second: `configured` unless throttled lately."""
        with self._lock:
            return min(self._backoff.rate(self._configured, self._clock()), self._allowed())

    def set_limit(self, max_qps: float) -> None:
        """Take another `max_qps`, with what was granted in mind; ValueError unless it is above 0."""
        with self._lock:
            self._configured = _checked(max_qps)

    def reserve(self, until: float) -> float | None:
        """The next free slot (time of `clock`, never in the past), taken; None when it lies after `until`."""
        with self._lock:
            now = self._clock()
            line = self._line + 1 / self._usable_rate(now)
            if now - line > CATCH_UP:
                line = now
            line = max(line, self._closed_until)
            if line > until:
                return None
            self._line = line
            return max(line, now)

    def wait(self, slot: float) -> Permit:
        """Sleep until the slot and the budget allow a call, and count it as sent now.

        Raises Interrupted, nothing counted, when the sleep says that the process stops.
        """
        began = self._clock()
        while isinstance(found := self._granted(slot), Pause):
            if self._sleep(found.seconds):
                raise Interrupted
        return Permit(found, max(0.0, found - began))

    def leave(self, grant: Permit) -> None:
        """Let a granted call go: its bytes are written next, and it counts from now.

        Since the grant it was signed, and perhaps its connection was made. Where others have used the budget up
        meanwhile, it waits once more. Raises Interrupted as `wait` does.
        """
        at = grant.at
        while True:
            with self._lock:
                place = bisect_left(self._grants, at)
                if self._grants[place : place + 1] == [at]:
                    del self._grants[place]
                now = self._clock()
                at = max(now, self._budget_free_at())
                insort(self._grants, at)
            if at <= now:
                return
            if self._sleep(at - now):
                raise Interrupted

    def throttled(self, retry_after: float | None = None) -> None:
        """Say that the API refused a call for its rate; for `retry_after` seconds, at most 60, nothing is granted."""
        with self._lock:
            now = self._clock()
            self._backoff = self._backoff.throttled(self._configured, now)
            if retry_after is not None:
                self._closed_until = max(self._closed_until, now + min(retry_after, LONGEST_RETRY_AFTER))

    def _granted(self, slot: float) -> "float | Pause":
        """Grant and give the time of it, or say after which pause to ask again."""
        with self._lock:
            now = self._clock()
            earliest = max(slot, self._closed_until, self._budget_free_at())
            if now < earliest:
                return Pause(earliest - now)
            insort(self._grants, now)
            del self._grants[: -_burst(self._configured)]  # those are a window past, or this one had to wait
            return now

    def _budget_free_at(self) -> float:
        """When the guard allows a call: a window after the call `burst` grants ago."""
        allowed = self._allowed()
        burst = _burst(allowed)
        if len(self._grants) < burst:
            return -math.inf
        return self._grants[-burst] + max(WINDOW, 1 / allowed) + ARRIVAL_JITTER

    def _usable_rate(self, now: float) -> float:
        """Slots per second: a rate of 2.5 can be no more than 2, as no second may hold a third call."""
        allowed = self._allowed()
        whole = math.floor(allowed) or allowed
        return SLACK * min(self._backoff.rate(self._configured, now), whole)

    def _allowed(self) -> float:
        return self._restrain(self._configured)


class Pause(NamedTuple):
    """Ask again after so many seconds."""

    seconds: float


def _burst(max_qps: float) -> int:
    """Calls that any one second may hold."""
    return max(1, math.floor(max_qps))


def _checked(max_qps: float) -> float:
    if not 0 < max_qps < math.inf:
        raise ValueError(f"max_qps must be above 0, not {max_qps}")
    return max_qps
