from collections.abc import Callable
from copy import copy
from dataclasses import replace
from itertools import pairwise
from typing import Any

from exporter.enums import Status
from exporter.errors import AppRefused, CredentialsRefused, NotFound, Unreachable
from exporter.model.run import Run
from exporter.model.target import TargetId
from exporter.model.task import Task
from exporter.scheduler.read_queue import PollIntervals
from exporter.volcengine.rate_limiter import RateLimiter

Worlds = Callable[..., Any]
RUNNING = Task(status=Status.RUNNING)
ENDED = Task(status=Status.ENDED)


def test_before_its_expected_start_a_target_is_not_read(world: Worlds) -> None:
    """At that moment it is; not found, it is retried fast for ten minutes."""
    here = world(answer=lambda _target: NotFound("no such task"))
    target = here.add("t", expected_start=here.unix() + 3600)
    here.run(5000)
    times = here.times(target)
    assert 4600.0 <= times[0] <= 4600.2
    assert 118 <= len([time for time in times if time < 5200.0]) <= 122
    assert len([time for time in times if time >= 5210.0]) <= 8


def test_an_expected_start_in_the_past_is_no_hindrance(world: Worlds) -> None:
    here = world()
    here.add("t", expected_start=here.unix() - 10)
    here.run(1)
    assert here.order() == ["t"]


def test_the_expected_start_goes_by_the_wall_clock(world: Worlds) -> None:
    """A clock that is set while a target waits makes its start earlier or later."""
    here = world()
    early, late = here.add("early", expected_start=here.unix() + 90), here.add("late", expected_start=here.unix() + 90)
    here.run(30)
    here.wall -= 3600
    here.run(300)
    assert here.reads == []
    here.wall += 7200
    here.run(11)
    assert {target for _, target in here.reads} == {early, late}


def test_listed_again_with_another_expected_start_that_one_counts(world: Worlds) -> None:
    """Earlier, later, or none any more."""
    here = world()
    for name, start in (("earlier", 900.0), ("later", 60.0), ("none", 900.0)):
        here.add(name, expected_start=here.unix() + start)
    here.run(1)
    for name, start in (("earlier", 100.0), ("later", 900.0), ("none", -1.0)):
        here.add(name, expected_start=here.unix() + start if start > 0 else None)
    here.run(11)
    assert here.order() == ["none"]
    here.run(110)
    assert set(here.order()) == {"none", "earlier"}


def test_a_stopped_target_is_not_read_before_its_next_start(world: Worlds) -> None:
    """Yesterday's run is no reason to look for today's before it is meant to begin."""
    here = world(answer=lambda _target: ENDED)
    run = Run(TargetId("app", "room", "t"), here.unix() - 9000, end_seen=here.unix() - 5000, last=ENDED)
    here.add("t", run=run, expected_start=here.unix() + 5000)
    here.run(5100)
    assert [6000.0 <= time <= 6000.3 for time in here.times()] == [True]


def test_held_stopped_targets_do_not_take_the_share_of_others(world: Worlds) -> None:
    """A hundred that wait for tomorrow leave the rereads to those that may be read."""
    here = world(answer=lambda _target: ENDED)
    for index in range(100):
        run = Run(TargetId("app", "room", f"held{index}"), here.unix() - 9000, end_seen=here.unix() - 5000, last=ENDED)
        here.add(f"held{index}", run=run, expected_start=here.unix() + 50_000)
        here.add(f"free{index}", run=replace(run, target=TargetId("app", "room", f"free{index}")))
    here.run(660)
    assert {name for name in here.order() if "held" in name} == set()
    assert len(set(here.order())) == 100


def test_a_live_run_is_read_whatever_start_is_expected(world: Worlds) -> None:
    """A label that comes late does not make a running task stale."""
    here = world()
    run = Run(TargetId("app", "room", "t"), here.unix() - 100, entered=frozenset({Status.RUNNING}))
    here.add("t", run=run, expected_start=here.unix() + 5000)
    here.run(1)
    assert here.order() == ["t"]


