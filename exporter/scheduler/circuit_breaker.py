"""A gate that closes when failures are nobody's target: pure of time and network, asked before each call.

Closed, it lets one probe through at a time: at an even pace when the way is broken, ever more rarely when the
credentials (or one app) are refused. An answer opens it.
"""

from collections.abc import Callable
from dataclasses import dataclass

from exporter.scheduler.intervals import backoff, jittered

FIRST_PROBE = 5.0
"""Seconds until the first probe, and between all probes of a broken way."""

BROKEN_AFTER = 10
"""So many calls in a row that fail on their way close the gate (throttled ones are not counted)."""


def whole() -> float:
    """All of a wait."""
    return 1.0


@dataclass(slots=True)
class CircuitBreaker:
    """Open until it is told otherwise. Times are monotonic seconds; its owner holds a lock.

    `max_backoff` bounds the wait between probes in seconds. `chance` (0 to 1) gives the jitter of a refused one's wait.
    `opens_at` is None while the gate is open, otherwise the
    moment of the next probe. `epoch` grows each time it closes or is tried at once: what calls of an earlier epoch
    suffer is known already. `failing` lasts from the first closing to the next answer.
    """

    max_backoff: float
    chance: Callable[[], float] = whole
    opens_at: float | None = None
    epoch: int = 0
    failing: bool = False
    lost_in_a_row: int = 0
    refusals: int = 0

    def lets_through(self, now: float) -> bool:
        """Whether a call may go now."""
        return self.opens_at is None or now >= self.opens_at

    def sent(self, now: float) -> int:
        """A call goes; behind a closed gate no second one goes before the pace says so. Returns the call's epoch."""
        if self.opens_at is not None:
            self.opens_at = now + self._pace()
        return self.epoch

    def lost(self, epoch: int, now: float) -> bool:
        """A call failed on its way; returns whether that closed an open gate."""
        if epoch != self.epoch or self.opens_at is not None:
            return False  # ten calls in flight that all fail are one failure, and a lost probe has its pace already
        self.lost_in_a_row += 1
        return self.lost_in_a_row >= BROKEN_AFTER and self._close(now)

    def refused(self, epoch: int, now: float) -> bool:
        """A call was refused for the sake of the key, the clock, the policy or the app; returns as `lost` does."""
        if epoch != self.epoch:
            return False
        self.refusals += 1
        return self._close(now)

    def answered(self) -> bool:
        """A call was answered: the gate is open; returns whether its calls had been failing."""
        was_failing, self.failing = self.failing, False
        self.opens_at, self.lost_in_a_row, self.refusals = None, 0, 0
        return was_failing

    def try_at_once(self) -> bool:
        """Open it, as if nothing were known of how calls fare; returns whether it was closed."""
        was_closed = self.opens_at is not None
        self.opens_at, self.lost_in_a_row, self.refusals = None, 0, 0
        self.epoch += 1
        return was_closed

    def _close(self, now: float) -> bool:
        was_open = self.opens_at is None
        self.failing = True
        self.epoch += 1
        self.opens_at = now + self._pace()
        return was_open

    def _pace(self) -> float:
        first = min(FIRST_PROBE, self.max_backoff)
        if not self.refusals:
            return FIRST_PROBE
        return jittered(backoff(first, self.refusals, self.max_backoff), self.chance)
