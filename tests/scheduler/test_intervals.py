from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.enums import Status
from exporter.model.run import Run
from exporter.model.target import Target, TargetId
from exporter.model.task import Task
from exporter.model.task_state import TaskState
from exporter.scheduler.read_queue import (
    PollIntervals,
    ReadClass,
    Wait,
    backoff,
    demand,
    jittered,
    next_wait,
    stretch,
)

NOW = 1_768_465_805.0
ID = TargetId("app", "room", "task")
TARGET = Target(ID, "default")
NORMAL = Wait(ReadClass.NORMAL, 30.0)
FAST = Wait(ReadClass.FAST, 5.0)
UNREAD = TaskState(target=TARGET, accepted_at=NOW)


def read(status: Status, since: float = NOW, **task: Any) -> TaskState:
    """A target whose latest read, at NOW, gave this status, entered at `since`; the vendor's clock is ours."""
    return replace(
        UNREAD, task=Task(status=status, **task), task_time=NOW, last_success=NOW, last_read=NOW, status_since=since
    )


@pytest.mark.parametrize("status", [Status.NOT_STARTED, Status.UNKNOWN])
def test_what_has_not_started_or_is_unknown_is_read_fast_for_ten_minutes(
    status: Status, intervals: PollIntervals
) -> None:
    """For the first ten minutes of it, and from then on at the interval."""
    assert next_wait(read(status, NOW), NOW + 599, 0, intervals) == FAST
    assert next_wait(read(status, NOW), NOW + 600, 0, intervals) == NORMAL


def test_a_clock_set_back_does_not_prolong_the_fast_phase(intervals: PollIntervals) -> None:
    """Set back an hour, the ten minutes are not an hour longer."""
    assert next_wait(read(Status.NOT_STARTED, NOW), NOW - 3600, 0, intervals) == NORMAL


def test_a_running_task_without_a_deadline_has_the_interval(intervals: PollIntervals) -> None:
    """StartTime or MaxRunningTime missing, there is no end to be near to."""
    assert next_wait(read(Status.RUNNING, start=NOW), NOW, 0, intervals) == NORMAL
    assert next_wait(read(Status.RUNNING, max_running_time=60), NOW, 0, intervals) == NORMAL


@pytest.mark.parametrize(("left", "wait"), [(60, FAST), (0, FAST), (-60, FAST), (-61, NORMAL)])
def test_within_a_minute_of_its_deadline_a_running_task_is_read_fast(
    left: float, wait: Wait, intervals: PollIntervals
) -> None:
    """On either side of StartTime + MaxRunningTime, and no longer."""
    known = read(Status.RUNNING, start=NOW - 3600 + left, max_running_time=3600)
    assert next_wait(known, NOW, 0, intervals) == wait


@pytest.mark.parametrize(("left", "at_most"), [(3600, 3540), (80, 20), (61, 5)])
def test_the_last_normal_wait_ends_where_the_fast_phase_begins(
    left: float, at_most: float, intervals: PollIntervals
) -> None:
    """The wait that would sleep over it is bounded, yet never shorter than the fast interval."""
    known = read(Status.RUNNING, start=NOW - 3600 + left, max_running_time=3600)
    assert next_wait(known, NOW, 0, intervals) == Wait(ReadClass.NORMAL, 30.0, at_most)


@pytest.mark.parametrize("hours", [-7, 7])
def test_the_deadline_goes_by_the_vendor_s_clock(hours: float, intervals: PollIntervals) -> None:
    """It is near when it is near there, however far that clock is from ours."""
    vendor = NOW + hours * 3600
    known = replace(read(Status.RUNNING, start=vendor - 3570, max_running_time=3600), task_time=vendor)
    assert next_wait(known, NOW, 0, intervals) == FAST
    assert next_wait(known, NOW + 91, 0, intervals) == NORMAL


