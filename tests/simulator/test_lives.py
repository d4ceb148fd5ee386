"""A life, from its plan to what the vendor tells of it."""

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.enums import PageReason, Status
from exporter.simulator.lives import Ending, Life, Moment, Plan, begin, document, ended, moment, queryable
from exporter.simulator.page import PageEvent, Trouble
from exporter.simulator.settings import Settings
from exporter.volcengine.replies import parse_reply

BORN = 1_700_000_000
HOUR = Settings(max_running_time=3600)
START = BORN * 1000 + 60_000


def seconds(count: float) -> int:
    """So many seconds after birth, in Unix milliseconds."""
    return round((BORN + count) * 1000)


@pytest.mark.parametrize(
    ("plan", "after", "expected"),
    [
        (Plan(HOUR, starts=60), 59.9, Moment(Status.NOT_STARTED, "", 0, 0)),
        (Plan(HOUR, starts=60), 60, Moment(Status.RUNNING, "", START, 0)),
        (Plan(HOUR, starts=60), 3659.999, Moment(Status.RUNNING, "", START, 0)),
        (Plan(HOUR, starts=60), 3660, Moment(Status.ENDED, "ExceedMaxRunningTime", START, START + 3_600_000)),
        (
            Plan(HOUR, starts=60, ends=7200),
            9999,
            Moment(Status.ENDED, "ExceedMaxRunningTime", START, START + 3_600_000),
        ),
        (Plan(HOUR, starts=60, ends=90), 90, Moment(Status.ENDED, "", START, START + 30_000)),
        (
            Plan(HOUR, starts=60, ends=90, ending=Ending.STOPPED_BY_API),
            90,
            Moment(Status.ENDED, "StopByAPI", START, START + 30_000),
        ),
        (
            Plan(HOUR, starts=60, ends=90, ending=Ending.BROKE),
            1e6,
            Moment(Status.FAILED, "UnknownStopReason", START, START + 30_000),
        ),
        (
            Plan(HOUR, starts=None, ends=30, ending=Ending.START_FAILED),
            30,
            Moment(Status.FAILED, "StartTaskFailed", 0, seconds(30)),
        ),
        (
            Plan(HOUR, starts=20, ends=30, ending=Ending.START_FAILED),
            30,
            Moment(Status.FAILED, "StartTaskFailed", seconds(20), seconds(30)),
        ),
        (Plan(HOUR, starts=60, unknown=((70, 80),)), 75, Moment(Status.UNKNOWN, "", START, 0)),
        (Plan(HOUR, starts=60, unknown=((70, 80),)), 80, Moment(Status.RUNNING, "", START, 0)),
        (Plan(HOUR, starts=60, unknown=((10, 80),)), 20, Moment(Status.UNKNOWN, "", 0, 0)),
        (Plan(HOUR, starts=60, ends=75, unknown=((70, 80),)), 76, Moment(Status.ENDED, "", START, seconds(75))),
        (Plan(HOUR, starts=None), 1e9, Moment(Status.NOT_STARTED, "", 0, 0)),
    ],
)
def test_a_life_is_its_plan(plan: Plan, after: float, expected: Moment) -> None:
    """Each plan gives the seed page's Status, StopReason and times (milliseconds) at each time."""
    assert expected == moment(begin(plan, BORN), seconds(after))


def test_a_faster_life_tells_consistent_numbers() -> None:
    """Sixty times faster, MaxRunningTime is compressed with the life: it still ends at StartTime + MaxRunningTime."""
    life = begin(Plan(HOUR, starts=60), BORN, speed=60)
    told = document(life, seconds(62))
    assert (60, seconds(1), seconds(61)) == (told["MaxRunningTime"], told["StartTime"], told["EndTime"])


def test_compression_keeps_the_range() -> None:
    """MaxRunningTime never leaves the seed page's [10, 86400], whatever the speed, and the end moves with it."""
    life = begin(Plan(HOUR), BORN, speed=3600)
    assert (10, seconds(10)) == (life.settings.max_running_time, life.end)


def test_a_stop_cancels_the_future() -> None:
    """What is stopped before its start never started, and page events after the end never happen."""
    plan = Plan(Settings(freeze_check=5), starts=60, troubles=(Trouble(PageReason.FREEZE, 70, lasting=True),))
    life = begin(plan, BORN)
    assert [PageEvent(seconds(80), 4, PageReason.FREEZE), PageEvent(seconds(90), 5, PageReason.FREEZE)] == list(
        life.page_events
    )
    assert life.page_events[:1] == ended(life, seconds(85), Ending.STOPPED_BY_API).page_events
    early = ended(life, seconds(30), Ending.STOPPED_BY_API)
    assert Moment(Status.ENDED, "StopByAPI", 0, seconds(30)) == moment(early, seconds(40))


@pytest.mark.parametrize(("starts", "since"), [(60, 60), (None, 0)])
def test_a_task_is_found_for_72_hours(starts: float | None, since: float) -> None:
    """The seed page: only tasks started within the last 72 hours; one that never started counts from its creation."""
    life = begin(Plan(HOUR, starts=starts, ends=100, ending=Ending.START_FAILED), BORN)
    asked = since + 72 * 3600
    assert [queryable(life, seconds(asked)), queryable(life, seconds(asked) + 1)] == [True, False]


PLANS = st.builds(
    Plan,
    settings=st.integers(10, 400).map(lambda limit: Settings(max_running_time=limit)),
    starts=st.one_of(st.none(), st.floats(0, 200)),
    ends=st.one_of(st.none(), st.floats(0, 600)),
    ending=st.sampled_from(Ending),
    unknown=st.lists(st.tuples(st.floats(0, 300), st.floats(0, 300)), max_size=3).map(tuple),
)
ORDER = {Status.NOT_STARTED: 0, Status.RUNNING: 1, Status.ENDED: 2, Status.FAILED: 2}


@settings(deadline=None)
@given(plan=PLANS, times=st.lists(st.integers(0, 900_000), min_size=2, max_size=30).map(sorted))
def test_a_life_only_moves_forward(plan: Plan, times: list[int]) -> None:
    """Not started, running, over: never back, and what is over never changes; unknown comes only while it lives."""
    seen = [moment(begin(plan, BORN), BORN * 1000 + after) for after in times]
    known = [ORDER[state.status] for state in seen if state.status is not Status.UNKNOWN]
    assert sorted(known) == known
    for earlier, later in pairwise(seen):
        if earlier.status.stopped:
            assert earlier == later


@settings(deadline=None)
@given(plan=PLANS, after=st.integers(0, 900_000), speed=st.sampled_from([0.5, 1.0, 7.0, 60.0]))
def test_every_moment_is_as_documented(plan: Plan, after: int, speed: float) -> None:
    """The model accepts what a life tells and says the same of it; it finds odd only an end without a start."""
    life: Life = begin(plan, BORN, speed)
    at = BORN * 1000 + after
    state = moment(life, at)
    reply = parse_reply({"Result": {"WebcastTask": document(life, at)}})
    never_ran = state.status is Status.ENDED and not state.start
    assert (("StartTime",) if never_ran else ()) == reply.unexpected
    assert (state.status, state.start or None, state.end or None) == (
        reply.task.status,
        reply.task.start and round(reply.task.start * 1000),
        reply.task.end and round(reply.task.end * 1000),
    )
    assert 10 <= life.settings.max_running_time <= 86_400
    if life.start is not None and life.end is not None:
        assert life.start <= life.end <= life.start + life.settings.max_running_time * 1000
