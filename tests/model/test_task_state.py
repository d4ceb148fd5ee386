"""What is known of a target after reads and with time: contract, section 5, row by row."""

import math
from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.enums import ReadFailure, Status, StopReason
from exporter.errors import AppRefused, BadSchema, NotFound, ReadError, ServerFailed, TimedOut
from exporter.model.run import Run, RunEvent, RunStopped, StateChange
from exporter.model.target import Target, TargetId
from exporter.model.task import ReadResult, Task
from exporter.model.task_state import (
    DISPLAY_STATUS_OF,
    LOOK_BACK,
    DisplayStatus,
    Lifetimes,
    TaskState,
    accept,
    apply_read,
    expire,
    expires_at,
    is_hidden,
    lingers_until,
    release,
    retarget,
)

Read = Callable[..., ReadResult]
Knowing = Callable[..., TaskState]

TARGET = Target(TargetId("app", "room", "task"), "default")
WAITS = Lifetimes(stale_after=120.0, linger=900.0, drain=1800.0)
T = 100_000.0
START = T - 50.0
ON = Task(Status.RUNNING, start=START, user_id="bot", source_host="class.example.com")
OVER = Task(Status.ENDED, start=START, end=T, stop_reason=StopReason.STOP_BY_API, user_id="bot")
UNREAD = TaskState(TARGET, accepted_at=T)
LOST = (RunStopped("app", StopReason.LOST),)


def facts(step: StateChange) -> tuple[RunEvent, ...]:
    """What is counted; each of it with the run that it is about."""
    assert bool(step.runs) >= bool(step.events)
    return step.events


@pytest.mark.parametrize("status", list(Status))
def test_a_task_stands_by_its_status(known: Knowing, status: Status) -> None:
    """Once read, a target counts by its task's own status."""
    assert DISPLAY_STATUS_OF[status] == known(Task(status)).display_status
    assert status.value == DISPLAY_STATUS_OF[status].value


@pytest.mark.parametrize(
    ("outcomes", "display_status"),
    [
        ((), DisplayStatus.UNREAD),
        ((TimedOut("late"),), DisplayStatus.STALE),
        ((None,), DisplayStatus.NOT_FOUND),
        ((None, TimedOut("late")), DisplayStatus.NOT_FOUND),
        ((ON, TimedOut("late")), DisplayStatus.RUNNING),
        ((ON, BadSchema("no reply")), DisplayStatus.RUNNING),
        ((ON, None), DisplayStatus.NOT_FOUND),
        ((ON, None, ON), DisplayStatus.RUNNING),
        ((OVER, None), DisplayStatus.ENDED),
        ((OVER, AppRefused("no")), DisplayStatus.ENDED),
    ],
    ids=str,
)
def test_the_status_after_reads(
    known: Knowing, outcomes: tuple[Task | ReadError | None, ...], display_status: DisplayStatus
) -> None:
    """A failed read leaves the last known state; "no such task" takes it, but for one that has stopped."""
    assert display_status == known(*outcomes).display_status


def test_a_read_says_all_that_it_says(read: Read) -> None:
    """A success sets state, its times and who is cast; a failure after it changes only what reads say of reads."""
    fresh, step = apply_read(UNREAD, read(T, ON, server_time=T + 3))
    expected = TaskState(
        TARGET,
        accepted_at=T,
        run=step.runs[-1],
        task=ON,
        task_time=T + 3,
        status_since=T,
        user_id="bot",
        source_host="class.example.com",
        last_read=T,
        last_success=T,
        last_task=ON,
        last_answer=T,
    )
    assert expected == fresh
    failed, step = apply_read(fresh, read(T + 30, ServerFailed("inside")))
    assert replace(fresh, last_read=T + 30, failure=ReadFailure.SERVER, failing_since=T + 30) == failed
    assert StateChange() == step
    assert apply_read(failed, read(T + 60, ON))[0].failure is None


def test_a_status_begins_when_it_is_entered(known: Knowing) -> None:
    """The status is as old as the first read in a row that said so, in this run."""
    assert known(ON, ON, ON).status_since == T
    assert known(ON, Task(Status.UNKNOWN, start=START), ON).status_since == T + 20
    assert known(ON, Task(Status.RUNNING, start=T)).status_since == T + 10
    assert known(OVER, replace(OVER, start=T, end=T + 5)).status_since == T + 10


def test_not_found_begins_with_the_first_in_a_row(known: Knowing) -> None:
    """A failure of another kind says nothing of the task and breaks no row; a success does."""
    assert known(ON, None, TimedOut("late"), None).not_found_since == T + 10
    assert known(ON, None, ON, None).not_found_since == T + 30
    assert known(ON, None, ON).not_found_since is None