@pytest.mark.parametrize(("age", "expected"), [(71, NORMAL), (73, Wait(ReadClass.REREAD, 600.0))])
@pytest.mark.parametrize("clock_ahead", [-73, 0, 73])
def test_a_run_over_72_hours_old_by_the_vendor_s_clock_is_read_now_and_then(
    age: int, expected: Wait, clock_ahead: int, intervals: PollIntervals
) -> None:
    """However wrong the wall clock is for a moment: a read of that moment must not put the next one off."""
    known = replace(read(Status.RUNNING, start=NOW - 3600 * age), task_time=NOW)
    assert next_wait(known, NOW + 3600 * clock_ahead, 0, intervals) == expected


@pytest.mark.parametrize("status", [Status.ENDED, Status.FAILED])
def test_a_stopped_task_is_read_again_for_a_new_run_only(status: Status, intervals: PollIntervals) -> None:
    """As `reread_stopped` says, whatever its own faults."""
    run = Run(ID, NOW, end_seen=NOW, last=Task(status=status))
    known = replace(read(status), run=run)
    assert next_wait(known, NOW, 0, intervals) == Wait(ReadClass.REREAD, 600.0)
    assert next_wait(known, NOW, 3, intervals) == Wait(ReadClass.REREAD, 600.0)


def test_a_target_without_a_state_keeps_the_interval_when_it_is_not_to_blame(intervals: PollIntervals) -> None:
    """A read that failed on its way is no reason to slow down."""
    assert next_wait(replace(UNREAD, last_read=NOW), NOW, 0, intervals) == NORMAL


@pytest.mark.parametrize(("failures", "seconds"), [(1, 37.5), (2, 75.0), (3, 150.0), (4, 300.0), (10_000, 300.0)])
def test_own_faults_back_off_to_the_longest_wait(failures: int, seconds: float, intervals: PollIntervals) -> None:
    """Doubling up to `max_backoff` from a wait that no jitter makes shorter than the interval."""
    assert next_wait(read(Status.RUNNING, start=NOW), NOW, failures, intervals) == Wait(ReadClass.BACKOFF, seconds)


def test_not_found_at_the_expected_start_is_retried_fast_for_ten_minutes(intervals: PollIntervals) -> None:
    """From the start that was meant; then it backs off as any other."""
    target = replace(TARGET, expected_start=NOW)
    known = replace(UNREAD, target=target, not_found_since=NOW)
    assert next_wait(known, NOW + 599, 9, intervals) == FAST
    assert next_wait(known, NOW + 600, 9, intervals) == Wait(ReadClass.BACKOFF, 300.0)


@pytest.mark.parametrize("meant", [None, NOW + 1000])
def test_a_target_never_known_is_read_once_per_forget_unknown_after(
    meant: float | None, intervals: PollIntervals
) -> None:
    """That time counts from the expected start, or else from when it was listed."""
    known = replace(UNREAD, target=replace(TARGET, expected_start=meant), not_found_since=NOW)
    since = NOW if meant is None else meant
    assert next_wait(known, since + 3599, 9, intervals) == Wait(ReadClass.BACKOFF, 300.0)
    assert next_wait(known, since + 3600, 9, intervals) == Wait(ReadClass.BACKOFF, 3600.0)


def test_a_target_that_was_known_once_is_not_put_off_so_far(intervals: PollIntervals) -> None:
    """A run that the API knows no more is lost, but its target may get another one."""
    known = replace(UNREAD, run=Run(ID, NOW), not_found_since=NOW)
    assert next_wait(known, NOW + 9999, 9, intervals) == Wait(ReadClass.BACKOFF, 300.0)


def test_the_fast_interval_is_never_the_slower_one() -> None:
    """A `fast_interval` above `interval` is the interval."""
    odd = PollIntervals(5.0, 60.0, 300.0, 600.0, 3600.0)
    assert next_wait(read(Status.NOT_STARTED), NOW, 0, odd) == Wait(ReadClass.FAST, 5.0)


