"""Whether an account and its apps answer: circuit breakers, health, and the log of failed reads.

A closed breaker lets all calls through. An open one lets one probe through at a time: every five seconds when the
network or the API fails, with a doubling wait when the credentials or an app are refused. Each call carries the
generation that it was sent in, so that a late answer does not change the breaker. Times are passed in.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

import structlog

from exporter.enums import ReadFailure
from exporter.errors import Fault, NotFound, ReadError, Throttled
from exporter.model.target import TargetId
from exporter.model.task import ReadResult
from exporter.scheduler.read_queue import backoff, jittered
from exporter.volcengine.rate_limiter import QUIET

FIRST_PROBE = 5.0
"""Seconds until the first probe, and between all probes while the network or the API fails."""

LOST_IN_A_ROW = 10
"""Calls in a row without an answer that open the breaker; throttled ones are not counted."""

REFUSED_IN_A_ROW = 3
"""Targets refused in a row that open an account's breaker; fewer where it has fewer targets."""

REFUSED_OF_APP = 2
"""Targets of an app refused in a row that open the app's breaker; a single one backs off alone."""


def no_jitter() -> float:
    """The whole of each wait."""
    return 1.0


class Ticket(NamedTuple):
    """When a call was sent (monotonic seconds), and in which generations of its account's and its app's breaker."""

    sent_at: float
    account: int
    app: int


@dataclass(frozen=True, slots=True)
class BreakerEvent:
    """A breaker has opened because of `error`, or closed (None): an app's, or the account's (no `app_id`).

    `targets` are those whose refusals opened it; they are not at fault themselves.
    """

    app_id: str | None
    error: ReadError | None
    targets: frozenset[TargetId] = frozenset()


@dataclass(slots=True)
class CircuitBreaker:
    """Circuit breaker for one account or app. Times are monotonic seconds. Not safe for threads.

    `probe_at` is None while it is closed, otherwise when the next probe may go. `generation` grows each time it opens,
    closes or is tried at once. `failing_since` is when the first call of the failing row was sent, if there is one;
    `tried` says that no probe has ended since `try_at_once`. `pace` is the shortest wait between probes of a refusal:
    that between the reads of what it is for.
    """

    max_backoff: float
    jitter: Callable[[], float] = no_jitter
    pace: float = 0.0
    probe_at: float | None = None
    generation: int = 0
    refusals: int = 0
    lost_in_a_row: int = 0
    refused: set[TargetId] = field(default_factory=set)
    failing_since: float | None = None
    tried: bool = False

    def allows(self, now: float) -> bool:
        """Whether a call may go now."""
        return self.probe_at is None or now >= self.probe_at

    def send(self, now: float) -> int:
        """Record a call that is sent; return its generation. While open, the next probe waits its time from here."""
        if self.probe_at is not None:
            self.probe_at = now + self._wait()
        return self.generation

    def add_lost(self, generation: int, sent_at: float, now: float) -> bool:
        """Record a call without an answer; return whether that opened the breaker."""
        if generation != self.generation or self.probe_at is not None:
            return False  # ten calls in flight that all fail are one failure, and a lost probe has its wait already
        self._note_failure(sent_at)
        self.lost_in_a_row += 1
        return self.lost_in_a_row >= LOST_IN_A_ROW and self._open(now)

    def add_refused(self, target: TargetId, generation: int, sent_at: float, now: float, enough: int) -> bool:
        """Record a refused target; return whether that is news: `enough` targets in a row open the breaker."""
        if generation != self.generation:
            return False
        if self.probe_at is not None:
            self.refusals += 1
            self.probe_at = now + self._wait()
            tried, self.tried = self.tried, False
            return tried  # what was changed is refused still: that is worth an event
        self._note_failure(sent_at)
        self.refused.add(target)
        if len(self.refused) < enough:
            return False
        self.refusals = 1
        return self._open(now)

    def add_answer(self, generation: int, sent_at: float) -> bool:
        """Record an answered call; return whether that closed the breaker."""
        if generation != self.generation or (self.failing_since is not None and sent_at < self.failing_since):
            return False  # it was sent before the failures, and says nothing about them
        was_open = self.probe_at is not None
        self._reset()
        if was_open:
            self.probe_at = None
            self.generation += 1
        return was_open

    def try_at_once(self, now: float) -> None:
        """Let a probe go now, if open: something was changed, and calls from before say nothing about it."""
        self.generation += 1
        if self.probe_at is None:
            self._reset()
        else:
            self.probe_at, self.refusals, self.tried = now, 0, True

    def _note_failure(self, sent_at: float) -> None:
        self.failing_since = sent_at if self.failing_since is None else min(self.failing_since, sent_at)

    def _open(self, now: float) -> bool:
        self.generation += 1
        self.probe_at = now + self._wait()
        self.failing_since = None
        return True

    def _reset(self) -> None:
        self.lost_in_a_row = self.refusals = 0
        self.failing_since = None
        self.refused = set()

    def _wait(self) -> float:
        if not self.refusals:
            return FIRST_PROBE
        first = min(max(FIRST_PROBE, self.pace), self.max_backoff)
        return max(self.pace, jittered(backoff(first, self.refusals, self.max_backoff), self.jitter))


