"""The rate limiter in a time that only waiting moves; docs/behaviour.md promises at least 98 % and never too many."""

import math
import random
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import SupportsIndex

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.volcengine.rate_limiter import CAP_SECONDS, Interrupted, Permit, RateLimiter

pytestmark = pytest.mark.slow

JITTER = 0.01


@dataclass
class Time:
    """A clock that only sleeping moves; `lateness` gives the seconds by which each sleep ends too late."""

    now: float = 1000.0
    lateness: Callable[[], float] = lambda: 0.0

    def clock(self) -> float:
        """The time."""
        return self.now

    def sleep(self, seconds: float) -> None:
        """Let time pass, and a little more."""
        self.now += seconds + self.lateness()


def limited(max_qps: float, lateness: Callable[[], float] = lambda: 0.0) -> tuple[RateLimiter, Time]:
    """A rate limiter and the time that it lives in."""
    moment = Time(lateness=lateness)
    return RateLimiter(max_qps, moment.clock, moment.sleep), moment


def acquire(limiter: RateLimiter, moment: Time) -> float:
    """One call that waits for its permit; when it got it."""
    limiter.acquire()
    return moment.now


def try_until_acquired(limiter: RateLimiter, moment: Time) -> float:
    """One call of a dispatcher that asks when the next slot is, and is then a little late."""
    while limiter.try_acquire() is None:
        moment.sleep(limiter.next_slot() - moment.now)
    return moment.now


Call = Callable[[RateLimiter, Time], float]
BOTH = st.sampled_from([acquire, try_until_acquired])


def permits(call: Call, limiter: RateLimiter, moment: Time, seconds: float) -> Iterator[float]:
    """The times of all calls in so many seconds of constant overload."""
    end = moment.now + seconds
    while (at := call(limiter, moment)) < end:
        yield at


def most_in_a_second(times: Sequence[float]) -> int:
    """The largest number of times in any [t, t+1)."""
    return max((sum(1 for time in times if start <= time < start + 1) for start in times), default=0)


@given(call=BOTH, max_qps=st.integers(1, 80), seed=st.integers(0, 2**32))
def test_overload_uses_the_budget_and_no_more(call: Call, max_qps: int, seed: int) -> None:
    """At least 98 % of the budget when there is work, never more than max_qps in any second."""
    chance = random.Random(seed)
    limiter, moment = limited(max_qps, lambda: chance.uniform(0, JITTER))
    times = list(permits(call, limiter, moment, 10))
    assert most_in_a_second(times) <= max_qps
    assert len(times) >= 0.98 * 10 * max_qps


STEP = st.one_of(
    st.tuples(st.just("call"), st.floats(0, 0.05)),
    st.tuples(st.just("idle"), st.floats(0, 3)),
    st.tuples(st.just("limit"), st.integers(1, 60)),
    st.tuples(st.just("throttled"), st.floats(0, 2)),
)


@given(call=BOTH, steps=st.lists(STEP, min_size=10, max_size=120), burst=st.integers(1, 20))
def test_no_pattern_exceeds_the_budget(call: Call, steps: list[tuple[str, float]], burst: int) -> None:
    """Whatever arrives, wakes late or is reloaded: no second holds more calls than its largest limit allows."""
    limiter, moment = limited(30)
    times: list[float] = []
    limits = [(-math.inf, 30.0)]
    for what, value in steps:
        if what == "call":
            moment.lateness = partial(float, value)
            times += [call(limiter, moment) for _ in range(burst)]
        elif what == "idle":
            moment.now += value
        elif what == "limit":
            limiter.set_limit(value)
            limits.append((moment.now, value))
        else:
            limiter.throttled(value)
    for start in times:
        before = [limit for at, limit in limits if at < start]
        during = [limit for at, limit in limits if start <= at < start + 1]
        assert sum(1 for time in times if start <= time < start + 1) <= max([before[-1], *during])


@given(call=BOTH, max_qps=st.floats(0.05, 0.99), seed=st.integers(0, 2**32))
def test_slow_rates_space_single_calls(call: Call, max_qps: float, seed: int) -> None:
    """A rate under one a second means one call in 1/rate seconds, and 98 % of that."""
    chance = random.Random(seed)
    limiter, moment = limited(max_qps, lambda: chance.uniform(0, JITTER))
    times = list(permits(call, limiter, moment, 20 / max_qps))
    assert min(later - earlier for earlier, later in pairwise(times)) >= 1 / max_qps
    assert len(times) >= 0.98 * 20


def test_a_broken_rate_fills_no_second_beyond_it() -> None:
    """A rate of 2.5 gives two calls a second: a third one would be more than max_qps in that second."""
    limiter, moment = limited(2.5)
    times = list(permits(acquire, limiter, moment, 10))
    assert most_in_a_second(times) == 2
    assert len(times) >= 0.98 * 20