def test_a_state_goes_stale(known: Knowing) -> None:
    """The state goes when nothing was fresh for `stale_after`, not a moment before; what else was read stays."""
    failing = known(ON, TimedOut("late"))
    at = T + WAITS.stale_after
    assert (failing, StateChange()) == expire(failing, math.nextafter(at, 0), WAITS)
    assert at == expires_at(failing, T + 10, WAITS)
    stale, step = expire(failing, at, WAITS)
    assert (replace(failing, task=None), StateChange()) == (stale, step)
    assert stale is not None
    assert (stale.display_status, stale.live) == (DisplayStatus.STALE, True)
    assert DisplayStatus.RUNNING is known(ON, begin=stale, at=at + 1).display_status


def test_a_stretched_interval_makes_nothing_stale(known: Knowing) -> None:
    """`stale_after` is a floor: where reads are further apart, a success stays fresh for longer, and Lost waits too."""
    rare = replace(known(ON), fresh_for=600.0)
    assert expires_at(rare, T, WAITS) == T + 600
    gone = replace(known(ON, None), fresh_for=600.0)
    assert expires_at(gone, T + 10, WAITS) == T + 610


def test_a_stopped_state_is_never_stale(known: Knowing) -> None:
    """The last state of a stopped run stays for `linger`, whatever its rereads say."""
    over = known(ON, OVER, None, TimedOut("late"))
    until = T + 10 + WAITS.linger
    assert (until, until) == (lingers_until(over, WAITS), expires_at(over, T + 30, WAITS))
    assert (over, StateChange()) == expire(over, until, WAITS)
    assert [is_hidden(over, at, WAITS) for at in (math.nextafter(until, 0), until)] == [False, True]
    assert expires_at(over, until, WAITS) is None


def test_a_run_that_the_api_no_longer_knows_is_lost(known: Knowing) -> None:
    """Not known for `stale_after`: it has stopped, its end was never read, and it is counted once."""
    gone = known(ON, None)
    at = T + 10 + WAITS.stale_after
    assert (gone, StateChange()) == expire(gone, math.nextafter(at, 0), WAITS)
    lost, step = expire(gone, at, WAITS)
    assert facts(step) == LOST
    assert lost is not None
    assert (lost.display_status, lost.live, lost.not_found_since) == (DisplayStatus.NOT_FOUND, False, T + 10)
    assert (lost, StateChange()) == expire(lost, at + 1e6, WAITS)
    assert expires_at(lost, at, WAITS) is None


def test_no_run_is_lost_while_the_api_is_silent(known: Knowing) -> None:
    """One "no such task" and then an outage is no proof; the next such answer is."""
    silent = known(ON, None, TimedOut("late"))
    assert facts(expire(silent, T + 1e4, WAITS)[1]) == ()
    assert facts(expire(known(None, begin=silent, at=T + 1e4), T + 1e4, WAITS)[1]) == LOST


@pytest.mark.parametrize("outcomes", [(ON,), (ON, TimedOut("late")), (ON, None, TimedOut("late"))])
def test_beyond_the_look_back_a_run_is_lost_only_by_an_answer(
    known: Knowing, outcomes: tuple[Task | ReadError | None, ...]
) -> None:
    """A clock that is wrong loses nothing; "no such task" 72 hours after the start is proof at once."""
    followed = known(*outcomes)
    at = START + LOOK_BACK
    left, step = expire(followed, at, WAITS)
    assert (facts(step), left is not None and left.live) == ((), True)
    unknown = known(None, begin=replace(known(ON), last_success=at - 30, task_time=at - 30), at=at)
    lost, step = expire(unknown, at, WAITS)
    assert facts(step) == LOST
    assert lost is not None
    assert (lost.display_status, lost.task) == (DisplayStatus.NOT_FOUND, None)


def test_the_look_back_goes_by_the_vendor_s_clock(known: Knowing) -> None:
    """Ours is an hour ahead."""
    at = START + LOOK_BACK + 1800
    state = replace(known(ON), last_success=at - 30, task_time=at - 30 - 3600)
    assert facts(expire(known(None, begin=state, at=at), at, WAITS)[1]) == ()


def test_a_run_that_the_api_still_answers_after_72_hours_is_live(known: Knowing) -> None:
    """What the API says holds."""
    ancient = Task(Status.RUNNING, start=T - LOOK_BACK - 1)
    now, step = expire(known(ancient), T, WAITS)
    assert now is not None
    assert (now.display_status, facts(step)) == (DisplayStatus.RUNNING, ())


