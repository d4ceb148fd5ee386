"""A run: one life of a target, which run an answer speaks of, and what one more answer adds.

A run is the triple plus its StartTime, because a TaskId can be used again. `identify` is the only place that decides
which run an answer is about, and the events made here are the only source of the run counters, so that each run is
counted once.
"""

import math
from dataclasses import dataclass, replace
from enum import StrEnum

from exporter.enums import STOPPED_STATUSES, PageAction, PageReason, Status, StopReason
from exporter.model.target import TargetId
from exporter.model.task import NO_PAGES, CallbackReceipt, Pages, ReadResult, Task

NO_STATUS: frozenset[Status] = frozenset()
EVERY_STATUS = frozenset(Status)

MAX_EARLIER = 16
"""StartTimes and EndTimes of earlier runs that are remembered, to recognise late answers about them."""

LATE_ANSWERS = 30.0
"""Seconds for which an answer about a replaced run may still tell its end, before the run counts as lost."""


@dataclass(frozen=True, slots=True)
class Run:
    """One life of a target as far as it has been read; times are Unix seconds.

    `first_seen` is later than that of the target's run before it, whatever the clock did. `entered` holds each status
    it was seen in. `stopped` is set once, when its end is counted. `end_seen` is when it was first seen ended, given
    up as lost, abandoned or replaced, and None while it is live; `last` is the state to show if its end was read.
    `earlier` and `earlier_ends` are StartTimes and EndTimes of runs before it. With nothing `entered`, only callbacks
    have named it. `abandoned` says that it was counted as an end unseen. `previous` is the run before it while that
    one still matters: its end is not counted yet, or no read has seen this run.
    """

    target: TargetId
    first_seen: float
    start: float | None = None
    entered: frozenset[Status] = NO_STATUS
    stopped: StopReason | None = None
    end_seen: float | None = None
    last: Task | None = None
    earlier: tuple[float, ...] = ()
    earlier_ends: tuple[float, ...] = ()
    pages: Pages = NO_PAGES
    abandoned: bool = False
    previous: "Run | None" = None

    @property
    def live(self) -> bool:
        """Whether it was last read live and is still followed."""
        return self.end_seen is None and not self.pending

    @property
    def pending(self) -> bool:
        """Whether no read has seen it yet."""
        return not self.entered

    @property
    def counted(self) -> bool:
        """Whether its stop is counted, and so never again."""
        return self.stopped is not None

    @property
    def seen_live(self) -> bool:
        """Whether it was ever read before its end."""
        return any(status not in STOPPED_STATUSES for status in self.entered)

    @property
    def end(self) -> float | None:
        """EndTime, if it was read."""
        return self.last.end if self.last else None

    @property
    def start_is_doubtful(self) -> bool:
        """Whether its stop was read without StartTime: the EndTime may be that of a later run."""
        return self.last is not None and self.last.start is None and self.last.end is not None

    @property
    def seen_running(self) -> bool:
        """Whether a read has found it running."""
        return Status.RUNNING in self.entered

    @property
    def started(self) -> bool:
        """Whether it is known to have started."""
        return self.start is not None or self.seen_running


@dataclass(frozen=True, slots=True)
class StatusEntered:
    """A run was seen in a status for the first time."""

    app_id: str
    status: Status


@dataclass(frozen=True, slots=True)
class RunStopped:
    """A run has stopped. Seconds; `status`, `duration` and `delay` are None where they cannot be known."""

    app_id: str
    reason: StopReason
    status: Status | None = None
    duration: float | None = None
    delay: float | None = None


@dataclass(frozen=True, slots=True)
class EndUnseen:
    """A live run was abandoned; its end will not be read."""

    app_id: str


@dataclass(frozen=True, slots=True)
class PageActionTaken:
    """The vendor refreshed a page or rescheduled its task."""

    app_id: str
    action: PageAction
    reason: PageReason


RunEvent = StatusEntered | RunStopped | EndUnseen | PageActionTaken


