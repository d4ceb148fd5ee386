"""Whether an account's calls are answered, and how far the vendor's clock is from ours."""

from dataclasses import dataclass

from exporter.errors import NotFound
from exporter.model.read_result import ReadResult


@dataclass(slots=True)
class Health:
    """`stale_after` and the times are monotonic seconds; `clock_skew` is the server's clock minus ours."""

    stale_after: float
    clock_skew: float | None = None
    _answered_at: float | None = None
    _latest: bool | None = None

    def saw(self, reading: ReadResult, now: float) -> None:
        """Take one attempt in."""
        self._latest = reading.error is None or isinstance(reading.error, NotFound)
        if self._latest:
            self._answered_at = now
        if reading.skew is not None:
            self.clock_skew = reading.skew

    def up(self, now: float) -> bool | None:
        """Whether any call within `stale_after`, or else the latest one, was answered as it should; None before any."""
        if self._answered_at is not None and now - self._answered_at <= self.stale_after:
            return True
        return self._latest
