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

from exporter.volcengine.rate_limiter import Interrupted, Permit, RateLimiter

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


def paced(max_qps: float, lateness: Callable[[], float] = lambda: 0.0) -> tuple[RateLimiter, Time]:
    """A pacer and the time that it lives in."""
    moment = Time(lateness=lateness)
    return RateLimiter(max_qps, moment.clock, moment.sleep), moment


def call(rate_limiter: RateLimiter, moment: Time) -> float:
    """One call of a worker; the time of its grant."""
    slot = rate_limiter.reserve(math.inf)
    assert slot is not None
    rate_limiter.wait(slot)
    return moment.now


def grants(rate_limiter: RateLimiter, moment: Time, seconds: float) -> Iterator[float]:
    """The grant times of so many seconds of constant overload."""
    end = moment.now + seconds
    while (granted := call(rate_limiter, moment)) < end:
        yield granted


def most_in_a_second(times: Sequence[float]) -> int:
    """The largest number of times in any [t, t+1)."""
    return max((sum(1 for time in times if start <= time < start + 1) for start in times), default=0)


@given(max_qps=st.integers(1, 80), seed=st.integers(0, 2**32))
def test_overload_uses_the_budget_and_no_more(max_qps: int, seed: int) -> None:
    """Contract, section 5: at least 98 % of the budget when there is work, never more than max_qps in any second."""
    dice = random.Random(seed)
    rate_limiter, moment = paced(max_qps, lambda: dice.uniform(0, JITTER))
    times = list(grants(rate_limiter, moment, 10))
    assert most_in_a_second(times) <= max_qps
    assert len(times) >= 0.98 * 10 * max_qps


STEP = st.one_of(
    st.tuples(st.just("call"), st.floats(0, 0.05)),
    st.tuples(st.just("idle"), st.floats(0, 3)),
    st.tuples(st.just("limit"), st.integers(1, 60)),
    st.tuples(st.just("throttled"), st.floats(0, 2)),
)


@given(steps=st.lists(STEP, min_size=10, max_size=120), burst=st.integers(1, 20))
def test_no_pattern_exceeds_the_budget(steps: list[tuple[str, float]], burst: int) -> None:
    """Whatever arrives, wakes late or is reloaded: no second holds more calls than its largest limit allows."""
    rate_limiter, moment = paced(30)
    times: list[float] = []
    limits = [(-math.inf, 30.0)]
    for what, value in steps:
        if what == "call":
            moment.lateness = partial(float, value)
            times += [call(rate_limiter, moment) for _ in range(burst)]
        elif what == "idle":
            moment.now += value
        elif what == "limit":
            rate_limiter.set_limit(value)
            limits.append((moment.now, value))
        else:
            rate_limiter.throttled(value)
    for start in times:
        before = [limit for at, limit in limits if at < start]
        during = [limit for at, limit in limits if start <= at < start + 1]
        held = sum(1 for time in times if start <= time < start + 1)
        assert held <= max([before[-1], *during])


@given(max_qps=st.floats(0.05, 0.99), seed=st.integers(0, 2**32))
def test_slow_rates_space_single_calls(max_qps: float, seed: int) -> None:
    """A rate under one a second means one call in 1/rate seconds, and 98 % of that."""
    dice = random.Random(seed)
    rate_limiter, moment = paced(max_qps, lambda: dice.uniform(0, JITTER))
    times = list(grants(rate_limiter, moment, 20 / max_qps))
    assert min(later - earlier for earlier, later in pairwise(times)) >= 1 / max_qps
    assert len(times) >= 0.98 * 20


def test_a_broken_rate_fills_no_second_beyond_it() -> None:
    """A rate of 2.5 gives two calls a second: a third one would be more than max_qps in that second."""
    rate_limiter, moment = paced(2.5)
    times = list(grants(rate_limiter, moment, 10))
    assert most_in_a_second(times) == 2
    assert len(times) >= 0.98 * 20


