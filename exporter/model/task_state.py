"""State of one target: what its series are rendered from, and the pure functions that change it.

A read (`apply_read`), a callback (`apply_callback`), time (`expire`) and the lists of targets (`release`, `retarget`)
change it. Times are Unix seconds by the local clock unless said.
"""

import math
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, NamedTuple

from exporter.enums import ReadFailure, Severity, Status, StopReason, TaskProblem
from exporter.errors import NotFound
from exporter.model.run import (
    LATE_ANSWERS,
    NO_CHANGE,
    Match,
    PageActionTaken,
    Run,
    StateChange,
    abandon,
    advance,
    identify,
    mark_lost,
    mark_previous_lost,
    next_run,
)
from exporter.model.target import Target
from exporter.model.task import NO_PAGES, Callback, CallbackReceipt, PageEvent, Pages, ReadResult, Task, with_event

LOOK_BACK = 72 * 3600.0
"""The API answers only for tasks that started in the last 72 hours (API page), and none runs longer than 24."""

MAX_STALE_ANSWERS = 5
"""Stale answers in a row after which they are believed."""


WHOLE_SECONDS = 1.0
"""EventTime may be cut to whole seconds, while StartTime and EndTime have milliseconds."""


class DisplayStatus(StrEnum):
    """How a tracked target counts in `webcast_tasks`."""

    UNKNOWN = Status.UNKNOWN
    NOT_STARTED = Status.NOT_STARTED
    RUNNING = Status.RUNNING
    ENDED = Status.ENDED
    FAILED = Status.FAILED
    UNREAD = "unread"
    """No read has ended yet."""
    NOT_FOUND = "not_found"
    """The latest answer says that there is no such task."""
    STALE = "stale"
    """There is no fresh read."""


DISPLAY_STATUS_OF = {status: DisplayStatus(status.value) for status in Status}


class ListingTimes(NamedTuple):
    """When a push, and when a callback, last listed a target (Unix seconds); None when it is not in that list."""

    by_push: float | None = None
    by_callback: float | None = None


class ActiveProblem(NamedTuple):
    """A problem that a task has now: since when (Unix seconds) and its one cause, empty if there is none to name."""

    problem: TaskProblem
    severity: Severity
    since: float
    cause: str = ""


class NextRead(NamedTuple):
    """The next read of a target: its read class, when it is due (Unix seconds) and what delays it.

    `read_class` is empty for a target that was never read; `due` is None while it is being read; `held` is empty unless
    something other than the budget delays it.
    """

    read_class: str
    due: float | None
    held: str = ""


@dataclass(frozen=True, slots=True)
class Lifetimes:
    """The waits of the configuration, in seconds: `polling.stale_after`, `push.ttl`, the others of `lifecycle`."""

    stale_after: float
    linger: float
    drain: float
    forget_unknown_after: float = math.inf
    ttl: float = math.inf


@dataclass(frozen=True, slots=True)
class TaskState:
    """A target and everything that its reads and callbacks have said.

    `task` is the state to show, if any; `task_time` is the vendor's clock at the read that said so. `not_found_since`
    begins with the first of the latest answers in a row that know no such task. `drain_until` is set once no source
    lists the target any more. `fresh_for` is how many seconds a success stays fresh, if that is more than
    `stale_after`. `pending_run` is a run after `run` that only callbacks have named. `unsure` is the latest answer
    if the next one may confirm a new run; "unknown" alone never begins one. `stale_answers` counts the latest answers
    in a row that were stale.

    `last_task` is the latest task that was read and stays when `task` goes stale; `last_answer` is when the API last
    said anything about the target, not found included. `failing_since` begins with the first of the latest failed reads
    in a row. `off_air_since` is when a run was last on the air, over all runs; None while one is, and if none ever was.
    `dismissed` = a person has removed the stopped or dark task; a run that starts ends that. `dark_before` is the
    problem of a class that was dark as the process before this one ended, until a read succeeds. `problems` are those
    of `model/problem.py`, the worst first, kept by the registry. `keeps_class` = the expected times are those of a list
    that does not name the target any more; they go when the class is over.
    """

    target: Target
    accepted_at: float = 0.0
    run: Run | None = None
    task: Task | None = None
    task_time: float = 0.0
    status_since: float | None = None
    user_id: str = ""
    source_host: str = ""
    last_read: float | None = None
    last_success: float | None = None
    failure: ReadFailure | None = None
    not_found_since: float | None = None
    drain_until: float | None = None
    fresh_for: float = 0.0
    pending_run: Run | None = None
    last_task: Task | None = None
    last_answer: float | None = None
    failing_since: float | None = None
    off_air_since: float | None = None
    dismissed: bool = False
    dark_before: ActiveProblem | None = None
    problems: tuple[ActiveProblem, ...] = ()
    unsure: Task | None = None
    stale_answers: int = 0
    keeps_class: bool = False

    @property
    def display_status(self) -> DisplayStatus:
        """How it counts in `webcast_tasks`."""
        if self.task is not None:
            return DISPLAY_STATUS_OF[self.task.status]
        if self.not_found_since is not None:
            return DisplayStatus.NOT_FOUND
        return DisplayStatus.UNREAD if self.last_read is None else DisplayStatus.STALE

    @property
    def live(self) -> bool:
        """Whether its run was last read live, and is followed until its end is seen."""
        return self.run is not None and self.run.live

    @property
    def pages(self) -> Pages:
        """Page events of the run that is shown, or of the one to come while there is none."""
        run = self.run or self.pending_run
        return run.pages if run else NO_PAGES

    @property
    def finished(self) -> bool:
        """Whether the end of its run was read."""
        return self.run is not None and self.run.end_seen is not None and self.run.last is not None