def test_a_lost_run_that_comes_back_is_followed(known: Knowing) -> None:
    """It is live again, is shown, drained and given up like any other; nothing of it is counted again but statuses."""
    lost, _ = expire(known(ON, None), T + 500, WAITS)
    assert lost is not None
    back = known(ON, begin=lost, at=T + 600)
    assert (back.display_status, back.live) == (DisplayStatus.RUNNING, True)
    draining = release(back, T + 700, WAITS)
    assert facts(expire(draining, T + 700 + WAITS.drain, WAITS)[1]) == ()
    again, step = expire(known(None, begin=back, at=T + 700), T + 1000, WAITS)
    assert again is not None
    assert (again.live, facts(step)) == (False, ())
    over = known(OVER, begin=again, at=T + 5000)
    assert T + 5000 + WAITS.linger == lingers_until(over, WAITS)


def test_waits_of_nothing(known: Knowing) -> None:
    """`stale_after`, `linger` and `drain` of 0 are legal: everything falls due at once and nothing for ever."""
    none = Lifetimes(0.0, 0.0, 0.0)
    stale, _ = expire(known(ON), T, none)
    assert stale is not None
    assert DisplayStatus.STALE is stale.display_status
    assert is_hidden(known(OVER), T, none)
    draining = release(known(ON), T, none)
    assert expire(draining, T, none)[0] is None


def test_a_start_goes_on_where_the_last_process_ended(known: Knowing) -> None:
    """A stopped run is shown as it was; a live one is not shown before it is read, but is known; another is new."""
    over = known(OVER)
    assert over.run is not None
    again = accept(TARGET, over.run, T + 60)
    assert (
        again.task,
        again.last_read,
        again.last_success,
        again.status_since,
        again.user_id,
        again.finished,
    ) == (OVER, T, T, T, "bot", True)
    assert T + WAITS.linger == expires_at(again, T + 60, WAITS)
    live = known(ON).run
    assert TaskState(TARGET, accepted_at=T + 60, run=live) == accept(TARGET, live, T + 60)
    assert (accept(TARGET, live, T).display_status, accept(TARGET, live, T).live) == (DisplayStatus.UNREAD, True)
    assert TaskState(TARGET, accepted_at=T) == accept(TARGET, None, T)
    lost, _ = expire(known(ON, None), T + 500, WAITS)
    assert lost is not None
    assert DisplayStatus.UNREAD is accept(TARGET, lost.run, T + 600).display_status


OUTCOMES = st.one_of(
    st.builds(Task, st.sampled_from(list(Status)), start=st.sampled_from([None, T - 3e5, T - 50, T + 50])),
    st.sampled_from([NotFound("none"), TimedOut("late"), BadSchema("no reply")]),
)
EVENTS = st.lists(st.tuples(st.floats(0, 4000), st.one_of(OUTCOMES, st.sampled_from(["drop", "list"]))), max_size=12)
WAIT = st.sampled_from([0.0, 1.0, 120.0, 5000.0])


@given(EVENTS, st.builds(Lifetimes, WAIT, WAIT, WAIT))
def test_time_comes_to_rest(events: list[tuple[float, Task | ReadError | str]], waits: Lifetimes) -> None:
    """After what is due is applied, a second look changes nothing, and the next one is later: no busy loop."""
    now, known = T, UNREAD
    for wait, event in events:
        now += wait
        after: TaskState | None = known
        if event == "drop":
            after = release(known, now, waits)
        elif event == "list":
            after = retarget(known, TARGET)
        elif not isinstance(event, str):
            after, _ = apply_read(known, ReadResult(TARGET.id, now, now, 0.1, event))
        after, _ = expire(after, now, waits) if after is not None else (None, StateChange())
        if after is None:
            return
        known = after
        assert (known, StateChange()) == expire(known, now, waits)
        moment = expires_at(known, now, waits)
        assert moment is None or moment > now


def test_a_target_without_a_run_has_nothing_to_expire(read: Read) -> None:
    """A target without a run has nothing to lose, to linger or to drain."""
    nothing, step = apply_read(UNREAD, read(T))
    assert (None, StateChange(), None) == (nothing.run, step, expires_at(nothing, T, WAITS))
    assert (nothing, StateChange()) == expire(nothing, T + 1e9, WAITS)
    assert isinstance(accept(TARGET, Run(TARGET.id, T), T), TaskState)
