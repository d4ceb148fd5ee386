"""When each target is read next: how long it waits, as pure functions of its state, and one account's queue.

Calls go where news is likely: starting, near the deadline, unknown; hardly any for what has stopped. Times are seconds.

Targets that were never read come first, newest first; then the one that has been due longest. Those that a callback
asks for come before both, at every second call while others are due. Rereads of stopped targets have a tenth of the
calls and no more. A target that is being read is in no heap, so it cannot be read twice at once.

Due times are kept as configured. Stretching only decides who comes first of those whose configured wait is over: no
call of the budget is left unused while there is one, and what was put off comes at once when the fleet shrinks.
"""

import heapq
import math
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from itertools import count

from exporter.enums import Status
from exporter.model.target import TargetId
from exporter.model.task_state import LOOK_BACK, TaskState, vendor_ahead

FAST_PHASE = 600.0
"""How long not started, unknown, or not found at the expected start is worth the fast interval."""

NEAR_DEADLINE = 60.0
"""This close to StartTime + MaxRunningTime, on either side, a running task is read at the fast interval."""

LEAST_JITTER = 0.8
"""The shortest part of a backoff that jitter leaves."""

REREAD_SHARE = 0.1
"""Rereads of stopped targets take at most this part of the budget."""

SURE_SHARE = 0.98
"""This part of the budget is sure to be used when it is short (docs/behaviour.md)."""


@dataclass(frozen=True, slots=True)
class PollIntervals:
    """The `polling` section, and `lifecycle.forget_unknown_after`."""

    interval: float
    fast_interval: float
    max_backoff: float
    reread_stopped: float
    forget_unknown_after: float

    @property
    def first_backoff(self) -> float:
        """The wait after a first failure: with any jitter, a target that fails is read no more often than others."""
        return self.interval / LEAST_JITTER

    @property
    def longest_backoff(self) -> float:
        """`max_backoff`, unless that is shorter than the first."""
        return max(self.max_backoff, self.first_backoff)


class ReadClass(StrEnum):
    """What kind of wait a target is in. FAST and NORMAL are stretched when the budget is short."""

    FAST = "fast"
    NORMAL = "normal"
    BACKOFF = "backoff"
    REREAD = "reread"


@dataclass(frozen=True, slots=True)
class Wait:
    """A read class, and the configured seconds between two reads in it; `at_most` bounds the wait that begins now."""

    read_class: ReadClass
    seconds: float
    at_most: float = math.inf


IntervalFactors = Mapping[ReadClass, float]
"""By how much the waits of a read class are now longer than configured; 1 for a class that it does not name."""


def periods(intervals: PollIntervals) -> dict[ReadClass, float]:
    """The longest configured wait of each read class."""
    return {
        ReadClass.FAST: min(intervals.fast_interval, intervals.interval),
        ReadClass.NORMAL: intervals.interval,
        ReadClass.BACKOFF: intervals.longest_backoff,
        ReadClass.REREAD: intervals.reread_stopped,
    }


def next_wait(state: TaskState, now: float, failures: int, intervals: PollIntervals) -> Wait:
    """The wait that begins at `now` (Unix seconds); `failures` counts the target's own since its last success."""
    if failures and not state.finished:
        return _after_own_fault(state, now, failures, intervals)
    if state.task is None:
        return Wait(ReadClass.NORMAL, intervals.interval)
    if state.task.stopped:
        return Wait(ReadClass.REREAD, intervals.reread_stopped)
    if state.task_time >= (state.task.start or math.inf) + LOOK_BACK:
        # The API no longer has to know it: that it still does is news enough now and then. By the vendor's clock at its
        # latest answer, because a wall clock that is wrong for a moment must not put a read off.
        return Wait(ReadClass.REREAD, intervals.reread_stopped)
    if state.task.status is Status.RUNNING:
        return _while_running(state, now, intervals)
    # A clock that was set back must not make the phase longer than twice what it is.
    fast = state.status_since is not None and abs(now - state.status_since) < FAST_PHASE
    return _fast(intervals) if fast else Wait(ReadClass.NORMAL, intervals.interval)


def _fast(intervals: PollIntervals) -> Wait:
    return Wait(ReadClass.FAST, min(intervals.fast_interval, intervals.interval))


