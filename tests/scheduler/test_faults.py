import logging
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest

from exporter.enums import Status
from exporter.errors import AppRefused, CredentialsRefused, NotFound, NotJson, ReadError, Throttled, TimedOut
from exporter.model.target import TargetId
from exporter.model.task import Task
from exporter.scheduler.read_queue import PollIntervals

Worlds = Callable[..., Any]
RUNNING = Task(status=Status.RUNNING)


def intervals(times: list[float]) -> list[float]:
    """The whole seconds from call to call."""
    return [round(later - earlier) for earlier, later in pairwise(sorted(times))]


def with_jitter(found: list[float], waits: list[int]) -> bool:
    """Whether each is its wait, or up to a fifth less (and what rounding takes)."""
    return all(0.8 * wait - 1 <= each <= wait for each, wait in zip(found, waits, strict=True))


@pytest.mark.parametrize("error", [NotFound("no such task"), NotJson("cut")])
def test_a_target_s_own_fault_slows_down_that_target_alone(error: ReadError, world: Worlds) -> None:
    """It backs off, with jitter, to `max_backoff`; the others keep the interval."""
    here = world(answer=lambda target: error if target.task_id == "bad" else RUNNING)
    bad, good = here.add("bad"), here.add("good")
    here.run(1800)
    waits = intervals(here.times(bad))
    for wait, most in zip(waits, [37.5, 75, 150, 300, 300, 300, 300], strict=False):
        assert 0.79 * most <= wait <= most + 1
    assert len(here.times(good)) == pytest.approx(60, abs=2)


def test_what_fails_together_does_not_come_back_together(world: Worlds) -> None:
    """Their waits differ."""
    here = world(answer=lambda _target: NotJson("cut"))
    here.add_many(20)
    here.run(40)
    second = sorted(time for time in here.times() if time > 1010.0)
    assert second[-1] - second[0] > 3.0


def test_success_ends_the_backoff(world: Worlds) -> None:
    """The next own fault is the first again."""
    here = world()
    target = here.add("t")
    here.answer = lambda _target: NotJson("cut")
    here.run(400)
    here.answer = lambda _target: RUNNING
    here.run(400)
    here.answer = lambda _target: NotJson("cut")
    before = here.now
    here.run(200)
    assert intervals(here.times(target, since=before))[0] <= 38


def test_a_fault_of_the_way_does_not_end_the_backoff(world: Worlds) -> None:
    """A target that the API does not know is not worth more calls because one of them was throttled."""
    here = world(answer=lambda _target: NotJson("cut"))
    target = here.add("t")
    here.run(400)
    here.answer = lambda _target: Throttled("slow")
    before = here.now
    here.run(600)
    assert min(intervals(here.times(target, since=before))) > 150


def test_a_fault_of_the_way_keeps_the_place_in_the_round(world: Worlds) -> None:
    """A target whose reads are lost is read at its turn."""
    here = world(answer=lambda target: TimedOut("late") if target.task_id == "t7" else RUNNING)
    here.add_many(20)
    here.run(300)
    bad = here.times(TargetId("app", "room", "t7"), since=1030.0)
    assert intervals(bad) == [30] * len(intervals(bad))


def test_a_broken_way_gets_one_call_every_five_seconds(world: Worlds) -> None:
    """After ten lost ones in a row, whatever those under way still bring."""
    here = world(answer=lambda _target: TimedOut("late"), latency=5.0)
    here.add_many(500)
    here.run(20)
    before = here.now
    here.run(60)
    assert intervals(here.times(since=before)) == [5] * 11


def test_a_broken_way_is_probed_also_when_probes_never_come_back(world: Worlds) -> None:
    """A call that hangs for good closes nothing for good."""
    here = world(answer=lambda _target: TimedOut("late"))
    here.add_many(50)
    here.run(5)
    here.answer = lambda _target: None
    here.run(60)
    here.answer = lambda _target: RUNNING
    before = here.now
    here.run(10)
    assert len(set(here.order(since=before))) > 30


def test_after_an_outage_all_are_read_within_one_interval(world: Worlds) -> None:
    """Spread over it, so that no minute has more calls than the demand."""
    here = world(qps=20.0)
    targets = here.add_many(100)
    here.run(60)
    here.answer = lambda _target: TimedOut("late")
    here.run(300)
    here.answer = lambda _target: RUNNING
    before = here.now
    here.run(36)
    assert set(here.order(since=before)) == {target.task_id for target in targets}
    assert len(here.times(since=before)) <= 1.1 * 100 * 36 / 30


