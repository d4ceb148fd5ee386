"""A run: one life of a target, and the facts that one more read of it adds.

A run is the triple plus its StartTime, because a TaskId can be used again. What must be counted once is a fact here,
and only here; the ledger makes facts durable, and nothing else may count a run.
"""

import math
from dataclasses import dataclass, replace

from exporter.enums import PageAction, PageReason, Status, StopReason
from exporter.model.callback import NO_PAGES, CallbackReceipt, Pages
from exporter.model.read_result import ReadResult
from exporter.model.target import TargetId
from exporter.model.task import Task

NO_STATUS: frozenset[Status] = frozenset()
EVERY_STATUS = frozenset(Status)

MOST_EARLIER = 16
"""StartTimes of earlier runs that are remembered; an answer about a run before those would be a very late one."""


@dataclass(frozen=True, slots=True)
class Run:
    """One life of a target as far as it has been read; times are Unix seconds.

    `first_seen` is later than that of the target's run before it, whatever the clock did. `entered` holds each status
    it was ever seen in. `stopped` is set once, when its end is counted. `end_seen` is when it was first seen ended,
    given up as lost, or let go, and None while it is live; `last` is then the state to show, if its end was read.
    `earlier` holds the StartTimes of the target's runs that were counted before this one. `pages` is what callbacks
    have told of it; with nothing `entered`, callbacks alone have announced it, and no read has seen it yet.
    """

    target: TargetId
    first_seen: float
    start: float | None = None
    entered: frozenset[Status] = NO_STATUS
    stopped: StopReason | None = None
    end_seen: float | None = None
    last: Task | None = None
    earlier: tuple[float, ...] = ()
    pages: Pages = NO_PAGES

    @property
    def live(self) -> bool:
        """Whether it was last read live and is still followed (contract, "Words")."""
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
        return any(not status.stopped for status in self.entered)


@dataclass(frozen=True, slots=True)
class StatusEntered:
    """A run was seen in a status for the first time."""

    app_id: str
    status: Status


@dataclass(frozen=True, slots=True)
class RunStopped:
    """A run is over. Seconds; `status`, `duration` and `delay` are None where they cannot be known."""

    app_id: str
    reason: StopReason
    status: Status | None = None
    duration: float | None = None
    delay: float | None = None


@dataclass(frozen=True, slots=True)
class EndUnseen:
    """A live run was let go; its end will not be read."""

    app_id: str


@dataclass(frozen=True, slots=True)
class PageActionTaken:
    """The vendor did something about a page in trouble."""

    app_id: str
    action: PageAction
    reason: PageReason


RunEvent = StatusEntered | RunStopped | EndUnseen | PageActionTaken


@dataclass(frozen=True, slots=True)
class StateChange:
    """What one read, callback or moment changed.

    The runs to keep (an old one replaced, then the new), the facts, and the callbacks that were taken in with them.
    """

    runs: tuple[Run, ...] = ()
    facts: tuple[RunEvent, ...] = ()
    receipts: tuple[CallbackReceipt, ...] = ()

    def __bool__(self) -> bool:
        """A step that changes nothing is worth no write; there is no fact without a run or a callback."""
        return bool(self.runs or self.receipts)


def advance(
    run: Run | None, reading: ReadResult, task: Task, pending_run: Run | None = None
) -> tuple[Run, StateChange]:
    """Take a successful read into the target's run: the same one, or a new one (the `pending_run`) that replaces it."""
    replaced = StateChange()
    if run is None:
        before = pending_run or Run(target=reading.target, first_seen=reading.at)
    elif _same_run(run, task):
        before = run
    else:
        lost, replaced = mark_lost(run, reading.at)
        before = pending_run or next_run(lost, reading.at)
    after, facts = _read(before, reading, task)
    runs = (after,) if after != run else ()
    return after, StateChange((*replaced.runs, *runs), (*replaced.facts, *facts))


def mark_lost(run: Run, at: float) -> tuple[Run, StateChange]:
    """Give a run up: it has stopped, and its end was never read. What is counted is not counted again."""
    if not run.counted:
        lost = replace(run, stopped=StopReason.LOST, end_seen=at, last=None)
        return lost, StateChange((lost,), (RunStopped(run.target.app_id, StopReason.LOST),))
    if run.live:
        gone = replace(run, end_seen=at)
        return gone, StateChange((gone,))
    return run, StateChange()


def abandon(run: Run, at: float) -> StateChange:
    """Let a live run go before its end was read; nobody will look for it any more."""
    facts = () if run.counted else (EndUnseen(run.target.app_id),)
    return StateChange((replace(run, end_seen=at),), facts)


def _same_run(run: Run, task: Task) -> bool:
    if run.start is not None and task.start is not None:
        return run.start == task.start
    if not run.counted:
        # StartTime 0 and then a real one is one run; and a live run whose StartTime is missing for once is still it.
        return True
    if task.start is not None:
        return False
    if run.stopped is StopReason.LOST:
        # Perhaps it was not lost after all; but a run that had started is not "not started" again.
        return run.start is None or task.status is not Status.NOT_STARTED
    return task.status.stopped and (run.start is None or task.status in run.entered)


def next_run(run: Run, at: float) -> Run:
    """The target's run after this one, of which nothing is known yet."""
    starts = () if run.start is None or run.start in run.earlier else (run.start,)
    return Run(
        target=run.target,
        first_seen=max(at, math.nextafter(run.first_seen, math.inf)),
        earlier=(*run.earlier, *starts)[-MOST_EARLIER:],
    )


def _read(run: Run, reading: ReadResult, task: Task) -> tuple[Run, list[RunEvent]]:
    run = _recognised(run, task)
    facts: list[RunEvent] = []
    if task.status not in run.entered:
        facts.append(StatusEntered(run.target.app_id, task.status))
    run = replace(run, entered=run.entered | {task.status})
    if not task.status.stopped:
        return replace(run, end_seen=None, last=None), facts
    if not run.counted:
        facts.append(_stop(run, reading, task))
        run = replace(run, stopped=_reason(task))
    # Lost stays Lost: it was counted so, and a run is counted once. Its end is first seen now all the same.
    return replace(run, end_seen=reading.at if run.last is None else run.end_seen, last=task), facts


def _recognised(run: Run, task: Task) -> Run:
    """The run with its StartTime; if that is an earlier run's, it is that run seen again, and was counted."""
    if run.start is not None or task.start is None:
        return run
    if task.start not in run.earlier:
        return replace(run, start=task.start)
    return replace(run, start=task.start, entered=EVERY_STATUS, stopped=task.stop_reason or StopReason.LOST)


def _reason(task: Task) -> StopReason:
    return task.stop_reason or StopReason.UNSPECIFIED


def _stop(run: Run, reading: ReadResult, task: Task) -> RunStopped:
    known = run.start is not None and task.end is not None
    return RunStopped(
        app_id=run.target.app_id,
        reason=_reason(task),
        status=task.status,
        duration=max(0.0, (task.end or 0.0) - (run.start or 0.0)) if known else None,
        delay=max(0.0, reading.server_time - task.end) if run.seen_live and task.end is not None else None,
    )