@pytest.mark.parametrize("call", [acquire, try_until_acquired])
def test_late_callers_do_not_shift_the_slots(call: Call) -> None:
    """Slots are 1/(0.99 x rate) apart, however late each call is."""
    limiter, moment = limited(10, lambda: 0.09)
    times = [call(limiter, moment) for _ in range(6)]
    assert times[1:] == [pytest.approx(1000 + index / 9.9 + 0.09) for index in range(1, 6)]


def test_idle_time_gives_no_burst() -> None:
    """What was not used is lost: after an idle minute the slots are as far apart as ever."""
    limiter, moment = limited(10)
    limiter.acquire()
    moment.now += 60
    assert limiter.try_acquire() == Permit(1060)
    assert limiter.next_slot() == pytest.approx(1060 + 1 / 9.9)
    assert limiter.try_acquire() is None


def test_a_refused_try_takes_nothing() -> None:
    """The slot stays for the next caller, and `next_slot` says when it comes."""
    limiter, moment = limited(2)
    assert (limiter.next_slot(), limiter.try_acquire()) == (1000, Permit(1000))
    for _ in range(3):
        assert limiter.try_acquire() is None
    moment.now = limiter.next_slot()
    assert moment.now == pytest.approx(1000 + 1 / 1.98)
    assert limiter.try_acquire() == Permit(moment.now)


def test_a_waiting_call_has_its_slot() -> None:
    """One that waits in `acquire` is not starved by others that try: its slot is its own."""
    limiter, moment = limited(2)
    limiter.acquire()
    tried: list[Permit | None] = []

    def sleep(seconds: float) -> None:
        tried.append(limiter.try_acquire())
        moment.now += seconds
        tried.append(limiter.try_acquire())

    limiter._sleep = sleep
    assert limiter.acquire().waited == pytest.approx(1 / 1.98)
    assert tried == [None, None]


def test_the_second_rule_holds_without_slots() -> None:
    """Calls whose slots are all past are still held to max_qps in a second, with a margin."""
    limiter, moment = limited(3)
    times = []
    for _ in range(7):
        limiter._last_slot = -math.inf
        times.append(acquire(limiter, moment))
    assert times == [pytest.approx(1000 + second * 1.005) for second in (0, 0, 0, 1, 1, 1, 2)]


def burst(limiter: RateLimiter) -> Permit:
    """A permit without a slot, as the second rule alone gives it."""
    limiter._last_slot = -math.inf
    return limiter.acquire()


def test_a_call_counts_when_it_is_sent() -> None:
    """A call whose connection took 0.4 s to make counts from its sending; the budget holds at the server."""
    limiter, moment = limited(2)
    late = burst(limiter)
    moment.now += 0.3
    burst(limiter)
    moment.now += 0.1
    limiter.confirm_send(late)
    assert burst(limiter).waited == pytest.approx(1.005 - 0.1)
    assert burst(limiter).waited == pytest.approx(0.1)


def test_a_call_that_is_sent_at_once_waits_for_nothing() -> None:
    """Permitted and sent in the same moment, it is one call of the budget."""
    limiter, moment = limited(3)
    for _ in range(3):
        limiter.confirm_send(burst(limiter))
    assert moment.now == 1000
    assert burst(limiter).waited == pytest.approx(1.005)


def test_a_call_that_is_sent_too_late_waits_again() -> None:
    """Two seconds after its permit others have used the budget up: it waits until a call more is within it."""
    limiter, moment = limited(2)
    late = burst(limiter)
    moment.now += 2
    times = [burst(limiter).at, burst(limiter).at]
    limiter.confirm_send(late)
    assert [*times, moment.now] == [1002, 1002, pytest.approx(1003.005)]


@given(st.lists(st.tuples(st.floats(0, 0.2), st.floats(0, 1.5)), min_size=1, max_size=40), st.integers(1, 5))
def test_no_second_holds_more_calls_than_max_qps_however_late_they_are_sent(
    calls: list[tuple[float, float]], max_qps: int
) -> None:
    """Each is permitted some time after the one before, and sent some time after that, in any order."""
    limiter, moment = limited(max_qps)
    pending: list[tuple[float, Permit]] = []
    sent: list[float] = []

    def send(until: float) -> None:
        for due, permit in sorted(call for call in pending if call[0] <= until):
            moment.now = max(moment.now, due)
            limiter.confirm_send(permit)
            sent.append(moment.now)
            pending.remove((due, permit))

    for pause, delay in calls:
        send(moment.now + pause)
        moment.now += pause
        permit = burst(limiter)
        pending.append((moment.now + delay, permit))
    send(math.inf)
    assert most_in_a_second(sorted(sent)) <= max_qps


def test_a_reload_keeps_the_budget() -> None:
    """Changing the limit back and forth forgets no call of the last second."""
    limiter, moment = limited(5)
    times = [acquire(limiter, moment) for _ in range(5)]
    limiter.set_limit(1)
    limiter.set_limit(5)
    times += [burst(limiter).at for _ in range(5)]
    assert most_in_a_second(times) == 5


