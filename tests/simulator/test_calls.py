"""The account of calls."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.model.target import TargetId
from exporter.simulator.calls import Call, Calls, SlidingSecond, busiest_second
from exporter.simulator.replies import Outcome

ONE, OTHER = TargetId("a", "r", "1"), TargetId("a", "r", "2")


def test_the_61st_call_of_any_second_is_refused() -> None:
    """Sixty calls in [t, t+1) pass, the 61st does not, and at t+1 one place is free again."""
    limit = SlidingSecond(60)
    assert [limit.admit(100 + n / 64) for n in range(60)] == [True] * 60
    assert [limit.admit(at) for at in (100.999, 101.0, 101.0)] == [False, True, False]


def test_a_refused_call_takes_no_place() -> None:
    """Refused calls do not count, so that a caller a little too fast still gets the whole limit."""
    limit = SlidingSecond(2)
    assert sum(limit.admit(n / 8) for n in range(80)) == 20


@settings(deadline=None)
@given(times=st.lists(st.integers(0, 400), max_size=60).map(sorted), most=st.integers(1, 5))
def test_no_second_holds_more_than_the_limit(times: list[int], most: int) -> None:
    """Whatever the arrivals, no [t, t+1) holds more admitted calls than the limit."""
    limit = SlidingSecond(most)
    admitted = [tick / 64 for tick in times if limit.admit(tick / 64)]
    assert all(sum(1 for at in admitted if start <= at < start + 1) <= most for start in admitted)


@pytest.mark.parametrize(
    ("times", "expected"), [([], 0), ([1.0], 1), ([1.0, 2.0], 1), ([1.0, 1.5, 1.99, 2.0, 2.4], 4), ([1, 1, 1], 3)]
)
def test_the_busiest_second_is_half_open(times: list[float], expected: int) -> None:
    """Two calls exactly a second apart are not in one second."""
    assert expected == busiest_second(times)


def test_the_log_answers_how_it_was_called() -> None:
    """Counts by outcome, the reads of one task, and the busiest second of one account or all, in arrival order."""
    calls = Calls()
    for call in (
        Call(2.0, "x", ONE, Outcome.ANSWERED),
        Call(1.5, "y", OTHER, Outcome.THROTTLED),
        Call(2.2, "x", ONE, Outcome.ANSWERED),
    ):
        calls.record(call)
    assert calls.counts == {"answered": 2, "throttled": 1, "refused": 0, "failed": 0}
    assert [calls.reads_of(ONE), calls.reads_of(OTHER)] == [(2.0, 2.2), (1.5,)]
    assert [calls.max_calls_in_a_second(account) for account in (None, "x", "y")] == [3, 2, 1]
    assert [call.at for call in calls.log] == [1.5, 2.0, 2.2]
