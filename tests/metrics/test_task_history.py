"""The latest reads and status changes: bounded for each task and over all; a success displaces no failure."""

from dataclasses import replace

from exporter.enums import ReadFailure, Status, StopReason
from exporter.errors import TimedOut
from exporter.metrics.task_history import (
    CHANGES_EACH,
    FAILURES_EACH,
    MAX_ERROR_LENGTH,
    MAX_FAILURES,
    SUCCESSES_EACH,
    BoundedLog,
    HistoryLog,
    ReadRecord,
    StatusRecord,
)
from exporter.model.run import Run
from exporter.model.target import Target, TargetId
from exporter.model.task import ReadResult, Task
from exporter.model.task_state import DisplayStatus, TaskState

ID = TargetId("app", "room", "task")
OTHER = TargetId("app", "room", "other")
RUNNING = TaskState(Target(ID, "default"), task=Task(Status.RUNNING), last_read=1.0)
FAILED = replace(RUNNING, task=Task(Status.FAILED))


def read_result(at: float, outcome: Task | TimedOut, target: TargetId = ID) -> ReadResult:
    return ReadResult(target, at=at, server_time=at, elapsed=0.25, outcome=outcome)


def test_the_latest_reads_come_first_and_failures_stay_longer() -> None:
    """Good reads never push out a failure."""
    history = HistoryLog()
    history.add_read(read_result(1.0, TimedOut("no answer within 5 s")))
    for at in range(2, 100):
        history.add_read(read_result(float(at), Task(Status.RUNNING)))
    reads = history.of(ID).reads
    assert reads[0] == ReadRecord(99.0, 0.25)
    assert reads[-1] == ReadRecord(1.0, 0.25, ReadFailure.TIMEOUT, "no answer within 5 s")
    assert len(reads) == SUCCESSES_EACH + 1
    assert history.of(OTHER) == ((), ())


def test_failures_are_few_for_each_task_and_bounded_over_all() -> None:
    """The oldest of all goes first; a sentence has a length."""
    history = HistoryLog()
    for task in range(MAX_FAILURES + 10):
        target = TargetId("app", "room", str(task))
        history.add_read(read_result(float(task), TimedOut("x" * 1000), target))
    assert history.of(TargetId("app", "room", "9")).reads == ()
    assert [len(read.error) for read in history.of(TargetId("app", "room", "10")).reads] == [MAX_ERROR_LENGTH]
    for at in range(100):
        history.add_read(read_result(float(at), TimedOut("late")))
    assert len(history.of(ID).reads) == FAILURES_EACH


def test_a_task_that_fails_all_the_time_pushes_out_only_its_own() -> None:
    """Its entries have its own bound before that of all."""
    log: BoundedLog[int] = BoundedLog(2, 4)
    log.add(OTHER, 1)
    for number in range(100):
        log.add(ID, number)
    assert (log.latest_first(ID), log.latest_first(OTHER), len(log)) == ([99, 98], [1], 3)


def test_changes_of_what_a_task_counts_as() -> None:
    """With the reason of a stop; its first read is no change, nor is one that says the same."""
    history = HistoryLog()
    history.add_change(replace(RUNNING, task=None, last_read=None), RUNNING, 1.0)
    history.add_change(RUNNING, RUNNING, 2.0)
    assert history.of(ID).changes == ()
    run = Run(ID, 1.0, stopped=StopReason.UNKNOWN, end_seen=3.0, last=FAILED.task)
    history.add_change(RUNNING, replace(FAILED, run=run), 3.0)
    changed = StatusRecord(3.0, DisplayStatus.RUNNING, DisplayStatus.FAILED, StopReason.UNKNOWN)
    assert history.of(ID).changes == (changed,)
    for at in range(100):
        history.add_change(FAILED, RUNNING, float(at))
    assert len(history.of(ID).changes) == CHANGES_EACH


def test_of_what_is_forgotten_nothing_is_left() -> None:
    """Neither reads nor changes, nor a mark of where they stood; others keep theirs."""
    history = HistoryLog()
    history.add_read(read_result(1.0, Task(Status.RUNNING)))
    history.add_read(read_result(2.0, TimedOut("late")))
    history.add_change(RUNNING, FAILED, 3.0)
    history.add_read(read_result(4.0, TimedOut("late"), OTHER))
    history.forget([ID, TargetId("app", "room", "no task")])
    assert history.of(ID) == ((), ())
    assert [read.at for read in history.of(OTHER).reads] == [4.0]
    for number in range(100):
        target = TargetId("app", "room", str(number))
        history.add_read(read_result(5.0, TimedOut("late"), target))
        history.forget([target])
    assert (len(history._failures), len(history._changes)) == (1, 0)
