"""The one table of what can be wrong with a task: series, pages, JSON, dashboards and alerts all read it.

Each row computes a `Span` from a task's state: when the problem began, and between which two moments it holds. A row
never looks at the clock, so the list of problems changes only with the state or at the moment that `evaluate` returns.

Rows use the latest answer (`TaskState.last_task`), not the state shown (`TaskState.task`): failed reads and staleness
neither raise nor end a problem. One whose first moment comes after the latest answer has gone stale is not raised.

A class is the time between a target's `__expected_start__` and `__expected_end__`. All times are Unix seconds.
"""

import math
from collections.abc import Callable, Container
from dataclasses import dataclass
from typing import NamedTuple

from exporter.enums import PageAction, ReadFailure, Severity, Status, StopReason, TaskProblem
from exporter.model.task import Task
from exporter.model.task_state import ActiveProblem, TaskState, ended_at

MAX_CLASS_SECONDS = 86_400.0
"""No task runs longer than 24 hours: a class that has not started so long after its time is a forgotten target."""

NEAR_LIMIT_SHARE = 0.1
"""A task is never near its limit before it has used 90 % of its MaxRunningTime."""


@dataclass(frozen=True, slots=True)
class ProblemThresholds:
    """The section `problems`, with `polling.stale_after` and `lifecycle.linger`; all but the two counts in seconds."""

    start_grace: float = 120.0
    not_found_grace: float = 30.0
    early_end: float = 600.0
    cut_margin: float = 60.0
    overrun_grace: float = 900.0
    near_limit: float = 600.0
    not_started_after: float = 300.0
    status_unknown_after: float = 600.0
    not_found_after: float = 300.0
    read_failing_after: float = 120.0
    page_window: float = 900.0
    page_refreshes: int = 3
    page_reschedules: int = 2
    stale_after: float = 120.0
    linger: float = 900.0


class Span(NamedTuple):
    """A problem that holds from `begins` to just before `ends`; `since` is what pages and alerts show."""

    since: float
    begins: float = -math.inf
    ends: float = math.inf
    cause: str = ""
    severity: Severity | None = None
    """Only where it differs from the row's."""


@dataclass(frozen=True, slots=True)
class ProblemRow:
    """One kind of problem. `help` says when it holds; names in backquotes are keys of the section `problems`.

    `latest` are the statuses of the latest answer with which it can hold; None stands for not found, and for no answer
    yet. `needs_fresh` = it is raised only while the latest answer is fresh.
    """

    problem: TaskProblem
    severity: Severity
    help: str
    latest: Container[Status | None]
    span: Callable[[TaskState, ProblemThresholds], Span | None]
    needs_fresh: bool = True


def evaluate(
    state: TaskState, now: float, thresholds: ProblemThresholds
) -> tuple[tuple[ActiveProblem, ...], float | None]:
    """Return the problems that hold at `now`, the worst first, and the next moment at which time alone changes them."""
    found: list[ActiveProblem] = []
    change = math.inf
    task = _latest(state)
    for row in _ROWS[task.status if task else None]:
        span = row.span(state, thresholds)
        if span is None or (row.needs_fresh and not _began_fresh(state, span, thresholds)):
            continue
        if span.begins <= now < span.ends:
            found.append(ActiveProblem(row.problem, span.severity or row.severity, span.since, span.cause))
        if now < span.begins < change:
            change = span.begins
        if now < span.ends < change:
            change = span.ends
    if len(found) > 1:
        found.sort(key=lambda active: _SEVERITIES.index(active.severity))
    return tuple(found), None if change == math.inf else change


def _began_fresh(state: TaskState, span: Span, thresholds: ProblemThresholds) -> bool:
    """Whether it begins while the latest answer is fresh; that of a stopped task always is."""
    task = _latest(state)
    if state.last_answer is None or (task is not None and task.stopped):
        return True
    return span.begins <= state.last_answer + max(thresholds.stale_after, state.fresh_for)


def _latest(state: TaskState) -> Task | None:
    """The latest answer, if it was a task."""
    return (state.task or state.last_task) if state.not_found_since is None else None


