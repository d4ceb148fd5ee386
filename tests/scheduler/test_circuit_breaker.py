"""Circuit breakers: when they open and close, when probes go, and that no mix of refusals makes more calls."""

import os
from bisect import bisect_left
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from random import Random
from typing import Any

import pytest

from exporter.enums import Status
from exporter.errors import (
    AppRefused,
    CredentialsRefused,
    NotFound,
    ReadError,
    Rejected,
    ServerFailed,
    Throttled,
    TimedOut,
)
from exporter.model.target import TargetId
from exporter.model.task import ReadResult, Task
from exporter.scheduler.circuit_breaker import BreakerEvent, CircuitBreaker, CircuitBreakers, Ticket
from exporter.scheduler.read_queue import PollIntervals

CASES = int(os.environ.get("FUZZ_CASES", "1200")) // 20
PARTS = 4
"""The cases are as many tests, so that they can run side by side."""
RUNNING = Task(status=Status.RUNNING)
Worlds = Callable[..., Any]


def call(
    breakers: CircuitBreakers,
    outcome: Task | ReadError,
    target: str = "app/room/task",
    now: float = 100.0,
    ticket: Ticket | None = None,
    *,
    targets: int = 100,
) -> list[BreakerEvent]:
    """A call that ends at once, or one that was sent with a ticket."""
    named = TargetId.parse(target)
    sent = ticket or breakers.send(named.app_id, now)
    result = ReadResult(named, now, now, 0.1, outcome)
    return breakers.add_result(result, sent, now, targets=targets, of_app=targets, interval=30.0)


def refuse(breakers: CircuitBreakers, error: ReadError, number: int, app: str = "app", now: float = 100.0) -> list[str]:
    """So many targets are refused one after the other: what each did."""
    done = []
    for each in range(number):
        events = call(breakers, error, f"{app}/room/t{each}", now)
        done.append("opens" if any(event.error for event in events) else "")
    return done


@pytest.mark.parametrize("error", [TimedOut("late"), ServerFailed("broken")])
def test_ten_calls_in_a_row_without_an_answer_open_the_account(error: ReadError) -> None:
    """Nine and one that is answered do not; throttled calls are not counted."""
    breakers = CircuitBreakers(300.0)
    for _ in range(9):
        assert call(breakers, error) == []
    call(breakers, RUNNING)
    events = [call(breakers, outcome) for outcome in [*[error] * 9, Throttled("slow"), error]]
    assert events == [*[[]] * 10, [BreakerEvent(None, error)]]
    assert [breakers.allows(now) for now in (104.9, 105.0)] == [False, True]


def test_probes_of_a_broken_way_go_every_five_seconds() -> None:
    """From sending to sending, whether they come back or not."""
    breakers = CircuitBreakers(300.0)
    for _ in range(10):
        call(breakers, TimedOut("late"))
    for now in (105.0, 110.0, 115.0):
        assert [breakers.allows(now - 0.1), breakers.allows(now)] == [False, True]
        ticket = breakers.send("app", now)
        call(breakers, TimedOut("late"), now=now + 4.5, ticket=ticket)


@pytest.mark.parametrize(("targets", "enough"), [(100, 3), (3, 3), (2, 2), (1, 1)])
def test_refusals_of_different_targets_open_the_account(targets: int, enough: int) -> None:
    breakers = CircuitBreakers(300.0)
    opened = [
        bool(call(breakers, CredentialsRefused("no"), f"app/room/t{number}", targets=targets))
        for number in range(enough)
    ]
    assert opened == [False] * (enough - 1) + [True]


def test_one_target_refused_again_and_again_is_its_own_fault() -> None:
    """The others are answered; its refusals open nothing."""
    breakers = CircuitBreakers(300.0)
    for _ in range(20):
        assert call(breakers, CredentialsRefused("no"), "app/room/bad") == []
        assert call(breakers, AppRefused("no"), "app/room/other") == []
        assert call(breakers, RUNNING) == []
    assert breakers.closed


