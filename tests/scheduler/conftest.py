"""A poller in a world whose time only the test moves, with scripted answers and the real pacing."""

import heapq
import math
import random
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future
from dataclasses import dataclass, field, replace
from itertools import count, pairwise
from typing import Any, cast

import pytest
from prometheus_client import Counter

from exporter.enums import Status
from exporter.errors import ReadError
from exporter.model.clock import Clock
from exporter.model.target import Target, TargetId
from exporter.model.task import ReadResult, Task
from exporter.model.task_state import TaskState, apply_read
from exporter.scheduler.poller import Poller, ReadAccount
from exporter.scheduler.read_queue import CurrentIntervals, PollIntervals
from exporter.volcengine.rate_limiter import Permit, RateLimiter

UNIX = 1_768_465_805.0
STEP = 0.5
"""The longest time between two looks: what a test changes in between is seen."""
CADENCE = PollIntervals(
    interval=30.0, fast_interval=5.0, max_backoff=300.0, reread_stopped=600.0, forget_unknown_after=3600.0
)
RUNNING = Task(status=Status.RUNNING, start=UNIX)


@dataclass
class World(Executor):
    """One account's poller in a world whose time the test moves; each call ends `latency` after it was sent.

    It stands in for the client, the executor, the registry and the metrics. `answer` gives what a target answers; an
    exception that is no ReadError is raised, and None never comes back.
    """

    qps: float = 48.0
    intervals: PollIntervals = CADENCE
    latency: float = 0.02
    most_in_flight: int = 300
    answer: Callable[[TargetId], Task | ReadError | Exception | None] = lambda _target: RUNNING
    now: float = 1000.0
    wall: float = UNIX - 1000.0
    threads: bool = True
    broken_registry: bool = False
    reads: list[tuple[float, TargetId]] = field(default_factory=list)
    known: dict[TargetId, TaskState] = field(default_factory=dict)
    counted: list[ReadResult] = field(default_factory=list)
    learnt: list[ReadResult] = field(default_factory=list)
    twice: list[TargetId] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.rate_limiter = RateLimiter(self.qps, lambda: self.now, lambda _seconds: None)
        self.internal_errors = Counter("errors", "errors", registry=None)
        self._under_way: list[tuple[float, int, TargetId, Callable[[], Any]]] = []
        self._numbers = count()
        self.poller = Poller(
            self.account(),
            self.intervals,
            120.0,
            clock=Clock(self.unix, lambda: self.now),
            registry=cast("Any", self),
            self_metrics=cast("Any", self),
            jitter=random.Random(1).random,
        )

    def account(self) -> ReadAccount:
        """The account as it stands."""
        client = cast("Any", self)
        return ReadAccount("default", client, self.rate_limiter, self.most_in_flight, self)

    def unix(self) -> float:
        """The wall clock."""
        return self.now + self.wall

    def add(self, name: str, app: str = "app", **facts: Any) -> TargetId:
        """Track a target and have it read; `facts` are of its TaskState, or `expected_start`."""
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

    def submit(self, work: Callable[..., Any], /, *args: Any, **_kwargs: Any) -> Future[Any]:
        """Keep a call until its end comes."""
        target = args[0].target
        if not self.threads:
            raise RuntimeError("can't start new thread")
        self.twice += [other for _, _, other, _ in self._under_way if other == target]
        self.reads.append((self.now, target))
        heapq.heappush(self._under_way, (self.now + self.latency, next(self._numbers), target, lambda: work(*args)))
        return Future()

    def read(self, target: TargetId, _permit: Permit) -> ReadResult:
        """The answer, as the client gives it."""
        answer = self.answer(target)
        if isinstance(answer, Exception) and not isinstance(answer, ReadError):
            raise answer
        assert answer is not None
        return ReadResult(target, self.unix(), self.unix(), self.latency, answer)

    def apply_read(self, result: ReadResult) -> TaskState | None:
        """What the registry does, without a store."""
        if self.broken_registry:
            raise MemoryError
        self.learnt.append(result)
        if result.target not in self.known:
            return None
        self.known[result.target], _ = apply_read(self.known[result.target], result)
        return self.known[result.target]

    def set_intervals(self, account: str, intervals: CurrentIntervals) -> None:
        """Keep them."""
        assert account == "default"
        self.intervals_now = intervals

    def observe(self, account: str, result: ReadResult) -> None:
        """Count an attempt."""
        assert account == "default"
        self.counted.append(result)

    def end_calls(self) -> None:
        """End the calls whose time has come; those without an answer hang for good."""
        while self._under_way and self._under_way[0][0] <= self.now:
            _, _, target, work = heapq.heappop(self._under_way)
            if self.answer(target) is not None:
                work()

    def run(self, seconds: float) -> None:
        """Let the time pass, from one moment at which something happens to the next."""
        end = self.now + seconds
        while True:
            self.end_calls()
            look = self.poller.send_due()
            ends = self._under_way[0][0] if self._under_way else math.inf
            later = min(look, ends, self.now + STEP)
            if later > end:
                break
            self.now = max(self.now, later)
        self.now = end
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
    return World


@pytest.fixture
def intervals() -> PollIntervals:
    """The configuration's own values."""
    return CADENCE
