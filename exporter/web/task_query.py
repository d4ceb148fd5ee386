"""Queries of URLs for tasks: reading their parameters, finding the tasks, and linking to other queries."""

import heapq
import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from enum import StrEnum
from typing import Any, NamedTuple, TypeVar
from urllib.parse import urlencode

from starlette.datastructures import QueryParams

from exporter.config.times import parse_time_or_duration
from exporter.discovery.merge import SOURCE_PRIORITY
from exporter.enums import Severity, Source, Status, TaskProblem
from exporter.model.problem import PROBLEMS
from exporter.model.task_state import (
    ActiveProblem,
    DisplayStatus,
    Lifetimes,
    TaskState,
    elapsed,
    ended_at,
    is_hidden,
)

PROBLEM = "problem"
"""As a status: every task with a problem."""

PAST = "past"
"""As a status: every stopped task whose linger is over."""

MAX_TEXT = 400
MAX_PAGE = 1_000_000


class QueryError(ValueError):
    """A query that cannot be answered; the text says what it could be."""


class Sort(StrEnum):
    """The order of tasks; with `-` before it, reversed."""

    PROBLEM = "problem"
    TASK = "task"
    STATUS = "status"
    SINCE = "since"
    ELAPSED = "elapsed"
    PAGE_EVENT = "page_event"
    LAST_READ = "last_read"
    SOURCE = "source"


class TaskQuery(NamedTuple):
    """Which tasks, in which order, and which page of them."""

    text: str = ""
    statuses: frozenset[str] = frozenset()
    with_problem: bool = False
    problem: TaskProblem | None = None
    account: str = ""
    app_id: str = ""
    source: Source | None = None
    sort: Sort = Sort.PROBLEM
    backwards: bool = False
    page: int = 1
    size: int = 50


Word = TypeVar("Word", bound=StrEnum)


def parse_task_query(params: QueryParams, sizes: tuple[int, int]) -> TaskQuery:
    """Read the parameters; `sizes` are the default and the largest size of a page."""
    words = [word for given in params.getlist("status") for word in given.split(",") if word]
    order = params.get("sort", "") or Sort.PROBLEM
    return TaskQuery(
        text=parse_text(params),
        statuses=frozenset(_status(word) for word in words if word != PROBLEM),
        with_problem=PROBLEM in words,
        problem=parse_word(TaskProblem, params["problem"], "problem") if params.get("problem") else None,
        account=params.get("account", "")[:MAX_TEXT],
        app_id=params.get("app_id", "")[:MAX_TEXT],
        source=parse_word(Source, params["source"], "source") if params.get("source") else None,
        sort=parse_word(Sort, order.removeprefix("-"), "sort"),
        backwards=order.startswith("-"),
        page=parse_number(params, "page", 1, MAX_PAGE),
        size=parse_number(params, "size", *sizes),
    )


def _status(word: str) -> str:
    return word if word == PAST else parse_word(DisplayStatus, word, "status", (PROBLEM, PAST))


def parse_text(params: QueryParams) -> str:
    """The text filter `q`; QueryError when it is longer than anything it could be part of."""
    text = params.get("q", "").strip()
    if len(text) > MAX_TEXT:
        raise QueryError(f"q must be at most {MAX_TEXT} characters")
    return text


def parse_word(words: type[Word], word: str, name: str, more: Iterable[str] = ()) -> Word:
    """One word of a set; QueryError lists the set."""
    try:
        return words(word)
    except ValueError:
        raise QueryError(f"{name} must be one of: {', '.join((*words, *more))}") from None


def parse_number(params: QueryParams, name: str, default: int, largest: int) -> int:
    """A whole number from 1 to `largest`."""
    given = params.get(name, "")
    if not given:
        return default
    if given.isascii() and given.isdecimal() and len(given) <= len(str(largest)) and 1 <= int(given) <= largest:
        return int(given)
    raise QueryError(f"{name} must be a whole number from 1 to {largest}")


def parse_moment(params: QueryParams, name: str, now: float) -> float | None:
    """A time: RFC 3339, Unix seconds, or a duration such as 24h for so long ago; None when it is not given."""
    given = params.get(name, "").strip()
    if not given:
        return None
    try:
        return parse_time_or_duration(given, now)
    except ValueError as error:
        raise QueryError(f"{name} {error}") from None


def link(path: str, params: Mapping[str, str | int], **changes: str | int) -> str:
    """A link to `path` with changed parameters, empty ones left out; all but a change of page begin at page 1."""
    merged = {**params, **changes}
    if "page" not in changes:
        merged.pop("page", None)
    given = urlencode({name: value for name, value in merged.items() if value not in ("", None)})
    return f"{path}?{given}" if given else path


def params_of(query: TaskQuery, status: str) -> dict[str, str | int]:
    """The parameters of a query; `status` as it was written."""
    order = ("-" if query.backwards else "") + query.sort
    return {
        "q": query.text,
        "status": status,
        "problem": query.problem or "",
        "account": query.account,
        "app_id": query.app_id,
        "source": query.source or "",
        "sort": "" if order == Sort.PROBLEM else order,
        "page": query.page if query.page > 1 else "",
        "size": query.size if query.size != TaskQuery().size else "",
    }


