"""The rendered series of every task, and how many tasks count under which labels.

A read renders the families that it changed; a scrape takes a snapshot of all texts. Both hold one lock, so that no
scrape mixes two reads of one task.
"""

from bisect import bisect_left, insort
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from threading import Lock
from typing import NamedTuple

from exporter.enums import Severity
from exporter.metrics.families import TaskFamily, escaped
from exporter.model.target import TargetId
from exporter.model.task_state import DisplayStatus, TaskState, ended_at

Texts = tuple[bytes, ...]
"""One task's lines, a text per family, empty where it has no sample."""


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
    """Every task as it is shown. Thread-safe.

    `lookup` returns the current state of a target that gets its series later than its read (`max_tasks`).
    """

    def __init__(
        self, families: Sequence[TaskFamily], max_tasks: int, lookup: Callable[[TargetId], TaskState | None]
    ) -> None:
        self._families = tuple(families)
        self._lookup = lookup
        self._lock = Lock()
        self._limit = SeriesLimit(max_tasks)
        self._texts: dict[TargetId, Texts] = {}
        self._rendered: dict[TargetId, TaskState] = {}  # what each task's texts were made from
        self._counted: dict[TargetId, tuple[TaskCountKey, tuple[ProblemCountKey, ...]]] = {}
        self._counts: Counter[TaskCountKey] = Counter()
        self._problem_counts: Counter[ProblemCountKey] = Counter()

    def show(self, state: TaskState) -> None:
        """Show a task in its current state."""
        target = state.target.id
        with self._lock:
            self._count(target, state)
            moved = self._limit.put(state)
            self._render(target, state)
            self._render_all(moved)

    def hide(self, target: TargetId) -> None:
        """Remove a task's series and counts."""
        with self._lock:
            self._count(target, None)
            moved = self._limit.remove(target)
            self._render(target, None)
            self._render_all(moved)

    def reconfigure(self, families: Sequence[TaskFamily], max_tasks: int) -> None:
        """Render every task again if other families or another number of tasks are to be shown."""
        with self._lock:
            if (tuple(families), max_tasks) == (self._families, self._limit.limit):
                return
            self._families = tuple(families)
            self._texts, self._rendered = {}, {}
            self._limit.limit = max_tasks
            self._render_all(self._counted)

    def snapshot(self) -> tuple[Sequence[TaskFamily], list[Texts]]:
        """The families, and every task's texts at this moment."""
        with self._lock:
            return self._families, list(self._texts.values())

    def counts(self) -> Mapping[TaskCountKey, int]:
        """How many tasks count under which labels; labels that were once used stay, at zero."""
        with self._lock:
            return dict(self._counts)

    def problem_counts(self) -> Mapping[ProblemCountKey, int]:
        """How many tasks have which problem."""
        with self._lock:
            return dict(self._problem_counts)

    def close_apps(self, keep: Collection[str]) -> None:
        """Drop the zero counts of all apps but these."""
        with self._lock:
            self._counts = Counter({key: count for key, count in self._counts.items() if count or key.app_id in keep})
            self._problem_counts = Counter({key: count for key, count in self._problem_counts.items() if count})

    def without_series(self) -> int:
        """Tasks beyond `max_tasks`."""
        with self._lock:
            return self._limit.without_series

    def has_series(self, target: TargetId) -> bool:
        """Whether the next scrape shows the target."""
        with self._lock:
            return target in self._rendered

    def _count(self, target: TargetId, state: TaskState | None) -> None:
        if target in self._counted:
            status, problems = self._counted.pop(target)
            self._counts[status] -= 1
            self._problem_counts.subtract(problems)
        if state is not None:
            account, app_id = state.target.account, target.app_id
            status = TaskCountKey(account, app_id, state.display_status)
            problems = tuple([ProblemCountKey(account, app_id, active.problem) for active in state.problems])
            self._counts[status] += 1
            self._problem_counts.update(problems)
            self._counted[target] = status, problems

    def _render_all(self, targets: Iterable[TargetId]) -> None:
        for target in targets:
            self._render(target, self._lookup(target))

    def _render(self, target: TargetId, state: TaskState | None) -> None:
        if state is None or not self._limit.allows(target):
            self._texts.pop(target, None)
            self._rendered.pop(target, None)
            return
        before = self._rendered.get(target)
        if before is None:
            self._texts[target] = render(state, self._families)
        else:
            self._texts[target] = render_changed(state, before, self._texts[target], self._families)
        self._rendered[target] = state


