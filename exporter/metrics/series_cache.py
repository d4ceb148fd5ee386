"""The board: the rendered series of every task, and how many tasks there are of each kind.

A read puts up what it has changed of a task's text; a scrape takes all texts down at once. Both hold one lock, so that
no scrape can see half of one read and half of another.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from threading import Lock
from typing import NamedTuple

from exporter.metrics.family import TaskFamily
from exporter.metrics.render import render, render_changed
from exporter.metrics.series_limit import SeriesLimit
from exporter.metrics.shelves import Shelves
from exporter.model.target import TargetId
from exporter.model.task_state import TaskState


class TaskCountKey(NamedTuple):
    """Under which labels a task counts in `webcast_tasks`."""

    account: str
    app_id: str
    display_status: str


class SeriesCache:
    """The tasks as they are shown. Safe for threads.

    `lookup` gives what is known of a target now, for one that gets its series later than its read (`max_tasks`).
    """

    def __init__(
        self, families: Sequence[TaskFamily], max_tasks: int, lookup: Callable[[TargetId], TaskState | None]
    ) -> None:
        self._families = tuple(families)
        self._lookup = lookup
        self._lock = Lock()
        self._seats = SeriesLimit(max_tasks)
        self._shelves = Shelves(len(self._families))
        self._drawn: dict[TargetId, TaskState] = {}  # what each task's texts were made from
        self._places: dict[TargetId, TaskCountKey] = {}
        self._counts: Counter[TaskCountKey] = Counter()

    def show(self, known: TaskState) -> None:
        """Put up what is known of a task."""
        target = known.target.id
        with self._lock:
            self._count(target, TaskCountKey(known.target.account, target.app_id, known.display_status))
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
            self._shelves = Shelves(len(self._families))
            self._drawn = {}
            self._seats.limit = max_tasks
            self._redraw(self._places)

    def columns(self) -> tuple[Sequence[TaskFamily], list[list[bytes]]]:
        """The families, and for each of them all tasks' texts at this moment, in pieces."""
        with self._lock:
            return self._families, self._shelves.columns()

    def counts(self) -> Mapping[TaskCountKey, int]:
        """How many tasks count where; a place that was once used stays, at zero."""
        with self._lock:
            return dict(self._counts)

    def without_series(self) -> int:
        """Tasks beyond `max_tasks`."""
        with self._lock:
            return self._seats.waiting

    def has_series(self, target: TargetId) -> bool:
        """Whether the next scrape shows the target."""
        with self._lock:
            return target in self._drawn

    def _count(self, target: TargetId, place: TaskCountKey | None) -> None:
        before = self._places.pop(target, None)
        if before is not None:
            self._counts[before] -= 1
        if place is not None:
            self._counts[place] += 1
            self._places[target] = place

    def _redraw(self, targets: Iterable[TargetId]) -> None:
        for target in targets:
            self._draw(target, self._lookup(target))

    def _draw(self, target: TargetId, known: TaskState | None) -> None:
        before = self._drawn.get(target)
        if known is None or not self._seats.has(target):
            self._shelves.remove(target)
            self._drawn.pop(target, None)
            return
        if before is None:
            texts = dict(enumerate(render(known, self._families)))
        else:
            texts = render_changed(known, before, self._families)
        self._shelves.put(target, texts)
        self._drawn[target] = known