def test_throttled_calls_break_no_way(world: Worlds) -> None:
    """The rate is reduced; the breaker stays closed."""
    here = world(answer=lambda _target: Throttled("slow"))
    here.add_many(100)
    here.run(60)
    assert len(here.times()) > 100


@pytest.mark.parametrize(("max_backoff", "waits"), [(300.0, [5, 10, 20, 40, 80, 160, 300, 300]), (2.0, [2, 2, 2])])
def test_refused_credentials_are_probed_ever_more_rarely(max_backoff: float, waits: list[int], world: Worlds) -> None:
    """After five seconds (or `max_backoff`, if shorter), doubling to `max_backoff`, each with jitter."""
    here = world(
        answer=lambda _target: CredentialsRefused("no"), intervals=PollIntervals(30.0, 5.0, max_backoff, 600.0, 3600.0)
    )
    here.add_many(100)
    here.run(1)
    before = here.times()[-1]
    here.run(sum(waits) + 3)
    assert with_jitter(intervals([before, *here.times(since=before + 1)])[: len(waits)], waits)


@pytest.mark.parametrize("error", [CredentialsRefused("no"), AppRefused("no")])
def test_one_target_alone_is_probed_in_time(error: ReadError, world: Worlds) -> None:
    """The probe does not wait for its turn in the interval, nor for a reread."""
    here = world(answer=lambda _target: error, intervals=PollIntervals(300.0, 300.0, 300.0, 600.0, 3600.0))
    target = here.add("t")
    here.run(80)
    assert with_jitter(intervals(here.times(target))[:4], [5, 10, 20, 40])


def test_a_broken_way_with_few_targets_is_tried_every_five_seconds(world: Worlds) -> None:
    """Though none of them is due."""
    here = world(answer=lambda _target: TimedOut("late"))
    here.add_many(2)
    here.run(150)
    before = here.now
    here.run(60)
    assert len(here.times(since=before)) == 12


def test_changed_credentials_are_tried_at_once(world: Worlds) -> None:
    """By one probe; its answer makes those due that were never read, and the others come at their turns."""
    here = world(answer=lambda _target: CredentialsRefused("no"))
    here.add_many(50)
    here.run(100)
    here.answer = lambda _target: RUNNING
    here.poller.try_at_once()
    before = here.now
    here.run(3)
    assert len(set(here.order(since=before))) >= 40
    here.run(30)
    assert len(set(here.order(since=before))) == 50


def test_a_clock_that_is_mended_is_tried_at_once(world: Worlds) -> None:
    """Calls that were refused for their timestamp need not wait for the next probe."""
    here = world(answer=lambda _target: CredentialsRefused("no", code="InvalidTimestamp"))
    here.add_many(50)
    here.run(100)
    before = here.now
    here.answer = lambda _target: RUNNING
    here.wall -= 3600
    here.run(2)
    assert len(here.times(since=before)) > 30


def test_a_change_from_before_the_refusal_is_not_tried_again(world: Worlds) -> None:
    """Only a change since then is news."""
    here = world()
    here.add_many(50)
    here.run(10)
    here.poller.try_at_once()
    here.run(60)
    here.answer = lambda _target: CredentialsRefused("no")
    here.run(2)
    before = here.now
    here.run(1.5)
    assert here.times(since=before) == []


def test_calls_with_the_old_credentials_do_not_open_the_breaker_for_the_new(world: Worlds) -> None:
    """Their refusal comes late, and tells nothing of the set that is now in force."""
    here = world(answer=lambda _target: CredentialsRefused("no"), latency=0.5)
    here.add_many(500)
    here.run(0.3)
    here.poller.try_at_once()
    here.run(0.1)
    here.answer = lambda _target: CredentialsRefused("no") if here.now < 1000.8 else RUNNING
    here.run(2)
    assert len(here.times(since=1001.0)) > 40


def test_a_refused_app_slows_down_that_app_alone(world: Worlds) -> None:
    """One probe after five seconds, then ever more rarely; the account goes on."""
    here = world(answer=lambda target: AppRefused("no") if target.app_id == "bad" else RUNNING)
    bad, good = here.add_many(40, "b", app="bad"), here.add_many(40, "g", app="good")
    here.run(100)
    refused = sorted(time for time, target in here.reads if target.app_id == "bad")
    assert with_jitter(intervals(refused[-6:])[:4], [5, 10, 20, 40]) or with_jitter(
        intervals(refused[-5:]), [5, 10, 20, 40]
    )
    assert min(len(here.times(target)) for target in good) >= 3
    here.answer = lambda _target: RUNNING
    here.run(60)
    before = here.now
    here.run(30.5)
    assert {target for time, target in here.reads if time >= before} >= set(bad)


