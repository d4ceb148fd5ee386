"""A run: one life of a target, and the facts that one more read of it adds.

A run is the triple plus its StartTime, because a TaskId can be used again. What must be counted once is a fact here,
and only here; the ledger makes facts durable, and nothing else may count a run.
"""

from dataclasses import dataclass, replace

from exporter.model.reading import Reading
from exporter.model.target import TargetId
from exporter.model.task import Task
from exporter.vocabulary import Status, StopReason

NO_STATUS: frozenset[Status] = frozenset()


@dataclass(frozen=True, slots=True)
class Run:
    """One life of a target as far as it has been read; times are Unix seconds.

    `entered` holds each status it was ever seen in. `stopped` is set once, when its end is counted; `last` is then the
    state to show for `linger` after `end_seen`.
    """

    target: TargetId
    first_seen: float
    start: float | None = None
    entered: frozenset[Status] = NO_STATUS
    stopped: StopReason | None = None
    end_seen: float | None = None
    last: Task | None = None

    @property
    def live(self) -> bool:
        """Whether its end is still to be seen."""
        return self.stopped is None

    @property
    def seen_live(self) -> bool:
        """Whether it was ever read before its end."""
        return any(not status.stopped for status in self.entered)


@dataclass(frozen=True, slots=True)
class Entered:
    """A run was seen in a status for the first time."""

    app_id: str
    status: Status


@dataclass(frozen=True, slots=True)
class Stopped:
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


Fact = Entered | Stopped | EndUnseen


@dataclass(frozen=True, slots=True)
class Step:
    """What one read or one moment changed: the runs to keep (an old one replaced, then the new) and the facts."""

    runs: tuple[Run, ...] = ()
    facts: tuple[Fact, ...] = ()

    def __bool__(self) -> bool:
        """A step that changes nothing is worth no write."""
        return bool(self.runs)


def advance(run: Run | None, reading: Reading, task: Task) -> tuple[Run, Step]:
    """Take a successful read into the target's run: the same one, or a new one that replaces it."""
    replaced = Step()
    if run is not None and not _same_run(run, task):
        _, replaced = lose(run, reading.at)
        run = None
    before = run or Run(target=reading.target, first_seen=reading.at)
    after, facts = _read(before, reading, task)
    runs = (after,) if after != run else ()
    return after, Step((*replaced.runs, *runs), (*replaced.facts, *facts))


def lose(run: Run, at: float) -> tuple[Run, Step]:
    """Give a live run up as stopped: it has ended, and its end was never read. A stopped one stays as it is."""
    if not run.live:
        return run, Step()
    lost = replace(run, stopped=StopReason.LOST, end_seen=at, last=None)
    return lost, Step((lost,), (Stopped(run.target.app_id, StopReason.LOST),))


def _same_run(run: Run, task: Task) -> bool:
    if run.start is None:
        # StartTime 0 and then a real one is one run, unless the first was already counted as stopped.
        return run.live or (task.start is None and task.status.stopped)
    if task.start is None:
        # A live run whose StartTime is missing for once is still that run; after an end it is the next one coming up.
        return run.live or task.status.stopped
    return run.start == task.start


def _read(run: Run, reading: Reading, task: Task) -> tuple[Run, list[Fact]]:
    facts: list[Fact] = []
    app_id = run.target.app_id
    start = task.start if run.start is None else run.start
    if task.status not in run.entered:
        facts.append(Entered(app_id, task.status))
    after = replace(run, start=start, entered=run.entered | {task.status})
    if not task.status.stopped:
        return replace(after, end_seen=None, last=None), facts
    if run.live:
        facts.append(_stop(run, start, reading, task))
        after = replace(after, stopped=task.stop_reason or StopReason.UNSPECIFIED)
    # Lost stays Lost: it was counted so, and a run is counted once.
    return replace(after, end_seen=reading.at if run.end_seen is None else run.end_seen, last=task), facts


def _stop(run: Run, start: float | None, reading: Reading, task: Task) -> Stopped:
    known = start is not None and task.end is not None
    return Stopped(
        app_id=run.target.app_id,
        reason=task.stop_reason or StopReason.UNSPECIFIED,
        status=task.status,
        duration=max(0.0, (task.end or 0.0) - (start or 0.0)) if known else None,
        delay=max(0.0, reading.server_time - task.end) if run.seen_live and task.end is not None else None,
    )
