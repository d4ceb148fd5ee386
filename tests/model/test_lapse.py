from dataclasses import replace
from typing import Any

import pytest

from exporter.model.known import Known, Lifetimes
from exporter.model.lapse import lapses_at
from exporter.model.run import Run
from exporter.model.target import Target, TargetId
from exporter.vocabulary import ReadFailure

HOUR = 3600.0
LIFETIMES = Lifetimes(stale_after=120.0, linger=900.0, drain=1800.0, forget_unknown_after=HOUR, ttl=26 * HOUR)
ID = TargetId("app", "room", "task")
PUSHED = Known(Target(ID, "default"), renewed_at=1000.0)
LIVE = Run(ID, first_seen=1010.0)
NOT_FOUND: dict[str, Any] = {"last_read": 1005.0, "failure": ReadFailure.NOT_FOUND}


def stopped(at: float) -> Run:
    """A run whose end was seen, or given up, at a moment."""
    return replace(LIVE, end_seen=at)


@pytest.mark.parametrize(
    ("known", "expected"),
    [
        (PUSHED, 1000 + 26 * HOUR),
        (replace(PUSHED, renewed_at=None), None),
        (replace(PUSHED, run=LIVE), None),
        (replace(PUSHED, run=stopped(2000.0), drain_until=5000.0), None),
    ],
    ids=["ttl after it was named", "not by push", "a live run does not expire", "let go already"],
)
def test_ttl(known: Known, expected: float | None) -> None:
    """A target goes `ttl` after the last push that named it; a live run does not."""
    assert lapses_at(known, LIFETIMES) == expected


def test_a_run_s_linger_decides_whatever_the_ttl() -> None:
    """It goes when its run's linger is over, be that before its ttl or after it."""
    over = replace(PUSHED, run=stopped(2000.0))
    assert lapses_at(over, LIFETIMES) == 2900.0
    assert lapses_at(over, replace(LIFETIMES, ttl=1.0)) == 2900.0


@pytest.mark.parametrize(
    ("meant", "expected"), [(None, 1000 + HOUR), (500.0, 1000 + HOUR), (5000.0, 5000 + HOUR), (1e6, 1000 + 26 * HOUR)]
)
def test_a_target_the_api_never_knew(meant: float | None, expected: float) -> None:
    """It goes `forget_unknown_after` after its expected start, or after it was named, and never later than its ttl."""
    unknown = replace(PUSHED, target=Target(ID, "default", expected_start=meant), **NOT_FOUND)
    assert lapses_at(unknown, LIFETIMES) == expected


@pytest.mark.parametrize(
    "nobody_said_so",
    [{}, {"last_read": 999.0, "failure": ReadFailure.NOT_FOUND}, {"last_read": 1005.0, "failure": ReadFailure.TIMEOUT}],
    ids=["unread", "read before it was named", "no answer"],
)
def test_only_the_api_can_say_that_it_never_knew_it(nobody_said_so: dict[str, Any]) -> None:
    """While the API is not asked or does not answer, its ttl alone counts."""
    assert lapses_at(replace(PUSHED, **nobody_said_so), LIFETIMES) == 1000 + 26 * HOUR


def test_a_push_after_the_end_means_a_run_to_come() -> None:
    """A target that is named when its run is over is waited for like an unknown one, and at least until its linger."""
    named_again = replace(PUSHED, run=stopped(950.0), last_read=1005.0)
    assert lapses_at(named_again, LIFETIMES) == 1000 + HOUR
    assert lapses_at(named_again, replace(LIFETIMES, forget_unknown_after=1.0)) == 1850.0
    assert lapses_at(named_again, replace(LIFETIMES, ttl=1.0)) == 1850.0
