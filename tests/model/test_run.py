"""Which run an answer is about, and what is counted of a run: once, whatever the answers' order."""

from collections.abc import Callable

import pytest

from exporter.enums import Status, StopReason
from exporter.model.run import (
    LATE_ANSWERS,
    MAX_EARLIER,
    EndUnseen,
    Match,
    Run,
    RunEvent,
    RunStopped,
    StateChange,
    StatusEntered,
    abandon,
    identify,
    mark_lost,
)
from exporter.model.target import Target, TargetId
from exporter.model.task import ReadResult, Task
from exporter.model.task_state import MAX_STALE_ANSWERS, Lifetimes, TaskState, accept, apply_read, expire

Read = Callable[..., ReadResult]
Live = Callable[..., tuple[Run, StateChange]]

UNKNOWN, NOT_STARTED, RUNNING, ENDED, FAILED = Status
BY_API, START_FAILED, LIMIT, LOST = (
    StopReason.STOP_BY_API,
    StopReason.START_TASK_FAILED,
    StopReason.EXCEED_MAX_RUNNING_TIME,
    StopReason.LOST,
)
START, END, AGAIN = 900.0, 990.0, 2000.0
COMING, ODD = Task(NOT_STARTED), Task(UNKNOWN)
ON = Task(RUNNING, start=START)
OVER = Task(ENDED, start=START, end=END, stop_reason=BY_API)
ON_AGAIN = Task(RUNNING, start=AGAIN)
OVER_AGAIN = Task(ENDED, start=AGAIN, end=AGAIN + 5, stop_reason=LIMIT)
NEVER_STARTED = Task(FAILED, stop_reason=START_FAILED)
NEVER_STARTED_AT = Task(FAILED, end=END + 20, stop_reason=START_FAILED)
NEVER_STARTED_LATER = Task(FAILED, end=END + 500, stop_reason=START_FAILED)
OVER_NO_START = Task(ENDED, end=END, stop_reason=BY_API)
TARGET = Target(TargetId("app", "room", "task"), "default")
FOR_EVER = Lifetimes(stale_after=120.0, linger=900.0, drain=1800.0)


def stops(change: StateChange) -> list[StopReason]:
    """The reasons of the stops that were counted, in their order."""
    return [event.reason for event in change.events if isinstance(event, RunStopped)]


def entries(change: StateChange) -> list[Status]:
    """The statuses whose entering was counted, in their order."""
    return [event.status for event in change.events if isinstance(event, StatusEntered)]


@pytest.mark.parametrize(
    ("before", "answer", "unsure", "expected"),
    [
        ((), None, False, Match.NOT_FOUND),
        ((ON,), None, False, Match.NOT_FOUND),
        ((), ON, False, Match.NEW),
        # StartTime on both sides
        ((ON,), ON, False, Match.SAME),
        ((ON,), OVER, False, Match.SAME),
        ((OVER,), OVER, False, Match.SAME),
        ((OVER,), ON, False, Match.STALE),
        ((ON,), ON_AGAIN, False, Match.NEW),
        ((OVER,), ON_AGAIN, False, Match.NEW),
        ((ON, ON_AGAIN), ON, False, Match.STALE),
        ((ON, ON_AGAIN), OVER, False, Match.STALE),
        ((ON_AGAIN,), ON, False, Match.STALE),
        ((ON_AGAIN,), OVER, False, Match.STALE),
        # StartTime in the answer alone
        ((COMING,), ON, False, Match.SAME),
        ((NEVER_STARTED,), ON, False, Match.NEW),
        ((NEVER_STARTED_AT,), ON_AGAIN, False, Match.NEW),
        ((NEVER_STARTED_AT,), OVER, False, Match.STALE),
        ((OVER_NO_START,), OVER, False, Match.SAME),
        ((OVER_NO_START,), ON, False, Match.STALE),
        ((ON, Task(ENDED, end=AGAIN + 5)), OVER_AGAIN, False, Match.SAME),
        ((ON, Task(ENDED, end=AGAIN + 5)), OVER, False, Match.STALE),
        # no StartTime in the answer: it stops
        ((ON,), OVER_NO_START, False, Match.SAME),
        ((ON_AGAIN,), OVER_NO_START, False, Match.STALE),
        ((ON,), Task(ENDED), False, Match.SAME),
        ((ON,), NEVER_STARTED, False, Match.NEW),
        ((ON,), OVER_NO_START, True, Match.NEW),
        ((OVER,), OVER_NO_START, False, Match.SAME),
        ((OVER,), OVER_NO_START, True, Match.SAME),
        ((OVER,), Task(ENDED), False, Match.SAME),
        ((OVER,), Task(ENDED, stop_reason=LIMIT), False, Match.NEW),
        ((OVER,), NEVER_STARTED, False, Match.NEW),
        ((COMING,), NEVER_STARTED, False, Match.SAME),
        ((NEVER_STARTED,), NEVER_STARTED, False, Match.SAME),
        ((NEVER_STARTED,), NEVER_STARTED, True, Match.NEW),
        ((NEVER_STARTED,), NEVER_STARTED_AT, False, Match.SAME),
        ((NEVER_STARTED_AT,), NEVER_STARTED_LATER, False, Match.NEW),
        ((NEVER_STARTED_AT, NEVER_STARTED_LATER), NEVER_STARTED_AT, False, Match.STALE),
        # no StartTime in the answer: it lives
        ((ON,), Task(RUNNING), False, Match.SAME),
        ((ON,), ODD, False, Match.SAME),
        ((ON,), COMING, False, Match.UNSURE),
        ((ON,), COMING, True, Match.NEW),
        ((OVER,), ODD, False, Match.UNSURE),
        ((OVER,), COMING, False, Match.UNSURE),
        ((OVER,), ODD, True, Match.NEW),
        ((COMING,), COMING, False, Match.SAME),
    ],
)
def test_which_run_an_answer_is_about(
    live_through: Live,
    before: tuple[Task, ...],
    answer: Task | None,
    unsure: bool,
    expected: Match,
) -> None:
    """The table of cases: what was read before, the answer, whether the last one was unsure."""
    run = live_through(*before)[0] if before else None
    assert identify(run, answer, unsure=unsure) is expected


