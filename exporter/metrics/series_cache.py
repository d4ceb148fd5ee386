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


class ProblemCountKey(NamedTuple):
    """Under which labels a task counts in `webcast_problem_tasks`."""

    account: str
    app_id: str
    problem: str


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
        self._places: dict[TargetId, tuple[TaskCountKey, tuple[ProblemCountKey, ...]]] = {}
        self._counts: Counter[TaskCountKey] = Counter()
        self._problem_counts: Counter[ProblemCountKey] = Counter()

    def show(self, known: TaskState) -> None:
        """Put up what is known of a task."""
        target = known.target.id
        with self._lock:
            self._count(target, known)
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

    def problem_counts(self) -> Mapping[ProblemCountKey, int]:
        """How many tasks have which problem."""
        with self._lock:
            return dict(self._problem_counts)

    def without_series(self) -> int:
        """Tasks beyond `max_tasks`."""
        with self._lock:
            return self._seats.waiting

    def has_series(self, target: TargetId) -> bool:
        """Whether the next scrape shows the target."""
        with self._lock:
            return target in self._drawn

    def _count(self, target: TargetId, known: TaskState | None) -> None:
        if target in self._places:
            status, problems = self._places.pop(target)
            self._counts[status] -= 1
            self._problem_counts.subtract(problems)
        if known is not None:
            account, app_id = known.target.account, target.app_id
            status = TaskCountKey(account, app_id, known.display_status)
            problems = tuple([ProblemCountKey(account, app_id, active.problem) for active in known.problems])
            self._counts[status] += 1
            self._problem_counts.update(problems)
            self._places[target] = status, problems

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
