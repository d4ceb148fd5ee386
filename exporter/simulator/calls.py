"""The account of calls: the vendor's rate limit, and a log that a test can ask how it was called."""

from collections import Counter, deque
from collections.abc import Iterable
from threading import Lock
from typing import NamedTuple

from exporter.model.target import TargetId
from exporter.simulator.replies import Outcome

CALLS_KEPT = 200_000


class SlidingSecond:
    """At most `limit` admissions in any second [t, t+1). Refused calls do not count, or a steady 61 would starve."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._admitted: deque[float] = deque()
        self._lock = Lock()

    def admit(self, at: float) -> bool:
        """Whether a call at `at` (Unix seconds) is within the limit; if so it counts."""
        with self._lock:
            while self._admitted and at - self._admitted[0] >= 1:
                self._admitted.popleft()
            if len(self._admitted) >= self.limit:
                return False
            self._admitted.append(at)
            return True


class Call(NamedTuple):
    """One call of GetWebCastTask: when it arrived (Unix seconds), from whom (empty: unknown), for what, what came."""

    at: float
    account: str
    target: TargetId
    outcome: Outcome


class Calls:
    """The last 200,000 calls of GetWebCastTask, and how many there were by outcome in all."""

    def __init__(self) -> None:
        self._log: deque[Call] = deque(maxlen=CALLS_KEPT)
        self._counts: Counter[Outcome] = Counter()
        self._lock = Lock()

    def record(self, call: Call) -> None:
        """Add one."""
        with self._lock:
            self._log.append(call)
            self._counts[call.outcome] += 1

    @property
    def log(self) -> tuple[Call, ...]:
        """The calls kept, in the order of their arrival."""
        with self._lock:
            return tuple(sorted(self._log, key=lambda call: call.at))

    @property
    def counts(self) -> dict[Outcome, int]:
        """How many calls ended so; every outcome is there."""
        with self._lock:
            return {outcome: self._counts[outcome] for outcome in Outcome}

    def reads_of(self, target: TargetId) -> tuple[float, ...]:
        """When a task was asked for (Unix seconds)."""
        return tuple(call.at for call in self.log if call.target == target)

    def max_calls_in_a_second(self, account: str | None = None) -> int:
        """The largest number of calls in any second [t, t+1), of one account or of all."""
        return busiest_second(call.at for call in self.log if account is None or call.account == account)


def busiest_second(times: Iterable[float]) -> int:
    """The largest number of ascending `times` (seconds) that one interval [t, t+1) holds."""
    window: deque[float] = deque()
    most = 0
    for at in times:
        window.append(at)
        while at - window[0] >= 1:
            window.popleft()
        most = max(most, len(window))
    return most