@pytest.mark.parametrize("max_qps", [0, -1, math.inf, math.nan])
def test_a_rate_is_above_zero(max_qps: float) -> None:
    """A limit that is no positive number is refused, at the start and at a reload."""
    with pytest.raises(ValueError, match="max_qps must be above 0"):
        RateLimiter(max_qps)
    with pytest.raises(ValueError, match="max_qps must be above 0"):
        RateLimiter(1).set_limit(max_qps)


def test_a_stop_ends_every_wait() -> None:
    """A sleep that says true (a set Event's wait) ends the wait; the call is not permitted and not counted."""
    moment = Time()
    stop = threading.Event()
    limiter = RateLimiter(1, moment.clock, stop.wait)
    late = limiter.acquire()
    moment.now += 2
    limiter.acquire()
    stop.set()
    with pytest.raises(Interrupted):
        limiter.confirm_send(late)
    with pytest.raises(Interrupted):
        limiter.acquire()


class Recorded(list[float]):
    """The limiter's own list of calls, and a copy that nothing is dropped from."""

    def __init__(self) -> None:
        super().__init__()
        self.all: list[float] = []

    def insert(self, index: SupportsIndex, at: float) -> None:
        """Keep it in both."""
        self.all.append(at)
        super().insert(index, at)


def test_threads_share_one_budget() -> None:
    """Eight real threads under load: never more than max_qps calls in a second, and the lock is not held asleep."""
    limiter = RateLimiter(100)
    limiter._sent = record = Recorded()
    end = time.monotonic() + 1.6

    def work() -> None:
        while time.monotonic() < end:
            limiter.acquire()

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert most_in_a_second(record.all) <= 100
    assert len(record.all) > 8, "each thread came to more than one call"


def test_a_rate_that_is_restrained_for_a_while() -> None:
    """From the next sending on, with what was sent in mind; afterwards the whole rate is back."""
    moment, allowed = Time(), [48.0]
    limiter = RateLimiter(48, moment.clock, moment.sleep, lambda rate: min(rate, allowed[0]))
    before = [burst(limiter).at for _ in range(100)]
    allowed[0] = 6.0
    limiter.confirm_send(Permit(before[-1]))
    sent = [burst(limiter).at for _ in range(12)]
    assert most_in_a_second([*before[-4:], *sent]) <= 6
    assert (limiter.effective, limiter.configured) == (6.0, 48.0)
    allowed[0] = 48.0
    moment.now += CAP_SECONDS
    assert limiter.effective == 48.0


def test_throttling_halves_at_most_once_a_second() -> None:
    """Down to 1/s; `configured` stays."""
    limiter, moment = limited(48)
    seen = []
    for pause in (0, 0.5, 0.5, 1, 1, 1, 1, 1):
        moment.now += pause
        limiter.throttled()
        seen.append(limiter.effective)
    assert seen == [24, 24, 12, 6, 3, 1.5, 1, 1]
    assert limiter.configured == 48


def test_the_rate_climbs_after_five_quiet_seconds() -> None:
    """Then by 5 % of max_qps a second, up to max_qps."""
    limiter, moment = limited(48)
    limiter.throttled()
    seen = []
    for pause in (5, 1, 1, 7.99, 0.01, 100):
        moment.now += pause
        seen.append(limiter.effective)
    assert [pytest.approx(rate) for rate in (24, 26.4, 28.8, 47.976, 48, 48)] == seen


def test_throttling_again_begins_the_quiet_time_anew() -> None:
    """A refusal within the second after a halving halves nothing, but the five quiet seconds count from it."""
    limiter, moment = limited(40)
    limiter.throttled()
    moment.now += 0.9
    limiter.throttled()
    moment.now += 4.9
    assert limiter.effective == 20
    moment.now += 1.1
    assert limiter.effective == pytest.approx(22)


def test_a_throttled_rate_spaces_the_slots() -> None:
    """The slots follow the effective rate, not the configured one; 1/s does not lift a slower account."""
    limiter, moment = limited(40)
    limiter.throttled()
    assert limiter.try_acquire() is not None
    assert limiter.next_slot() == pytest.approx(moment.now + 1 / 19.8)
    slow, _ = limited(0.5)
    slow.throttled()
    assert slow.effective == 0.5


@pytest.mark.parametrize(("retry_after", "held"), [(3.0, 3.0), (60.0, 60.0), (86400.0, 60.0), (0.0, 0.0)])
def test_retry_after_holds_every_call(retry_after: float, held: float) -> None:
    """Retry-After is kept for the account, at most 60 s; the longer of two counts."""
    limiter, moment = limited(48)
    limiter.throttled(retry_after)
    limiter.throttled(min(retry_after, 1.0))
    assert limiter.next_slot() == moment.now + held
    assert limiter.acquire().waited == pytest.approx(held)
