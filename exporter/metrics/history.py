"""What is remembered of each task's last reads and changes, for a person who asks why; bounded over all tasks together.

Failures are kept apart from successes, so that no good read pushes a bad one out of sight.
"""

from collections import deque
from collections.abc import Iterable
from struct import Struct
from threading import Lock
from typing import Generic, NamedTuple, TypeVar

from exporter.enums import ReadFailure, StopReason
from exporter.model.read_result import ReadResult
from exporter.model.target import TargetId
from exporter.model.task_state import DisplayStatus, TaskState

SUCCESSES_EACH = 5
FAILURES_EACH, MOST_FAILURES = 20, 5_000
CHANGES_EACH, MOST_CHANGES = 12, 20_000
LONGEST_SENTENCE = 300

FEW = 100
"""So many marks that count no more are not worth a sweep."""

PACKED = Struct("<df")
"""A success: Unix seconds and how long it took. Packed, those of 20,000 tasks are 3 MB."""

Entry = TypeVar("Entry")


class Read(NamedTuple):
    """One read: when it was over (Unix seconds), how many seconds it took, and what it failed for."""

    at: float
    elapsed: float
    failure: ReadFailure | None = None
    sentence: str = ""


class Change(NamedTuple):
    """A task came to count as something else, at Unix seconds; `reason` is why it stopped, if it did."""

    at: float
    before: DisplayStatus
    after: DisplayStatus
    reason: StopReason | None = None


class TaskHistory(NamedTuple):
    """What is remembered of one task, the latest first."""

    reads: tuple[Read, ...] = ()
    changes: tuple[Change, ...] = ()


class Log(Generic[Entry]):
    """The latest entries of each task: `each` at most, `most` of all tasks together; the oldest of all goes first."""

    def __init__(self, each: int, most: int) -> None:
        self._each = each
        self._most = most
        self._kept: dict[TargetId, tuple[tuple[int, Entry], ...]] = {}
        self._order: deque[tuple[int, TargetId]] = deque()
        self._number = 0
        self._size = 0

    def __len__(self) -> int:
        """How many there are of all tasks."""
        return self._size

    def add(self, target: TargetId, entry: Entry) -> None:
        """One more of a task."""
        self._number += 1
        before = self._kept.get(target, ())
        self._kept[target] = after = (*before, (self._number, entry))[-self._each :]
        self._size += len(after) - len(before)
        self._order.append((self._number, target))
        while self._size > self._most:
            self._drop(*self._order.popleft())
        self._sweep()

    def forget(self, target: TargetId) -> None:
        """Drop all of one task."""
        self._size -= len(self._kept.pop(target, ()))
        self._sweep()

    def latest_first(self, target: TargetId) -> list[Entry]:
        """Those of one task."""
        return [entry for _, entry in reversed(self._kept.get(target, ()))]

    def _sweep(self) -> None:
        """Drop the marks of what is gone, before they are more than those that count."""
        if len(self._order) > 2 * self._size + FEW:
            self._order = deque(mark for mark in self._order if self._alive(*mark))

    def _alive(self, number: int, target: TargetId) -> bool:
        kept = self._kept.get(target)
        return kept is not None and kept[0][0] <= number

    def _drop(self, number: int, target: TargetId) -> None:
        if not self._alive(number, target):
            return
        rest = self._kept.pop(target)[1:]
        if rest:
            self._kept[target] = rest
        self._size -= 1


class History:
    """The logs of all tasks. Safe for threads."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._successes: dict[TargetId, bytes] = {}
        self._failures: Log[Read] = Log(FAILURES_EACH, MOST_FAILURES)
        self._changes: Log[Change] = Log(CHANGES_EACH, MOST_CHANGES)

    def read(self, reading: ReadResult) -> None:
        """Take one read in."""
        error = reading.error
        with self._lock:
            if error is None:
                packed = self._successes.get(reading.target, b"") + PACKED.pack(reading.at, reading.elapsed)
                self._successes[reading.target] = packed[-SUCCESSES_EACH * PACKED.size :]
            else:
                sentence = str(error)[:LONGEST_SENTENCE]
                self._failures.add(reading.target, Read(reading.at, reading.elapsed, error.failure, sentence))

    def changed(self, before: TaskState, after: TaskState, at: float) -> None:
        """Take in that a task counts as something else. What it was before its first read is no news."""
        if before.display_status is after.display_status or before.display_status is DisplayStatus.UNREAD:
            return
        reason = after.run.stopped if after.run and after.run.end_seen is not None else None
        with self._lock:
            self._changes.add(after.target.id, Change(at, before.display_status, after.display_status, reason))

    def forget(self, targets: Iterable[TargetId]) -> None:
        """These are read no more."""
        with self._lock:
            for target in targets:
                self._successes.pop(target, None)
                self._failures.forget(target)
                self._changes.forget(target)

    def of(self, target: TargetId) -> TaskHistory:
        """What is remembered of one task."""
        with self._lock:
            good = [Read(at, elapsed) for at, elapsed in PACKED.iter_unpack(self._successes.get(target, b""))]
            reads = sorted([*good, *self._failures.latest_first(target)], key=_when, reverse=True)
            return TaskHistory(tuple(reads), tuple(self._changes.latest_first(target)))


def _when(read: Read) -> float:
    return read.at