def apply_read(state: TaskState, result: ReadResult) -> tuple[TaskState, StateChange]:
    """Take in one read, whatever came of it."""
    if result.task is not None:
        return _apply_task(state, result, result.task)
    error = result.error
    failing_since = result.at if state.failing_since is None else state.failing_since
    read = replace(state, last_read=result.at, failure=error.failure if error else None, failing_since=failing_since)
    if isinstance(error, NotFound):
        read = replace(read, last_answer=result.at, failing_since=None)
        if not state.finished:
            since = result.at if state.not_found_since is None else state.not_found_since
            read = replace(read, task=None, not_found_since=since)
    return read, StateChange()


def _apply_task(state: TaskState, result: ReadResult, task: Task) -> tuple[TaskState, StateChange]:
    match = identify(state.run, task, unsure=state.unsure is not None, answered_at=state.task_time)
    stale_answers = state.stale_answers + 1 if match is Match.STALE else 0
    if stale_answers >= MAX_STALE_ANSWERS:
        match = Match.SAME if state.run is not None and state.run.start == task.start else Match.NEW
        stale_answers = 0
    run, change = advance(state.run, result, task, match, pending_run=state.pending_run, unsure=state.unsure)
    answered: dict[str, Any] = {
        "run": run,
        "last_read": result.at,
        "failure": None,
        "last_answer": result.at,
        "failing_since": None,
        "not_found_since": None,
        "stale_answers": stale_answers,
    }
    if match is Match.STALE:  # it says that the API answers, and nothing new about the state
        last_success = state.last_success if state.task is None else result.at
        return replace(state, **answered, last_success=last_success), change
    taken_up = state.pending_run is None or state.pending_run.first_seen == run.first_seen
    same_life = state.run is not None and state.run.first_seen == run.first_seen
    before = state.task or state.last_task
    entered = before is None or before.status is not task.status or state.not_found_since is not None or not same_life
    shown_task = state.task if state.task == task else task  # the same object, so that nothing looks changed
    shown = replace(
        state,
        **answered,
        pending_run=None if taken_up else state.pending_run,
        task=shown_task,
        last_task=shown_task,
        task_time=result.server_time,
        status_since=result.at if entered else state.status_since,
        user_id=task.user_id,
        source_host=task.source_host,
        last_success=result.at,
        off_air_since=_off_air_since(state, run, task, result.at),
        dismissed=state.dismissed and same_life and task.status is not Status.RUNNING,
        dark_before=None,
        unsure=task if match is Match.UNSURE and task.status is not Status.UNKNOWN else None,
    )
    return shown, change


def _off_air_since(state: TaskState, run: Run, task: Task, at: float) -> float | None:
    """What `off_air_since` is with a task that was read at `at` as of this run."""
    if task.status is Status.RUNNING:
        return None
    if task.stopped and (run.seen_running or _started(task)):
        return (state.off_air_since or at) if task.end is None else task.end
    if state.off_air_since is not None or (task.status is Status.UNKNOWN and run.seen_running and not _is_dark(state)):
        return state.off_air_since
    if state.dark_before is not None:
        return state.dark_before.since
    return (state.not_found_since or at) if state.run is not None and state.run.seen_running else None


