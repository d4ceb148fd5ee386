"""The tasks there are, and the demo's own."""

from itertools import pairwise

import pytest

from exporter.enums import Status, StopReason
from exporter.model.target import TargetId
from exporter.simulator.fleet import Fleet
from exporter.simulator.lives import Ending, Plan, begin, moment
from exporter.simulator.settings import Settings
from exporter.simulator.truth import states, status_counts, stop_counts

BORN = 1_700_000_000.0


@pytest.fixture
def fleet() -> Fleet:
    """A demo fleet of the default size."""
    return Fleet.demo(40, 60.0, 1, lambda: BORN)


def at(after: float) -> int:
    """Seconds after the fleet began, in Unix milliseconds."""
    return round((BORN + after) * 1000)


def test_a_demo_begins_with_every_status(fleet: Fleet) -> None:
    """Its members are met in all five statuses at once."""
    assert dict.fromkeys(Status, True) == {status: count > 0 for status, count in status_counts(fleet, at(0)).items()}


def test_a_watcher_sees_every_status_at_any_time(fleet: Fleet) -> None:
    """For an hour there is no second in which one of the five statuses is missing."""
    assert [second for second in range(3600) if not all(status_counts(fleet, at(second)).values())] == []


def test_a_demo_shows_every_reason(fleet: Fleet) -> None:
    """At the beginning each stop reason has been met, an end without a reason included."""
    assert dict.fromkeys(stop_counts(fleet, at(0)), True) == {
        reason: count > 0 for reason, count in stop_counts(fleet, at(0)).items()
    }
    assert StopReason.UNSPECIFIED in stop_counts(fleet, at(0))


def test_a_demo_is_its_seed() -> None:
    """The same seed lives the same day, however it is asked; another seed another."""
    asked_once = Fleet.demo(20, 60.0, 7, lambda: BORN)
    asked_often = Fleet.demo(20, 60.0, 7, lambda: BORN)
    for second in range(0, 600, 7):
        asked_often.lives(at(second))
    assert asked_once.lives(at(600)) == asked_often.lives(at(600))
    assert asked_once.lives(at(600)) != Fleet.demo(20, 60.0, 8, lambda: BORN).lives(at(600))


def test_a_demo_has_the_example_first(fleet: Fleet) -> None:
    """The first task is the one of all examples, and each SourceURL carries the canary that must be seen nowhere."""
    assert str(next(iter(fleet.targets()))) == "661e0000000000000000543c/Room1/Task1"
    urls = {life.settings.source_url for lives in fleet.lives(at(0)).values() for life in lives}
    assert {"https://classroom.example.com/live?token=canary-source-url-query"} == urls


def test_a_new_life_has_a_new_start(fleet: Fleet) -> None:
    """Each member lives again and again under its id: every life begins after the end of the one before."""
    for lives in fleet.lives(at(3600)).values():
        assert len(lives) > 5
        assert all(one.end is not None and one.end < next_one.created for one, next_one in pairwise(lives))
        starts = [life.start for life in lives if life.start is not None]
        assert sorted(set(starts)) == starts


def test_an_end_is_seen_until_the_next_life(target: TargetId) -> None:
    """In the pause between two lives the task tells the end of the first."""
    fleet = Fleet(lambda: BORN)
    second = begin(Plan(starts=5, ends=50), BORN + 100)
    fleet.add(target, begin(Plan(ends=10), BORN), successor=lambda _number, _end: second)
    seen = [moment(life, at(after)).status for after in (9, 99, 101, 106) if (life := fleet.life(target, at(after)))]
    assert seen == [Status.RUNNING, Status.ENDED, Status.NOT_STARTED, Status.RUNNING]


def test_stop_ends_what_lives(target: TargetId) -> None:
    """StopWebcast ends a live task now, by API; there is nothing to stop twice, nor what never was."""
    fleet = Fleet(lambda: BORN)
    fleet.begin(target, Plan(Settings(max_running_time=3600)), age=60)
    assert [fleet.stop(target), fleet.stop(target), fleet.stop(TargetId("a", "b", "c"))] == [True, False, False]
    state = states(fleet, at(0))[target]
    assert (Status.ENDED, "StopByAPI", at(-60), at(0)) == (state.status, state.reason, state.start, state.end)


def test_a_stopped_member_lives_on(fleet: Fleet, target: TargetId) -> None:
    """A demo task that is stopped early begins anew after its pause like any other."""
    clock = BORN + 1
    fleet.clock = lambda: clock
    assert fleet.stop(target)
    lives = fleet.lives(at(3600))[target]
    assert Ending.STOPPED_BY_API is lives[0].ending
    assert len(lives) > 5


def test_start_refuses_a_second_life_beside_the_first(target: TargetId) -> None:
    """StartWebcast on a live task begins nothing; after its end it begins a new life."""
    fleet = Fleet(lambda: BORN)

    def life(after: float) -> bool:
        return fleet.start(target, begin(Plan(ends=10), BORN + after))

    assert [life(0), life(9), life(10)] == [True, False, True]
    assert len(fleet.lives(at(10))[target]) == 2


def test_labels_survive_a_new_life(target: TargetId) -> None:
    """A life added without labels keeps those the task has."""
    fleet = Fleet(lambda: BORN)
    fleet.add(target, begin(Plan(ends=1), BORN), labels={"team": "edu"})
    fleet.begin(target, Plan())
    assert {target: {"team": "edu"}} == fleet.targets()