def test_two_targets_of_an_app_refused_in_a_row_open_that_app_alone() -> None:
    breakers = CircuitBreakers(300.0)
    assert refuse(breakers, AppRefused("no"), 2, "a") == ["", "opens"]
    assert (breakers.app_probe_at("a", 100.1), breakers.app_probe_at("b", 100.1)) == (105.0, None)
    assert breakers.allows(100.1)
    assert breakers.next_probe("a") == 105.0
    assert call(breakers, RUNNING, "a/room/t0", now=105.0) == [BreakerEvent("a", None)]


@pytest.mark.parametrize(("of_app", "wait"), [(2, 15.0), (6, 5.0), (50, 5.0)])
def test_an_app_of_few_targets_is_not_probed_more_often_than_it_was_read(of_app: int, wait: float) -> None:
    """Two targets at an interval of 30 s are a read every 15 s."""
    breakers = CircuitBreakers(300.0)
    for number in range(2):
        result = ReadResult(TargetId("app", "room", f"t{number}"), 100.0, 100.0, 0.1, AppRefused("no"))
        sent = breakers.send("app", 100.0)
        breakers.add_result(result, sent, 100.0, targets=100, of_app=of_app, interval=30.0)
    assert breakers.app_probe_at("app", 100.1) == 100.0 + wait


@pytest.mark.parametrize("outcome", [RUNNING, NotFound("no such task"), Rejected("bad room"), AppRefused("no")])
def test_any_answer_to_a_probe_closes_the_account(outcome: Task | ReadError) -> None:
    """A task that is not found, rejected or another account's was answered."""
    breakers = CircuitBreakers(300.0)
    refuse(breakers, CredentialsRefused("no"), 3)
    assert call(breakers, outcome, now=105.0)[0] == BreakerEvent(None, None)
    assert breakers.closed
    assert call(breakers, RUNNING, now=106.0) == []


def test_late_answers_change_nothing() -> None:
    """A good one sent before the breaker opened does not close it; a refusal sent before it closed opens nothing."""
    breakers = CircuitBreakers(300.0)
    early = [breakers.send("app", 90.0) for _ in range(9)]
    refuse(breakers, CredentialsRefused("no"), 3)
    assert call(breakers, RUNNING, now=101.0, ticket=early[0]) == []
    assert not breakers.closed
    call(breakers, RUNNING, now=105.0)
    assert [call(breakers, CredentialsRefused("no"), f"app/room/x{n}", 106.0, early[n]) for n in range(9)] == [[]] * 9
    assert breakers.closed


def test_a_good_answer_sent_before_the_refusals_does_not_end_their_row() -> None:
    breakers = CircuitBreakers(300.0)
    early = breakers.send("app", 90.0)
    refuse(breakers, CredentialsRefused("no"), 2)
    call(breakers, RUNNING, now=100.5, ticket=early)
    assert call(breakers, CredentialsRefused("no"), "app/room/third") != []


@pytest.mark.parametrize(
    ("max_backoff", "waits"), [(300.0, [5, 10, 20, 40, 80, 160, 300, 300]), (7.0, [5, 7, 7]), (1.0, [1, 1])]
)
def test_refused_probes_double_the_wait(max_backoff: float, waits: list[float]) -> None:
    """From five seconds (or `max_backoff`, if shorter) up to `max_backoff`."""
    breaker, now = CircuitBreaker(max_backoff), 100.0
    for number, wait in enumerate(waits):
        target = TargetId("app", "room", str(number))
        breaker.add_refused(target, breaker.send(now), now, now, enough=1)
        assert breaker.probe_at == now + wait
        now += wait


def test_the_wait_after_a_refusal_has_jitter() -> None:
    """Between 80 and 100 % of it: exporters that were refused together do not probe together."""
    for jitter, wait in ((0.0, 4.0), (0.5, 4.5), (1.0, 5.0)):
        breaker = CircuitBreaker(300.0, partial(float, jitter))
        breaker.add_refused(TargetId("app", "room", "t"), breaker.send(100.0), 100.0, 100.0, enough=1)
        assert breaker.probe_at == pytest.approx(100.0 + wait)


