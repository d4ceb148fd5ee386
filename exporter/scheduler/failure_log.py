"""What the log says of one account's failed reads beside its gates: a beginning, a summary now and then, an end."""

import logging
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from exporter.enums import ReadFailure
from exporter.errors import Fault, NotFound, ReadError, Throttled
from exporter.model.read_result import ReadResult
from exporter.model.target import TargetId
from exporter.volcengine.rate_limiter import QUIET

SUMMARY = 300.0
"""Seconds from the first failed read that was not told yet to the summary that tells it."""

ODD = "the answer for {} is of no use, others' perhaps too; such targets are read ever more rarely"

Line = tuple[int, str]


@dataclass(slots=True)
class FailureLog:
    """Lines of log, each with its level. Times are monotonic seconds; its owner holds a lock.

    A target whose answers are of no use is `odd` until it has a good one. What is not found is no failure.
    """

    odd: set[TargetId] = field(default_factory=set)
    _told_odd: bool = False
    _throttled_at: float | None = None
    _failed: Counter[ReadFailure] = field(default_factory=Counter)
    _latest: ReadError | None = None
    _since: float = 0.0

    def saw(self, reading: ReadResult, now: float) -> Iterator[Line]:
        """Take a read in; what has begun with it."""
        error = reading.error
        if error is None or isinstance(error, NotFound):
            self.odd.discard(reading.target)
            return
        if not self._failed:
            self._since = now
        self._failed[error.failure] += 1
        self._latest = error
        if isinstance(error, Throttled):
            if self._throttled_at is None:
                yield logging.WARNING, f"the API throttles calls, so that they become fewer: {error}"
            self._throttled_at = now
        if error.fault is Fault.TARGET:
            self.odd.add(reading.target)
            if not self._told_odd:
                self._told_odd = True
                yield logging.WARNING, f"{ODD.format(reading.target)}: {error}"

    def look(self, now: float, *, full_rate: bool) -> Iterator[Line]:
        """What is over by now, and the summary once it is due; `full_rate`: calls go as fast as configured."""
        if full_rate and self._throttled_at is not None and now - self._throttled_at >= QUIET:
            self._throttled_at = None
            yield logging.INFO, "calls go at their full rate again"
        if self._told_odd and not self.odd:
            self._told_odd = False
            yield logging.INFO, "the targets whose answers were of no use have good ones again"
        if self._failed and now - self._since >= SUMMARY:
            yield logging.WARNING, self._summary()
            self._failed.clear()

    def forget(self, target: TargetId) -> None:
        """It is read no more."""
        self.odd.discard(target)

    def _summary(self) -> str:
        counts = ", ".join(f"{count} {failure}" for failure, count in sorted(self._failed.items()))
        return f"reads that failed in the last {SUMMARY / 60:g} min: {counts}; the latest: {self._latest}"