def test_credentials_that_change_try_refused_apps_too(world: Worlds) -> None:
    """The app may be the new account's; its unread targets are due at once."""
    here = world(answer=lambda _target: AppRefused("no"))
    here.add_many(40)
    here.run(30)
    here.answer = lambda _target: RUNNING
    here.poller.try_at_once()
    before = here.now
    here.run(2)
    assert len(set(here.order(since=before))) >= 35


def test_a_read_that_raises_loses_no_target(world: Worlds) -> None:
    """It is counted, and the target is read again after `max_backoff`."""
    here = world(answer=lambda target: KeyError("bug") if target.task_id == "bad" else RUNNING)
    bad = here.add("bad")
    here.add_many(10)
    here.run(700)
    assert len(here.times(bad)) == 3
    assert here.internal_errors._value.get() == 3


def test_a_registry_that_raises_loses_no_target(world: Worlds) -> None:
    here = world(broken_registry=True)
    here.add("t")
    here.run(650)
    assert len(here.times()) == 3


def test_without_a_thread_no_target_is_lost(world: Worlds, caplog: pytest.LogCaptureFixture) -> None:
    """It is said once, the process is unhealthy meanwhile, and the calls are made when there are threads again."""
    here = world(threads=False)
    here.add_many(10)
    here.run(5)
    assert (here.reads, here.poller.alive) == ([], False)
    here.threads = True
    here.run(5)
    assert (len(set(here.order())), here.poller.alive) == (10, True)
    assert [line for line in told(caplog) if "thread" in line[1]] == [
        (logging.ERROR, "no thread for calls account=default error=can't start new thread")
    ]


def told(caplog: pytest.LogCaptureFixture) -> list[tuple[int, str]]:
    return [(record.levelno, record.getMessage()) for record in caplog.records if record.levelno > logging.DEBUG]


def test_an_outage_is_logged_twice(world: Worlds, caplog: pytest.LogCaptureFixture) -> None:
    """Once when it begins, with the reason, and once when it is over."""
    caplog.set_level(logging.INFO)
    here = world(answer=lambda _target: TimedOut("no answer in time"))
    here.add_many(100)
    here.run(60)
    here.answer = lambda _target: RUNNING
    here.run(60)
    assert told(caplog) == [
        (
            logging.WARNING,
            "circuit open account=default error=no answer in time",
        ),
        (logging.INFO, "circuit closed account=default"),
    ]


def test_a_refused_app_is_logged_by_name(world: Worlds, caplog: pytest.LogCaptureFixture) -> None:
    """With the vendor's code; the account itself is fine."""
    caplog.set_level(logging.INFO)
    here = world(answer=lambda _target: AppRefused("refused", code="LackProjectPolicy"))
    here.add_many(10, app="a1")
    here.run(60)
    assert told(caplog) == [
        (
            logging.WARNING,
            "circuit open account=default app_id=a1 error=refused (code=LackProjectPolicy)",
        )
    ]


def test_new_credentials_that_are_refused_as_well_are_logged(world: Worlds, caplog: pytest.LogCaptureFixture) -> None:
    """The log says so, and also when they are answered again."""
    caplog.set_level(logging.INFO)
    here = world(answer=lambda _target: CredentialsRefused("refused"))
    here.add_many(10)
    here.run(30)
    here.poller.try_at_once()
    here.run(30)
    here.answer = lambda _target: RUNNING
    here.poller.try_at_once()
    here.run(5)
    assert [level for level, _ in told(caplog)] == [logging.WARNING, logging.WARNING, logging.INFO]


def test_a_failed_read_is_a_line_for_debugging(world: Worlds, caplog: pytest.LogCaptureFixture) -> None:
    """Its target, the error, and what to do next."""
    caplog.set_level(logging.DEBUG)
    here = world(answer=lambda _target: NotFound("no such task"))
    here.add("t")
    here.run(1)
    assert [record.getMessage() for record in caplog.records] == [
        f"read failed account=default target=app/room/t error=no such task; {NotFound.advice}"
    ]