def _while_running(state: TaskState, now: float, intervals: PollIntervals) -> Wait:
    deadline = state.task.deadline if state.task else None
    if deadline is None or state.last_success is None:
        return Wait(ReadClass.NORMAL, intervals.interval)
    # The deadline is by the vendor's clock; what the last read said of that clock carries over.
    left = deadline - (now + vendor_ahead(state))
    if abs(left) <= NEAR_DEADLINE:
        return _fast(intervals)
    until_near = max(left - NEAR_DEADLINE, intervals.fast_interval) if left > 0 else math.inf
    return Wait(ReadClass.NORMAL, intervals.interval, until_near)


def _after_own_fault(state: TaskState, now: float, failures: int, intervals: PollIntervals) -> Wait:
    if state.not_found_since is not None:
        meant = state.target.expected_start
        if meant is not None and now < meant + FAST_PHASE:
            return _fast(intervals)
        since = state.accepted_at if meant is None else meant
        if state.run is None and now >= since + intervals.forget_unknown_after:
            return Wait(ReadClass.BACKOFF, intervals.forget_unknown_after)
    return Wait(ReadClass.BACKOFF, backoff(intervals.first_backoff, failures, intervals.longest_backoff))


def backoff(first: float, failures: int, most: float) -> float:
    """Doubling from `first`, up to `most`: after 1 failure `first`, after 2 twice that."""
    doublings = min(max(failures - 1, 0), 32)  # beyond any `most`, and far from overflowing
    return min(first * 2.0**doublings, most)


def jittered(seconds: float, jitter: Callable[[], float]) -> float:
    """Between 80 and 100 % of it, so that what failed together does not come back together."""
    return seconds * (LEAST_JITTER + (1.0 - LEAST_JITTER) * jitter())


def demand(class_counts: Mapping[ReadClass | None, int], intervals: PollIntervals) -> float:
    """Calls a second that so many targets in each read class need, unstretched."""
    return sum(class_counts.get(read_class, 0) / period for read_class, period in periods(intervals).items())


def stretch(class_counts: Mapping[ReadClass | None, int], intervals: PollIntervals, budget: float) -> IntervalFactors:
    """How far to stretch when the targets in each read class share `budget` calls a second.

    Fast intervals stretch first, up to the normal one; then both stretch evenly. Nothing is skipped.
    """
    fast, normal = class_counts.get(ReadClass.FAST, 0), class_counts.get(ReadClass.NORMAL, 0)
    quick, slow = min(intervals.fast_interval, intervals.interval), intervals.interval
    left = _left_for_live(class_counts, intervals, budget)
    if fast / quick + normal / slow <= left:
        return _UNSTRETCHED
    left_for_fast = left - normal / slow
    if fast and left_for_fast * slow >= fast:
        return {ReadClass.FAST: fast / left_for_fast / quick, ReadClass.NORMAL: 1.0}
    even = max((fast + normal) / left, slow)
    return {ReadClass.FAST: even / quick, ReadClass.NORMAL: even / slow}


_UNSTRETCHED: IntervalFactors = {}


@dataclass(frozen=True, slots=True)
class CurrentIntervals:
    """One account's intervals as they are now: configured, stretched by `factors`, and `lateness` seconds late."""

    configured: PollIntervals
    factors: IntervalFactors
    lateness: float

    def between_reads(self, state: TaskState, now: float) -> float:
        """Seconds between two reads of a task at `now` (Unix seconds), without a backoff."""
        wait = next_wait(state, now, 0, self.configured)
        return wait.seconds * self.factors.get(wait.read_class, 1.0) + self.lateness


def _left_for_live(class_counts: Mapping[ReadClass | None, int], intervals: PollIntervals, budget: float) -> float:
    """What rereads and backed-off targets leave of the budget, and no less than half of it."""
    sure = SURE_SHARE * budget
    rereads = min(class_counts.get(ReadClass.REREAD, 0) / intervals.reread_stopped, REREAD_SHARE * budget)
    backed_off = class_counts.get(ReadClass.BACKOFF, 0) / intervals.longest_backoff
    return max(sure - rereads - backed_off, sure / 2)


GOLDEN = 0.6180339887498949
"""Multiples of it modulo 1 spread any number of targets evenly over an interval, whenever one comes or goes."""

_PLACED = (ReadClass.FAST, ReadClass.NORMAL)
"""Read classes in which each target has a place of its own in the interval."""