def test_late_wake_ups_do_not_shift_the_line() -> None:
    """Slots are 1/(0.99 x rate) apart, however late each call left."""
    rate_limiter, moment = paced(10, lambda: 0.09)
    slots = []
    for _ in range(5):
        slot = rate_limiter.reserve(math.inf)
        assert slot is not None
        slots.append(slot)
        rate_limiter.wait(slot)
    spacing = 1 / 9.9
    assert [pytest.approx(1000 + i * spacing) for i in range(5)] == slots
    assert moment.now == pytest.approx(slots[-1] + 0.09)


def test_idle_time_gives_no_burst() -> None:
    """What was not used is lost: after an idle minute the slots are as far apart as ever."""
    rate_limiter, moment = paced(10)
    call(rate_limiter, moment)
    moment.now += 60
    assert [pytest.approx(1060), pytest.approx(1060 + 1 / 9.9)] == [
        rate_limiter.reserve(math.inf),
        rate_limiter.reserve(math.inf),
    ]


def test_a_slightly_late_dispatcher_keeps_the_budget() -> None:
    """A dispatcher that asks up to 20 ms late still gets 98 %: its slots stay on the line."""
    dice = random.Random(7)
    rate_limiter, moment = paced(48)
    times = []
    while moment.now < 1010:
        slot = rate_limiter.reserve(moment.now)
        if slot is None:
            moment.now += dice.uniform(0.001, 0.02)
            continue
        rate_limiter.wait(slot)
        times.append(moment.now)
    assert len(times) >= 0.98 * 480
    assert most_in_a_second(times) <= 48


def test_reserve_gives_none_after_until() -> None:
    """A slot later than `until` is not taken: the same one is given to the next who waits long enough."""
    rate_limiter, moment = paced(2)
    assert rate_limiter.reserve(moment.now) == 1000
    assert rate_limiter.reserve(1000.4) is None
    assert rate_limiter.reserve(1000.4) is None
    assert rate_limiter.reserve(1000.6) == pytest.approx(1000 + 1 / 1.98)


def test_wait_tells_the_seconds_waited() -> None:
    """`wait` gives the time from the asking to the grant, 0 for a slot that is past."""
    rate_limiter, _ = paced(2)
    assert rate_limiter.wait(1000.25).waited == pytest.approx(0.25)
    assert rate_limiter.wait(999).waited == 0


def test_the_guard_holds_without_slots() -> None:
    """Calls that bypass the line (all slots past) are still held to max_qps in a second, with a margin."""
    rate_limiter, moment = paced(3)
    times = []
    for _ in range(7):
        rate_limiter.wait(0)
        times.append(moment.now)
    assert [pytest.approx(1000 + second * 1.005) for second in (0, 0, 0, 1, 1, 1, 2)] == times


def test_a_call_that_leaves_late_counts_when_it_leaves() -> None:
    """A grant whose connection took 0.4 s to make counts from its leaving; the budget holds at the server."""
    rate_limiter, moment = paced(2)
    late = rate_limiter.wait(0)
    moment.now += 0.3
    rate_limiter.wait(0)
    moment.now += 0.1
    rate_limiter.confirm_send(late)
    assert rate_limiter.wait(0).waited == pytest.approx(1.005 - 0.1)
    assert rate_limiter.wait(0).waited == pytest.approx(0.1)


def test_a_call_that_leaves_at_once_waits_for_nothing() -> None:
    """Granted and gone in the same moment, it is one call of the budget."""
    rate_limiter, moment = paced(3)
    for _ in range(3):
        rate_limiter.confirm_send(rate_limiter.wait(0))
    assert moment.now == 1000
    assert rate_limiter.wait(0).waited == pytest.approx(1.005)


def test_a_call_that_leaves_too_late_waits_for_its_place() -> None:
    """Two seconds after its grant others have used the budget up: it waits until a call more is within it."""
    rate_limiter, moment = paced(2)
    late = rate_limiter.wait(0)
    moment.now += 2
    times = [rate_limiter.wait(0).at, rate_limiter.wait(0).at]
    rate_limiter.confirm_send(late)
    times.append(moment.now)
    assert times == [1002, 1002, pytest.approx(1003.005)]


def test_a_call_that_waits_to_leave_can_be_ended() -> None:
    """When the process stops, it does not leave any more."""
    moment = Time()
    stop = threading.Event()
    rate_limiter = RateLimiter(1, moment.clock, stop.wait)
    grant = rate_limiter.wait(0)
    moment.now += 2
    rate_limiter.wait(0)
    stop.set()
    with pytest.raises(Interrupted):
        rate_limiter.confirm_send(grant)