@dataclass(frozen=True, slots=True)
class StateChange:
    """What one read, callback or moment changed: runs to keep (a replaced one before the new), events, receipts."""

    runs: tuple[Run, ...] = ()
    events: tuple[RunEvent, ...] = ()
    receipts: tuple[CallbackReceipt, ...] = ()

    def __bool__(self) -> bool:
        """Whether there is anything to write; there is no event without a run or a receipt."""
        return bool(self.runs or self.receipts)

    def __add__(self, other: "StateChange") -> "StateChange":
        """Combine two changes, this one first."""
        return StateChange(self.runs + other.runs, self.events + other.events, self.receipts + other.receipts)


NO_CHANGE = StateChange()


class Match(StrEnum):
    """Which run an answer is about."""

    SAME = "same"
    NEW = "new"
    STALE = "stale"
    """An earlier run, or an earlier moment of this one."""
    UNSURE = "unsure"
    """Perhaps a new run: the next answer decides."""
    NOT_FOUND = "not_found"


def identify(run: Run | None, task: Task | None, *, unsure: bool = False, answered_at: float = -math.inf) -> Match:
    """Decide which run an answer is about.

    `unsure` says that the answer before it was UNSURE, `answered_at` when that one came (Unix seconds of the vendor's
    clock). StartTime decides where both sides have one, then EndTime. Without either, what the run has been through
    decides. The cases are a table in tests/model/test_run.py.
    """
    if task is None:
        return Match.NOT_FOUND
    if run is None:
        return Match.NEW
    if task.start is not None:
        return _by_start(run, task, task.start, answered_at)
    if task.stopped:
        return _stop_without_start(run, task, answered_at, unsure=unsure)
    return _live_without_start(run, task, unsure=unsure)


def _by_start(run: Run, task: Task, start: float, answered_at: float) -> Match:
    if start == run.start:
        return _same_start(run, task)
    if run.start_is_doubtful and start not in run.earlier and task.end == run.end:
        return Match.SAME  # the stop that was read without its StartTime
    if start <= max((run.start or -math.inf, *run.earlier, *run.earlier_ends)):
        return Match.STALE
    if run.start is None and not run.counted:
        return Match.STALE if _is_of_previous(run, task, answered_at) else Match.SAME
    if (run.start is None or run.start_is_doubtful) and run.end is not None and start < run.end:
        return _began_before_the_end(run, task, run.end)
    return Match.NEW


def _same_start(run: Run, task: Task) -> Match:
    if run.last is None:
        return Match.SAME
    if not task.stopped:
        return Match.STALE  # a run that has ended does not run again
    if not run.start_is_doubtful or task.end is None or run.end is None or task.end == run.end:
        return Match.SAME
    return Match.NEW if task.end > run.end else Match.STALE  # the stop without a StartTime was another run's


def _began_before_the_end(run: Run, task: Task, end: float) -> Match:
    """The run whose end is known has no StartTime, and the answer's run began before that end."""
    if task.end is not None and task.end > end:
        return Match.NEW
    return Match.SAME if task.end is None and task.status in run.entered else Match.STALE


def _stop_without_start(run: Run, task: Task, answered_at: float, *, unsure: bool) -> Match:
    end, reason = task.end, task.stop_reason
    if end is not None:
        if end == run.end:
            return Match.SAME
        if end < max((run.end or -math.inf, run.start or -math.inf, *run.earlier_ends)) or end in run.earlier_ends:
            return Match.STALE
    if reason is StopReason.START_TASK_FAILED and run.seen_running and run.stopped is not reason:
        # A run that was running has not failed to start: another has, after the latest answer or before this run.
        is_earlier = run.start is None and end is not None and end < answered_at
        return Match.STALE if is_earlier else Match.NEW
    if run.last is None:
        return _first_stop(run, task, answered_at, unsure=unsure)
    if end is not None and run.end is not None:
        return Match.NEW
    other_reason = reason is not None and run.last.stop_reason not in (None, reason)
    return Match.NEW if unsure or other_reason or task.status is not run.last.status else Match.SAME


def _first_stop(run: Run, task: Task, answered_at: float, *, unsure: bool) -> Match:
    if unsure:
        return Match.SAME if _ended_before(task, answered_at) else Match.NEW
    return Match.STALE if _is_of_previous(run, task, answered_at) else Match.SAME