_LIVE = (ReadClass.FAST, ReadClass.NORMAL, ReadClass.BACKOFF)

_Item = tuple[float, int, TargetId]
"""An item of a heap: due time, a number that grows, the target. It is dead once the entry has another number."""


@dataclass(slots=True)
class _Entry:
    """One target of the queue. `read_class` None = never read. Not `queued`, it is being read.

    `number` is that of its latest item. `wait` is the part of the way to `due` that stretches; 0 = it is due out of
    turn. `share` is its place as a part of any interval, `place` a moment at which its turn is. `asked`: it is in the
    heap of the asked, or was taken from there; `asked_at` is the end of its last read of that kind. While it is being
    read, `again` is in how many seconds after that it is to be read once more, and `ask_again` whether as an asked one.
    `overdue_since` is when it should have been read before outages put it off.
    """

    share: float
    due: float
    read_class: ReadClass | None
    wait: float = 0.0
    place: float | None = None
    number: int = -1
    queued: bool = False
    asked: bool = False
    asked_at: float = -math.inf
    again: float = math.inf
    overdue_since: float = math.inf
    ask_again: bool = False


class ReadQueue:
    """One account's targets in the order of their due times (monotonic seconds).

    Not safe for threads: its owner holds a lock. A target that was never read is in the heap of None, then, once due,
    on the stack `_unread`; any other is in the heap of its read class. One that is asked for is in `_asked`.
    """

    def __init__(self) -> None:
        self._entries: dict[TargetId, _Entry] = {}
        self._queues: dict[ReadClass | None, list[_Item]] = {read_class: [] for read_class in (None, *ReadClass)}
        self._unread: deque[_Item] = deque()
        self._asked: list[_Item] = []
        self._numbers = count()
        self._shares = count(1)
        self._reread_from = -math.inf
        self._asked_came_last = False
        self.class_counts: Counter[ReadClass | None] = Counter()

    def __len__(self) -> int:
        """Number of targets."""
        return len(self._entries)

    def __contains__(self, target: TargetId) -> bool:
        """Whether the target takes part, waiting or being read."""
        return target in self._entries

    def __iter__(self) -> Iterator[TargetId]:
        """Every target that takes part."""
        return iter(self._entries)

    def add(self, target: TargetId, due: float, read_class: ReadClass | None = None) -> None:
        """Add a target that is due at `due`; a `read_class` says that it was read before."""
        self.remove(target)
        self._entries[target] = entry = _Entry(next(self._shares) * GOLDEN % 1.0, due, read_class)
        self.class_counts[read_class] += 1
        self._queue(target, entry)

    def remove(self, target: TargetId) -> None:
        """Remove a target; a read in flight ends by itself."""
        entry = self._entries.pop(target, None)
        if entry is not None:
            self.class_counts[entry.read_class] -= 1
            items = len(self._unread) + len(self._asked) + sum(map(len, self._queues.values()))
            if items > 2 * len(self._entries) + 1000:
                self._sweep()

    def pop(self, now: float, budget: float, stretch: IntervalFactors) -> TargetId | None:
        """The target to read now, if any is due; it is then in no heap until it is put back or queued again."""
        reread = self._head(self._queues[ReadClass.REREAD])
        if reread is not None and reread.due <= now and self._reread_from <= now:
            self._reread_from = now + 1.0 / (REREAD_SHARE * budget)
            return self._taken(heapq.heappop(self._queues[ReadClass.REREAD]), now)
        asked = self._head(self._asked)
        is_asked = asked is not None and asked.due <= now
        other = None if is_asked and not self._asked_came_last else self._take_other(now, stretch)
        self._asked_came_last = other is None and is_asked
        return self._taken(heapq.heappop(self._asked), now) if self._asked_came_last else other

    def _take_other(self, now: float, stretch: IntervalFactors) -> TargetId | None:
        """A target that no callback asks for."""
        if self._newest_unread(now) is not None:
            return self._taken(self._unread.pop(), now)
        due, read_class = self._longest_due(now, stretch)
        return self._taken(heapq.heappop(self._queues[read_class]), min(due, now)) if due < math.inf else None

    def reschedule(self, target: TargetId, now: float, wait: Wait, stretch: IntervalFactors) -> float:
        """Queue a target again after its read; returns when it is due."""
        entry = self._entries.get(target)
        if entry is None:
            return math.inf
        if wait.read_class is not entry.read_class:
            self.class_counts[entry.read_class] -= 1
            self.class_counts[wait.read_class] += 1
            # After a backoff its turns count from now: with its old ones, the next would come too early.
            entry.place = now if entry.read_class is ReadClass.BACKOFF else None
            entry.read_class = wait.read_class
        entry.wait, entry.overdue_since = wait.seconds, math.inf
        entry.due = self._turn_before(entry, now, wait.seconds * stretch.get(wait.read_class, 1.0)) + wait.seconds
        latest = now + min(wait.at_most, entry.again)
        entry.asked_at = now if entry.asked else entry.asked_at
        entry.asked, entry.ask_again, entry.again = entry.ask_again, False, math.inf
        if entry.due > latest:
            entry.due, entry.wait = latest, 0.0
        self._queue(target, entry)
        return entry.due

    def next_due(self) -> float:
        """When the next target that waits is due as configured; infinity when none waits."""
        heads = [(self._head(self._queues[read_class]), -math.inf) for read_class in (None, *_LIVE)]
        heads += [(self._head(self._asked), -math.inf), (self._head(self._queues[ReadClass.REREAD]), self._reread_from)]
        due = min((max(entry.due, earliest) for entry, earliest in heads if entry is not None), default=math.inf)
        return min(due, self._oldest_unread(-math.inf))

    def put_back(self, target: TargetId) -> None:
        """Put a target back unread, where it was in its queue."""
        if (entry := self._entries.get(target)) is not None:
            self._back(target, entry)

    def put_off(self, target: TargetId, due: float) -> None:
        """Put a target back unread, until `due`."""
        if (entry := self._entries.get(target)) is not None:
            entry.due, entry.wait, entry.number, entry.asked = due, 0.0, next(self._numbers), False
            self._back(target, entry)

    def make_due(self, target: TargetId, now: float) -> None:
        """End a target's wait, within its read class; a read in flight may have begun too early to count."""
        entry = self._entries.get(target)
        if entry is not None and not entry.queued:
            entry.again = 0.0
        elif entry is not None and entry.due > now and not entry.asked:
            self._make_due(target, entry, now)

    def prioritize(self, target: TargetId, now: float, gap: float) -> None:
        """Read it before the others, `gap` seconds after the last read that was asked for at the soonest.

        A read in flight may have come too early to count.
        """
        entry = self._entries.get(target)
        if entry is None:
            return
        if not entry.queued:
            entry.again, entry.ask_again = gap if entry.asked else 0.0, True
        elif not entry.asked:
            entry.asked, entry.due, entry.wait = True, max(now, entry.asked_at + gap), 0.0
            self._queue(target, entry)

    def spread(self, now: float, periods: Mapping[ReadClass, float], at_once: int, app_id: str | None = None) -> None:
        """After an outage: targets that were due in it, or put off, are read at their next turns, within one interval.

        The `at_once` that have been overdue longest, over all outages since their last read, are read without delay, as
        are those that were never read.
        """
        overdue: list[tuple[float, TargetId]] = []
        for target, entry in self._entries.items():
            if not entry.queued or entry.asked or app_id not in (None, target.app_id):
                continue
            if entry.read_class is None and entry.due > now:
                self._make_due(target, entry, now)
            elif entry.read_class in _PLACED and (entry.due <= now or not entry.wait):
                entry.overdue_since = min(entry.overdue_since, entry.due)
                overdue.append((entry.overdue_since, target))
        for _, target in sorted(overdue)[at_once:]:
            entry = self._entries[target]
            period = periods[entry.read_class or ReadClass.NORMAL]
            entry.due, entry.wait = self._turn_before(entry, now, period) + period, period
            self._queue(target, entry)
        self._sweep()

    def rescale(self, now: float, ratios: Mapping[ReadClass, float]) -> None:
        """A read class's waits have become `ratio` times what they were: each waiting target keeps its part of them."""
        for target, entry in self._entries.items():
            if entry.queued and not entry.asked and entry.read_class is not None:
                ratio = ratios.get(entry.read_class, 1.0)
                entry.wait *= ratio
                entry.due = entry.place = now + (entry.due - now) * (ratio if entry.due > now else 1.0)
                self._queue(target, entry)
        self._sweep()

    def lateness(self, now: float, stretch: IntervalFactors) -> float:
        """For how many seconds the longest waiting target that was read before has been due."""
        return max(0.0, now - self._longest_due(now, stretch)[0])

    def oldest_due(self, now: float, stretch: IntervalFactors) -> float | None:
        """Since when the longest waiting target has been due; None when nothing is."""
        asked = self._head(self._asked)
        first_asked = math.inf if asked is None else asked.due
        due = min(self._longest_due(now, stretch)[0], self._oldest_unread(now), first_asked)
        return due if due <= now else None

    def next_read(self, target: TargetId, stretch: IntervalFactors) -> tuple[ReadClass | None, float | None] | None:
        """Return a target's read class and due time, as stretched; no time while it is read, None if not queued."""
        entry = self._entries.get(target)
        if entry is None:
            return None
        factor = 1.0 if entry.read_class is None else stretch.get(entry.read_class, 1.0)
        return entry.read_class, entry.due + entry.wait * (factor - 1.0) if entry.queued else None

    def _turn_before(self, entry: _Entry, now: float, period: float) -> float:
        """Its latest turn up to now, from which the next wait counts; what is whole periods late is not made up for."""
        if entry.read_class not in _PLACED or period <= 0.0:
            return now
        if entry.place is None:
            entry.place = entry.share * period
        return now - (now - entry.place) % period

    def _make_due(self, target: TargetId, entry: _Entry, now: float) -> None:
        entry.due, entry.wait = now, 0.0
        self._queue(target, entry)

    def _back(self, target: TargetId, entry: _Entry) -> None:
        if entry.asked:
            self._asked_came_last = False  # its turn was not used
        elif entry.read_class is ReadClass.REREAD:
            self._reread_from = -math.inf
        self._push(target, entry)

    def _queue(self, target: TargetId, entry: _Entry) -> None:
        entry.number = next(self._numbers)
        self._push(target, entry)

    def _push(self, target: TargetId, entry: _Entry) -> None:
        entry.queued = True
        queue = self._asked if entry.asked else self._queues[entry.read_class]
        heapq.heappush(queue, (entry.due, entry.number, target))

    def _taken(self, item: _Item, due: float) -> TargetId:
        target = item[2]
        entry = self._entries[target]
        entry.queued = False
        if entry.wait:
            entry.place = due
        return target

    def _longest_due(self, now: float, stretch: IntervalFactors) -> tuple[float, ReadClass]:
        """The first stretched due time of those whose configured wait is over, and its read class; infinity without."""
        first, number, of = math.inf, 0, ReadClass.NORMAL
        for read_class in _LIVE:
            entry = self._head(self._queues[read_class])
            if entry is not None and entry.due <= now:
                due = entry.due + entry.wait * (stretch.get(read_class, 1.0) - 1.0)
                if (due, entry.number) < (first, number):
                    first, number, of = due, entry.number, read_class
        return first, of

    def _newest_unread(self, now: float) -> _Entry | None:
        coming = self._queues[None]
        while (first := self._head(coming)) is not None and first.due <= now:
            self._unread.append(heapq.heappop(coming))
        while self._unread:
            if (entry := self._alive(self._unread[-1])) is not None:
                return entry
            self._unread.pop()
        return None

    def _oldest_unread(self, now: float) -> float:
        """Targets went onto the stack as they fell due, so the lowest has waited longest."""
        self._newest_unread(now)
        while self._unread:
            if (entry := self._alive(self._unread[0])) is not None:
                return entry.due
            self._unread.popleft()
        return math.inf

    def _head(self, queue: list[_Item]) -> _Entry | None:
        while queue:
            if (entry := self._alive(queue[0])) is not None:
                return entry
            heapq.heappop(queue)
        return None

    def _alive(self, item: _Item) -> _Entry | None:
        entry = self._entries.get(item[2])
        return entry if entry is not None and entry.queued and entry.number == item[1] else None

    def _sweep(self) -> None:
        """Drop every dead item, wherever it lies."""
        self._unread = deque(item for item in self._unread if self._alive(item))
        for queue in (self._asked, *self._queues.values()):
            queue[:] = [item for item in queue if self._alive(item)]
            heapq.heapify(queue)