def _class_dark(state: TaskState, thresholds: ProblemThresholds) -> Span | None:
    """Its class should be on, and by the latest answer it is not; since it was last on the air, or its beginning."""
    task, start, end = _latest(state), state.target.expected_start, state.target.expected_end
    off_air_since = -math.inf if state.off_air_since is None else state.off_air_since
    cause: str = ""
    if task is not None and task.stopped:
        stopped = ended_at(state)
        if start is None or stopped >= start:
            early = end is not None and _is_early(task, stopped, end, thresholds)
            since = stopped if start is None else max(start, off_air_since)
            return Span(since, ends=end or 0.0, cause=_stop_reason(task)) if early else None
        if task.status is Status.FAILED and start - stopped < thresholds.linger:
            cause = _stop_reason(task)
    before = state.dark_before
    if before is not None and start is not None and before.since < start:
        before = None  # of another class
    if start is None or (task is None and state.not_found_since is None and before is None):
        return None
    ran = state.run is not None and state.run.seen_running
    if task is not None and task.status is Status.UNKNOWN and ran and state.off_air_since is None:
        return None  # the same run, which was on the air
    if task is not None and task.status is Status.UNKNOWN:
        cause = TaskProblem.STATUS_UNKNOWN
    begins, since = start + thresholds.start_grace, max(start, off_air_since)
    if state.not_found_since is not None:
        begins, cause = max(begins, state.not_found_since + thresholds.not_found_grace), _not_found_cause(state)
        since = max(start, state.not_found_since) if ran else since
    if before is not None:
        begins, since, cause = -math.inf, before.since, cause or before.cause
    ends = start + MAX_CLASS_SECONDS if end is None else min(end, start + MAX_CLASS_SECONDS)
    return Span(since, begins, ends, cause)


def _is_early(task: Task, stopped: float, expected_end: float, thresholds: ProblemThresholds) -> bool:
    """A failure is early until the very end of its class; a regular end within its last minutes is not."""
    margin = 0.0 if task.status is Status.FAILED else thresholds.early_end
    return expected_end - stopped > margin


def _stopped(state: TaskState, thresholds: ProblemThresholds, severity: Severity | None = None) -> Span | None:
    """A stop in its class is a problem until the class is over, any other for `linger` after it was seen.

    A run that had stopped long before it was first seen is no news, unless its class should still be on.
    """
    task, start, end = _latest(state), state.target.expected_start, state.target.expected_end
    if task is None or not task.stopped:
        return None
    stopped = ended_at(state)
    seen = state.run.end_seen if state.run and state.run.end_seen is not None else (state.status_since or 0.0)
    if end is not None and stopped < end and (start is None or stopped >= start):
        return Span(stopped, ends=end, cause=_stop_reason(task), severity=severity)
    if state.run is None or state.run.seen_live or seen - stopped < thresholds.linger:
        return Span(stopped, ends=seen + thresholds.linger, cause=_stop_reason(task), severity=severity)
    return None


def _failed(state: TaskState, thresholds: ProblemThresholds) -> Span | None:
    task = _latest(state)
    if task is None or task.stop_reason in _OWN_PROBLEM:
        return None
    return _stopped(state, thresholds, _after_class(state))


def _stopped_because(
    reason: StopReason, state: TaskState, thresholds: ProblemThresholds, severity: Severity | None = None
) -> Span | None:
    task = _latest(state)
    return _stopped(state, thresholds, severity) if task is not None and task.stop_reason is reason else None


def _start_failed(state: TaskState, thresholds: ProblemThresholds) -> Span | None:
    return _stopped_because(StopReason.START_TASK_FAILED, state, thresholds, _after_class(state))


def _after_class(state: TaskState) -> Severity | None:
    """The severity of a failure after its class was over, which has no audience."""
    end = state.target.expected_end
    return Severity.WARNING if end is not None and ended_at(state) > end else None


def _cut_by_limit(state: TaskState, thresholds: ProblemThresholds) -> Span | None:
    return _stopped_because(StopReason.EXCEED_MAX_RUNNING_TIME, state, thresholds)