def _is_of_previous(run: Run, task: Task, answered_at: float) -> bool:
    return run.previous is not None and run.entered == {Status.NOT_STARTED} and _ended_before(task, answered_at)


def _ended_before(task: Task, answered_at: float) -> bool:
    """Whether the run of the task had ended before the vendor spoke of a run that has not begun, and so of another."""
    return task.end is not None and task.end < answered_at and task.stop_reason is not StopReason.START_TASK_FAILED


def _live_without_start(run: Run, task: Task, *, unsure: bool) -> Match:
    if run.last is not None:
        return Match.NEW if unsure else Match.UNSURE
    if task.status is not Status.NOT_STARTED or not run.started:
        return Match.SAME
    return Match.NEW if unsure or run.counted else Match.UNSURE


def advance(
    run: Run | None,
    result: ReadResult,
    task: Task,
    match: Match,
    *,
    pending_run: Run | None = None,
    unsure: Task | None = None,
) -> tuple[Run, StateChange]:
    """Take a successful read into the target's run, as `identify` matched it; return the run and what changed.

    A new run takes the place of the `pending_run`, and has been in the status of the `unsure` answer before it.
    """
    if match is Match.NEW or run is None:
        if run is not None and run.start == task.start:
            run = replace(run, start=None)  # the StartTime belongs to the new run
        begun, change = _begin(run, result, pending_run)
        if unsure is not None and not unsure.stopped:
            begun, events = _enter(begun, unsure.status)
            change += StateChange(events=events)
        after, events = _read(begun, result, task)
        return after, change + StateChange((after,), events)
    if match is Match.SAME:
        after, events = _read(_with_corrected_start(run, task, result.at), result, task)
        return after, NO_CHANGE if after is run or after == run else StateChange((after,), events)
    if match is Match.STALE and task.stopped:
        return _late_stop(run, result, task)
    return run, NO_CHANGE


def mark_lost(run: Run, at: float) -> tuple[Run, StateChange]:
    """Give a run up: it has stopped, and its end was never read. What was counted is not counted again."""
    if not run.counted and not run.abandoned:
        ended = at if run.end_seen is None else run.end_seen
        lost = replace(run, stopped=StopReason.LOST, end_seen=ended, last=None)
        return lost, StateChange((lost,), (RunStopped(run.target.app_id, StopReason.LOST),))
    if run.live:
        gone = replace(run, end_seen=at)
        return gone, StateChange((gone,))
    return run, NO_CHANGE


def mark_previous_lost(run: Run, at: float) -> tuple[Run, StateChange]:
    """Count the run before this one as lost, unless an answer has reported its end."""
    if run.previous is None or run.pending:
        return run, NO_CHANGE
    _, change = mark_lost(run.previous, at)
    run = replace(run, previous=None)
    return run, change + StateChange((run,))


def abandon(run: Run, at: float) -> StateChange:
    """Stop following a live run before its end was read."""
    events = () if run.counted or run.abandoned else (EndUnseen(run.target.app_id),)
    return StateChange((replace(run, end_seen=at, abandoned=not run.counted or run.abandoned),), events)


def next_run(run: Run, at: float) -> Run:
    """The target's run after this one, of which nothing is known yet."""
    may_be_told = run.start_is_doubtful or (run.abandoned and not run.counted)  # a late answer may tell its end
    return Run(
        target=run.target,
        first_seen=max(at, math.nextafter(run.first_seen, math.inf)),
        earlier=run.earlier if may_be_told else _with(run.earlier, run.start),
        earlier_ends=_with(run.earlier_ends, run.end),
    )


def _with(times: tuple[float, ...], time: float | None) -> tuple[float, ...]:
    return times if time is None or time in times else (*times, time)[-MAX_EARLIER:]


def _begin(run: Run | None, result: ReadResult, pending_run: Run | None) -> tuple[Run, StateChange]:
    """The run to read into, and what becomes of the one that it replaces."""
    if run is None:
        begun = pending_run or Run(result.target, first_seen=result.at)
        return replace(begun, previous=None), NO_CHANGE
    run, change = mark_previous_lost(run, result.at)
    begun = next_run(run, result.at)
    if pending_run is not None:
        begun = replace(begun, first_seen=pending_run.first_seen, pages=pending_run.pages)
    if run.counted or run.abandoned:
        return begun, change + mark_lost(run, result.at)[1]
    return replace(begun, previous=replace(run, end_seen=result.at)), change


