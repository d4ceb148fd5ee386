"""Which notices of a fleet come due, and when."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from exporter.enums import PageReason
from exporter.model.target import TargetId
from exporter.simulator.fleet import Fleet
from exporter.simulator.lives import Life, Plan, begin
from exporter.simulator.notices import Notice, notices
from exporter.simulator.page import Trouble
from exporter.simulator.settings import Settings

BORN = 1_700_000_000.0
FROZEN = Plan(
    Settings(freeze_check=5, max_running_time=3600),
    starts=10,
    ends=90,
    troubles=(Trouble(PageReason.FREEZE, 20, lasting=True),),
)


class Clock:
    """A fleet's clock, to be set in seconds after its birth."""

    def __init__(self) -> None:
        self.after = 0.0

    def __call__(self) -> float:
        """Unix seconds."""
        return BORN + self.after


def looks(fleet: Fleet, clock: Clock, *times: float) -> list[list[tuple[float, int]]]:
    """What each look gives: seconds after birth, and Status."""
    found = []
    for clock.after in times:
        found.append([(notice.at / 1000 - BORN, notice.status) for notice in fleet.due()])
    return found


def test_each_look_gives_what_came_due(target: TargetId) -> None:
    """Every notice is given once, from its own millisecond on, in the order of time."""
    clock = Clock()
    fleet = Fleet(clock)
    fleet.begin(target, FROZEN)
    fleet.follow()
    expected = [[], [(10, 1)], [], [(30, 4), (40, 5)], [(90, 3)], []]
    assert expected == looks(fleet, clock, 9.999, 10, 10, 50, 90, 1e6)


def test_what_was_before_is_not_told(target: TargetId) -> None:
    """Nothing from before the following began, though its life goes on, nor of a life put in late."""
    clock = Clock()
    fleet = Fleet(clock)
    fleet.begin(target, FROZEN)
    clock.after = 30
    fleet.follow()
    fleet.begin(TargetId("app", "Room", "late"), FROZEN, age=35)
    fleet.begin(TargetId("app", "Room", "over"), FROZEN, age=300)
    assert looks(fleet, clock, 30, 40) == [[(30, 4)], [(35, 5), (40, 5)]]


def test_nobody_follows(target: TargetId) -> None:
    """Nothing is kept for anyone before the following, nor after it."""
    clock = Clock()
    fleet = Fleet(clock)
    fleet.begin(target, FROZEN)
    first = looks(fleet, clock, 50)
    fleet.follow()
    fleet.unfollow()
    fleet.stop(target)
    assert first + looks(fleet, clock, 1000) == [[], []]
    agenda = fleet._agenda
    assert [len(agenda._notices), len(agenda._births), len(agenda._cancelled)] == [0, 0, 0]


def test_a_stopped_task_tells_nothing_more(target: TargetId) -> None:
    """After a stop there is its end alone; what came due before it is told, though nobody looked yet."""
    clock = Clock()
    fleet = Fleet(clock)
    fleet.begin(target, FROZEN)
    fleet.follow()
    clock.after = 30
    assert fleet.stop(target)
    assert looks(fleet, clock, 30, 1e6) == [[(10, 1), (30, 4), (30, 3)], []]


def test_a_life_follows_another(target: TargetId) -> None:
    """A successor's notices come without anyone asking for the task, and after a stop those of the new successor."""
    clock = Clock()
    fleet = Fleet(clock)

    def after_a_minute(_number: int, end: int) -> Life:
        return begin(Plan(ends=60), end / 1000 + 60)

    fleet.add(target, begin(Plan(ends=100), BORN), successor=after_a_minute)
    fleet.follow()
    first = looks(fleet, clock, 0, 40)
    assert fleet.stop(target)
    assert first + looks(fleet, clock, 99, 100, 220) == [[(0, 1)], [], [(40, 3)], [(100, 1)], [(160, 3), (220, 1)]]


def test_lives_that_are_all_alike(target: TargetId) -> None:
    """Started and stopped in one millisecond again and again, the last one's events alone are still to come."""
    clock = Clock()
    fleet = Fleet(clock)
    fleet.follow()
    for _ in range(3):
        assert fleet.start(target, begin(FROZEN, BORN))
        fleet.stop(target)
    fleet.start(target, begin(FROZEN, BORN))
    assert looks(fleet, clock, 0, 10) == [[(0, 3)] * 3, [(10, 1)]]


STEPS = st.lists(st.tuples(st.sampled_from((0, 0, 1, 300, 5000)), st.integers(0, 25), st.booleans()), max_size=60)


@given(seed=st.integers(0, 2**32), steps=STEPS)
def test_what_is_told_is_what_happened(seed: int, steps: list[tuple[int, int, bool]]) -> None:
    """Whatever is started and stopped between looks, every notice of every life is told once, and no other."""
    clock = Clock()
    fleet = Fleet.demo(13, 300.0, seed, clock)
    targets = list(fleet.targets())
    fleet.follow()
    seen: list[Notice] = []
    for wait, index, look in steps:
        clock.after += wait / 1000
        if index < 13:
            fleet.stop(targets[index])
        else:
            fleet.start(targets[index - 13], begin(FROZEN, clock(), 20))
        seen += fleet.due() if look else []
    seen += fleet.due()
    now = round(clock() * 1000)
    happened = [notice for task, lives in fleet.lives(now).items() for life in lives for notice in notices(task, life)]
    assert Counter(notice for notice in happened if BORN * 1000 <= notice.at <= now) == Counter(seen)