class TaskRow(NamedTuple):
    """A task with its problems, the worst first; `past` = its series are gone, and so are its problems."""

    state: TaskState
    past: bool
    problems: tuple[ActiveProblem, ...]

    @property
    def status(self) -> str:
        """The task's status in `webcast_tasks`; `past` once it counts no more."""
        return PAST if self.past else self.state.display_status

    @property
    def problem(self) -> ActiveProblem | None:
        """The worst problem."""
        return self.problems[0] if self.problems else None

    @property
    def since(self) -> float | None:
        """Since when it has its status, by the vendor's clock where the vendor says it (Unix seconds)."""
        state, task = self.state, self.state.task
        if task is None:
            return state.last_success if state.not_found_since is None else state.not_found_since
        if task.stopped:
            return ended_at(state)
        started = task.start if task.status is Status.RUNNING else None
        return state.status_since if started is None else started


def make_row(state: TaskState, now: float, lifetimes: Lifetimes) -> TaskRow:
    """The row of one task at `now` (Unix seconds)."""
    past = is_hidden(state, now, lifetimes)
    return TaskRow(state, past, () if past else state.problems)


class Selection(NamedTuple):
    """One page of the matching tasks; `counts` and `with_problem` are of those that match whatever their status is."""

    rows: list[TaskRow]
    matching: int
    counts: Mapping[str, int]
    with_problem: int
    page: int
    pages: int


def select(states: Iterable[TaskState], query: TaskQuery, now: float, lifetimes: Lifetimes) -> Selection:
    """Find the tasks of a query."""
    rows = [make_row(state, now, lifetimes) for state in states if _matches(state, query)]
    if query.problem is not None:
        rows = [row for row in rows if any(active.problem is query.problem for active in row.problems)]
    counts = Counter(row.status for row in rows)
    with_problem = sum(bool(row.problems) for row in rows)
    if query.statuses or query.with_problem:
        rows = [row for row in rows if row.status in query.statuses or (query.with_problem and row.problems)]
    pages = number_of_pages(len(rows), query.size)
    page = min(query.page, pages)
    return Selection(_page(rows, query, page, now), len(rows), counts, with_problem, page, pages)


def number_of_pages(total: int, size: int) -> int:
    """How many pages of `size` rows there are; at least one."""
    return max(1, math.ceil(total / size))


def _page(rows: list[TaskRow], query: TaskQuery, page: int, now: float) -> list[TaskRow]:
    """Sort as far as the page needs: an early page of many tasks needs little."""
    key = _SORT_KEYS[query.sort]
    first = heapq.nlargest if query.backwards else heapq.nsmallest
    begin, end = (page - 1) * query.size, page * query.size
    return first(end, rows, key=lambda row: (key(row, now), row.state.target.id))[begin:]


def _matches(state: TaskState, query: TaskQuery) -> bool:
    target = state.target
    if query.app_id and target.id.app_id != query.app_id:
        return False
    if query.account and target.account != query.account:
        return False
    if query.source is not None and query.source not in target.sources:
        return False
    return not query.text or all(word in _searchable(state) for word in query.text.casefold().split())


def _searchable(state: TaskState) -> str:
    target = state.target
    return " ".join((str(target.id), state.user_id, state.source_host, *target.labels.values())).casefold()


def _latest_page_event(state: TaskState) -> float:
    return max((event.at for event in state.pages.latest), default=-math.inf)


def _urgency(row: TaskRow) -> tuple[int, int, float]:
    """Problems by severity, by kind, the newest first; then tasks without a problem by status."""
    if row.problem is not None:
        return _SEVERITIES.index(row.problem.severity), _PROBLEM_ORDER[row.problem.problem], -row.problem.since
    order = len(_HEALTHY) if row.past else _HEALTHY.get(row.state.display_status, 0)
    return len(_SEVERITIES), order, -(row.since or 0.0)


_SEVERITIES = tuple(Severity)
_PROBLEM_ORDER = {row.problem: order for order, row in enumerate(PROBLEMS)}
_HEALTHY = {DisplayStatus.RUNNING: 1, DisplayStatus.ENDED: 2, DisplayStatus.FAILED: 3}
_STATUS_ORDER = {status: order for order, status in enumerate(DisplayStatus)}

_SORT_KEYS: Mapping[Sort, Callable[[TaskRow, float], Any]] = {
    Sort.PROBLEM: lambda row, _: _urgency(row),
    Sort.TASK: lambda *_: 0,
    Sort.STATUS: lambda row, _: _STATUS_ORDER[row.state.display_status],
    Sort.SINCE: lambda row, _: -(row.since or 0.0),
    Sort.ELAPSED: lambda row, now: -(elapsed(row.state, now) or -1.0),
    Sort.PAGE_EVENT: lambda row, _: -_latest_page_event(row.state),
    Sort.LAST_READ: lambda row, _: -(row.state.last_read or 0.0),
    Sort.SOURCE: lambda row, _: min((SOURCE_PRIORITY[source] for source in row.state.target.sources), default=-1),
}
