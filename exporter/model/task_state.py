"""What is known of one target right now: the state its series are rendered from.

Three things change it, each a pure function here: a read (`learn`), the passing of time (`expire`), and the lists of
targets (`let_go`, `retarget`). Times are Unix seconds, by the local clock unless said.
"""

import math
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import NamedTuple

from exporter.enums import ReadFailure, Status
from exporter.errors import NotFound
from exporter.model.pages import NO_PAGES, Pages
from exporter.model.read_result import ReadResult
from exporter.model.run import Run, StateChange, advance, leave, mark_lost
from exporter.model.target import Target
from exporter.model.task import Task

LOOK_BACK = 72 * 3600.0
"""The API answers only for tasks that started in the last 72 hours (seed page), and none runs longer than 24."""


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
    fresh, if that is more than `stale_after`. `announced` is a run after `run` of which only callbacks have told.
    `named` is when a push and a callback last named it.
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
    announced: Run | None = None
    named: Named = NOT_NAMED

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
        run = self.run or self.announced
        return run.pages if run else NO_PAGES

    @property
    def over(self) -> bool:
        """Whether its run has stopped by a read, so that nothing of it can change any more."""
        return self.run is not None and self.run.end_seen is not None and self.run.last is not None


def apply_read(known: TaskState, reading: ReadResult) -> tuple[TaskState, StateChange]:
    """Take one read in, whatever came of it."""
    if reading.task is not None:
        return _learn_task(known, reading, reading.task)
    error = reading.error
    read = replace(known, last_read=reading.at, failure=error.failure if error else None)
    if isinstance(error, NotFound) and not known.over:
        since = reading.at if known.not_found_since is None else known.not_found_since
        return replace(read, task=None, not_found_since=since), StateChange()
    return read, StateChange()


def _learn_task(known: TaskState, reading: ReadResult, task: Task) -> tuple[TaskState, StateChange]:
    run, step = advance(known.run, reading, task, known.announced)
    taken_up = known.announced is None or known.announced.first_seen == run.first_seen
    same_life = known.run is not None and known.run.first_seen == run.first_seen
    entered = known.task is None or known.task.status != task.status or not same_life
    shown = replace(
        known,
        last_read=reading.at,
        failure=None,
        run=run,
        announced=None if taken_up else known.announced,
        task=known.task if known.task == task else task,  # the one that is known, so that nothing looks changed
        task_time=reading.server_time,
        status_since=reading.at if entered else known.status_since,
        user_id=task.user_id,
        source_host=task.source_host,
        last_success=reading.at,
        not_found_since=None,
    )
    return shown, step


def accept(target: Target, run: Run | None, at: float) -> TaskState:
    """A target begins with what the ledger remembers of its latest run: all of it, or no state yet."""
    if run is not None and run.announced:
        return TaskState(target=target, accepted_at=at, announced=run)
    if run is None or run.last is None or run.end_seen is None:
        return TaskState(target=target, accepted_at=at, run=run)
    return TaskState(
        target=target,
        accepted_at=at,
        run=run,
        task=run.last,
        task_time=run.end_seen,
        status_since=run.end_seen,
        user_id=run.last.user_id,
        source_host=run.last.source_host,
        last_read=run.end_seen,
        last_success=run.end_seen,
    )


def expires_at(known: TaskState, now: float, lifetimes: Lifetimes) -> float | None:
    """When, after now, time alone will next change something (or end a linger); None if it never will."""
    moments = (
        known.drain_until,
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
    if known.drain_until is None:
        return known, step
    if known.run is not None and known.live:
        return (None, leave(known.run, now)) if now >= known.drain_until else (known, step)
    shown = known.over and not is_hidden(known, now, lifetimes)
    return (known if shown and now < known.drain_until else None), step


def release(known: TaskState, now: float, lifetimes: Lifetimes) -> TaskState | None:
    """No source lists the target any more: a live run is drained, all else is forgotten at once."""
    if known.drain_until is not None:
        return known
    return replace(known, drain_until=now + lifetimes.drain) if known.live else None


def cut_short(known: TaskState, now: float) -> TaskState:
    """A drain is over at once; what is still listed stays."""
    return known if known.drain_until is None else replace(known, drain_until=now)


def retarget(known: TaskState, target: Target) -> TaskState:
    """The target is listed (again), perhaps with other labels or another account."""
    return replace(known, target=target, drain_until=None)


def lingers_until(known: TaskState, lifetimes: Lifetimes) -> float | None:
    """Until when a stopped run's series stay; None while there is none."""
    if not known.over or known.run is None or known.run.end_seen is None:
        return None
    return known.run.end_seen + lifetimes.linger


def is_hidden(known: TaskState, now: float, lifetimes: Lifetimes) -> bool:
    """Whether the run's linger is over: no series, and not counted in `webcast_tasks`."""
    return _is_due(lingers_until(known, lifetimes), now)


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
