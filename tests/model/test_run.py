"""What is counted of a run, and that it is counted once, whatever the answers' order."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.enums import Status, StopReason
from exporter.model.read_result import ReadResult
from exporter.model.run import (
    MOST_EARLIER,
    EndUnseen,
    Run,
    RunEvent,
    RunStopped,
    StateChange,
    StatusEntered,
    abandon,
    advance,
    mark_lost,
)
from exporter.model.target import TargetId
from exporter.model.task import Task

Read = Callable[..., ReadResult]
Live = Callable[..., tuple[Run, StateChange]]

UNKNOWN, NOT_STARTED, RUNNING, ENDED, FAILED = Status
START, END, AGAIN = 900.0, 990.0, 2000.0
COMING = Task(NOT_STARTED)
ON = Task(RUNNING, start=START)
OVER = Task(ENDED, start=START, end=END, stop_reason=StopReason.STOP_BY_API)
ON_AGAIN = Task(RUNNING, start=AGAIN)
OVER_AGAIN = Task(ENDED, start=AGAIN, end=AGAIN + 5, stop_reason=StopReason.EXCEED_MAX_RUNNING_TIME)
NEVER_STARTED = Task(FAILED, stop_reason=StopReason.START_TASK_FAILED)


def stops(step: StateChange) -> list[StopReason]:
    """The reasons of the stops that were counted, in their order."""
    return [fact.reason for fact in step.facts if isinstance(fact, RunStopped)]


def entries(step: StateChange) -> list[Status]:
    """The statuses whose entering was counted, in their order."""
    return [fact.status for fact in step.facts if isinstance(fact, StatusEntered)]


def test_a_whole_life(live_through: Live) -> None:
    """Each status counts when first seen, the stop when first seen stopped, with its duration and its delay."""
    run, step = live_through(COMING, COMING, ON, ON, OVER, OVER)
    expected: list[RunEvent] = [
        StatusEntered("app", NOT_STARTED),
        StatusEntered("app", RUNNING),
        StatusEntered("app", ENDED),
        RunStopped("app", StopReason.STOP_BY_API, ENDED, duration=90.0, delay=50.0),
    ]
    assert expected == list(step.facts)
    assert run == Run(
        TargetId("app", "room", "task"),
        first_seen=1000.0,
        start=START,
        entered=frozenset({NOT_STARTED, RUNNING, ENDED}),
        stopped=StopReason.STOP_BY_API,
        end_seen=1040.0,
        last=OVER,
    )


def test_what_changes_nothing_is_no_step(live_through: Live) -> None:
    """A read that says what was known is worth no write."""
    for task in (COMING, ON, OVER):
        run, _ = live_through(task)
        assert not live_through(task, run=run)[1]


@pytest.mark.parametrize(
    ("task", "duration"),
    [
        (OVER, 90.0),
        (Task(ENDED, start=START, end=START - 1), 0.0),
        (Task(ENDED, start=START), None),
        (Task(FAILED, end=END), None),
        (NEVER_STARTED, None),
    ],
)
def test_a_duration_needs_both_its_ends(live_through: Live, task: Task, duration: float | None) -> None:
    """Without a start or an end nobody knows how long it was; an end before its start is no time at all."""
    _, step = live_through(task)
    assert [duration] == [fact.duration for fact in step.facts if isinstance(fact, RunStopped)]


@pytest.mark.parametrize(
    ("tasks", "server_time", "delay"),
    [
        ((ON, OVER), END + 7, 7.0),
        ((ON, OVER), END - 7, 0.0),
        ((OVER,), END + 7, None),
        ((ON, Task(ENDED, start=START)), END + 7, None),
    ],
)
def test_the_delay_is_that_of_runs_seen_live(
    read: Read, tasks: tuple[Task, ...], server_time: float, delay: float | None
) -> None:
    """EndTime to first sight goes by the vendor's clock, is never negative, and tells of runs that were followed."""
    run, step = None, StateChange()
    for task in tasks:
        run, step = advance(run, read(5000.0, task, server_time), task)
    assert [delay] == [fact.delay for fact in step.facts if isinstance(fact, RunStopped)]


def test_a_stop_without_a_reason_is_unspecified(live_through: Live) -> None:
    """A stop has a reason even when the task has none."""
    run, step = live_through(Task(ENDED, start=START))
    assert stops(step) == [StopReason.UNSPECIFIED]
    assert run.stopped is StopReason.UNSPECIFIED


