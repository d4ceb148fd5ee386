"""Which run a page event belongs to: docs/behaviour.md, "a verified callback"."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from exporter.enums import PageAction, PageReason, Status, StopReason
from exporter.errors import ReadError, TimedOut
from exporter.model.run import PageActionTaken, Run, RunEvent, RunStopped, StateChange
from exporter.model.target import Target, TargetId
from exporter.model.task import Callback, CallbackReceipt, EventKey, PageEvent, ReadResult, Task
from exporter.model.task_state import (
    DisplayStatus,
    Lifetimes,
    TaskState,
    accept,
    apply_callback,
    apply_read,
    expire,
    received,
    release,
)

Knowing = Callable[..., TaskState]

T = 100_000.0
TARGET = Target(TargetId("app", "room", "task"), "default")
UNREAD = TaskState(TARGET, accepted_at=T)
COMING = Task(Status.NOT_STARTED)
ON = Task(Status.RUNNING, start=T - 50)
OVER = Task(Status.ENDED, start=T - 50, end=T + 5, stop_reason=StopReason.STOP_BY_API)
ON_AGAIN = Task(Status.RUNNING, start=T + 60)
WAITS = Lifetimes(stale_after=120.0, linger=900.0, drain=1800.0)


def event(at: float, number: int = 1, action: PageAction = PageAction.REFRESH) -> Callback:
    return Callback(TARGET.id, f"evt-{number}", f"sig-{number}", at, PageEvent(action, PageReason.FREEZE, at))


def listen(known: TaskState, *callbacks: Callback, delay: float = 1.0) -> TaskState:
    """What is known after these, each arriving a second after it happened."""
    for callback in callbacks:
        known, _ = apply_callback(known, callback, callback.at + delay)
    return known


def shown(known: TaskState) -> tuple[int, int]:
    return known.pages.refreshes, known.pages.reschedules


def test_an_event_counts_for_the_fleet_and_for_its_run(known: Knowing) -> None:
    """One step holds the run with its event, what is counted, and the keys by which it is known again."""
    before = known(ON)
    after, step = apply_callback(before, event(T + 3), T + 4)
    assert after.run is not None
    keys = EventKey("app", "evt-1"), EventKey("", "sig-1")
    fact: RunEvent = PageActionTaken("app", PageAction.REFRESH, PageReason.FREEZE)
    assert step == StateChange((after.run,), (fact,), (CallbackReceipt(keys, T + 4),))
    assert (shown(after), after.pages.latest) == ((1, 0), (PageEvent(PageAction.REFRESH, PageReason.FREEZE, T + 3),))
    assert after == replace(before, run=after.run)


def test_an_event_that_is_about_no_page_changes_nothing_that_is_known(known: Knowing) -> None:
    """It is remembered, so that its copies are duplicates; only a read says in which state the task is."""
    before = known(ON)
    after, step = apply_callback(before, Callback(TARGET.id, "evt-1", "sig-1", T), T)
    assert (after, step.runs, step.events, bool(step)) == (before, (), (), True)


@pytest.mark.parametrize("outcomes", [(COMING,), (COMING, ON), (ON,), (ON, TimedOut("late")), (ON, None)])
def test_a_known_run_keeps_its_events_over_reads(known: Knowing, outcomes: tuple[Task | ReadError | None, ...]) -> None:
    """Also over failed reads, and over its start: StartTime 0 and then a real one is one run."""
    after = known(ON, begin=listen(known(*outcomes), event(T + 1), event(T + 2, 2)), at=T + 30)
    assert shown(after) == (2, 0)


def test_an_event_before_the_first_read_is_the_coming_run_s(known: Knowing) -> None:
    """It shows at once, makes no run that could be lost or drained, and the run that is then read has it."""
    early = listen(UNREAD, event(T - 1))
    assert (shown(early), early.display_status, early.live, early.run) == ((1, 0), DisplayStatus.UNREAD, False, None)
    assert expire(release(early, T, WAITS), T, WAITS) == (None, StateChange())
    unknown = known(None, begin=early)
    assert expire(unknown, T + 500, WAITS)[1] == StateChange()
    assert shown(known(ON, begin=unknown, at=T + 600)) == (1, 0)


def test_a_new_run_begins_without_events(known: Knowing) -> None:
    """The old one's are shown as long as it is, and no longer."""
    over = known(OVER, begin=listen(known(ON), event(T + 1)), at=T + 10)
    assert shown(over) == (1, 0)
    assert shown(known(ON_AGAIN, begin=over, at=T + 70)) == (0, 0)