@pytest.mark.parametrize(
    ("before", "answer", "unsure", "expected"),
    [
        ((ON,), OVER_NO_START, True, Match.SAME),
        ((ON, COMING, COMING), OVER_NO_START, False, Match.STALE),
        ((ON, COMING, COMING), Task(ENDED, start=START + 5, end=END), False, Match.STALE),
        ((COMING, COMING), OVER_NO_START, False, Match.SAME),
        ((Task(RUNNING),), NEVER_STARTED_AT, False, Match.STALE),
        ((ON,), NEVER_STARTED_AT, False, Match.NEW),
    ],
)
def test_what_had_ended_before_a_run_began_is_an_earlier_run(
    live_through: Live,
    before: tuple[Task, ...],
    answer: Task,
    unsure: bool,
    expected: Match,
) -> None:
    """The vendor's time of the answer before tells, where StartTimes do not."""
    assert identify(live_through(*before)[0], answer, unsure=unsure, answered_at=END + 100) is expected


@pytest.mark.parametrize(
    ("tasks", "expected"),
    [
        ((COMING, ON, OVER), [BY_API]),
        ((ON, COMING, ON, OVER), [BY_API]),
        ((ON, Task(RUNNING), ODD, ON, OVER), [BY_API]),
        ((OVER, OVER, Task(ENDED)), [BY_API]),
        ((OVER, ON, OVER), [BY_API]),
        ((OVER, ODD, OVER), [BY_API]),
        ((OVER, ODD, ON, OVER), [BY_API]),
        ((OVER, *[ODD] * 9, OVER), [BY_API]),
        ((OVER, ODD, ODD, OVER_AGAIN), [BY_API, LIMIT]),
        ((OVER, COMING, ODD, OVER_AGAIN), [BY_API, LIMIT]),
        ((NEVER_STARTED, ODD, NEVER_STARTED), [START_FAILED]),
        ((NEVER_STARTED, NEVER_STARTED), [START_FAILED]),
        ((NEVER_STARTED_AT, NEVER_STARTED_LATER), [START_FAILED, START_FAILED]),
        ((NEVER_STARTED, COMING, NEVER_STARTED), [START_FAILED, START_FAILED]),
        ((ON, COMING, NEVER_STARTED), [START_FAILED, LOST]),
        ((ON, COMING, COMING, OVER), [BY_API]),
        ((ON, NEVER_STARTED, OVER), [START_FAILED, BY_API]),
        ((ON, ON_AGAIN), [LOST]),
        ((ON, ON_AGAIN, OVER), [BY_API]),
        ((ON, ON_AGAIN, OVER, OVER, OVER_AGAIN), [BY_API, LIMIT]),
        ((ON_AGAIN, OVER, OVER_AGAIN), [BY_API, LIMIT]),
        ((OVER, ON_AGAIN, OVER, OVER_AGAIN), [BY_API, LIMIT]),
        ((OVER, ON_AGAIN, ON, ON_AGAIN, OVER_AGAIN, OVER), [BY_API, LIMIT]),
        ((OVER, OVER_AGAIN), [BY_API, LIMIT]),
        ((OVER, COMING, ON_AGAIN, OVER_AGAIN), [BY_API, LIMIT]),
        ((OVER, NEVER_STARTED), [BY_API, START_FAILED]),
        ((NEVER_STARTED, COMING, OVER), [START_FAILED, BY_API]),
        ((NEVER_STARTED, OVER), [START_FAILED, BY_API]),
        ((ON, Task(ENDED, end=AGAIN + 5, stop_reason=LIMIT), OVER, OVER_AGAIN), [LIMIT, BY_API]),
        ((ON, Task(ENDED, end=AGAIN + 5, stop_reason=LIMIT), OVER_AGAIN), [LIMIT, LOST]),
    ],
)
def test_every_run_stops_once(read: Read, tasks: tuple[Task, ...], expected: list[StopReason]) -> None:
    """Late, repeated and incomplete answers count nothing twice; a replaced run is lost once no answer told its end."""
    state, change = TaskState(TARGET), StateChange()
    for number, task in enumerate(tasks):
        state, more = apply_read(state, read(5000.0 + number, task))
        change += more
    _, more = expire(state, 5000.0 + len(tasks) + LATE_ANSWERS, FOR_EVER)
    assert stops(change + more) == expected