@pytest.mark.parametrize(
    ("tasks", "expected"),
    [
        ((COMING, ON, OVER), [StopReason.STOP_BY_API]),
        ((ON, COMING, ON, OVER), [StopReason.STOP_BY_API]),
        ((ON, Task(RUNNING), Task(UNKNOWN), ON, OVER), [StopReason.STOP_BY_API]),
        ((ON, NEVER_STARTED), [StopReason.START_TASK_FAILED]),
        ((OVER, OVER, Task(ENDED)), [StopReason.STOP_BY_API]),
        ((OVER, ON, OVER), [StopReason.STOP_BY_API]),
        ((OVER, Task(UNKNOWN), OVER), [StopReason.STOP_BY_API]),
        ((OVER, Task(UNKNOWN), ON, OVER), [StopReason.STOP_BY_API]),
        ((NEVER_STARTED, NEVER_STARTED, Task(ENDED)), [StopReason.START_TASK_FAILED]),
        ((ON, ON_AGAIN), [StopReason.LOST]),
        ((ON, ON_AGAIN, OVER), [StopReason.LOST, StopReason.LOST]),
        ((OVER, ON_AGAIN, OVER, OVER_AGAIN), [StopReason.STOP_BY_API, StopReason.LOST]),
        ((OVER, OVER_AGAIN), [StopReason.STOP_BY_API, StopReason.EXCEED_MAX_RUNNING_TIME]),
        ((OVER, COMING, ON_AGAIN, OVER_AGAIN), [StopReason.STOP_BY_API, StopReason.EXCEED_MAX_RUNNING_TIME]),
        ((OVER, NEVER_STARTED), [StopReason.STOP_BY_API, StopReason.START_TASK_FAILED]),
        ((NEVER_STARTED, COMING, OVER), [StopReason.START_TASK_FAILED, StopReason.STOP_BY_API]),
        ((NEVER_STARTED, OVER), [StopReason.START_TASK_FAILED, StopReason.STOP_BY_API]),
    ],
    ids=str,
)
def test_every_run_stops_once(live_through: Live, tasks: tuple[Task, ...], expected: list[StopReason]) -> None:
    """A run is its StartTime, once it has one; late, repeated and incomplete answers count nothing twice."""
    assert expected == stops(live_through(*tasks)[1])


def test_each_status_counts_once_in_a_run(live_through: Live) -> None:
    """Going back and forth enters nothing anew; the next run enters everything anew."""
    assert entries(live_through(ON, Task(UNKNOWN, start=START), ON)[1]) == [RUNNING, UNKNOWN]
    assert entries(live_through(ON, OVER, ON_AGAIN, OVER_AGAIN)[1]) == [RUNNING, ENDED, RUNNING, ENDED]
    assert entries(live_through(OVER, Task(UNKNOWN), OVER)[1]) == [ENDED, UNKNOWN]


def test_a_lost_run_is_not_counted_again(live_through: Live) -> None:
    """A run that comes back after it was given up is live again; Lost stays what it counted as."""
    run, _ = live_through(ON)
    lost, step = mark_lost(run, 1100.0)
    assert (lost.live, lost.counted, [StopReason.LOST]) == (False, True, stops(step))
    back, step = live_through(ON, run=lost, at=1200.0)
    assert (back.live, list(step.facts)) == (True, [])
    again, step = mark_lost(back, 1300.0)
    assert (again.live, again.end_seen, list(step.facts)) == (False, 1300.0, [])
    over, step = live_through(OVER, run=again, at=1400.0)
    assert [StatusEntered("app", ENDED)] == list(step.facts)
    assert (over.stopped, over.end_seen, over.last) == (StopReason.LOST, 1400.0, OVER)
    assert (over, StateChange()) == mark_lost(over, 1500.0)


@pytest.mark.parametrize(
    ("before", "after", "same"),
    [
        (ON, Task(UNKNOWN), True),
        (ON, Task(ENDED), True),
        (ON, COMING, False),
        (COMING, COMING, True),
        (COMING, NEVER_STARTED, True),
        (COMING, ON, False),
        (ON, ON_AGAIN, False),
    ],
)
def test_what_follows_a_lost_run(live_through: Live, before: Task, after: Task, same: bool) -> None:  # noqa: FBT001 - a row of a table
    """What has no StartTime may be the lost run still, but for "not started" after it had started."""
    lost, _ = mark_lost(live_through(before)[0], 1100.0)
    run, _ = live_through(after, run=lost, at=1200.0)
    assert same == (run.first_seen == lost.first_seen)