@pytest.mark.parametrize("max_backoff", [1.0, 30.0, 37.0])
def test_no_failure_makes_reads_more_frequent(max_backoff: float, intervals: PollIntervals) -> None:
    """A `max_backoff` below the interval would have the refused targets read more often than the others."""
    short = replace(intervals, max_backoff=max_backoff)
    for failures in (1, 2, 10):
        wait = next_wait(read(Status.RUNNING, start=NOW), NOW, failures, short)
        assert jittered(wait.seconds, lambda: 0.0) == pytest.approx(short.interval)
    assert demand({ReadClass.BACKOFF: 120}, short) <= demand({ReadClass.NORMAL: 120}, short)


def test_a_backoff_longer_than_its_bound_is_the_bound() -> None:
    assert backoff(600.0, 1, 300.0) == 300.0
    assert backoff(1.0, 10**9, 300.0) == 300.0


def test_jitter_only_shortens() -> None:
    """Between 80 and 100 % of the wait."""
    assert jittered(100.0, lambda: 0.0) == 80.0
    assert jittered(100.0, lambda: 0.5) == 90.0


def test_demand_is_what_the_configured_intervals_need(intervals: PollIntervals) -> None:
    """Unstretched, each read_class at its configured wait; those never read have none yet."""
    class_counts = {
        ReadClass.FAST: 10,
        ReadClass.NORMAL: 300,
        ReadClass.BACKOFF: 600,
        ReadClass.REREAD: 1200,
        None: 10_000,
    }
    assert demand(class_counts, intervals) == 2.0 + 10.0 + 2.0 + 2.0


def test_nothing_is_stretched_while_the_budget_suffices(intervals: PollIntervals) -> None:
    """As long as what is sure to be used of it is enough."""
    assert stretch({ReadClass.NORMAL: 1410}, intervals, 48.0) == {}


def test_fast_intervals_stretch_first(intervals: PollIntervals) -> None:
    """The normal ones keep theirs as long as stretching the fast ones is enough."""
    found = stretch({ReadClass.FAST: 200, ReadClass.NORMAL: 600}, intervals, 48.0)
    assert found[ReadClass.NORMAL] == 1.0
    assert found[ReadClass.FAST] * 5.0 == pytest.approx(200 / (0.98 * 48 - 20))


def test_then_all_stretch_evenly(intervals: PollIntervals) -> None:
    """Both intervals are then the same."""
    found = stretch({ReadClass.FAST: 480, ReadClass.NORMAL: 4800}, intervals, 48.0)
    assert found[ReadClass.FAST] * 5.0 == pytest.approx(5280 / (0.98 * 48))
    assert found[ReadClass.NORMAL] * 30.0 == pytest.approx(5280 / (0.98 * 48))


@given(
    fast=st.integers(0, 5000),
    normal=st.integers(0, 50_000),
    other=st.integers(0, 50_000),
    budget=st.floats(0.1, 60.0),
)
def test_stretching_never_shortens_and_never_asks_for_more_than_the_budget(
    fast: int, normal: int, other: int, budget: float
) -> None:
    """Whatever the fleet; and a fast interval is never the longer one."""
    intervals = PollIntervals(30.0, 5.0, 300.0, 600.0, 3600.0)
    class_counts: dict[ReadClass | None, int] = {
        ReadClass.FAST: fast,
        ReadClass.NORMAL: normal,
        ReadClass.BACKOFF: other,
        ReadClass.REREAD: other,
    }
    found = stretch(class_counts, intervals, budget)
    quick, slow = 5.0 * found.get(ReadClass.FAST, 1.0), 30.0 * found.get(ReadClass.NORMAL, 1.0)
    assert quick >= 5.0 - 1e-9
    assert slow >= 30.0
    assert quick <= slow + 1e-6
    assert fast / quick + normal / slow <= budget + 1e-6
