from dataclasses import replace
from typing import Any

import pytest

from exporter.enums import ReadFailure, Status
from exporter.model.run import Run
from exporter.model.target import Target, TargetId
from exporter.model.task_state import Lifetimes, ListingTimes, TaskState, listing_expires_at

HOUR = 3600.0
LIFETIMES = Lifetimes(stale_after=120.0, linger=900.0, drain=1800.0, forget_unknown_after=HOUR, ttl=26 * HOUR)
ID = TargetId("app", "room", "task")
LISTED = TaskState(Target(ID, "default"))
BY_PUSH, BY_CALLBACK = ListingTimes(by_push=1000.0), ListingTimes(by_callback=1000.0)
LIVE = Run(ID, first_seen=1010.0, entered=frozenset({Status.RUNNING}))
NOT_FOUND: dict[str, Any] = {"last_read": 1005.0, "failure": ReadFailure.NOT_FOUND}


def stopped(at: float) -> Run:
    """A run whose end was seen, or given up, at a moment."""
    return replace(LIVE, end_seen=at)


@pytest.mark.parametrize(
    ("state", "times", "expected"),
    [
        (LISTED, BY_PUSH, 1000 + 26 * HOUR),
        (LISTED, ListingTimes(), None),
        (replace(LISTED, run=LIVE), BY_PUSH, None),
        (replace(LISTED, run=stopped(2000.0), drain_until=5000.0), BY_PUSH, None),
    ],
    ids=["ttl after it was named", "not by push", "a live run does not expire", "released already"],
)
def test_ttl(state: TaskState, times: ListingTimes, expected: float | None) -> None:
    """A target goes `ttl` after the last push that named it; a live run does not."""
    assert listing_expires_at(state, times, LIFETIMES) == expected


def test_a_run_s_linger_decides_whatever_the_ttl() -> None:
    """It goes when its run's linger is over, be that before its ttl or after it."""
    over = replace(LISTED, run=stopped(2000.0))
    assert listing_expires_at(over, BY_PUSH, LIFETIMES) == 2900.0
    assert listing_expires_at(over, BY_PUSH, replace(LIFETIMES, ttl=1.0)) == 2900.0


@pytest.mark.parametrize(
    ("meant", "expected"), [(None, 1000 + HOUR), (500.0, 1000 + HOUR), (5000.0, 5000 + HOUR), (1e6, 1000 + 26 * HOUR)]
)
def test_a_target_the_api_never_knew(meant: float | None, expected: float) -> None:
    """It goes `forget_unknown_after` after its expected start, or after it was named, and never later than its ttl."""
    unknown = replace(LISTED, target=Target(ID, "default", expected_start=meant), **NOT_FOUND)
    assert listing_expires_at(unknown, BY_PUSH, LIFETIMES) == expected


@pytest.mark.parametrize(
    "nobody_said_so",
    [{}, {"last_read": 999.0, "failure": ReadFailure.NOT_FOUND}, {"last_read": 1005.0, "failure": ReadFailure.TIMEOUT}],
    ids=["unread", "read before it was named", "no answer"],
)
def test_only_the_api_can_say_that_it_never_knew_it(nobody_said_so: dict[str, Any]) -> None:
    """While the API is not asked or does not answer, its ttl alone counts."""
    assert listing_expires_at(replace(LISTED, **nobody_said_so), BY_PUSH, LIFETIMES) == 1000 + 26 * HOUR


def test_a_push_after_the_end_means_a_run_to_come() -> None:
    """A target that is named when its run is over is waited for like an unknown one, and at least until its linger."""
    named_again = replace(LISTED, run=stopped(950.0), last_read=1005.0)
    assert listing_expires_at(named_again, BY_PUSH, LIFETIMES) == 1000 + HOUR
    assert listing_expires_at(named_again, BY_PUSH, replace(LIFETIMES, forget_unknown_after=1.0)) == 1850.0
    assert listing_expires_at(named_again, BY_PUSH, replace(LIFETIMES, ttl=1.0)) == 1850.0


def test_a_callback_speaks_of_what_has_happened() -> None:
    """Once the task was read after it, the linger of its run decides, though its end was seen before the callback."""
    over = replace(LISTED, run=stopped(999.0))
    assert listing_expires_at(replace(over, last_read=1001.0), BY_CALLBACK, LIFETIMES) == 1899.0
    assert listing_expires_at(replace(over, last_read=999.0), BY_CALLBACK, LIFETIMES) == 1000 + 26 * HOUR


@pytest.mark.parametrize(
    ("changes", "expected"),
    [({}, 1000 + 26 * HOUR), (NOT_FOUND, 1000 + HOUR), ({"run": LIVE}, None), ({"run": stopped(2000.0)}, 2900.0)],
    ids=["unread", "unknown to the API", "live", "stopped, and read since"],
)
def test_a_called_back_target_goes_as_a_pushed_one(changes: dict[str, Any], expected: float | None) -> None:
    """By its ttl, by the API's word, or by its run's linger."""
    state = replace(LISTED, **{"last_read": 2000.0 if "run" in changes else None, **changes})
    assert listing_expires_at(state, BY_CALLBACK, LIFETIMES) == expected


def test_the_list_that_keeps_it_longer_decides() -> None:
    """A target that both list stays as long as either of them would have it."""
    both = ListingTimes(by_push=5000.0, by_callback=1000.0)
    assert listing_expires_at(LISTED, both, LIFETIMES) == 5000 + 26 * HOUR
