"""One account's health: whether the API answers it, and what the log says about its failed reads."""

from collections import Counter
from dataclasses import dataclass, field

import structlog

from exporter.enums import ReadFailure
from exporter.errors import Fault, NotFound, ReadError, Throttled
from exporter.model.read_result import ReadResult
from exporter.model.target import TargetId
from exporter.volcengine.rate_limiter import QUIET

log = structlog.stdlib.get_logger(__name__)

SUMMARY = 300.0
"""Seconds from the first failed read that was not logged yet to the summary that logs it."""


@dataclass(slots=True)
class Health:
    """`stale_after` and the times are monotonic seconds; `clock_skew` is the server's clock minus ours."""

    stale_after: float
    clock_skew: float | None = None
    _answered_at: float | None = None
    _latest: bool | None = None

    def add(self, result: ReadResult, now: float) -> None:
        """Take in one attempt."""
        self._latest = result.error is None or isinstance(result.error, NotFound)
        if self._latest:
            self._answered_at = now
        if result.skew is not None:
            self.clock_skew = result.skew

    def up(self, now: float) -> bool | None:
        """Whether any call within `stale_after`, or else the latest one, was answered as it should; None before any."""
        if self._answered_at is not None and now - self._answered_at <= self.stale_after:
            return True
        return self._latest


@dataclass(slots=True)
class FailureLog:
    """Logs when failures begin, a summary now and then, and when they end. Times are monotonic seconds.

    A target whose answers cannot be used is `unusable` until it has a good one. "Not found" is no failure.
    """

    account: str
    unusable: set[TargetId] = field(default_factory=set)
    _logged_unusable: bool = False
    _throttled_at: float | None = None
    _failed: Counter[ReadFailure] = field(default_factory=Counter)
    _latest: ReadError | None = None
    _since: float = 0.0

    def add(self, result: ReadResult, now: float) -> None:
        """Take in a read; log what has begun with it."""
        error = result.error
        if error is None or isinstance(error, NotFound):
            self.unusable.discard(result.target)
            return
        if not self._failed:
            self._since = now
        self._failed[error.failure] += 1
        self._latest = error
        if isinstance(error, Throttled):
            if self._throttled_at is None:
                log.warning("API throttles calls", account=self.account, error=str(error))
            self._throttled_at = now
        if error.fault is Fault.TARGET:
            self.unusable.add(result.target)
            if not self._logged_unusable:
                self._logged_unusable = True
                log.warning("answer not usable", account=self.account, target=str(result.target), error=str(error))

    def check(self, now: float, *, full_rate: bool) -> None:
        """Log what is over by now, and the summary once it is due; `full_rate`: calls go as fast as configured."""
        if full_rate and self._throttled_at is not None and now - self._throttled_at >= QUIET:
            self._throttled_at = None
            log.info("API throttles calls no more", account=self.account)
        if self._logged_unusable and not self.unusable:
            self._logged_unusable = False
            log.info("answers usable again", account=self.account)
        if self._failed and now - self._since >= SUMMARY:
            counts = {str(failure): count for failure, count in sorted(self._failed.items())}
            log.warning("reads failed", account=self.account, seconds=SUMMARY, latest=str(self._latest), **counts)
            self._failed.clear()

    def forget(self, target: TargetId) -> None:
        """The target is read no more."""
        self.unusable.discard(target)
