"""A poller in a world whose time only the test moves, with scripted answers and the real pacing."""

import heapq
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from itertools import count, pairwise
from typing import Any

import pytest

from exporter.enums import Status
from exporter.errors import ReadError
from exporter.model.clock import Clock
from exporter.model.read_result import ReadResult
from exporter.model.target import Target, TargetId
from exporter.model.task import Task
from exporter.model.task_state import TaskState, apply_read
from exporter.scheduler.intervals import PollIntervals
from exporter.scheduler.poller import Poller
from exporter.scheduler.ports import Account, Ports
from exporter.volcengine.rate_limiter import RateLimiter

UNIX = 1_768_465_805.0
BEAT = 0.05
CADENCE = PollIntervals(
    interval=30.0, fast_interval=5.0, max_backoff=300.0, reread_stopped=600.0, forget_unknown_after=3600.0
)
RUNNING = Task(status=Status.RUNNING, start=UNIX)

Work = Callable[[], "Work | None"]


@dataclass
class World:
    """One account's poller, beaten as the dispatcher would; each call ends `latency` after its slot.

    `answer` gives what a target answers; an exception that is no ReadError is raised, and None never comes back.
    """

    qps: float = 48.0
    intervals: PollIntervals = CADENCE
    latency: float = 0.02
    most_in_flight: int = 300
    answer: Callable[[TargetId], Task | ReadError | Exception | None] = lambda _target: RUNNING
    now: float = 1000.0
    wall: float = UNIX - 1000.0
    generation: int = 1
    threads: bool = True
    reads: list[tuple[float, TargetId]] = field(default_factory=list)
    known: dict[TargetId, TaskState] = field(default_factory=dict)
    counted: list[ReadResult] = field(default_factory=list)
    learnt: list[ReadResult] = field(default_factory=list)
    failures: list[tuple[str, Exception]] = field(default_factory=list)
    twice: list[TargetId] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.rate_limiter = RateLimiter(self.qps, lambda: self.now, lambda _seconds: None)
        self._under_way: list[tuple[float, int, TargetId, Work]] = []
        self._numbers = count()
        self.poller = Poller(
            self.account(),
            self.intervals,
            120.0,
            Clock(self.unix, lambda: self.now),
            Ports(
                self.submit,
                self.apply_read,
                self.count,
                lambda *what: self.failures.append(what),
                random.Random(1).random,
            ),
        )

    def account(self) -> Account:
        """The account as it stands."""
        return Account("default", self, self.rate_limiter, lambda: self.generation, self.most_in_flight)

    def unix(self) -> float:
        """The wall clock."""
        return self.now + self.wall

    def add(self, name: str, app: str = "app", **facts: Any) -> TargetId:
        """Track a target and have it read; `facts` are of its Known, or `expected_start`."""
        target = TargetId(app, "room", name)
        listed = Target(target, "default", expected_start=facts.pop("expected_start", None))
        before = self.known.get(target) or TaskState(target=listed, accepted_at=self.unix())
        self.known[target] = replace(before, target=listed, **facts)
        self.poller.add(self.known[target])
        return target

    def add_many(self, number: int, prefix: str = "t", **facts: Any) -> list[TargetId]:
        """So many targets."""
        return [self.add(f"{prefix}{index}", **facts) for index in range(number)]

    def forget(self, target: TargetId) -> None:
        """List it no more."""
        self.known.pop(target, None)
        self.poller.remove(target)

    def submit(self, work: Work) -> None:
        """Keep a call until its end comes; looks into the partial for its target and slot."""
        if not self.threads:
            raise RuntimeError("can't start new thread")
        call = work.args[0]  # type: ignore[attr-defined]  # the poller hands out functools.partial objects
        sent = max(call.slot, self.now)
        self.twice += [target for _, _, target, _ in self._under_way if target == call.target]
        self.reads.append((sent, call.target))
        heapq.heappush(self._under_way, (sent + self.latency, next(self._numbers), call.target, work))

    def read(self, target: TargetId, _slot: float | None = None) -> ReadResult:
        """The answer, as a reading."""
        answer = self.answer(target)
        if isinstance(answer, Exception) and not isinstance(answer, ReadError):
            raise answer
        assert answer is not None
        return ReadResult(target, self.unix(), self.unix(), self.latency, answer)

    def apply_read(self, reading: ReadResult) -> TaskState | None:
        """What the tracker does, without the ledger."""
        self.learnt.append(reading)
        if reading.target not in self.known:
            return None
        self.known[reading.target], _ = apply_read(self.known[reading.target], reading)
        return self.known[reading.target]

    def count(self, account: str, reading: ReadResult) -> None:
        """Count an attempt."""
        assert account == "default"
        self.counted.append(reading)

    def end_calls(self) -> None:
        """End the calls whose time has come; those without an answer hang for good."""
        while self._under_way and self._under_way[0][0] <= self.now:
            _, _, target, work = heapq.heappop(self._under_way)
            if self.answer(target) is not None and (following := work()) is not None:
                self.submit(following)

    def run(self, seconds: float) -> None:
        """Let the time pass, beat by beat."""
        beats = round(seconds / BEAT)
        start = self.now
        for beat in range(1, beats + 1):
            self.end_calls()
            self.poller.hand_out(self.now + BEAT)
            self.now = start + beat * BEAT
        self.end_calls()

    def times(self, target: TargetId | None = None, since: float = 0.0) -> list[float]:
        """When calls were sent, of all targets or one."""
        return [time for time, read in self.reads if time >= since and target in (None, read)]

    def order(self, since: float = 0.0) -> list[str]:
        """The task ids in the order in which they were read."""
        return [target.task_id for time, target in sorted(self.reads) if time >= since]

    def gaps(self, since: float = 0.0) -> Iterator[float]:
        """The seconds between two reads of one target, of all targets."""
        of: dict[TargetId, list[float]] = {}
        for time, target in self.reads:
            if time >= since:
                of.setdefault(target, []).append(time)
        for times in of.values():
            yield from (later - earlier for earlier, later in pairwise(sorted(times)))


@pytest.fixture
def world() -> Callable[..., World]:
    """Make a world; keywords as World's fields."""
    return World


@pytest.fixture
def intervals() -> PollIntervals:
    """The configuration's own values."""
    return CADENCE
