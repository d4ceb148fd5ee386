"""An account's gate and those of its apps: what a reading means for the calls that follow."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from exporter.errors import Fault, ReadError, Throttled
from exporter.model.read_result import ReadResult
from exporter.scheduler.circuit_breaker import CircuitBreaker, whole


class Generations(NamedTuple):
    """The epochs of the account's and of the app's gate in which a call was sent."""

    account: int
    app: int


@dataclass(frozen=True, slots=True)
class BreakerEvent:
    """A gate has closed because of `error`, or calls are answered again (None); of one app, or of the whole account."""

    app_id: str | None
    error: ReadError | None


class CircuitBreakers:
    """The gates of one account. Times are monotonic seconds. Not safe for threads: its owner holds a lock."""

    def __init__(self, max_backoff: float, chance: Callable[[], float] = whole) -> None:
        self._max_backoff = max_backoff
        self._chance = chance
        self._account = CircuitBreaker(max_backoff, chance)
        self._apps: dict[str, CircuitBreaker] = {}

    @property
    def open(self) -> bool:
        """Whether the account's calls go unhindered."""
        return self._account.opens_at is None

    def lets_through(self, now: float) -> bool:
        """Whether the account may make a call now."""
        return self._account.lets_through(now)

    def held_until(self, app_id: str, now: float) -> float | None:
        """The moment of the app's next probe; None when it may be called now."""
        gate = self._apps.get(app_id)
        return None if gate is None or gate.lets_through(now) else gate.opens_at

    def next_probe(self, app_id: str) -> float | None:
        """When the next probe for the app may go; None when nothing stands in its calls' way."""
        app = self._apps.get(app_id)
        waits = (self._account.opens_at, None if app is None else app.opens_at)
        return max((wait for wait in waits if wait is not None), default=None)

    def sent(self, app_id: str, now: float) -> Generations:
        """A call for the app goes."""
        gate = self._apps.get(app_id)
        return Generations(self._account.sent(now), 0 if gate is None else gate.sent(now))

    def saw(self, reading: ReadResult, epochs: Generations, now: float) -> list[BreakerEvent]:
        """Take in what came of a call; returns what is to be told and acted upon."""
        app_id, error = reading.target.app_id, reading.error
        if isinstance(error, Throttled):
            return []  # the budget has its own answer to that
        fault = None if error is None else error.fault
        if fault is Fault.WAY:
            return [BreakerEvent(None, error)] if self._account.lost(epochs.account, now) else []
        if fault is Fault.ACCOUNT:
            return [BreakerEvent(None, error)] if self._account.refused(epochs.account, now) else []
        news = [BreakerEvent(None, None)] if self._account.answered() else []
        if fault is Fault.APP:
            gate = self._apps.setdefault(app_id, CircuitBreaker(self._max_backoff, self._chance))
            return [*news, BreakerEvent(app_id, error)] if gate.refused(epochs.app, now) else news
        if app_id in self._apps and self._apps[app_id].answered():
            news.append(BreakerEvent(app_id, None))
        return news

    def try_at_once(self) -> list[str | None]:
        """Forget how calls fared; returns the apps whose gate that opened, None standing for the whole account."""
        opened: list[str | None] = [None] if self._account.try_at_once() else []
        return opened + [app_id for app_id, gate in self._apps.items() if gate.try_at_once()]

    def reconfigure(self, max_backoff: float) -> None:
        """Wait for no longer than this between two probes."""
        self._max_backoff = max_backoff
        for gate in (self._account, *self._apps.values()):
            gate.max_backoff = max_backoff