def test_a_stopped_target_remembered_from_the_state_is_not_read_at_once(world: Worlds) -> None:
    """After a restart ended runs are known; only a new run is looked for."""
    here = world(answer=lambda _target: ENDED)
    run = Run(TargetId("app", "room", "t"), here.unix() - 900, end_seen=here.unix() - 500, last=ENDED)
    here.add("t", run=run)
    here.run(599)
    assert here.reads == []
    here.run(2)
    assert here.order() == ["t"]


def test_a_target_listed_again_is_not_read_anew(world: Worlds) -> None:
    """A reload of the same list changes no target's turn."""
    here = world()
    here.add("t")
    here.run(1)
    here.add("t")
    here.run(0.5)
    assert here.order() == ["t"]
    assert here.poller.targets() == {TargetId("app", "room", "t")}


def test_a_removed_target_is_read_no_more(world: Worlds) -> None:
    """And what a read under way brings is not taken in, though the account's numbers count it."""
    here = world(latency=1.0)
    target = here.add("t")
    here.run(0.5)
    here.poller.remove(target)
    here.run(120)
    assert here.order() == ["t"]
    assert here.learnt == []
    assert len(here.counted) == 1
    assert here.poller.targets() == set()
    assert here.poller.numbers().up is True


def test_removed_and_listed_again_while_it_is_read_there_is_one_read_at_a_time(world: Worlds) -> None:
    """The read under way counts for the new listing."""
    here = world(latency=5.0)
    target = here.add("t")
    here.run(0.5)
    here.forget(target)
    here.add("t")
    here.run(40)
    assert here.twice == []
    assert len(here.learnt) >= 1
    assert len(here.reads) == 2


def test_a_target_forgotten_by_its_own_read_may_be_listed_again(world: Worlds) -> None:
    """The poller does not take out what it did not put in: the target is read again after an interval."""
    here = world()
    target = here.add("t")
    known = here.known.pop(target)
    here.run(1)
    here.known[target] = known
    here.run(31)
    assert len(here.reads) == 2


def test_moved_to_another_account_it_is_read_there_first(world: Worlds) -> None:
    old, new = world(), world(qps=1.0)
    target = old.add("t")
    old.run(10)
    new.add_many(5)
    new.run(8)
    before = len(old.reads)
    old.poller.remove(target)
    new.add("t")
    new.run(1.1)
    assert new.order(since=1008.0)[0] == "t"
    old.run(60)
    assert len(old.reads) == before


def test_stopped_it_hands_out_nothing_and_takes_nothing_in(world: Worlds) -> None:
    """Calls that end after that are not learnt."""
    here = world(latency=1.0)
    here.add_many(100)
    here.run(0.5)
    sent = len(here.reads)
    here.poller.stop()
    here.run(5)
    assert len(here.reads) == sent
    assert here.counted == []


def test_another_interval_keeps_each_target_s_place(world: Worlds) -> None:
    """A reload from thirty to sixty seconds, or to ten, bunches nothing."""
    for interval in (60.0, 10.0):
        here = world()
        here.add_many(300)
        here.run(100)
        here.poller.reconfigure(here.account(), PollIntervals(interval, 5.0, 300.0, 600.0, 3600.0), 120.0)
        here.run(2 * interval)
        assert max(here.gaps(since=1100.0)) <= interval + 0.2
        calls = [0] * int(2 * interval)
        for time in here.times(since=1100.0):
            calls[min(int(time - 1100.0), len(calls) - 1)] += 1
        assert max(calls) <= 2 * 300 / interval


def test_shorter_waits_hold_for_those_that_wait_already(world: Worlds) -> None:
    """A shorter `max_backoff` and `reread_stopped` are not first slept over."""
    here = world(answer=lambda target: ENDED if target.task_id == "stopped" else NotFound("no such task"))
    here.add_many(1, "stopped")
    here.add("unknown")
    here.answer = lambda target: ENDED if "stopped" in target.task_id else NotFound("no such task")
    here.run(1200)
    here.poller.reconfigure(here.account(), PollIntervals(30.0, 5.0, 10.0, 20.0, 3600.0), 120.0)
    before = here.now
    here.run(21)
    assert set(here.order(since=before)) == {"stopped0", "unknown"}


