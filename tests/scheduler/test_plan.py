from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.cli.plan import MAX_INTERVAL, Load, Plan, planned
from exporter.scheduler.read_queue import PollIntervals

pytestmark = [pytest.mark.slow, pytest.mark.no_cover]

DEFAULTS = PollIntervals(30.0, 5.0, 300.0, 600.0, 3600.0)


def test_running_tasks_need_a_call_each_interval(intervals: PollIntervals) -> None:
    """Without starts that is all they need, and it fits as it is."""
    found = planned(Load(600), intervals, 48.0)
    assert (found.demand, found.interval, found.fast_interval, found.fits) == (20.0, 30.0, 5.0, True)


def test_starts_add_reads_at_the_fast_interval(intervals: PollIntervals) -> None:
    """A start a minute: one task that is not started yet, and two of the running ones near their limit."""
    assert planned(Load(10, 1440), intervals, 48.0).demand == pytest.approx(3 / 5 + 8 / 30)


def test_no_more_tasks_are_near_their_limit_than_run(intervals: PollIntervals) -> None:
    """Whatever the starts, a task is planned for once."""
    assert planned(Load(1, 1440), intervals, 48.0).demand == pytest.approx(2 / 5)


def test_over_the_budget_the_interval_in_force_is_the_stretched_one(intervals: PollIntervals) -> None:
    """3,600 tasks on what is sure of 48 calls a second: 76.5 s, fast ones too."""
    found = planned(Load(3600), intervals, 48.0)
    assert not found.fits
    assert pytest.approx(3600 / (0.98 * 48)) == found.interval
    assert pytest.approx(found.interval) == found.fast_interval


def test_fast_intervals_alone_may_be_stretched(intervals: PollIntervals) -> None:
    """Many starts over few running tasks do not fit, and the interval in force is still the configured one."""
    found = planned(Load(600, 144_000), intervals, 48.0)
    assert (found.fits, found.interval) == (False, 30.0)
    assert found.fast_interval > 5.0


def test_rereads_take_no_more_than_their_tenth(intervals: PollIntervals) -> None:
    """With most rereads the tasks share 88 of the 98 sure parts."""
    found = planned(Load(3600), intervals, 48.0)
    assert pytest.approx(4.8) == found.rereads
    assert pytest.approx(3600 / (0.88 * 48)) == found.interval_with_rereads


def test_rereads_cost_nothing_where_there_is_room(intervals: PollIntervals) -> None:
    """A fleet that fits with them keeps its interval."""
    assert planned(Load(500), intervals, 48.0).interval_with_rereads == 30.0


@pytest.mark.parametrize(("tasks", "seconds"), [(1, 1), (500, 11), (1411, 30), (1412, 31), (1440, 31), (3600, 77)])
def test_the_interval_that_fits(tasks: int, seconds: int, intervals: PollIntervals) -> None:
    """The smallest whole second, shorter than the configured one too; what fits is what the sure 98 % can do."""
    assert seconds == planned(Load(tasks), intervals, 48.0).fitting_interval


@given(tasks=st.integers(0, 20_000), starts=st.integers(0, 100_000), budget=st.floats(0.5, 60.0))
def test_the_interval_that_fits_fits_and_none_shorter_does(tasks: int, starts: int, budget: float) -> None:
    """Configured, it stretches nothing; with a second less something is."""
    load = Load(tasks, starts)

    def at(seconds: int) -> Plan:
        return planned(load, replace(DEFAULTS, interval=float(seconds)), budget)

    fitting = planned(load, DEFAULTS, budget).fitting_interval
    if fitting is None:
        assert not at(MAX_INTERVAL).fits
    else:
        assert at(fitting).fits
        assert fitting == 1 or not at(fitting - 1).fits


def test_no_interval_fits_when_the_fast_reads_alone_are_too_many(intervals: PollIntervals) -> None:
    """An interval however long does not help: those reads have their own."""
    assert planned(Load(50, 100_000), intervals, 2.0).fitting_interval is None


@pytest.mark.parametrize(("tasks", "calls"), [(1440, 49), (1764, 60), (1765, None)])
def test_the_rate_that_fits_is_never_above_the_vendors(tasks: int, calls: int | None, intervals: PollIntervals) -> None:
    """Whole calls a second up to 60, or none."""
    assert calls == planned(Load(tasks), intervals, 48.0).fitting_max_qps


@pytest.mark.parametrize(("tasks", "accounts"), [(1411, 1), (1412, 2), (3600, 3)])
def test_the_accounts_that_fit(tasks: int, accounts: int, intervals: PollIntervals) -> None:
    """As many of the same budget as it takes."""
    assert accounts == planned(Load(tasks), intervals, 48.0).fitting_accounts


@given(tasks=st.integers(0, 10_000), starts=st.integers(0, 10_000), shares=st.integers(1, 50))
def test_shares_are_even_and_lose_nothing(tasks: int, starts: int, shares: int) -> None:
    """They add up to the whole, differ by one at most, and the first is the largest."""
    parts = Load(tasks, starts).shared(shares)
    for whole, each in ((tasks, [part.tasks for part in parts]), (starts, [part.starts_per_day for part in parts])):
        assert (whole, shares) == (sum(each), len(each))
        assert max(each) == each[0] <= min(each) + 1


@pytest.mark.parametrize("tasks", [20, 200])
def test_polling_keeps_the_plan(tasks: int, world: Callable[..., Any]) -> None:
    """Between two reads of any task there is no more than the planned delay, whether it fits or is stretched."""
    intervals = PollIntervals(10.0, 5.0, 300.0, 600.0, 3600.0)
    found = planned(Load(tasks), intervals, 4.0)
    polling = world(qps=4.0, intervals=intervals)
    polling.add_many(tasks)
    polling.run(6 * found.interval)
    assert (tasks == 20) == found.fits
    longest = max(polling.gaps(since=1000.0 + 2 * found.interval))
    assert 0.9 * found.interval <= longest <= found.interval + 1.0
