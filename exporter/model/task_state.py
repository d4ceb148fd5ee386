"""What is known of one target right now: the state its series are rendered from.

Three things change it, each a pure function here: a read (`learn`), the passing of time (`expire`), and the lists of
targets (`let_go`, `retarget`). Times are Unix seconds, by the local clock unless said.
"""

import math
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import NamedTuple

from exporter.enums import ReadFailure, Severity, Status, TaskProblem
from exporter.errors import NotFound
from exporter.model.callback import NO_PAGES, Callback, CallbackReceipt, PageEvent, Pages, with_event
from exporter.model.read_result import ReadResult
from exporter.model.run import PageActionTaken, Run, StateChange, abandon, advance, mark_lost, next_run
from exporter.model.target import Target
from exporter.model.task import Task

LOOK_BACK = 72 * 3600.0
"""The API answers only for tasks that started in the last 72 hours (seed page), and none runs longer than 24."""


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
    """So said the latest answer."""
    STALE = "stale"
    """Nothing fresh."""


DISPLAY_STATUS_OF = {status: DisplayStatus(status.value) for status in Status}


class Named(NamedTuple):
    """When a push, and when a callback, last named a target (Unix seconds); None when neither lists it."""

    by_push: float | None = None
    by_callback: float | None = None


NOT_NAMED = Named()


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
    """A target and all that its reads have said.

    `task` is the state to show, None when there is none to show; `task_time` is the vendor's clock at the read that
    said so. `not_found_since` begins with the first of the latest answers in a row that know no such task.
    `drain_until` is set once no source lists the target any more. `fresh_for` is how many seconds a success stays
    fresh, if that is more than `stale_after`. `pending_run` is a run after `run` of which only callbacks have told.
    `named` is when a push and a callback last named it.

    `last_task` is the latest task that was read and stays when `task` goes stale; `last_answer` is when the API last
    said anything about the target, not found included. `failing_since` begins with the first of the latest failed reads
    in a row. `dismissed` = a person has removed the stopped or dark task; a run that starts ends that.
    `problems` are those of `model/problem.py`, the worst first, kept by the registry.
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
    named: Named = NOT_NAMED
    last_task: Task | None = None
    last_answer: float | None = None
    failing_since: float | None = None
    dismissed: bool = False
    problems: tuple[ActiveProblem, ...] = ()

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
        """What callbacks have told of the run that is shown, or of the one to come while there is none."""
        run = self.run or self.pending_run
        return run.pages if run else NO_PAGES

    @property
    def finished(self) -> bool:
        """Whether its run has stopped by a read, so that nothing of it can change any more."""
        return self.run is not None and self.run.end_seen is not None and self.run.last is not None


def apply_read(known: TaskState, reading: ReadResult) -> tuple[TaskState, StateChange]:
    """Take one read in, whatever came of it."""
    if reading.task is not None:
        return _learn_task(known, reading, reading.task)
    error = reading.error
    failing_since = reading.at if known.failing_since is None else known.failing_since
    read = replace(known, last_read=reading.at, failure=error.failure if error else None, failing_since=failing_since)
    if isinstance(error, NotFound):
        read = replace(read, last_answer=reading.at, failing_since=None)
        if not known.finished:
            since = reading.at if known.not_found_since is None else known.not_found_since
            read = replace(read, task=None, not_found_since=since)
    return read, StateChange()


def _learn_task(known: TaskState, reading: ReadResult, task: Task) -> tuple[TaskState, StateChange]:
    run, step = advance(known.run, reading, task, known.pending_run)
    taken_up = known.pending_run is None or known.pending_run.first_seen == run.first_seen
    same_life = known.run is not None and known.run.first_seen == run.first_seen
    before = known.task or known.last_task
    entered = before is None or before.status is not task.status or known.not_found_since is not None or not same_life
    shown_task = known.task if known.task == task else task  # the same object, so that nothing looks changed
    shown = replace(
        known,
        last_read=reading.at,
        failure=None,
        run=run,
        pending_run=None if taken_up else known.pending_run,
        task=shown_task,
        last_task=shown_task,
        task_time=reading.server_time,
        status_since=reading.at if entered else known.status_since,
        user_id=task.user_id,
        source_host=task.source_host,
        last_success=reading.at,
        last_answer=reading.at,
        failing_since=None,
        not_found_since=None,
        dismissed=known.dismissed and same_life and task.status is not Status.RUNNING,
    )
    return shown, step


def accept(target: Target, run: Run | None, at: float) -> TaskState:
    """A target begins with what the ledger remembers of its latest run: all of it, or no state yet."""
    if run is not None and run.pending:
        return TaskState(target=target, accepted_at=at, pending_run=run)
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
    )


def expires_at(known: TaskState, now: float, lifetimes: Lifetimes) -> float | None:
    """When, after now, time alone will next change something (or end a linger); None if it never will."""
    moments = (
        _drained_until(known),
        _stale_at(known, lifetimes),
        _lost_at(known, lifetimes),
        lingers_until(known, lifetimes),
    )
    return min((moment for moment in moments if moment is not None and moment > now), default=None)


def expire(known: TaskState, now: float, lifetimes: Lifetimes) -> tuple[TaskState | None, StateChange]:
    """Apply what falls due with time alone; None when the target is to be forgotten."""
    step = StateChange()
    if known.run is not None and _is_due(_lost_at(known, lifetimes), now):
        run, step = mark_lost(known.run, now)
        since = now if known.not_found_since is None else known.not_found_since
        known = replace(known, run=run, task=None, not_found_since=since)
    if _is_due(_stale_at(known, lifetimes), now):
        known = replace(known, task=None)
    until = _drained_until(known)
    if until is None:
        return known, step
    if known.run is not None and known.live:
        return (None, abandon(known.run, now)) if now >= until else (known, step)
    lost_now = bool(step) and not _is_dark(known)
    return (None if now >= until or lost_now or is_hidden(known, now, lifetimes) else known), step


def release(known: TaskState, now: float, lifetimes: Lifetimes) -> TaskState | None:
    """No source lists the target any more: a live run is drained, a stopped or dark one stays until its class is over.

    Everything else is forgotten at once. A backend that lists only what is live must not make a dark class vanish.
    """
    if known.drain_until is not None:
        return known
    drained = replace(known, drain_until=now + lifetimes.drain if known.live else now)
    until = _drained_until(drained)
    kept = known.live or (until is not None and until > now)
    return replace(drained, drain_until=until) if kept else None


def cut_short(known: TaskState, now: float) -> TaskState:
    """A drain is over at once; what is still listed stays."""
    return known if known.drain_until is None else replace(known, drain_until=now, dismissed=True)


def dismiss(known: TaskState, now: float, lifetimes: Lifetimes) -> TaskState:
    """A person has removed the task: only a live run is read on and shown, and nothing is a problem any more.

    A run that starts ends that, and so does a list that names the target again.
    """
    drain = now + lifetimes.drain if known.live else now
    until = None if known.drain_until is None else min(known.drain_until, drain)
    return replace(known, dismissed=True, drain_until=until)


def retarget(known: TaskState, target: Target) -> TaskState:
    """The target is listed (again), perhaps with other labels or another account."""
    same_class = known.drain_until is None and target.expected_start == known.target.expected_start
    return replace(known, target=target, drain_until=None, dismissed=known.dismissed and same_class)


def lingers_until(known: TaskState, lifetimes: Lifetimes) -> float | None:
    """Until when a stopped run's series stay: for `linger`, and until the expected end; None while there is none."""
    if not known.finished or known.run is None or known.run.end_seen is None:
        return None
    if known.dismissed:
        return known.run.end_seen
    return max(known.run.end_seen + lifetimes.linger, known.target.expected_end or 0.0)


