"""The latest reads and status changes of each task, in memory, for the task's page and `explain`.

Bounded over all tasks together. Failures have a limit of their own, so that a success never displaces a failure.
"""

from collections import OrderedDict
from collections.abc import Iterable
from operator import attrgetter
from struct import Struct
from threading import Lock
from typing import Generic, NamedTuple, TypeVar

from exporter.enums import ReadFailure, StopReason
from exporter.model.target import TargetId
from exporter.model.task import ReadResult
from exporter.model.task_state import DisplayStatus, TaskState

SUCCESSES_EACH = 5
FAILURES_EACH, MAX_FAILURES = 20, 5_000
CHANGES_EACH, MAX_CHANGES = 12, 20_000
MAX_ERROR_LENGTH = 300

PACKED = Struct("<df")
"""A success: Unix seconds, and the duration in seconds. Packed, those of 20,000 tasks take 3 MB."""

Entry = TypeVar("Entry")


class ReadRecord(NamedTuple):
    """One read: when it ended (Unix seconds), its duration in seconds, and its failure with the error's text."""

    at: float
    elapsed: float
    failure: ReadFailure | None = None
    error: str = ""


class StatusRecord(NamedTuple):
    """A task's display status changed, at Unix seconds; `reason` is why it stopped, if it did."""

    at: float
    before: DisplayStatus
    after: DisplayStatus
    reason: StopReason | None = None


class TaskHistory(NamedTuple):
    """The history of one task, the latest first."""

    reads: tuple[ReadRecord, ...] = ()
    changes: tuple[StatusRecord, ...] = ()


class BoundedLog(Generic[Entry]):
    """The latest entries of each task: at most `each` of one and `total` of all; the oldest of all goes first."""

    def __init__(self, each: int, total: int) -> None:
        self._each = each
        self._total = total
        self._count = 0
        self._entries: OrderedDict[int, tuple[TargetId, Entry]] = OrderedDict()
        self._numbers: dict[TargetId, list[int]] = {}  # short ones, for which a deque is large

    def __len__(self) -> int:
        """Entries of all tasks."""
        return len(self._entries)

    def add(self, target: TargetId, entry: Entry) -> None:
        """Add an entry of a task."""
        self._count += 1
        self._entries[self._count] = target, entry
        numbers = self._numbers.setdefault(target, [])
        numbers.append(self._count)
        if len(numbers) > self._each:
            del self._entries[numbers.pop(0)]
        while len(self._entries) > self._total:
            _, (owner, _) = self._entries.popitem(last=False)
            self._numbers[owner].pop(0)
            if not self._numbers[owner]:
                del self._numbers[owner]

    def forget(self, target: TargetId) -> None:
        """Drop the entries of one task."""
        for number in self._numbers.pop(target, ()):
            del self._entries[number]

    def latest_first(self, target: TargetId) -> list[Entry]:
        """The entries of one task."""
        return [self._entries[number][1] for number in reversed(self._numbers.get(target, ()))]


class HistoryLog:
    """The history of all tasks. Thread-safe."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._successes: dict[TargetId, bytes] = {}
        self._failures: BoundedLog[ReadRecord] = BoundedLog(FAILURES_EACH, MAX_FAILURES)
        self._changes: BoundedLog[StatusRecord] = BoundedLog(CHANGES_EACH, MAX_CHANGES)

    def add_read(self, result: ReadResult) -> None:
        """Add one read."""
        error = result.error
        with self._lock:
            if error is None:
                packed = self._successes.get(result.target, b"") + PACKED.pack(result.at, result.elapsed)
                self._successes[result.target] = packed[-SUCCESSES_EACH * PACKED.size :]
            else:
                text = str(error)[:MAX_ERROR_LENGTH]
                self._failures.add(result.target, ReadRecord(result.at, result.elapsed, error.failure, text))

    def add_change(self, before: TaskState, after: TaskState, at: float) -> None:
        """Add a change of the display status; the first status after `unread` is none."""
        if before.display_status is after.display_status or before.display_status is DisplayStatus.UNREAD:
            return
        reason = after.run.stopped if after.run and after.run.end_seen is not None else None
        with self._lock:
            self._changes.add(after.target.id, StatusRecord(at, before.display_status, after.display_status, reason))

    def forget(self, targets: Iterable[TargetId]) -> None:
        """Drop the history of targets that are no longer read."""
        with self._lock:
            for target in targets:
                self._successes.pop(target, None)
                self._failures.forget(target)
                self._changes.forget(target)

    def of(self, target: TargetId) -> TaskHistory:
        """The history of one task."""
        with self._lock:
            good = [ReadRecord(at, elapsed) for at, elapsed in PACKED.iter_unpack(self._successes.get(target, b""))]
            reads = sorted([*good, *self._failures.latest_first(target)], key=attrgetter("at"), reverse=True)
            return TaskHistory(tuple(reads), tuple(self._changes.latest_first(target)))
