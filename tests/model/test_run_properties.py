"""Run identity against a model of the vendor: ids used again, StartTimes forgotten, answers late and out of order.

A scenario is drawn by `Random(seed)`, so that 100,000 take a minute; a failure shows the shortest one. docs/vendor.md
lists what the answers do not decide; such scenarios are left out.
"""

import os
from collections import Counter
from dataclasses import dataclass, replace
from random import Random

import pytest

from exporter.enums import Status, StopReason
from exporter.errors import NotFound
from exporter.model.run import LATE_ANSWERS, RunStopped, StateChange
from exporter.model.target import Target, TargetId
from exporter.model.task import ReadResult, Task
from exporter.model.task_state import Lifetimes, TaskState, apply_read, expire

pytestmark = pytest.mark.slow

CASES = int(os.environ.get("FUZZ_CASES", "4000"))
PARTS = 8
"""The cases are as many tests, so that they can run side by side."""
TARGET = Target(TargetId("app", "room", "task"), "default")
FOR_EVER = Lifetimes(stale_after=1e9, linger=1e9, drain=1e9)
REASONS = [StopReason.STOP_BY_API, StopReason.EXCEED_MAX_RUNNING_TIME, StopReason.UNKNOWN, StopReason.UNSPECIFIED]


@dataclass(frozen=True, slots=True)
class TrueRun:
    """One run as it really was (seconds). Without `start` it failed to start; `tells_end`: its EndTime is answered."""

    created: float
    start: float | None
    end: float
    reason: StopReason
    unknown: tuple[float, float]
    tells_end: bool

    def answer(self, moment: float) -> Task:
        """What the vendor says of it at a moment after its creation."""
        if moment >= self.end:
            status = Status.FAILED if self.start is None else Status.ENDED
            return Task(status, start=self.start, end=self.end if self.tells_end else None, stop_reason=self.reason)
        if self.start is None or moment < self.start:
            return Task(Status.NOT_STARTED)
        is_unknown = self.unknown[0] <= moment < self.unknown[1]
        return Task(Status.UNKNOWN if is_unknown else Status.RUNNING, start=self.start)


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer that arrives `at`, and the run that it is about; without one the vendor knows no such task."""

    at: float
    run: TrueRun | None = None
    task: Task | None = None

    @property
    def tells_end(self) -> bool:
        """Whether it holds an EndTime."""
        return self.task is not None and self.task.end is not None

    def __str__(self) -> str:
        """One line."""
        if self.run is None or self.task is None:
            return f"{self.at:.0f}: not found"
        task = self.task
        return (
            f"{self.at:.0f}: run of {self.run.created:.0f} {task.status} {task.start} - {task.end} {task.stop_reason}"
        )


def true_runs(random: Random) -> list[TrueRun]:
    """One to five runs of one id, one after the other."""
    runs: list[TrueRun] = []
    at = 1000.0
    for _ in range(random.randint(1, 5)):
        created = at + random.choice((1, 20, 100))
        fails = random.random() < 0.3
        start = None if fails else created + random.choice((0, 5, 60))
        end = (start or created) + random.choice((1, 20, 100, 200))
        unknown = (created, created) if random.random() < 0.8 else (end - 50, end - 10)
        reason = StopReason.START_TASK_FAILED if fails else random.choice(REASONS)
        runs.append(TrueRun(created, start, end, reason, unknown, tells_end=not fails or random.random() < 0.5))
        at = end
    return runs


def answer_of(runs: list[TrueRun], at: float, moment: float, *, forgets_start: bool) -> Answer:
    """The answer that arrives `at` and speaks of a moment."""
    run = max((run for run in runs if run.created <= moment), key=lambda run: run.created, default=None)
    if run is None:
        return Answer(at)
    task = run.answer(moment)
    return Answer(at, run, replace(task, start=None) if forgets_start else task)


def answers(random: Random) -> list[Answer]:
    """What a poller reads of it: some answers speak of an earlier moment, some lack the StartTime."""
    runs = true_runs(random)
    arrived: list[Answer] = []
    at = latest = runs[0].created
    while at < runs[-1].end + 60.0:
        at += random.choice((5, 5, 30, 60))
        moment = at - random.choice((0, 0, 0, 10, 25))
        answer = answer_of(runs, at, moment, forgets_start=random.random() < 0.15)
        if moment < latest and (answer.task is None or answer.task.start is answer.task.end is None):
            answer = answer_of(runs, at, at, forgets_start=False)  # out of order, and without a time
            moment = at
        latest = max(latest, moment)
        arrived.append(Answer(at) if random.random() < 0.05 else answer)
    return arrived


def is_undecidable(arrived: list[Answer]) -> bool:
    """Whether an answer cannot be told from one about another run (docs/vendor.md).

    That is a run that failed to start and is told without any time, right beside such a failure of another run or
    before a late answer about an earlier run; or "not started" that arrives after the end of its run.
    """
    latest = 0.0
    failed: Answer | None = None
    for answer in arrived:
        if answer.run is None or answer.task is None:
            continue
        if answer.task.status is Status.NOT_STARTED and answer.at > answer.run.end:
            return True
        fails = answer.task.stop_reason is StopReason.START_TASK_FAILED
        is_late = answer.run.created < latest
        if failed is not None and answer.run is not failed.run:
            without_time = not failed.tells_end or (fails and not answer.tells_end)
            if without_time and (is_late or fails):
                return True
        latest = max(latest, answer.run.created)
        if fails or not is_late:
            failed = answer if fails else None
    return False


def problem_with(arrived: list[Answer]) -> str:
    """What is counted wrongly; empty when each run of which an answer told the end is counted once, with its reason.

    A run of which no answer told the end counts as lost at most once, and nothing else is counted.
    """
    state, change = TaskState(TARGET), StateChange()
    for answer in arrived:
        outcome = answer.task or NotFound("no such task")
        state, read = apply_read(state, ReadResult(TARGET.id, answer.at, answer.at, 0.1, outcome))
        after, waited = expire(state, answer.at, FOR_EVER)
        assert after is not None
        state, change = after, change + read + waited
    change += expire(state, arrived[-1].at + LATE_ANSWERS, FOR_EVER)[1]
    counted = Counter(event.reason for event in change.events if isinstance(event, RunStopped))
    told = {answer.run for answer in arrived if answer.run and answer.task and answer.task.stopped}
    untold = {answer.run for answer in arrived if answer.run} - told
    lost = counted.pop(StopReason.LOST, 0)
    expected = Counter(run.reason for run in told)
    if counted == expected and lost <= len(untold):
        return ""
    return f"counted {dict(counted)} and {lost} lost, told {dict(expected)}, untold {len(untold)}"


@pytest.mark.parametrize("part", range(PARTS))
def test_each_run_is_counted_once_with_its_true_reason_whenever_an_answer_told_it(part: int) -> None:
    wrong = []
    for seed in range(part, CASES, PARTS):
        arrived = answers(Random(seed))
        if not is_undecidable(arrived) and (problem := problem_with(arrived)):
            wrong.append((len(arrived), seed, problem, arrived))
    if wrong:
        _, seed, problem, arrived = min(wrong, key=lambda case: case[:2])
        pytest.fail("\n".join([f"{len(wrong)} of {CASES // PARTS}; seed {seed}: {problem}", *map(str, arrived)]))
