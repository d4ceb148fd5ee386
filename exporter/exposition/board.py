"""The board: the rendered series of every task, and how many tasks there are of each kind.

A read puts a task's text up; a scrape takes all texts down at once. A task's texts are one tuple, replaced whole, so
that no scrape can see half of one read and half of another.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from threading import Lock
from typing import NamedTuple

from exporter.exposition.family import TaskFamily
from exporter.exposition.render import render
from exporter.exposition.seats import Seats
from exporter.model.known import Known
from exporter.model.target import TargetId


class Place(NamedTuple):
    """Under which labels a task counts in `webcast_tasks`."""

    account: str
    app_id: str
    standing: str


class Board:
    """The tasks as they are shown. Safe for threads.

    `lookup` gives what is known of a target now, for one that gets its series later than its read (`max_tasks`).
    """

    def __init__(
        self, families: Sequence[TaskFamily], max_tasks: int, lookup: Callable[[TargetId], Known | None]
    ) -> None:
        self._families = tuple(families)
        self._lookup = lookup
        self._lock = Lock()
        self._seats = Seats(max_tasks)
        self._texts: dict[TargetId, tuple[bytes, ...]] = {}
        self._places: dict[TargetId, Place] = {}
        self._counts: Counter[Place] = Counter()

    def show(self, known: Known) -> None:
        """Put up what is known of a task."""
        target = known.target.id
        with self._lock:
            self._count(target, Place(known.target.account, target.app_id, known.standing))
            moved = self._seats.take(known)
            self._draw(target, known)
            self._redraw(moved)

    def hide(self, target: TargetId) -> None:
        """Take a task down; it is in no later scrape."""
        with self._lock:
            self._count(target, None)
            moved = self._seats.leave(target)
            self._draw(target, None)
            self._redraw(moved)

    def reconfigure(self, families: Sequence[TaskFamily], max_tasks: int) -> None:
        """Draw every task anew, after a reload has changed which families or how many tasks are shown."""
        with self._lock:
            self._families = tuple(families)
            self._texts = {}
            self._seats.limit = max_tasks
            self._redraw(self._places)

    def texts(self) -> tuple[Sequence[TaskFamily], list[tuple[bytes, ...]]]:
        """The families, and all tasks' texts at this moment, each in the families' order."""
        with self._lock:
            return self._families, list(self._texts.values())

    def counts(self) -> Mapping[Place, int]:
        """How many tasks count where; a place that was once used stays, at zero."""
        with self._lock:
            return dict(self._counts)

    def without_series(self) -> int:
        """Tasks beyond `max_tasks`."""
        with self._lock:
            return self._seats.waiting

    def _count(self, target: TargetId, place: Place | None) -> None:
        before = self._places.pop(target, None)
        if before is not None:
            self._counts[before] -= 1
        if place is not None:
            self._counts[place] += 1
            self._places[target] = place

    def _redraw(self, targets: Iterable[TargetId]) -> None:
        for target in targets:
            self._draw(target, self._lookup(target))

    def _draw(self, target: TargetId, known: Known | None) -> None:
        if known is not None and self._seats.has(target):
            self._texts[target] = render(known, self._families)
        else:
            self._texts.pop(target, None)