def test_what_may_be_mended_is_probed_at_once_and_stays_open() -> None:
    """Refusals of calls from before tell nothing of now."""
    breakers = CircuitBreakers(300.0)
    refuse(breakers, AppRefused("no"), 2, "a")
    refuse(breakers, CredentialsRefused("no"), 3)
    old = breakers.send("app", 106.0)
    breakers.try_at_once(107.0)
    assert (breakers.allows(107.0), breakers.closed) == (True, False)
    call(breakers, CredentialsRefused("no"), now=107.5, ticket=old)
    assert breakers.allows(107.5)
    breakers.send("app", 108.0)
    assert not breakers.allows(108.1)


def test_a_new_bound_holds_for_breakers_that_are_there_and_to_come() -> None:
    """`max_backoff` of a reload."""
    breakers = CircuitBreakers(300.0)
    refuse(breakers, AppRefused("no"), 2, "a")
    breakers.reconfigure(2.0)
    call(breakers, AppRefused("no"), "a/room/t0", now=110.0)
    refuse(breakers, AppRefused("no"), 2, "b", now=110.0)
    assert [breakers.app_probe_at(app, 110.1) for app in "ab"] == [112.0, 112.0]


def busiest_minute(times: list[float]) -> int:
    """The most calls in any 60 seconds; the times are sorted."""
    return max((bisect_left(times, start + 60.0) - number for number, start in enumerate(times)), default=0)


def calls_amid_refusals(seed: int, world: Worlds) -> tuple[int, float]:
    """The busiest minute of an account of which any part is refused for some spells, and what it may have at most."""
    random = Random(seed)
    number, apps = random.randint(12, 60), random.randint(1, 12)
    errors = random.sample([CredentialsRefused("no"), AppRefused("no"), Rejected("no")], random.randint(1, 3))
    intervals = PollIntervals(30.0, 5.0, random.choice((10.0, 30.0, 300.0)), 600.0, 3600.0)
    here = world(intervals=intervals, latency=random.choice((0.05, 0.3, 2.0)))
    targets = [here.add(f"t{each}", app=f"app{each % apps}") for each in range(number)]
    refused: dict[TargetId, ReadError] = {}
    here.answer = lambda target: refused.get(target, RUNNING)
    here.run(random.uniform(30, 60))
    for _ in range(random.randint(1, 4)):
        for target in random.sample(targets, random.choice((0, 1, random.randint(0, number), number))):
            refused[target] = random.choice(errors)
        here.run(random.uniform(1, 60))
        refused.clear()
        here.run(random.uniform(0, 30))
    here.run(60)
    times = sorted(here.times(since=1030.0))
    return busiest_minute(times), 1.1 * 60 * number / here.intervals.interval


@pytest.mark.slow
@pytest.mark.no_cover
@pytest.mark.parametrize("part", range(PARTS))
def test_no_mix_of_refusals_makes_more_calls_than_the_demand(part: int, world: Worlds) -> None:
    """Never 10 % more in any minute, whichever targets of whichever apps are refused, how, and for how long."""
    for seed in range(part, CASES, PARTS):
        most, allowed = calls_amid_refusals(seed, world)
        assert most <= allowed + 2, f"seed {seed}"  # a window of a small fleet can hold both ends of an interval


@pytest.mark.parametrize("error", [CredentialsRefused("no"), AppRefused("no"), Rejected("no")])
def test_one_refused_target_does_not_change_the_rate(error: ReadError, world: Worlds, intervals: PollIntervals) -> None:
    """120 tasks at 54 s make 2.2 calls a second, whatever one of them answers."""
    here = world(intervals=replace(intervals, interval=54.0), latency=0.3)
    bad = here.add("bad")
    here.answer = lambda target: error if target == bad else RUNNING
    here.add_many(119)
    here.run(150)
    rate = len(here.times(since=1060.0)) / 90
    assert 2.0 <= rate <= 2.42
    assert here.poller._breakers.closed
