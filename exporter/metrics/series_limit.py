"""Who has series when there are more tasks than `metrics.max_tasks`.

Every task is read and counted all the same. All of them stand in one row, and the first `limit` of it have seats:
failed and running tasks first, then those that may still run, then the ended ones, the longest ended last.
"""

from bisect import bisect_left, insort
from typing import NamedTuple

from exporter.model.target import TargetId
from exporter.model.task_state import DisplayStatus, TaskState

Rank = int
_RANKS: dict[DisplayStatus, Rank] = {DisplayStatus.FAILED: 0, DisplayStatus.RUNNING: 0, DisplayStatus.ENDED: 2}
_RANK_OF_OTHERS: Rank = 1


class Spot(NamedTuple):
    """Where a task stands in the row; the smallest comes first.

    `order` of an ended task is minus its end's time. Any other keeps its spot while its rank stays: who arrives in a
    rank or rises to it comes in last, who falls to it comes in first, so that nobody pushes out an equal.
    """

    rank: Rank
    order: float
    target: TargetId


class SeriesLimit:
    """At most `limit` seats, which may be changed at any time; 0 = nobody has one."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._row: list[Spot] = []
        self._spots: dict[TargetId, Spot] = {}
        self._turn = 0

    @property
    def waiting(self) -> int:
        """How many have no seat."""
        return max(0, len(self._row) - self.limit)

    def has(self, target: TargetId) -> bool:
        """Whether the target has a seat."""
        spot = self._spots.get(target)
        return spot is not None and bisect_left(self._row, spot) < self.limit

    def take(self, known: TaskState) -> list[TargetId]:
        """Let the target stand where it now belongs; returns the other whose seat came or went with that, if any."""
        return self._move(known.target.id, self._spot(known))

    def leave(self, target: TargetId) -> list[TargetId]:
        """Let the target go; returns who got its seat, if anyone."""
        return self._move(target, None)

    def _spot(self, known: TaskState) -> Spot:
        target = known.target.id
        rank = _RANKS.get(known.display_status, _RANK_OF_OTHERS)
        before = self._spots.get(target)
        if known.display_status is DisplayStatus.ENDED:
            return Spot(rank, -_ended_at(known), target)
        if before is not None and before.rank == rank:
            return before
        self._turn += 1
        falls = before is not None and before.rank < rank
        return Spot(rank, -self._turn if falls else self._turn, target)

    def _move(self, target: TargetId, to: Spot | None) -> list[TargetId]:
        before = self._spots.get(target)
        if to == before:
            return []
        had = self.has(target)
        if before is not None:
            del self._row[bisect_left(self._row, self._spots.pop(target))]
        if to is not None:
            insort(self._row, to)
            self._spots[target] = to
        has = self.has(target)
        edge = self.limit if has else self.limit - 1
        return [] if had == has else [spot.target for spot in self._row[edge : edge + 1]]


def _ended_at(known: TaskState) -> float:
    """Unix seconds; the end's first sight stands in for an EndTime that was not said."""
    end = known.task.end if known.task else None
    return (known.status_since or 0.0) if end is None else end
