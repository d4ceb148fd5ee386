"""Who has series when there are more tasks than `metrics.max_tasks`.

Every task is read and counted all the same. Failed and running tasks keep their seats; a seat for one that has none
comes from the longest stopped, then from the others that are neither failed nor running.
"""

from exporter.model.known import Known, Standing
from exporter.model.target import TargetId

Rank = int
_RANKS: dict[Standing, Rank] = {Standing.ENDED: 0, Standing.FAILED: 2, Standing.RUNNING: 2}
_KEEPS: Rank = 2
_RANK_OF_OTHERS: Rank = 1


class Seats:
    """At most `limit` seats; dicts stand in for ordered sets, oldest first, one for each rank."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._seated: tuple[dict[TargetId, None], ...] = ({}, {}, {})
        self._waiting: tuple[dict[TargetId, None], ...] = ({}, {}, {})
        self._rank: dict[TargetId, Rank] = {}

    @property
    def waiting(self) -> int:
        """How many have no seat."""
        return sum(map(len, self._waiting))

    def take(self, known: Known) -> list[TargetId]:
        """Seat the target if it can be; returns all whose seat was taken or given: ask `has` for each."""
        target = known.target.id
        rank = _RANKS.get(known.standing, _RANK_OF_OTHERS)
        before = self._rank.get(target)
        if before == rank:
            return [target]
        seated = before is not None and target in self._seated[before]
        self._remove(target)
        self._rank[target] = rank
        if seated or self._free():
            self._seated[rank][target] = None
            return [target, *self._settle()]
        self._waiting[rank][target] = None
        return [target, *self._settle()]

    def leave(self, target: TargetId) -> list[TargetId]:
        """Give the seat up; returns those who got one."""
        self._remove(target)
        return self._settle()

    def has(self, target: TargetId) -> bool:
        """Whether the target has series."""
        rank = self._rank.get(target)
        return rank is not None and target in self._seated[rank]

    def _free(self) -> bool:
        return sum(map(len, self._seated)) < self.limit

    def _remove(self, target: TargetId) -> None:
        rank = self._rank.pop(target, None)
        if rank is not None:
            self._seated[rank].pop(target, None)
            self._waiting[rank].pop(target, None)

    def _settle(self) -> list[TargetId]:
        """Let the best of the waiting sit, on a free seat or on that of somebody of lower rank."""
        moved: list[TargetId] = []
        while (best := self._best_waiting()) is not None:
            victim = None if self._free() else self._victim(below=best)
            if victim is None and not self._free():
                break
            if victim is not None:
                self._move(victim, self._seated, self._waiting)
                moved.append(victim)
            comer = next(iter(self._waiting[best]))
            self._move(comer, self._waiting, self._seated)
            moved.append(comer)
        return moved

    def _best_waiting(self) -> Rank | None:
        return next((rank for rank in (_KEEPS, 1, 0) if self._waiting[rank]), None)

    def _victim(self, below: Rank) -> TargetId | None:
        return next((next(iter(self._seated[rank])) for rank in range(below) if self._seated[rank]), None)

    def _move(
        self, target: TargetId, source: tuple[dict[TargetId, None], ...], to: tuple[dict[TargetId, None], ...]
    ) -> None:
        rank = self._rank[target]
        del source[rank][target]
        to[rank][target] = None