def test_a_whole_life(live_through: Live) -> None:
    """Each status counts when first seen, the stop when first seen stopped, with its duration and its delay."""
    run, change = live_through(COMING, COMING, ON, ON, OVER, OVER)
    expected: list[RunEvent] = [
        StatusEntered("app", NOT_STARTED),
        StatusEntered("app", RUNNING),
        StatusEntered("app", ENDED),
        RunStopped("app", BY_API, ENDED, duration=90.0, delay=50.0),
    ]
    assert expected == list(change.events)
    assert run == Run(
        TARGET.id,
        first_seen=1000.0,
        start=START,
        entered=frozenset({NOT_STARTED, RUNNING, ENDED}),
        stopped=BY_API,
        end_seen=1040.0,
        last=OVER,
    )


@pytest.mark.parametrize("task", [COMING, ON, OVER])
def test_an_answer_that_changes_nothing_is_worth_no_write(live_through: Live, task: Task) -> None:
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
    _, change = live_through(task)
    assert [duration] == [event.duration for event in change.events if isinstance(event, RunStopped)]


@pytest.mark.parametrize(
    ("tasks", "server_time", "delay"),
    [
        ((ON, OVER), END + 7, 7.0),
        ((ON, OVER), END - 7, 0.0),
        ((OVER,), END + 7, None),
        ((ON, Task(ENDED, start=START)), END + 7, None),
    ],
)
def test_the_detection_delay_is_that_of_runs_seen_live(
    read: Read, tasks: tuple[Task, ...], server_time: float, delay: float | None
) -> None:
    """It goes by the vendor's clock and is never negative."""
    state, change = TaskState(TARGET), StateChange()
    for task in tasks:
        state, change = apply_read(state, read(5000.0, task, server_time))
    assert [delay] == [event.delay for event in change.events if isinstance(event, RunStopped)]


def test_a_stop_without_a_reason_is_unspecified(live_through: Live) -> None:
    run, change = live_through(Task(ENDED, start=START))
    assert (stops(change), run.stopped) == ([StopReason.UNSPECIFIED], StopReason.UNSPECIFIED)


def test_each_status_counts_once_in_a_run(live_through: Live) -> None:
    """The next run enters every status anew; one doubtful answer enters none."""
    assert entries(live_through(ON, Task(UNKNOWN, start=START), ON)[1]) == [RUNNING, UNKNOWN]
    assert entries(live_through(ON, OVER, ON_AGAIN, OVER_AGAIN)[1]) == [RUNNING, ENDED, RUNNING, ENDED]
    assert entries(live_through(OVER, ODD, OVER)[1]) == [ENDED]
    assert entries(live_through(OVER, COMING, ON_AGAIN)[1]) == [ENDED, NOT_STARTED, RUNNING]


def test_a_doubtful_answer_is_shown_and_changes_no_run(live_through: Live, read: Read) -> None:
    """The linger of the stopped run does not begin anew when the next answer is about it again."""
    run, _ = live_through(OVER)
    state = accept(TARGET, run, 2000.0)
    doubtful, change = apply_read(state, read(2000.0, ODD))
    assert (doubtful.task, doubtful.run, bool(change)) == (ODD, run, False)
    again, change = apply_read(doubtful, read(2010.0, OVER))
    assert (again.task, again.run, bool(change)) == (OVER, run, False)


