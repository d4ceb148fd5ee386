from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from exporter.enums import Status
from exporter.model.target import TargetId
from exporter.model.task import Task
from exporter.scheduler.read_queue import PollIntervals

pytestmark = [pytest.mark.slow, pytest.mark.no_cover]

Worlds = Callable[..., Any]
BEAT = 0.05
RUNNING = Task(status=Status.RUNNING)
NOT_STARTED = Task(status=Status.NOT_STARTED)
ENDED = Task(status=Status.ENDED)


def per_second(times: list[float], start: float, end: float) -> list[int]:
    found = Counter(int(time - start) for time in times if start <= time < end)
    return [found[second] for second in range(int(end - start))]


def test_reads_are_spread_evenly_over_the_interval(world: Worlds) -> None:
    """Five hundred targets in thirty seconds: some seventeen calls in each second, after the first round."""
    here = world()
    here.add_many(500)
    here.run(180)
    calls = per_second(here.times(), 1060.0, 1180.0)
    assert min(calls) >= 14
    assert max(calls) <= 20


def test_within_the_budget_no_wait_is_longer_than_the_interval(world: Worlds) -> None:
    """By more than a tick and the other calls of that tick; from the first read on."""
    here = world()
    here.add_many(500)
    here.run(180)
    assert len(list(here.gaps())) > 2500
    assert max(here.gaps()) <= 30.0 + 4 * BEAT


@pytest.mark.parametrize("tasks", [357, 360, 500])
def test_under_saturation_all_are_read_evenly(tasks: int, world: Worlds) -> None:
    """Tasks through budget seconds from read to read; one in a hundred waits a tenth longer at most."""
    here = world(qps=12.0)
    here.add_many(tasks)
    turn = tasks / 12
    here.run(6 * turn)
    gaps = sorted(here.gaps(since=1000.0 + 2 * turn))
    assert gaps[int(0.99 * len(gaps))] <= 1.1 * max(turn, 30.0)


def test_under_saturation_the_budget_is_used(world: Worlds) -> None:
    """At least 98 % of it."""
    here = world(qps=12.0)
    here.add_many(500)
    here.run(120)
    assert len(here.times()) >= 0.98 * 12 * 120


def test_fast_targets_give_way_first(world: Worlds) -> None:
    """While only they need to, the running ones keep their interval."""
    here = world(answer=lambda target: NOT_STARTED if target.room_id == "room" and "f" in target.task_id else RUNNING)
    fast, slow = here.add_many(200, "f"), here.add_many(600, "s")
    here.run(240)
    reads = Counter(target for time, target in here.reads if time >= 1090.0)
    assert min(reads[target] for target in slow) >= 4
    assert 150 / 10 <= sum(reads[target] for target in fast) / 200 <= 150 / 6


def test_of_two_tasks_that_end_no_call_is_wasted(world: Worlds) -> None:
    """A stopped one is read as `reread_stopped` says."""
    here = world(answer=lambda _target: ENDED)
    target = here.add("t")
    here.run(1300)
    first, *later = here.times(target)
    assert [round(time - first) for time in later] == [600, 1200]


def test_rereads_take_a_tenth_and_do_not_starve(world: Worlds) -> None:
    """Under overload too, and when most ticks find no free slot."""
    here = world(
        qps=4.0,
        intervals=PollIntervals(30.0, 5.0, 300.0, 10.0, 3600.0),
        answer=lambda target: ENDED if "stopped" in target.task_id else RUNNING,
    )
    here.add_many(300, "stopped")
    here.add_many(300, "live")
    here.run(400)
    late = [target.task_id for time, target in here.reads if time >= 1200.0]
    share = sum("stopped" in name for name in late) / len(late)
    assert 0.09 <= share <= 0.105


def test_unread_targets_come_first_newest_first(world: Worlds) -> None:
    """A fleet that was just listed is read before those that are known."""
    here = world(qps=10.0)
    here.add_many(100, "old")
    here.run(60)
    here.add_many(50, "new")
    here.run(5)
    order = here.order(since=1060.0)
    assert order[: len(order) - 1] == [f"new{index}" for index in range(49, 50 - len(order), -1)]


def test_a_fleet_grown_fiftyfold_between_two_reads_makes_nothing_stale(world: Worlds) -> None:
    """Three intervals in force are always longer than the time since the last read, whatever the new ones answer."""
    for outcome in (RUNNING, ENDED):
        here = world(qps=12.0, answer=lambda target, new=outcome: new if "new" in target.task_id else RUNNING)
        old = here.add_many(25, "old")
        here.run(45)
        here.add_many(1250, "new")
        for _ in range(150):
            here.run(1)
            for target in old:
                known = here.known[target]
                fresh_for = 3 * here.intervals_now.between_reads(known, here.unix())
                assert here.unix() - known.last_success <= max(120.0, fresh_for)


