"""One account's round: which of its targets is read next.

Targets never read come first, newest first; then whoever has been due longest. Rereads of stopped targets have a
tenth of the calls and no more. A target that is being read is in no queue, so it cannot be read twice at once.
"""

import heapq
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count

from exporter.model.target import TargetId
from exporter.polling.intervals import Lane

REREAD_SHARE = 0.1
"""Rereads of stopped targets take at most this part of the budget."""

_PLACED = (Lane.FAST, Lane.NORMAL)
"""Lanes in which each target has a place of its own in the interval."""

GOLDEN = 0.6180339887498949
"""Multiples of it modulo 1 spread any number of targets evenly over an interval, whenever one comes or goes."""


_Heap = list[tuple[float, int, TargetId]]


@dataclass(slots=True)
class _Entry:
    due: float
    not_before: float
    lane: Lane | None = None
    """None = never read."""
    queued: bool = True


class Round:
    """The queues; times are monotonic seconds. Not safe for threads: its owner holds a lock.

    Never read: `_coming`, then, once due, the stack `_unread`. Read before: `_waiting`, or `_rereads` when stopped.
    An entry that moves leaves a dead place behind in its heap, which is dropped when it comes to the top.
    """

    def __init__(self) -> None:
        self._entries: dict[TargetId, _Entry] = {}
        self._coming: _Heap = []
        self._unread: list[TargetId] = []
        self._waiting: _Heap = []
        self._rereads: _Heap = []
        self._order = count()
        self._places = count(1)
        self._reread_from = 0.0
        self.lanes: Counter[Lane | None] = Counter()

    def __contains__(self, target: TargetId) -> bool:
        """Whether the target takes part, waiting or being read."""
        return target in self._entries

    def __iter__(self) -> Iterator[TargetId]:
        """Every target that takes part."""
        return iter(self._entries)

    def add(self, target: TargetId, due: float, lane: Lane | None = None) -> None:
        """A target begins to take part, not before `due`; a `lane` says that it was read before."""
        self.remove(target)
        self._entries[target] = entry = _Entry(due, due, lane)
        self.lanes[lane] += 1
        self._requeue(target, entry, due)

    def remove(self, target: TargetId) -> None:
        """It takes part no more; a read in flight ends by itself."""
        entry = self._entries.pop(target, None)
        if entry is not None:
            self.lanes[entry.lane] -= 1

    def take(self, now: float, budget: float) -> TargetId | None:
        """The target to read now, if any is due; it is then in no queue until `again`."""
        if self._reread_is_next(now):
            self._reread_from = now + 1.0 / (REREAD_SHARE * budget)
            return self._taken(heapq.heappop(self._rereads)[2])
        self._wake_unread(now)
        while self._unread:
            target = self._unread.pop()
            if self._never_read(target):
                return self._taken(target)
        self._drop_dead(self._waiting)
        if self._waiting and self._waiting[0][0] <= now:
            return self._taken(heapq.heappop(self._waiting)[2])
        return None

    def again(self, target: TargetId, now: float, lane: Lane, wait: float) -> None:
        """After a read: when it is due again. `wait` is the interval in force for it, in seconds."""
        entry = self._entries.get(target)
        if entry is None:
            return
        due = self._next_due(entry, now, lane, wait)
        self.lanes[entry.lane] -= 1
        self.lanes[lane] += 1
        entry.lane = lane
        self._requeue(target, entry, due)

    def put_back(self, target: TargetId) -> None:
        """Back into its queue where it was."""
        entry = self._entries.get(target)
        if entry is not None:
            self._requeue(target, entry, entry.due)

    def put_off(self, target: TargetId, due: float) -> None:
        """Back into its queue unread, until `due`."""
        entry = self._entries.get(target)
        if entry is not None:
            self._requeue(target, entry, due)

    def hurry(self, now: float, app_id: str | None = None) -> None:
        """Make every waiting live target due (of one app, if given), in the order in which they were due."""
        early = [
            (entry.due, target)
            for target, entry in self._entries.items()
            if entry.queued and entry.due > now and entry.lane is not Lane.REREAD and app_id in (None, target.app_id)
        ]
        for _, target in sorted(early):
            entry = self._entries[target]
            self._requeue(target, entry, max(now, entry.not_before))

    def rescale(self, now: float, ratio: float) -> None:
        """The interval has become `ratio` times what it was: each waiting target keeps its place in it."""
        for target, entry in self._entries.items():
            if entry.queued and entry.due > now and entry.lane in _PLACED:
                self._requeue(target, entry, now + (entry.due - now) * ratio)

    def oldest_due(self, now: float) -> float | None:
        """Since when the longest waiting target has been due; None when nothing is."""
        self._wake_unread(now)
        self._drop_dead(self._waiting)
        dues = [self._waiting[0][0]] if self._waiting else []
        dues += [entry.due for target in self._unread if (entry := self._never_read(target))]
        return min((due for due in dues if due <= now), default=None)

    def _next_due(self, entry: _Entry, now: float, lane: Lane, wait: float) -> float:
        if entry.lane is lane and lane in _PLACED:
            # It keeps its own place in the interval; what is a whole interval late is not made up for.
            return entry.due + wait if entry.due + wait > now else now + wait
        if lane in _PLACED and entry.lane in (None, Lane.FAST):
            return now + wait * (next(self._places) * GOLDEN % 1.0)
        return now + wait

    def _requeue(self, target: TargetId, entry: _Entry, due: float) -> None:
        entry.due, entry.queued = due, True
        queue = {None: self._coming, Lane.REREAD: self._rereads}.get(entry.lane, self._waiting)
        heapq.heappush(queue, (due, next(self._order), target))

    def _taken(self, target: TargetId) -> TargetId:
        self._entries[target].queued = False
        return target

    def _reread_is_next(self, now: float) -> bool:
        self._drop_dead(self._rereads)
        return bool(self._rereads) and self._rereads[0][0] <= now and self._reread_from <= now

    def _wake_unread(self, now: float) -> None:
        self._drop_dead(self._coming)
        while self._coming and self._coming[0][0] <= now:
            self._unread.append(heapq.heappop(self._coming)[2])
            self._drop_dead(self._coming)

    def _never_read(self, target: TargetId) -> _Entry | None:
        entry = self._entries.get(target)
        return entry if entry is not None and entry.queued and entry.lane is None else None

    def _drop_dead(self, queue: _Heap) -> None:
        """Forget the queue's first places as long as they are of targets gone, taken, or due at another time."""
        while queue:
            due, _, target = queue[0]
            entry = self._entries.get(target)
            if entry is not None and entry.queued and entry.due == due:
                return
            heapq.heappop(queue)
