"""Rate limiter for one account's API calls.

Two rules hold at once. Slots are spaced evenly at 99 % of the rate, and a late caller does not shift them. And a call
is allowed only when the call `max_qps` calls before it was sent more than a second ago, so that no second holds more
than `max_qps` calls, whatever a reload, a late thread or a slow connection does. See docs/behaviour.md ("throttled").
"""

import math
import threading
from bisect import bisect_left, insort
from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic, sleep
from typing import NamedTuple

SLACK = 0.99
"""Slots come at this part of the rate, so that ordinary jitter seldom meets the second rule."""
WINDOW = 1.0
ARRIVAL_JITTER = 0.005
"""Seconds by which two calls may come nearer to each other between here and the server."""
CATCH_UP = 0.1
"""Seconds by which a caller may be late without losing a slot. A longer idle time starts a new line of slots."""
SLOWEST = 1.0
HALVING_INTERVAL = 1.0
QUIET = 5.0
"""Seconds without a throttled call until the rate climbs again."""
CLIMB = 0.05
"""Part of `max_qps` by which the rate climbs each second."""
MAX_RETRY_AFTER = 60.0
CAP_SECONDS = 0.05
"""Seconds for which a RateCap's answer holds; it is asked anew before each sending in any case."""

RateCap = Callable[[float], float]
"""Turns a rate (calls per second) into the one allowed at this moment; above 0."""


def no_cap(rate: float) -> float:
    """Allow the whole rate."""
    return rate


class Interrupted(Exception):
    """The process stops, so that the wait ended without a permit."""


class Permit(NamedTuple):
    """Permission for one call: when it was given (limiter's clock) and how many seconds it was waited for."""

    at: float
    waited: float = 0.0


@dataclass(frozen=True, slots=True)
class _Backoff:
    """What throttling does to the rate (calls per second; times of the limiter's clock)."""

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


class RateLimiter:
    """Gives permits for one account's calls. Safe for threads.

    `clock` gives monotonic seconds. `rate_cap` turns `max_qps` into the rate allowed at this moment. `sleep` waits; a
    true result (as `threading.Event.wait` gives once set) means that the process stops.
    """

    def __init__(
        self,
        max_qps: float,
        clock: Callable[[], float] = monotonic,
        sleep: Callable[[float], object] = sleep,
        rate_cap: RateCap = no_cap,
    ) -> None:
        self._clock = clock
        self._rate_cap = rate_cap
        self._sleep = sleep
        self._lock = threading.Lock()
        self._configured = _checked(max_qps)
        self._last_slot = -math.inf
        self._sent: list[float] = []
        self._closed_until = -math.inf
        self._backoff = _Backoff(self._configured)
        self._cap = self._configured
        self._cap_until = -math.inf

    @property
    def configured(self) -> float:
        """`max_qps`, calls per second."""
        return self._configured

    @property
    def effective(self) -> float:
        """The rate in force, calls per second: `configured` unless throttled lately."""
        with self._lock:
            return min(self._backoff.rate(self._configured, self._clock()), self._allowed())

    def set_limit(self, max_qps: float) -> None:
        """Change `max_qps`; calls already sent still count. ValueError unless it is above 0."""
        with self._lock:
            self._configured = _checked(max_qps)
            self._cap_until = -math.inf

    def try_acquire(self) -> Permit | None:
        """A permit for a call that is sent now, or None when none may be sent yet (see `next_slot`)."""
        with self._lock:
            now = self._clock()
            slot = self._next_slot(now)
            if max(slot, self._budget_free_at()) > now:
                return None
            self._last_slot = slot
            return self._permit(now, now)

    def next_slot(self) -> float:
        """When `try_acquire` can succeed next (limiter's clock, never in the past), if nothing else takes a permit."""
        with self._lock:
            now = self._clock()
            return max(now, self._next_slot(now), self._budget_free_at())

    def acquire(self) -> Permit:
        """Wait for the next slot and give its permit. Raises Interrupted when the process stops."""
        with self._lock:
            began = self._clock()
            slot = self._last_slot = self._next_slot(began)
        while True:
            with self._lock:
                now = self._clock()
                free_at = max(slot, self._closed_until, self._budget_free_at())
                if free_at <= now:
                    return self._permit(now, began)
            if self._sleep(free_at - now):
                raise Interrupted

    def confirm_send(self, permit: Permit) -> None:
        """Count the call as sent now, because its bytes are written next.

        Since the permit was given, the request was signed and perhaps a connection made. If other calls have used up
        the budget in the meantime, this waits again. Raises Interrupted when the process stops.
        """
        at = permit.at
        self._cap_until = -math.inf
        while True:
            with self._lock:
                index = bisect_left(self._sent, at)
                if self._sent[index : index + 1] == [at]:
                    del self._sent[index]
                now = self._clock()
                at = max(now, self._budget_free_at())
                insort(self._sent, at)
            if at <= now:
                return
            if self._sleep(at - now):
                raise Interrupted

    def throttled(self, retry_after: float | None = None) -> None:
        """Slow down because the API refused a call for its rate; give no permit for `retry_after` (at most 60) s."""
        with self._lock:
            now = self._clock()
            self._backoff = self._backoff.throttled(self._configured, now)
            if retry_after is not None:
                self._closed_until = max(self._closed_until, now + min(retry_after, MAX_RETRY_AFTER))

    def _permit(self, now: float, began: float) -> Permit:
        insort(self._sent, now)
        del self._sent[: -_burst(self._configured)]  # those are a window past, or this one had to wait
        return Permit(now, max(0.0, now - began))

    def _next_slot(self, now: float) -> float:
        """The slot after the last one; in the past while a late caller may catch up."""
        slot = self._last_slot + 1 / self._usable_rate(now)
        if now - slot > CATCH_UP:
            slot = now
        return max(slot, self._closed_until)

    def _budget_free_at(self) -> float:
        """When no second would hold too many calls: a window after the call `burst` calls ago."""
        allowed = self._allowed()
        burst = _burst(allowed)
        if len(self._sent) < burst:
            return -math.inf
        return self._sent[-burst] + max(WINDOW, 1 / allowed) + ARRIVAL_JITTER

    def _usable_rate(self, now: float) -> float:
        """Slots per second: a rate of 2.5 can be no more than 2, as no second may hold a third call."""
        allowed = self._allowed()
        whole = math.floor(allowed) or allowed
        return SLACK * min(self._backoff.rate(self._configured, now), whole)

    def _allowed(self) -> float:
        """`max_qps` as capped now; not asked anew each time, because the answer may take a look at the disk."""
        now = self._clock()
        if not now < self._cap_until:
            self._cap, self._cap_until = self._rate_cap(self._configured), now + CAP_SECONDS
        return self._cap


def _burst(max_qps: float) -> int:
    """Calls that any one second may hold."""
    return max(1, math.floor(max_qps))


def _checked(max_qps: float) -> float:
    if not 0 < max_qps < math.inf:
        raise ValueError(f"max_qps must be above 0, not {max_qps}")
    return max_qps