def _ended_early(state: TaskState, thresholds: ProblemThresholds) -> Span | None:
    task, start, end = _latest(state), state.target.expected_start, state.target.expected_end
    if task is None or end is None:
        return None
    stopped = ended_at(state)
    early = _is_early(task, stopped, end, thresholds) and (start is None or stopped >= start)
    return _stopped(state, thresholds) if early else None


def _will_be_cut(state: TaskState, thresholds: ProblemThresholds) -> Span | None:
    """MaxRunningTime ends the run before its class ends."""
    task, end = _latest(state), state.target.expected_end
    if task is None or task.start is None or task.deadline is None or end is None:
        return None
    return Span(task.start) if task.deadline < end - thresholds.cut_margin else None


def _overrun(state: TaskState, thresholds: ProblemThresholds) -> Span | None:
    end = state.target.expected_end
    return None if end is None else Span(end, end + thresholds.overrun_grace)


def _near_limit(state: TaskState, thresholds: ProblemThresholds) -> Span | None:
    """Only without an expected end: with one, `will_be_cut` says early whether the limit matters."""
    task = _latest(state)
    if task is None or task.deadline is None or state.target.expected_end is not None:
        return None
    near = task.deadline - min(NEAR_LIMIT_SHARE * (task.max_running_time or 0), thresholds.near_limit)
    return Span(near, near)


def _not_started(state: TaskState, thresholds: ProblemThresholds) -> Span | None:
    """Only without an expected start: with one, the class is dark."""
    return None if state.target.expected_start is not None else _waits(state, thresholds.not_started_after)


def _waits(state: TaskState, wait: float) -> Span | None:
    """Its status has been the same for so long; the state keeps when a run was first seen, also over a restart."""
    since, run = state.status_since, state.run
    if since is not None and run is not None and len(run.entered) == 1:
        since = min(run.first_seen, since)
    return None if since is None else Span(since, since + wait)


def _page_repeats(state: TaskState, action: PageAction, count: int, window: float) -> Span | None:
    """At least `count` events within `window`; since the event that completed the first such group without a gap."""
    events = [event for event in state.pages.recent if event.action is action]
    if len(events) < count or events[-1].at - events[-count].at >= window:
        return None
    first = len(events) - 1
    while first >= count and events[first - 1].at - events[first - count].at < window:
        first -= 1
    return Span(events[first].at, ends=events[-count].at + window, cause=events[-1].reason)


def _stale(state: TaskState, thresholds: ProblemThresholds) -> Span | None:
    """No successful read for too long, of a task that has not stopped."""
    task = _latest(state)
    if state.not_found_since is not None or state.last_read is None or (task is not None and task.stopped):
        return None
    since = state.failing_since if state.last_success is None else state.last_success
    if since is None:
        return None
    return Span(since, since + max(thresholds.stale_after, state.fresh_for), cause=state.failure or "")


def _not_found(state: TaskState, thresholds: ProblemThresholds) -> Span | None:
    """Until its class is over: after that the API need not know it."""
    since, start, end = state.not_found_since, state.target.expected_start, state.target.expected_end
    if since is None:
        return None
    begins = max(since, -math.inf if start is None else start) + thresholds.not_found_after
    return Span(since, begins, math.inf if end is None else end, _not_found_cause(state))


def _read_failing(state: TaskState, thresholds: ProblemThresholds) -> Span | None:
    since = state.failing_since
    if since is None or state.failure in (None, ReadFailure.NOT_FOUND):
        return None
    return Span(since, since + thresholds.read_failing_after, cause=state.failure or "")


def _not_found_cause(state: TaskState) -> StopReason | ReadFailure:
    """Whether the API has known the run before."""
    lost = state.run is not None and state.run.stopped is StopReason.LOST
    return StopReason.LOST if lost else ReadFailure.NOT_FOUND


def _stop_reason(task: Task) -> StopReason:
    return task.stop_reason or StopReason.UNSPECIFIED


_SEVERITIES = tuple(Severity)
_OWN_PROBLEM = (StopReason.START_TASK_FAILED, StopReason.EXCEED_MAX_RUNNING_TIME)