def _started(task: Task) -> bool:
    return task.start is not None and task.stop_reason is not StopReason.START_TASK_FAILED


def accept(target: Target, run: Run | None, at: float) -> TaskState:
    """Begin to track a target with what the store has of its latest run."""
    if run is not None and run.pending:
        return replace(accept(target, run.previous, at), pending_run=run)
    if run is None or run.last is None or run.end_seen is None:
        return TaskState(target=target, accepted_at=at, run=run)
    return TaskState(
        target=target,
        accepted_at=at,
        run=run,
        task=run.last,
        last_task=run.last,
        task_time=run.end_seen,
        status_since=run.end_seen,
        user_id=run.last.user_id,
        source_host=run.last.source_host,
        last_read=run.end_seen,
        last_success=run.end_seen,
        last_answer=run.end_seen,
        off_air_since=_last_end(run, run.last),
    )


def _last_end(run: Run, last: Task) -> float | None:
    """When the latest run that was on the air ended; a start that failed was not."""
    if run.seen_running or _started(last):
        return run.end_seen if last.end is None else last.end
    return max(run.earlier_ends, default=None)


def expires_at(state: TaskState, now: float, lifetimes: Lifetimes) -> float | None:
    """When, after now, time alone will next change something (or end a linger); None if it never will."""
    moments = (
        _drained_until(state),
        _stale_at(state, lifetimes),
        _lost_at(state, lifetimes),
        _previous_lost_at(state),
        lingers_until(state, lifetimes),
        _class_kept_until(state),
    )
    return min((moment for moment in moments if moment is not None and moment > now), default=None)


def expire(state: TaskState, now: float, lifetimes: Lifetimes) -> tuple[TaskState | None, StateChange]:
    """Apply what falls due with time alone; None when the target is to be forgotten."""
    change = lost = NO_CHANGE
    if _is_due(_class_kept_until(state), now):
        state = replace(state, target=replace(state.target, expected_start=None, expected_end=None), keeps_class=False)
    if state.run is not None and _is_due(_previous_lost_at(state), now):
        run, change = mark_previous_lost(state.run, now)
        state = replace(state, run=run)
    if state.run is not None and _is_due(_lost_at(state, lifetimes), now):
        run, lost = mark_lost(state.run, now)
        since = now if state.not_found_since is None else state.not_found_since
        state, change = replace(state, run=run, task=None, not_found_since=since), change + lost
    if _is_due(_stale_at(state, lifetimes), now):
        state = replace(state, task=None)
    until = _drained_until(state)
    if until is None:
        return state, change
    lost_now = bool(lost) and not _is_dark(state)
    if now < until and (state.live or not (lost_now or is_hidden(state, now, lifetimes))):
        return state, change
    return None, change + forget(state, now)


def release(state: TaskState, now: float, lifetimes: Lifetimes) -> TaskState:
    """No source lists the target any more: a live run is drained, a stopped or dark one stays until its class is over.

    Everything else is to be forgotten at once. A backend that lists only live tasks must not make a dark class vanish.
    """
    if state.drain_until is not None:
        return state
    drained = replace(state, drain_until=now + lifetimes.drain if state.live else now)
    return replace(drained, drain_until=_drained_until(drained))


def forget(state: TaskState, now: float) -> StateChange:
    """What is to be counted of a target that is tracked no more."""
    if state.run is None:
        return NO_CHANGE
    run, change = mark_previous_lost(state.run, now)
    return change + abandon(run, now) if run.live else change


def end_drain(state: TaskState, now: float) -> TaskState:
    """End a drain at once; a target that is still listed stays."""
    return state if state.drain_until is None else replace(state, drain_until=now, dismissed=True)


def dismiss(state: TaskState, now: float, lifetimes: Lifetimes) -> TaskState:
    """A person has removed the task: only a live run is read on and shown, and nothing is a problem any more.

    A run that starts ends that, and so does a list that names the target again.
    """
    drain = now + lifetimes.drain if state.live else now
    until = None if state.drain_until is None else min(state.drain_until, drain)
    return replace(state, dismissed=True, drain_until=until)