@given(st.lists(st.tuples(st.floats(0, 0.2), st.floats(0, 1.5)), min_size=1, max_size=40), st.integers(1, 5))
def test_no_second_holds_more_calls_than_max_qps_however_late_they_leave(
    calls: list[tuple[float, float]], max_qps: int
) -> None:
    """Each is granted some time after the one before, and leaves some time after that, in any order."""
    rate_limiter, moment = paced(max_qps)
    pending: list[tuple[float, Permit]] = []
    left: list[float] = []

    def release(until: float) -> None:
        for due, grant in sorted(call for call in pending if call[0] <= until):
            moment.now = max(moment.now, due)
            rate_limiter.confirm_send(grant)
            left.append(moment.now)
            pending.remove((due, grant))

    for pause, delay in calls:
        release(moment.now + pause)
        moment.now += pause
        grant = rate_limiter.wait(0)
        pending.append((moment.now + delay, grant))
    release(math.inf)
    assert most_in_a_second(sorted(left)) <= max_qps


def test_a_reload_keeps_the_budget() -> None:
    """Changing the limit back and forth forgets no grant of the last second."""
    rate_limiter, moment = paced(5)
    times = [call(rate_limiter, moment) for _ in range(5)]
    rate_limiter.set_limit(1)
    rate_limiter.set_limit(5)
    for _ in range(5):
        rate_limiter.wait(0)
        times.append(moment.now)
    assert most_in_a_second(times) == 5


@pytest.mark.parametrize("max_qps", [0, -1, math.inf, math.nan])
def test_a_rate_is_above_zero(max_qps: float) -> None:
    """A limit that is no positive number is refused, at the start and at a reload."""
    with pytest.raises(ValueError, match="max_qps must be above 0"):
        RateLimiter(max_qps)
    with pytest.raises(ValueError, match="max_qps must be above 0"):
        RateLimiter(1).set_limit(max_qps)


def test_an_ended_sleep_sent_nothing() -> None:
    """A sleep that says true (a set Event's wait) ends the wait; the call is not granted and not counted."""
    moment = Time()
    stop = threading.Event()
    stop.set()
    rate_limiter = RateLimiter(1, moment.clock, stop.wait)
    with pytest.raises(Interrupted):
        rate_limiter.wait(moment.now + 60)
    assert rate_limiter.wait(0).waited == 0


class Recorded(list[float]):
    """The pacer's own list of grants, and a copy that nothing is dropped from."""

    def __init__(self) -> None:
        super().__init__()
        self.all: list[float] = []

    def insert(self, place: SupportsIndex, time: float) -> None:
        """Keep it in both."""
        self.all.append(time)
        super().insert(place, time)


def test_threads_share_one_budget() -> None:
    """Eight real threads under load: never more than max_qps grants in a second, and the lock is not held asleep."""
    rate_limiter = RateLimiter(100)
    rate_limiter._sent = record = Recorded()
    end = time.monotonic() + 1.6

    def worker() -> None:
        while (slot := rate_limiter.reserve(end)) is not None:
            rate_limiter.wait(slot)

    threads = [threading.Thread(target=worker) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=3)
    assert most_in_a_second(record.all) <= 100
    assert len(record.all) >= 120


def test_a_rate_that_is_restrained_for_a_while() -> None:
    """From the very next call on, with what was granted in mind; afterwards the whole rate is back."""
    moment, allowed = Time(), [48.0]
    rate_limiter = RateLimiter(48, moment.clock, moment.sleep, lambda rate: min(rate, allowed[0]))
    before = [rate_limiter.wait(moment.clock()).at for _ in range(100)]
    allowed[0] = 6.0
    sent = [rate_limiter.wait(moment.clock()).at for _ in range(12)]
    assert most_in_a_second([*before[-4:], *sent]) <= 6
    assert (rate_limiter.effective, rate_limiter.configured) == (6.0, 48.0)
    allowed[0] = 48.0
    assert rate_limiter.effective == 48.0