_STOPPED = (Status.ENDED, Status.FAILED)
_RUNNING = (Status.RUNNING,)
_NOT_RUNNING = (None, Status.UNKNOWN, Status.NOT_STARTED, *_STOPPED)
_ANY = (None, *Status)

PROBLEMS = (
    ProblemRow(
        TaskProblem.CLASS_DARK,
        Severity.CRITICAL,
        (
            "The class should be on and is not: from `start_grace` after its expected start not started or not found, "
            "or failed, or ended over `early_end` too early; "
            "until it runs again or its expected end."
        ),
        _NOT_RUNNING,
        _class_dark,
    ),
    ProblemRow(
        TaskProblem.START_FAILED,
        Severity.CRITICAL,
        "The task could not be started; until its class is over, without one as long as its series stay. A "
        "warning after the class.",
        _STOPPED,
        _start_failed,
    ),
    ProblemRow(
        TaskProblem.FAILED,
        Severity.CRITICAL,
        "The run failed; until its class is over, without one as long as its series stay. A warning after the class.",
        (Status.FAILED,),
        _failed,
    ),
    ProblemRow(
        TaskProblem.PAGE_RESCHEDULING,
        Severity.CRITICAL,
        "`page_reschedules` reschedules of a running task within `page_window`.",
        _RUNNING,
        lambda state, limits: _page_repeats(state, PageAction.RESCHEDULE, limits.page_reschedules, limits.page_window),
    ),
    ProblemRow(
        TaskProblem.NOT_STARTED,
        Severity.CRITICAL,
        "No expected start is known, and it has not started for `not_started_after`.",
        (Status.NOT_STARTED,),
        _not_started,
    ),
    ProblemRow(
        TaskProblem.CUT_BY_LIMIT,
        Severity.WARNING,
        "MaxRunningTime stopped the run; until its class is over, without one as long as its series stay.",
        _STOPPED,
        _cut_by_limit,
    ),
    ProblemRow(
        TaskProblem.ENDED_EARLY,
        Severity.WARNING,
        "The run ended over `early_end` before its expected end; until then.",
        (Status.ENDED,),
        _ended_early,
    ),
    ProblemRow(
        TaskProblem.WILL_BE_CUT,
        Severity.WARNING,
        "MaxRunningTime ends the run over `cut_margin` before its expected end.",
        _RUNNING,
        _will_be_cut,
    ),
    ProblemRow(
        TaskProblem.NEAR_LIMIT,
        Severity.WARNING,
        "No expected end is known, and `near_limit`, at most a tenth of MaxRunningTime, is left.",
        _RUNNING,
        _near_limit,
    ),
    ProblemRow(
        TaskProblem.PAGE_REFRESHING,
        Severity.WARNING,
        "`page_refreshes` refreshes of a running task's page within `page_window`.",
        _RUNNING,
        lambda state, limits: _page_repeats(state, PageAction.REFRESH, limits.page_refreshes, limits.page_window),
    ),
    ProblemRow(
        TaskProblem.OVERRUN,
        Severity.WARNING,
        "The run goes on for over `overrun_grace` after its expected end.",
        _RUNNING,
        _overrun,
    ),
    ProblemRow(
        TaskProblem.STATUS_UNKNOWN,
        Severity.WARNING,
        "The API has called the status unknown for `status_unknown_after`.",
        (Status.UNKNOWN,),
        lambda state, thresholds: _waits(state, thresholds.status_unknown_after),
    ),
    ProblemRow(
        TaskProblem.STALE,
        Severity.WARNING,
        "No read has succeeded for `polling.stale_after`, or three intervals if that is longer.",
        _ANY,
        _stale,
        needs_fresh=False,
    ),
    ProblemRow(
        TaskProblem.NOT_FOUND,
        Severity.INFO,
        "The API has not known the task for `not_found_after`.",
        (None,),
        _not_found,
    ),
    ProblemRow(
        TaskProblem.READ_FAILING,
        Severity.INFO,
        "Reads have failed for `read_failing_after`.",
        _ANY,
        _read_failing,
        needs_fresh=False,
    ),
)
"""Every problem, the worst of a severity first."""

_ROWS = {latest: tuple(row for row in PROBLEMS if latest in row.latest) for latest in _ANY}