def retarget(state: TaskState, target: Target) -> TaskState:
    """The target is listed (again), perhaps with other labels or another account.

    A class keeps its labels and expected times until it is over when the list that gave them drops it and what still
    lists the target, such as a callback, gives no times. So does one that is known from the state alone.
    """
    before = state.target
    dropped = state.keeps_class or not before.sources or bool(before.sources - target.sources)
    without_times = target.expected_start is None and target.expected_end is None
    keeps_class = dropped and without_times and before.expected_end is not None
    if keeps_class:
        target = replace(
            target,
            labels={**before.labels, **target.labels},
            expected_start=before.expected_start,
            expected_end=before.expected_end,
        )
    same_class = state.drain_until is None and target.expected_start == before.expected_start
    dismissed = state.dismissed and same_class
    return replace(state, target=target, drain_until=None, dismissed=dismissed, keeps_class=keeps_class)


def _class_kept_until(state: TaskState) -> float | None:
    return state.target.expected_end if state.keeps_class else None


def lingers_until(state: TaskState, lifetimes: Lifetimes) -> float | None:
    """Until when a stopped run's series stay: for `linger`, and until the expected end; None while there is none."""
    if not state.finished or state.run is None or state.run.end_seen is None:
        return None
    if state.dismissed:
        return state.run.end_seen
    return max(state.run.end_seen + lifetimes.linger, state.target.expected_end or 0.0)


def is_hidden(state: TaskState, now: float, lifetimes: Lifetimes) -> bool:
    """Whether the task has no series and does not count in `webcast_tasks`."""
    dismissed = state.dismissed and not state.live
    return dismissed or _is_due(lingers_until(state, lifetimes), now)


def can_be_dismissed(state: TaskState, now: float, lifetimes: Lifetimes) -> bool:
    """Whether a person can remove it: it is shown, is not live, and has stopped or has a problem."""
    return not state.live and not is_hidden(state, now, lifetimes) and bool(state.problems or state.finished)


def ended_at(state: TaskState) -> float:
    """When a stopped task ended, by the vendor's clock; without an EndTime, when it was first seen stopped."""
    task, seen = state.task or state.last_task, state.run.end_seen if state.run else None
    if task is not None and task.end is not None:
        return task.end
    return (state.status_since or 0.0) if seen is None else seen


def elapsed(state: TaskState, now: float) -> float | None:
    """For how many seconds it has run: until its end, or until now by the vendor's clock; None before its start."""
    task = state.task
    if task is None or task.start is None:
        return None
    if task.end is not None:
        return max(0.0, task.end - task.start)
    if task.stopped:
        return None
    return max(0.0, now + vendor_ahead(state) - task.start)


def _is_dark(state: TaskState) -> bool:
    return any(active.problem is TaskProblem.CLASS_DARK for active in state.problems)


def _drained_until(state: TaskState) -> float | None:
    """Until when a target that no source lists stays; None while one lists it."""
    if state.drain_until is None:
        return None
    until_class_ends = not state.dismissed and (state.finished or _is_dark(state))
    return max(state.drain_until, (state.target.expected_end or 0.0) if until_class_ends else 0.0)


def _is_due(moment: float | None, now: float) -> bool:
    return moment is not None and now >= moment


def _stale_after(state: TaskState, lifetimes: Lifetimes) -> float:
    return max(lifetimes.stale_after, state.fresh_for)


def _stale_at(state: TaskState, lifetimes: Lifetimes) -> float | None:
    if state.task is None or state.task.stopped or state.last_success is None:
        return None
    return state.last_success + _stale_after(state, lifetimes)


def _lost_at(state: TaskState, lifetimes: Lifetimes) -> float | None:
    """When a live run is lost: only while the latest answer is that the API knows no such task.

    It has not been known for `stale_after`, or started too long ago to be known by the vendor's clock. A wall clock
    that is wrong makes calls fail in other ways, and so loses no run.
    """
    run = state.run
    if run is None or not run.live or state.not_found_since is None or state.failure is not ReadFailure.NOT_FOUND:
        return None
    unknown_for_long = state.not_found_since + _stale_after(state, lifetimes)
    if run.start is None:
        return unknown_for_long
    too_old = run.start + LOOK_BACK - vendor_ahead(state)
    return min(unknown_for_long, max(state.not_found_since, too_old))