def _with_corrected_start(run: Run, task: Task, at: float) -> Run:
    """A stop was read without its StartTime, and that is another one than thought: it was a later run's."""
    if run.last is None or run.start is None or task.start in (None, run.start):
        return run
    before = Run(
        run.target, math.nextafter(run.first_seen, -math.inf), run.start, frozenset({Status.RUNNING}), end_seen=at
    )
    return replace(run, start=None, earlier=_with(run.earlier, run.start), previous=run.previous or before)


def _late_stop(run: Run, result: ReadResult, task: Task) -> tuple[Run, StateChange]:
    """A late answer tells the end of a run before this one: count it, unless it is counted."""
    before = run.previous
    if before is not None and _may_be(before, run, task):
        stopped, events = _read(before, result, task)
        after = replace(run, previous=None, earlier_ends=_with(run.earlier_ends, task.end))
        return after, StateChange((stopped, after), events)
    if run.start_is_doubtful and task.start is None and (run.start or math.inf) <= (task.end or 0.0) < (run.end or 0.0):
        task = replace(task, start=run.start)  # no two runs overlap
    if task.start == run.start and task.start is not None:
        run = replace(run, start=None)  # the StartTime belongs to this earlier run
    elif task.start in run.earlier or task.end in run.earlier_ends or task.start is task.end is None:
        return run, NO_CHANGE
    after = replace(run, earlier=_with(run.earlier, task.start), earlier_ends=_with(run.earlier_ends, task.end))
    seen = min(math.nextafter(run.first_seen, -math.inf), task.end or math.inf, task.start or math.inf)
    stopped, events = _read(Run(run.target, first_seen=seen), result, task)
    return after, StateChange((stopped, after), events)


def _may_be(before: Run, run: Run, task: Task) -> bool:
    """Whether a late answer can be about the run before this one."""
    if task.start is not None:
        return before.start in (None, task.start)
    after_its_start = task.end is None or before.start is None or task.end >= before.start
    before_the_next = task.end is None or run.start is None or task.end <= run.start
    return after_its_start and before_the_next


def _enter(run: Run, status: Status) -> tuple[Run, tuple[RunEvent, ...]]:
    if status in run.entered:
        return run, ()
    return replace(run, entered=run.entered | {status}), (StatusEntered(run.target.app_id, status),)


def _read(run: Run, result: ReadResult, task: Task) -> tuple[Run, tuple[RunEvent, ...]]:
    run, events = _enter(_with_start(run, task), task.status)
    if not task.stopped:
        is_live = run.end_seen is None and run.last is None
        return (run if is_live else replace(run, end_seen=None, last=None)), events
    if not run.counted:
        events += (_stop(run, result, task),)
        run = replace(run, stopped=_reason(task))
    if run.last is not None and task.start is None and task.end == run.end:
        task = replace(task, start=run.last.start)  # reported before, missing now
    # Lost stays Lost: the run was counted so. Its end is first seen now all the same.
    return replace(run, end_seen=result.at if run.last is None else run.end_seen, last=task), events


def _with_start(run: Run, task: Task) -> Run:
    """The run with its StartTime; if its times are an earlier run's, it is that run seen again, and was counted."""
    seen_again = task.start in run.earlier if task.start is not None else task.end in run.earlier_ends
    if seen_again and not run.counted:
        return replace(run, start=task.start, entered=EVERY_STATUS, stopped=task.stop_reason or StopReason.LOST)
    return run if task.start is None else replace(run, start=task.start)


def _reason(task: Task) -> StopReason:
    return task.stop_reason or StopReason.UNSPECIFIED


def _stop(run: Run, result: ReadResult, task: Task) -> RunStopped:
    known = run.start is not None and task.end is not None
    return RunStopped(
        app_id=run.target.app_id,
        reason=_reason(task),
        status=task.status,
        duration=max(0.0, (task.end or 0.0) - (run.start or 0.0)) if known else None,
        delay=max(0.0, result.server_time - task.end) if run.seen_live and task.end is not None else None,
    )
