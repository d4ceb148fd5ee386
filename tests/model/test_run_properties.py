"""Run identity against a model of the vendor: ids used again, StartTimes forgotten, answers late and out of order."""

import os
from collections import Counter
from dataclasses import dataclass, replace

from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.enums import Status, StopReason
from exporter.model.run import LATE_ANSWERS, RunStopped, StateChange
from exporter.model.target import Target, TargetId
from exporter.model.task import ReadResult, Task
from exporter.model.task_state import Lifetimes, TaskState, apply_read, expire

CASES = int(os.environ.get("FUZZ_CASES", "300"))
TARGET = Target(TargetId("app", "room", "task"), "default")
FOR_EVER = Lifetimes(stale_after=1e9, linger=1e9, drain=1e9)
REASONS = [StopReason.STOP_BY_API, StopReason.EXCEED_MAX_RUNNING_TIME, StopReason.UNKNOWN]


@dataclass(frozen=True)
class TrueRun:
    """One run as it really was: its answers before and after its start, and its last one."""

    number: int
    waits: int
    runs: int
    ends: int
    reason: StopReason
    has_end_time: bool

    @property
    def start(self) -> float | None:
        """StartTime; None when it failed to start."""
        return None if self.reason is StopReason.START_TASK_FAILED else 1000.0 * self.number + 100.0

    @property
    def stopped(self) -> Task:
        """The answer once it has stopped."""
        status = Status.FAILED if self.start is None else Status.ENDED
        end = 1000.0 * self.number + 500.0 if self.has_end_time else None
        return Task(status, start=self.start, end=end, stop_reason=self.reason)

    @property
    def answers(self) -> list[Task]:
        """What the vendor would answer, read by read."""
        live = [Task(Status.RUNNING, start=self.start)] * (self.runs if self.start is not None else 0)
        return [Task(Status.NOT_STARTED)] * self.waits + live + [self.stopped] * self.ends


@dataclass(frozen=True, repr=False)
class Answer:
    """One answer that was delivered, and the run that it is about."""

    run: TrueRun
    task: Task

    def __repr__(self) -> str:
        return f"<run {self.run.number} {self.task.status} start={self.task.start} end={self.task.end}>"


@st.composite
def lives(draw: st.DrawFn) -> list[TrueRun]:
    """The runs of one id, one after the other."""
    made: list[TrueRun] = []
    for number in range(1, draw(st.integers(1, 4)) + 1):
        failed = draw(st.booleans())
        timed = not failed or draw(st.booleans())
        # Failures without EndTime are told apart by what the vendor answers between them, if it answers.
        unclear = failed and any(run.start is None and not (timed and run.has_end_time) for run in made)
        made.append(
            TrueRun(
                number,
                waits=draw(st.integers(1 if unclear else 0, 2)),
                runs=draw(st.integers(0, 3)),
                ends=draw(st.integers(0, 2)),
                reason=StopReason.START_TASK_FAILED if failed else draw(st.sampled_from(REASONS)),
                has_end_time=timed,
            )
        )
    return made


@st.composite
def deliveries(draw: st.DrawFn) -> list[Answer]:
    """The answers as they arrive: some without StartTime, and late ones about the run before in between."""
    arrived: list[Answer] = []
    before: TrueRun | None = None
    for run in draw(lives()):
        for task in run.answers:
            forgets = task.start is not None and draw(st.integers(0, 5)) == 0
            arrived.append(Answer(run, replace(task, start=None) if forgets else task))
            late = draw(st.integers(0, 5))
            if before is None or all(answer.task.start != before.start for answer in arrived) or before.start is None:
                continue  # late answers are about runs whose StartTime was told in time
            if late == 0:
                arrived += [Answer(before, before.stopped)] * draw(st.integers(1, 2))
            elif late == 1:
                arrived.append(Answer(before, Task(Status.RUNNING, start=before.start)))
        before = run
    return arrived


@settings(max_examples=CASES, deadline=None)
@given(deliveries())
def test_each_run_is_counted_once_with_its_true_reason_whenever_an_answer_told_it(arrived: list[Answer]) -> None:
    """Runs of which no answer told the end count as lost at most once each; nothing else is counted."""
    state, change = TaskState(TARGET), StateChange()
    for at, answer in enumerate(arrived):
        state, more = apply_read(state, ReadResult(TARGET.id, at, at, 0.1, answer.task))
        change += more
    _, more = expire(state, len(arrived) + LATE_ANSWERS, FOR_EVER)
    counted = Counter(event.reason for event in (change + more).events if isinstance(event, RunStopped))
    told = {answer.run for answer in arrived if answer.task.stopped}
    seen = {answer.run for answer in arrived}
    lost = counted.pop(StopReason.LOST, 0)
    assert counted == Counter(run.reason for run in told), "\n".join(map(repr, arrived))
    assert lost <= len(seen - told), "\n".join(map(repr, arrived))