def test_a_reload_that_changes_nothing_changes_nothing(world: Worlds) -> None:
    """The breakers stay as they are: no call is made for its sake."""
    for error in (CredentialsRefused("no"), AppRefused("no")):
        here = world(answer=lambda _target, error=error: error)
        here.add_many(40)
        here.run(60)
        before = here.now
        for _ in range(10):
            here.poller.reconfigure(here.account(), here.intervals, 120.0)
        here.run(2)
        assert here.order(since=before) == []


def test_a_reload_with_another_client_is_tried_at_once(world: Worlds) -> None:
    """By one probe: the reload may be what was missing."""
    here = world(answer=lambda _target: CredentialsRefused("no"))
    here.add_many(40)
    here.run(60)
    here.answer = lambda _target: RUNNING
    before = here.now
    here.poller.reconfigure(replace(here.account(), client=copy(here)), here.intervals, 120.0)
    here.run(2)
    assert len(set(here.order(since=before))) >= 35


def test_another_budget_holds_from_the_next_call_on(world: Worlds) -> None:
    """The reloaded account is the one that is asked."""
    here = world()
    here.add_many(2000)
    here.run(10)
    here.rate_limiter = RateLimiter(5.0, lambda: here.now, lambda _seconds: None)
    here.poller.reconfigure(here.account(), here.intervals, 120.0)
    before = here.now
    here.run(20)
    assert 90 <= len(here.times(since=before)) <= 101 + 0.2 * 48  # slots that were taken already keep their time
    assert here.poller.numbers().configured_rate == 5.0


def test_a_requested_task_is_read_within_a_tick(world: Worlds) -> None:
    """Long before its turn, whatever its read_class; and then again in its turn."""
    here = world()
    target = here.add("t")
    here.run(10)
    asked = here.now
    here.poller.prioritize(target)
    here.run(40)
    first, second, *_ = here.times(target, since=asked)
    assert first - asked <= 0.1
    assert 5.0 < second - first <= 30.1


def test_asked_for_often_it_is_read_once_per_fast_interval(world: Worlds) -> None:
    """A page that flaps does not use the budget up."""
    here = world()
    target = here.add("t")
    here.run(10)
    asked = here.now
    for _ in range(200):
        here.poller.prioritize(target)
        here.run(0.1)
    gaps = [later - earlier for earlier, later in pairwise(here.times(target, since=asked))]
    assert len(gaps) == 3
    assert min(gaps) >= 5.0


def test_asked_for_a_task_is_read_before_its_expected_start(world: Worlds) -> None:
    """A callback that names it says that there is something to read."""
    here = world()
    target = here.add("t", expected_start=here.unix() + 5000)
    here.run(5)
    assert here.times() == []
    here.poller.prioritize(target)
    here.run(1)
    assert len(here.times(target)) == 1


def test_under_a_full_budget_asked_tasks_are_read_within_a_second(world: Worlds) -> None:
    """Of 3,000 tasks at 48 calls a second, ten a second are asked for: each is read at once, the round goes on."""
    here = world()
    targets = here.add_many(3000)
    here.run(70)
    delays = []
    began = here.now
    for number in range(100):
        asked = here.now
        here.poller.prioritize(targets[number * 7])
        here.run(0.1)
        delays.append((asked, targets[number * 7]))
    here.run(2)
    waits = [min(at for at in here.times(target, since=asked)) - asked for asked, target in delays]
    assert max(waits) < 0.5
    assert len(here.times(since=began)) >= 0.98 * 48 * 12 - 1


def test_a_requested_task_is_no_extra_probe_of_an_open_breaker(world: Worlds) -> None:
    """When the way is broken, a callback does not make one call more."""
    here = world(answer=lambda _target: Unreachable("no way"))
    targets = here.add_many(20)
    here.run(30)
    before = len(here.times())
    for target in targets:
        here.poller.prioritize(target)
    here.run(20)
    assert len(here.times()) - before <= 4


def test_a_call_is_sent_when_it_may_leave(world: Worlds) -> None:
    """No call waits on a thread for its slot, and at least 98 % of the budget is used."""
    here = world()
    here.add_many(5000)
    here.run(10)
    times = here.times(since=1001.0)
    assert len(times) >= 0.98 * 48 * 9 - 1
    assert all(sum(start <= time < start + 1 for time in times) <= 48 for start in times)