def vendor_ahead(state: TaskState) -> float:
    """Seconds by which the vendor's clock was ahead of ours at the last success."""
    return 0.0 if state.last_success is None else state.task_time - state.last_success


def _previous_lost_at(state: TaskState) -> float | None:
    """When the run before this one counts as lost, unless a late answer tells its end."""
    before = state.run.previous if state.run else None
    return None if before is None or before.end_seen is None else before.end_seen + LATE_ANSWERS


def listing_expires_at(state: TaskState, times: ListingTimes, lifetimes: Lifetimes) -> float | None:
    """When a listing by push or callback ends by itself; None while its run is live, and when neither lists it."""
    if state.live or state.drain_until is not None:
        return None
    moments = (
        None if times.by_push is None else _after_push(state, times.by_push, lifetimes),
        None if times.by_callback is None else _after_callback(state, times.by_callback, lifetimes),
    )
    return max((moment for moment in moments if moment is not None), default=None)


def _after_push(state: TaskState, listed_at: float, lifetimes: Lifetimes) -> float:
    """Once a run has stopped that was not over when the push named it, its linger decides alone.

    A push that came later speaks of a run still to come: like a target that the API does not know, it is waited for.
    """
    lingers = _lingers(state, lifetimes)
    if lingers is None:
        return _waited_for(state, listed_at, lifetimes)
    if state.run is not None and (state.run.end_seen or 0.0) >= listed_at:
        return lingers
    return max(lingers, _waited_for(state, listed_at, lifetimes))


def _after_callback(state: TaskState, listed_at: float, lifetimes: Lifetimes) -> float:
    """A callback speaks of what has happened, an end too: what the read that follows it says of a run holds."""
    lingers = _lingers(state, lifetimes)
    if lingers is None or not _asked_since(state, listed_at):
        return _waited_for(state, listed_at, lifetimes)
    return lingers


def _lingers(state: TaskState, lifetimes: Lifetimes) -> float | None:
    if state.run is None or state.run.end_seen is None:
        return None
    return lingers_until(state, lifetimes) or state.run.end_seen + lifetimes.linger


def _asked_since(state: TaskState, listed_at: float) -> bool:
    return state.last_read is not None and state.last_read >= listed_at


def _waited_for(state: TaskState, listed_at: float, lifetimes: Lifetimes) -> float:
    """`ttl` after it was named, or sooner if the API has been asked since then and knows of no such run."""
    by_ttl = listed_at + lifetimes.ttl
    if not _asked_since(state, listed_at) or state.failure not in (None, ReadFailure.NOT_FOUND):
        return by_ttl
    meant = state.target.expected_start
    return min(by_ttl, (listed_at if meant is None else max(listed_at, meant)) + lifetimes.forget_unknown_after)


def received(callback: Callback, at: float) -> StateChange:
    """Count a callback that arrived at `at` for the fleet, whichever run it is of."""
    page, app_id = callback.page, callback.target.app_id
    events = () if page is None else (PageActionTaken(app_id, page.action, page.reason),)
    return StateChange(events=events, receipts=(CallbackReceipt(callback.keys, at),))


def apply_callback(state: TaskState, callback: Callback, at: float) -> tuple[TaskState, StateChange]:
    """Take in a callback that arrived at `at`; a page event belongs to the run during which it happened."""
    change = received(callback, at)
    run = None if callback.page is None else _run_of(state, callback.page, at)
    if run is None or callback.page is None:
        return state, change
    run = replace(run, pages=with_event(run.pages, callback.page))
    is_current = state.run is not None and state.run.first_seen == run.first_seen
    after = replace(state, run=run) if is_current else replace(state, pending_run=run)
    return after, replace(change, runs=(run,))


def _run_of(state: TaskState, page: PageEvent, at: float) -> Run | None:
    """The run that the event is of: the current one, the next one, or None for an earlier one."""
    run = state.run
    if run is None:
        return state.pending_run or Run(state.target.id, first_seen=at)
    if state.finished and page.at > _end(run) + WHOLE_SECONDS:
        return state.pending_run or replace(next_run(run, at), previous=replace(run, previous=None))
    before_it = run.start is not None and page.at + WHOLE_SECONDS < run.start
    return None if before_it and run.earlier else run


def _end(run: Run) -> float:
    """EndTime; without one, the moment at which the end was seen."""
    return (run.end_seen or 0.0) if run.end is None else run.end