def is_hidden(known: TaskState, now: float, lifetimes: Lifetimes) -> bool:
    """Whether the task has no series and does not count in `webcast_tasks`."""
    dismissed = known.dismissed and not known.live
    return dismissed or _is_due(lingers_until(known, lifetimes), now)


def ended_at(known: TaskState) -> float:
    """When a stopped task ended, by the vendor's clock; if that was not told, when it was first seen stopped."""
    task, seen = known.task or known.last_task, known.run.end_seen if known.run else None
    if task is not None and task.end is not None:
        return task.end
    return (known.status_since or 0.0) if seen is None else seen


def elapsed(known: TaskState, now: float) -> float | None:
    """For how many seconds it has run: until its end, or until now by the vendor's clock; None before its start."""
    task = known.task
    if task is None or task.start is None:
        return None
    if task.end is not None:
        return max(0.0, task.end - task.start)
    if task.status.stopped:
        return None
    ahead = 0.0 if known.last_success is None else known.task_time - known.last_success
    return max(0.0, now + ahead - task.start)


def _is_dark(known: TaskState) -> bool:
    return any(active.problem is TaskProblem.CLASS_DARK for active in known.problems)


def _drained_until(known: TaskState) -> float | None:
    """Until when a target that no source lists stays; None while one lists it."""
    if known.drain_until is None:
        return None
    until_class_ends = not known.dismissed and (known.finished or _is_dark(known))
    return max(known.drain_until, (known.target.expected_end or 0.0) if until_class_ends else 0.0)


def _is_due(moment: float | None, now: float) -> bool:
    return moment is not None and now >= moment