class CircuitBreakers:
    """The breakers of one account and of its apps. Times are monotonic seconds. Not safe for threads."""

    def __init__(self, max_backoff: float, jitter: Callable[[], float] = no_jitter) -> None:
        self._max_backoff = max_backoff
        self._jitter = jitter
        self._account = CircuitBreaker(max_backoff, jitter)
        self._apps: dict[str, CircuitBreaker] = {}
        self._refused: set[TargetId] = set()  # their latest answer was a refusal
        self.error: ReadError | None = None
        """What opened the account's breaker; None while it is closed."""

    @property
    def closed(self) -> bool:
        """Whether the account's calls are not held back."""
        return self._account.probe_at is None

    def allows(self, now: float) -> bool:
        """Whether the account may make a call now."""
        return self._account.allows(now)

    @property
    def account_probe_at(self) -> float | None:
        """When the account's next probe may go; None while its breaker is closed."""
        return self._account.probe_at

    def app_probe_at(self, app_id: str, now: float) -> float | None:
        """When the app's next probe may go; None when the app may be called now."""
        breaker = self._apps.get(app_id)
        return None if breaker is None or breaker.allows(now) else breaker.probe_at

    def next_probe(self, app_id: str) -> float | None:
        """When the next probe for the app may go; None while no breaker holds its calls back."""
        app = self._apps.get(app_id)
        waits = (self._account.probe_at, None if app is None else app.probe_at)
        return max((wait for wait in waits if wait is not None), default=None)

    def holds(self, app_id: str) -> bool:
        """Whether a breaker holds back calls for the app: its failures are no single target's."""
        return self.next_probe(app_id) is not None

    def send(self, app_id: str, now: float) -> Ticket:
        """Record a call for the app that is sent."""
        app = self._apps.get(app_id)
        return Ticket(now, self._account.send(now), 0 if app is None else app.send(now))

    def add_result(
        self, result: ReadResult, ticket: Ticket, now: float, *, targets: int, of_app: int, interval: float
    ) -> list[BreakerEvent]:
        """Take in what came of a call; `targets` and `of_app` are how many the account and the app have."""
        target, error = result.target, result.error
        if isinstance(error, Throttled):
            return []  # the rate limiter answers that
        fault = None if error is None else error.fault
        if fault is Fault.API:
            return self._account_event(error, opened=self._account.add_lost(ticket.account, ticket.sent_at, now))
        known = target in self._refused
        if fault not in (Fault.ACCOUNT, Fault.APP):
            self._refused.discard(target)
        else:
            self._refused.add(target)
        if fault is Fault.ACCOUNT:
            if known and self.closed:
                return []  # that target alone is refused, while others are answered
            enough = max(1, min(REFUSED_IN_A_ROW, targets))
            opened = self._account.add_refused(target, ticket.account, ticket.sent_at, now, enough)
            return self._account_event(error, opened=opened)
        events: list[BreakerEvent] = []
        if self._account.add_answer(ticket.account, ticket.sent_at):
            self.error = None
            events.append(BreakerEvent(None, None))
        if fault is Fault.APP:
            return events + self._refuse_app(
                result, ticket, now, alone=of_app < targets, of_app=of_app, pace=interval, known=known
            )
        app = self._apps.get(target.app_id)
        if app is not None and app.add_answer(ticket.app, ticket.sent_at):
            events.append(BreakerEvent(target.app_id, None))
        return events

    def forget(self, target: TargetId) -> None:
        """The target is read no more."""
        self._refused.discard(target)

    def try_at_once(self, now: float) -> None:
        """Let each open breaker's probe go now."""
        for breaker in (self._account, *self._apps.values()):
            breaker.try_at_once(now)

    def reconfigure(self, max_backoff: float) -> None:
        """Change the longest wait between two probes."""
        self._max_backoff = max_backoff
        for breaker in (self._account, *self._apps.values()):
            breaker.max_backoff = max_backoff

    def _account_event(self, error: ReadError | None, *, opened: bool) -> list[BreakerEvent]:
        if not opened:
            return []
        self.error = error
        return [BreakerEvent(None, error, frozenset(self._account.refused))]

    def _refuse_app(
        self, result: ReadResult, ticket: Ticket, now: float, *, alone: bool, of_app: int, pace: float, known: bool
    ) -> list[BreakerEvent]:
        """A target of an app was refused; `alone` says that the account has other apps."""
        app_id = result.target.app_id
        breaker = self._apps.setdefault(app_id, CircuitBreaker(self._max_backoff, self._jitter))
        if known and breaker.probe_at is None:
            return []
        # Of many apps, the probes never come more often than their reads would.
        breaker.pace = pace / max(1, of_app) if alone else 0.0
        enough = REFUSED_OF_APP if alone else min(REFUSED_OF_APP, max(1, of_app))
        opened = breaker.add_refused(result.target, ticket.app, ticket.sent_at, now, enough)
        return [BreakerEvent(app_id, result.error, frozenset(breaker.refused))] if opened else []


log = structlog.stdlib.get_logger(__name__)

SUMMARY = 300.0
"""Seconds from the first failed read that was not logged yet to the summary that logs it."""


@dataclass(slots=True)
class Health:
    """Whether one account's calls are answered.

    Times are monotonic seconds; `clock_skew` is the server's clock minus ours.
    """

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