def test_the_first_sight_of_an_end_stays(live_through: Live) -> None:
    """An end that is read again does not linger anew."""
    run, _ = live_through(ON, OVER)
    later = Task(ENDED, start=START, end=END, stop_reason=StopReason.STOP_BY_API, user_id="new")
    run, step = live_through(later, run=run, at=5000.0)
    assert (1010.0, later, ()) == (run.end_seen, run.last, step.facts)


def test_letting_go_is_counted_of_the_uncounted(live_through: Live) -> None:
    """A live run that is let go is an end unseen; seen again it is live again, and its end is counted then."""
    run, _ = live_through(ON)
    step = abandon(run, 1100.0)
    assert (EndUnseen("app"),) == step.facts
    (gone,) = step.runs
    assert (gone.live, gone.counted) == (False, False)
    over, step = live_through(ON, OVER, run=gone, at=9000.0)
    assert (stops(step), over.end_seen) == ([StopReason.STOP_BY_API], 9010.0)
    lost, _ = live_through(ON, run=mark_lost(run, 1100.0)[0], at=1200.0)
    assert abandon(lost, 1300.0).facts == ()


def test_a_let_go_run_that_ended_meanwhile_lingers_from_its_sight(live_through: Live) -> None:
    """The moment of letting go is not the end's: the state is shown from when it was read."""
    (gone,) = abandon(live_through(ON)[0], 1100.0).runs
    assert live_through(OVER, run=gone, at=9000.0)[0].end_seen == 9000.0


@pytest.mark.parametrize("at", [1000.0, 10.0])
def test_the_next_run_is_the_later_one(live_through: Live, at: float) -> None:
    """The runs of a target keep their order when the clock stands still or is set back."""
    first, _ = live_through(OVER)
    second, step = live_through(ON_AGAIN, run=first, at=at)
    assert second.first_seen > first.first_seen
    assert (second,) == step.runs


def test_a_replaced_live_run_is_kept_too(live_through: Live) -> None:
    """The step of a replacement holds the lost run, then the new one."""
    first, _ = live_through(ON)
    second, step = live_through(ON_AGAIN, run=first, at=1200.0)
    assert (mark_lost(first, 1200.0)[0], second) == step.runs


def test_earlier_starts_are_few(live_through: Live) -> None:
    """A TaskId used every day for years does not make its row grow for ever."""
    starts = [float(second) for second in range(2 * MOST_EARLIER)]
    run, _ = live_through(*(Task(ENDED, start=start, end=start) for start in starts))
    assert tuple(starts[-MOST_EARLIER - 1 : -1]) == run.earlier
    run, _ = live_through(*(Task(ENDED, start=start, end=start) for start in (1.0, 2.0, 1.0, 2.0)))
    assert run.earlier == (1.0, 2.0)


STARTS = st.sampled_from([None, 100.0, 200.0, 300.0])
TASKS = st.builds(Task, st.sampled_from(list(Status)), start=STARTS).map(
    lambda task: task if task.status is not NOT_STARTED else Task(NOT_STARTED)
)


@given(st.lists(st.one_of(TASKS, st.none()), max_size=30))
def test_no_order_of_answers_counts_a_start_twice(tasks: list[Task | None]) -> None:
    """Whatever is answered, and given up in between, each StartTime is counted as stopped at most once."""
    run: Run | None = None
    counted: list[float] = []
    for at, task in enumerate(tasks):
        before = run
        if task is not None:
            run, step = advance(run, ReadResult(TargetId("app", "room", "task"), at, at, 0.1, task), task)
        elif run is not None:
            run, step = mark_lost(run, at)
        else:
            continue
        newly = [
            kept
            for kept in step.runs
            if kept.counted
            and kept.start not in kept.earlier
            and not (before is not None and before.counted and before.first_seen == kept.first_seen)
        ]
        assert len(newly) == len(stops(step))
        counted += [kept.start for kept in newly if kept.start is not None]
    assert sorted(set(counted)) == sorted(counted)