def test_an_event_after_the_end_is_the_next_run_s(known: Knowing) -> None:
    """It comes before the read that shows the new run: the ended one is not told of it, the new one has it."""
    over = known(OVER, begin=listen(known(ON), event(T + 1)), at=T + 10)
    told = listen(over, event(T + 61, 2), event(T + 62, 3, PageAction.RESCHEDULE))
    assert (shown(told), told.display_status) == ((1, 0), DisplayStatus.ENDED)
    same = known(OVER, begin=told, at=T + 63)
    assert shown(same) == (1, 0)
    assert shown(known(ON_AGAIN, begin=same, at=T + 70)) == (1, 1)


def test_an_event_of_the_run_s_last_moments_may_come_after_its_end_was_read(known: Knowing) -> None:
    """Late, and of the run that is over, to the second of its EndTime."""
    over = known(OVER, at=T + 10)
    assert shown(listen(over, event(T + 4), event(T + 6, 2))) == (2, 0)
    assert shown(listen(over, event(T + 6.001))) == (0, 0)


def test_a_late_event_of_the_run_before_is_shown_nowhere(known: Knowing) -> None:
    """The fleet counts it; the run that is on has not met it."""
    again = known(ON, OVER, ON_AGAIN)
    after, step = apply_callback(again, event(T + 4), T + 80)
    assert (after, step.runs, len(step.events)) == (again, (), 1)
    assert shown(listen(again, event(T + 59.5))) == (1, 0)


def test_an_event_before_the_start_of_a_first_run_is_its_own(known: Knowing) -> None:
    """A page that fails to start is refreshed before StartTime; there is no other run that it could be of."""
    assert shown(listen(known(ON), event(T - 200))) == (1, 0)


def test_a_lost_run_s_event_is_its_own(known: Knowing) -> None:
    """The API said that it knows no such task; the callback is a sign that it was wrong."""
    lost, _ = expire(known(ON, None), T + 500, WAITS)
    assert lost is not None
    told = listen(lost, event(T + 501))
    assert shown(known(ON, begin=told, at=T + 510)) == (1, 0)


def test_an_announced_run_outlives_the_process() -> None:
    """The next process takes it up from the state, and counts nothing of the run before it again."""
    over = Run(TARGET.id, T - 40, T - 50, frozenset({Status.ENDED}), StopReason.STOP_BY_API, T + 10, OVER)
    told, step = apply_callback(accept(TARGET, over, T + 20), event(T + 61), T + 62)
    (announced,) = step.runs
    assert told.pending_run == announced
    assert announced.first_seen > over.first_seen
    again = accept(TARGET, announced, T + 100)
    assert (again.run, again.pending_run, again.display_status) == (over, announced, DisplayStatus.ENDED)


@pytest.mark.parametrize("said", [OVER, ON_AGAIN], ids=["the run before", "the new run"])
def test_a_restart_before_the_new_run_is_read_counts_nothing_twice(said: Task) -> None:
    """Whichever run the first read tells of: the one before was counted, the new one begins to be."""
    over = Run(TARGET.id, T - 40, T - 50, frozenset({Status.ENDED}), StopReason.STOP_BY_API, T + 10, OVER)
    _, step = apply_callback(accept(TARGET, over, T + 20), event(T + 61), T + 62)
    begun = accept(TARGET, step.runs[0], T + 100)
    after, step = apply_read(begun, ReadResult(TARGET.id, T + 110, T + 110, 0.1, said))
    assert [fact for fact in step.events if isinstance(fact, RunStopped)] == []
    assert (after.pending_run is None) == (said is ON_AGAIN)
    assert after.run is not None
    assert after.run.counted == (said is OVER)


def test_a_failure_without_times_is_counted_once_over_a_callback_and_a_restart(known: Knowing) -> None:
    failure = Task(Status.FAILED, stop_reason=StopReason.START_TASK_FAILED)
    _, step = apply_callback(known(failure), event(T + 61), T + 62)
    after, step = apply_read(
        accept(TARGET, step.runs[0], T + 100), ReadResult(TARGET.id, T + 110, T + 110, 0.1, failure)
    )
    assert (step, after.run is not None) == (StateChange(), True)


def test_a_target_that_is_tracked_no_more_counts_for_the_fleet() -> None:
    """Nothing of a run is known, and nothing is lost."""
    step = received(event(T), T)
    assert (step.runs, len(step.events), len(step.receipts)) == ((), 1, 1)