def _stale_after(known: TaskState, lifetimes: Lifetimes) -> float:
    return max(lifetimes.stale_after, known.fresh_for)


def _stale_at(known: TaskState, lifetimes: Lifetimes) -> float | None:
    if known.task is None or known.task.status.stopped or known.last_success is None:
        return None
    return known.last_success + _stale_after(known, lifetimes)


def _lost_at(known: TaskState, lifetimes: Lifetimes) -> float | None:
    """A live run is lost when the API has not known it for `stale_after`, or can no longer know it.

    While the latest read failed otherwise, nobody can say whether the API knows it.
    """
    run = known.run
    if run is None or not run.live:
        return None
    moments = []
    if known.not_found_since is not None and known.failure is ReadFailure.NOT_FOUND:
        moments.append(known.not_found_since + _stale_after(known, lifetimes))
    if run.start is not None:
        moments.append(run.start + LOOK_BACK)
    return min(moments, default=None)


def listing_expires_at(known: TaskState, lifetimes: Lifetimes) -> float | None:
    """The moment, in Unix seconds; None while its run is live, and when neither a push nor a callback lists it."""
    if known.live or known.drain_until is not None:
        return None
    pushed, called = known.named
    moments = (
        None if pushed is None else _after_push(known, pushed, lifetimes),
        None if called is None else _after_callback(known, called, lifetimes),
    )
    return max((moment for moment in moments if moment is not None), default=None)


def _after_push(known: TaskState, named: float, lifetimes: Lifetimes) -> float:
    """Once a run has stopped that was not over when the push named it, its linger decides alone.

    A push that came later speaks of a run still to come: like a target that the API does not know, it is waited for.
    """
    lingers = _lingers(known, lifetimes)
    if lingers is None:
        return _waited_for(known, named, lifetimes)
    if known.run is not None and (known.run.end_seen or 0.0) >= named:
        return lingers
    return max(lingers, _waited_for(known, named, lifetimes))


def _after_callback(known: TaskState, named: float, lifetimes: Lifetimes) -> float:
    """A callback speaks of what has happened, an end too: what the read that follows it says of a run holds."""
    lingers = _lingers(known, lifetimes)
    if lingers is None or not _asked_since(known, named):
        return _waited_for(known, named, lifetimes)
    return lingers


def _lingers(known: TaskState, lifetimes: Lifetimes) -> float | None:
    if known.run is None or known.run.end_seen is None:
        return None
    return lingers_until(known, lifetimes) or known.run.end_seen + lifetimes.linger


def _asked_since(known: TaskState, named: float) -> bool:
    return known.last_read is not None and known.last_read >= named


def _waited_for(known: TaskState, named: float, lifetimes: Lifetimes) -> float:
    """`ttl` after it was named, or sooner if the API has been asked since then and knows of no such run."""
    by_ttl = named + lifetimes.ttl
    if not _asked_since(known, named) or known.failure not in (None, ReadFailure.NOT_FOUND):
        return by_ttl
    meant = known.target.expected_start
    return min(by_ttl, (named if meant is None else max(named, meant)) + lifetimes.forget_unknown_after)


def received(callback: Callback, at: float) -> StateChange:
    """What a callback that arrived at `at` (Unix seconds) counts for the fleet, whichever run it is of."""
    page, app_id = callback.page, callback.target.app_id
    facts = () if page is None else (PageActionTaken(app_id, page.action, page.reason),)
    return StateChange(facts=facts, receipts=(CallbackReceipt(callback.keys, at),))


def apply_callback(known: TaskState, callback: Callback, at: float) -> tuple[TaskState, StateChange]:
    """Take a callback in that arrived at `at` (Unix seconds); a page event is the run's in whose time it happened."""
    step = received(callback, at)
    run = None if callback.page is None else _run_of(known, callback.page, at)
    if run is None or callback.page is None:
        return known, step
    run = replace(run, pages=with_event(run.pages, callback.page))
    is_current = known.run is not None and known.run.first_seen == run.first_seen
    after = replace(known, run=run) if is_current else replace(known, pending_run=run)
    return after, replace(step, runs=(run,))


def _run_of(known: TaskState, page: PageEvent, at: float) -> Run | None:
    """The run that is known, the one to come, or None for one before: that one's events are shown no more."""
    run = known.run
    if run is None:
        return known.pending_run or Run(known.target.id, first_seen=at)
    if known.finished and page.at > _end(run) + WHOLE_SECONDS:
        return known.pending_run or next_run(run, at)
    before_it = run.start is not None and page.at + WHOLE_SECONDS < run.start
    return None if before_it and run.earlier else run


def _end(run: Run) -> float:
    """EndTime; when it was not told, the moment at which the end was seen."""
    told = run.last.end if run.last else None
    return (run.end_seen or 0.0) if told is None else told