def test_a_fleet_that_shrinks_is_read_at_its_interval_at_once(world: Worlds) -> None:
    """What was put off for the others' sake is due as soon as they are gone."""
    here = world(qps=12.0)
    few, many = here.add_many(25, "few"), here.add_many(1500, "many")
    here.run(200)
    for target in many:
        here.forget(target)
    here.run(31)
    assert {target for time, target in here.reads if time >= 1200.0} == set(few)


def test_a_rate_that_recovers_is_used_at_once(world: Worlds) -> None:
    """What was put off because the API throttled is not read at that slow interval once more."""
    here = world()
    here.add_many(500)
    here.run(40)
    for _ in range(8):
        here.rate_limiter.throttled()
        here.run(1.05)
    here.run(30)
    recovered = here.now
    here.run(30.5)
    assert len({target for time, target in here.reads if time >= recovered}) == 500


def test_the_interval_in_force_is_stretched_by_the_fleet(world: Worlds) -> None:
    """Twice as many tasks as the budget can read in an interval have twice the interval."""
    here = world(qps=12.0)
    here.add_many(720)
    here.run(200)
    known = next(iter(here.known.values()))
    assert here.intervals_now.between_reads(known, here.unix()) >= 60.0
    assert here.intervals_now.between_reads(known, here.unix()) <= 130.0


def test_no_two_reads_of_one_target_are_under_way_at_once(world: Worlds) -> None:
    """Though each takes longer than the interval."""
    here = world(intervals=PollIntervals(1.0, 1.0, 300.0, 600.0, 3600.0), latency=2.5)
    here.add_many(20)
    here.run(30)
    assert here.twice == []
    assert len(here.reads) >= 20 * 8


def test_no_more_calls_are_under_way_than_may_be(world: Worlds) -> None:
    """And none is lost for it: the others follow when there is room."""
    here = world(latency=4.0, most_in_flight=10)
    here.add_many(100)
    here.run(3.9)
    assert len(here.reads) == 10
    here.run(50)
    assert len(set(here.order())) == 100


@pytest.mark.parametrize("hours", [0, 9])
def test_near_its_deadline_a_task_is_read_fast(hours: int, world: Worlds) -> None:
    """From a minute before to a minute after, by the vendor's clock, and only then."""
    here = world()
    deadline = 1300.0
    vendor = here.wall + hours * 3600

    def answer(_target: TargetId) -> Task:
        return Task(status=Status.RUNNING, start=vendor + deadline - 600, max_running_time=600)

    here.answer = answer
    read = here.read
    here.read = lambda target, slot=None: replace(read(target, slot), server_time=here.now + vendor)
    target = here.add("t")
    here.run(500)
    assert len(here.times(target, since=1240.0)) >= 24
    for start, end, most in ((1000, 1239, 9), (1239, 1241, 1), (1241, 1359, 25), (1366, 1500, 6)):
        assert len([time for time in here.times(target) if start <= time < end]) <= most
    assert [time for time in here.times(target) if 1239.9 <= time <= 1240.2]


def test_not_started_is_fast_for_ten_minutes_only(world: Worlds) -> None:
    """Then at the interval."""
    here = world(answer=lambda _target: NOT_STARTED)
    target = here.add("t")
    here.run(900)
    fast = [time for time in here.times(target) if time < 1600]
    slow = [time for time in here.times(target) if time >= 1610]
    assert 119 <= len(fast) <= 123
    assert 9 <= len(slow) <= 11


def test_a_task_near_its_end_does_not_unsettle_the_interval_in_force(world: Worlds) -> None:
    """A wait cut short for the deadline is not the interval that staleness goes by."""
    here = world()
    target = here.add("t")
    here.run(1)
    task = Task(status=Status.RUNNING, start=here.unix() - 3600, max_running_time=3600 + 65)
    known = replace(here.known[target], task=task)
    assert here.intervals_now.between_reads(known, here.unix()) == 30.0


def test_the_numbers_tell_budget_demand_and_oldest_due(world: Worlds) -> None:
    """Unix seconds for the oldest due, None when nothing is."""
    here = world(qps=10.0)
    here.add_many(300)
    here.run(10)
    numbers = here.poller.numbers()
    assert numbers.configured_rate == 10.0
    assert numbers.effective_rate == 10.0
    assert numbers.up is True
    assert numbers.oldest_due == pytest.approx(here.unix() - 10.0)
    assert 3.0 <= numbers.demand <= 3.5
    here.run(60)
    assert here.poller.numbers().demand == 10.0


def test_with_nothing_due_there_is_no_oldest(world: Worlds) -> None:
    """And before the first call there is no word on the account."""
    here = world()
    assert here.poller.numbers().oldest_due is None
    assert here.poller.numbers().up is None
    here.add("t")
    here.run(1)
    assert here.poller.numbers().oldest_due is None
