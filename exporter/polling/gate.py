"""A gate that closes when failures are nobody's target: pure of time and network, asked before each call.

Closed, it lets one probe through at a time: at an even pace when the way is broken, ever more rarely when the
credentials (or one app) are refused. An answer opens it.
"""

from dataclasses import dataclass

from exporter.polling.intervals import backoff

FIRST_PROBE = 5.0
"""Seconds until the first probe, and between all probes of a broken way."""

BROKEN_AFTER = 10
"""So many calls in a row that fail on their way close the gate (throttled ones are not counted)."""


@dataclass(slots=True)
class Gate:
    """Open until it is told otherwise. Times are monotonic seconds; its owner holds a lock.

    `max_backoff` bounds the wait between probes in seconds. `opens_at` is None while the gate is open, otherwise the
    moment of the next probe; `closed_at` tells a probe's fate from that of calls sent before.
    """

    max_backoff: float
    opens_at: float | None = None
    closed_at: float = 0.0
    lost_in_a_row: int = 0
    refusals: int = 0

    def lets_through(self, now: float) -> bool:
        """Whether a call may go now."""
        return self.opens_at is None or now >= self.opens_at

    def sent(self, now: float) -> None:
        """A call goes; behind a closed gate no second one goes before the pace says so."""
        if self.opens_at is not None:
            self.opens_at = now + self._pace()

    def lost(self, sent_at: float, now: float) -> None:
        """A call failed on its way."""
        self.lost_in_a_row += 1
        if self._is_news(sent_at) and (self.opens_at is not None or self.lost_in_a_row >= BROKEN_AFTER):
            self._close(now)

    def refused(self, sent_at: float, now: float) -> None:
        """A call was refused for the sake of the key, the clock, the policy or the app."""
        if self._is_news(sent_at):
            self.refusals += 1
            self._close(now)

    def answered(self) -> bool:
        """A call was answered; returns whether that opened the gate."""
        was_closed = self.opens_at is not None
        self.opens_at, self.lost_in_a_row, self.refusals = None, 0, 0
        return was_closed

    def _is_news(self, sent_at: float) -> bool:
        """Ten calls in flight that all fail are one failure: only a probe can tell a closed gate anything new."""
        return self.opens_at is None or sent_at >= self.closed_at

    def _close(self, now: float) -> None:
        self.closed_at = now
        self.opens_at = now + self._pace()

    def _pace(self) -> float:
        first = min(FIRST_PROBE, self.max_backoff)
        return backoff(first, self.refusals, self.max_backoff) if self.refusals else FIRST_PROBE