def render(state: TaskState, families: Sequence[TaskFamily]) -> Texts:
    """One text per family, all from the same state of the same target."""
    target = [escaped(value) for value in state.target.id]
    return tuple([row.text(state, target) for row in families])


def render_changed(state: TaskState, before: TaskState, texts: Texts, families: Sequence[TaskFamily]) -> Texts:
    """Render a task's texts, keeping those of `texts` that are the same as for the state `before`."""
    dependencies = {row.depends_on for row in families}
    changed = {depends_on for depends_on in dependencies if depends_on(state) != depends_on(before)}
    if not changed:
        return texts
    target = [escaped(value) for value in state.target.id]
    rows = zip(families, texts, strict=True)
    return tuple([row.text(state, target) if row.depends_on in changed else text for row, text in rows])


class _Position(NamedTuple):
    """The place of a task in the order; the smallest come first.

    `order` of an ended task is minus its end's time. Any other keeps its position while its rank stays: a task that is
    new in a rank or rises to it comes last, one that falls to it comes first, so that equals never push each other out.
    """

    rank: int
    order: float
    target: TargetId


class SeriesLimit:
    """Which tasks have series when there are more than `metrics.max_tasks`; all are read and counted all the same.

    All tasks are kept in one order, and the first `limit` have series: first the failed, the running and those with a
    critical problem, then those that may still run, then the ended ones, the longest ended last.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._order: list[_Position] = []
        self._positions: dict[TargetId, _Position] = {}
        self._arrivals = 0

    @property
    def without_series(self) -> int:
        """How many tasks are beyond the limit."""
        return max(0, len(self._order) - self.limit)

    def allows(self, target: TargetId) -> bool:
        """Whether the target has series."""
        position = self._positions.get(target)
        return position is not None and bisect_left(self._order, position) < self.limit

    def put(self, state: TaskState) -> list[TargetId]:
        """Move the task to where it now belongs; returns the other whose series come or go with that, if any."""
        return self._move(state.target.id, self._position(state))

    def remove(self, target: TargetId) -> list[TargetId]:
        """Drop the target; returns the task that gets series in its place, if any."""
        return self._move(target, None)

    def _position(self, state: TaskState) -> _Position:
        target, rank = state.target.id, _rank(state)
        before = self._positions.get(target)
        if rank == _ENDED_RANK:
            return _Position(rank, -ended_at(state), target)
        if before is not None and before.rank == rank:
            return before
        self._arrivals += 1
        falls = before is not None and before.rank < rank
        return _Position(rank, -self._arrivals if falls else self._arrivals, target)

    def _move(self, target: TargetId, to: _Position | None) -> list[TargetId]:
        before = self._positions.get(target)
        if to == before:
            return []
        had = self.allows(target)
        if before is not None:
            del self._order[bisect_left(self._order, self._positions.pop(target))]
        if to is not None:
            insort(self._order, to)
            self._positions[target] = to
        has = self.allows(target)
        edge = self.limit if has else self.limit - 1
        return [] if had == has else [position.target for position in self._order[edge : edge + 1]]


_ENDED_RANK = 2
_FIRST = (DisplayStatus.FAILED, DisplayStatus.RUNNING)


def _rank(state: TaskState) -> int:
    if state.display_status in _FIRST or (state.problems and state.problems[0].severity is Severity.CRITICAL):
        return 0
    return _ENDED_RANK if state.display_status is DisplayStatus.ENDED else 1