def test_a_stale_answer_does_not_replace_the_state(live_through: Live, read: Read) -> None:
    """Unless the vendor repeats it: then the vendor is right."""
    run, _ = live_through(OVER, ON_AGAIN)
    state = apply_read(TaskState(TARGET, run=run), read(2000.0, ON_AGAIN))[0]
    for number in range(1, MAX_STALE_ANSWERS):
        state, change = apply_read(state, read(2000.0 + number, ON))
        assert (state.task, bool(change)) == (ON_AGAIN, False)
    state, change = apply_read(state, read(2100.0, ON))
    assert (state.task, stops(change)) == (ON, [])


def test_a_lost_run_is_not_counted_again(live_through: Live) -> None:
    """A run that comes back after it was given up is live again; Lost stays what it counted as."""
    run, _ = live_through(ON)
    lost, change = mark_lost(run, 1100.0)
    assert (lost.live, lost.counted, [LOST]) == (False, True, stops(change))
    back, change = live_through(ON, run=lost, at=1200.0)
    assert (back.live, list(change.events)) == (True, [])
    again, change = mark_lost(back, 1300.0)
    assert (again.live, again.end_seen, list(change.events)) == (False, 1300.0, [])
    over, change = live_through(OVER, run=again, at=1400.0)
    assert [StatusEntered("app", ENDED)] == list(change.events)
    assert (over.stopped, over.end_seen, over.last) == (LOST, 1400.0, OVER)
    assert (over, StateChange()) == mark_lost(over, 1500.0)


@pytest.mark.parametrize(
    ("before", "after", "same"),
    [
        (ON, ODD, True),
        (ON, Task(ENDED), True),
        (ON, COMING, False),
        (ON, NEVER_STARTED, False),
        (COMING, COMING, True),
        (COMING, NEVER_STARTED, True),
        (COMING, ON, False),
        (ON, ON_AGAIN, False),
    ],
)
def test_what_follows_a_lost_run(live_through: Live, before: Task, after: Task, same: bool) -> None:
    lost, _ = mark_lost(live_through(before)[0], 1100.0)
    run, _ = live_through(after, run=lost, at=1200.0)
    assert same == (run.first_seen == lost.first_seen)


def test_the_first_sight_of_an_end_stays(live_through: Live) -> None:
    """An end that is read again does not linger anew."""
    run, _ = live_through(ON, OVER)
    later = Task(ENDED, start=START, end=END, stop_reason=BY_API, user_id="new")
    run, change = live_through(later, run=run, at=5000.0)
    assert (1010.0, later, ()) == (run.end_seen, run.last, change.events)


def test_an_abandoned_run_is_counted_as_an_end_unseen_once(live_through: Live) -> None:
    """Seen again, its end still counts; replaced or abandoned again, it counts nowhere else."""
    run, _ = live_through(ON)
    change = abandon(run, 1100.0)
    assert (EndUnseen("app"),) == change.events
    (gone,) = change.runs
    assert (gone.live, gone.counted) == (False, False)
    over, change = live_through(ON, OVER, run=gone, at=9000.0)
    assert (stops(change), over.end_seen) == ([BY_API], 9010.0)
    again, change = live_through(ON, ON_AGAIN, run=gone, at=9000.0)
    assert (stops(change), again.previous) == ([], None)
    assert abandon(live_through(ON, run=gone, at=9000.0)[0], 9100.0).events == ()
    assert abandon(live_through(ON, run=mark_lost(run, 1100.0)[0], at=1200.0)[0], 1300.0).events == ()


@pytest.mark.parametrize("at", [1000.0, 10.0])
def test_the_next_run_is_the_later_one(live_through: Live, at: float) -> None:
    """The runs of a target keep their order when the clock stands still or is set back."""
    first, _ = live_through(OVER)
    second, change = live_through(ON_AGAIN, run=first, at=at)
    assert second.first_seen > first.first_seen
    assert (second,) == change.runs


def test_a_late_answer_about_a_run_never_seen_counts_it(live_through: Live) -> None:
    """Its row comes before the current run's, which stays the latest."""
    run, _ = live_through(ON_AGAIN)
    after, change = live_through(OVER, run=run, at=1200.0)
    late, current = change.runs
    assert (stops(change), current, late.start) == ([BY_API], after, START)
    assert late.first_seen < after.first_seen
    assert not live_through(OVER, run=after, at=1300.0)[1]


def test_earlier_starts_are_few(live_through: Live) -> None:
    """A TaskId used every day for years does not make its row grow for ever."""
    starts = [float(second) for second in range(2 * MAX_EARLIER)]
    run, _ = live_through(*(Task(ENDED, start=start, end=start + 0.5) for start in starts))
    assert tuple(starts[-MAX_EARLIER - 1 : -1]) == run.earlier
