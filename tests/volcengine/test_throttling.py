import math
from dataclasses import dataclass

import pytest

from exporter.volcengine.rate_limiter import RateLimiter


@dataclass
class Time:
    """A clock that only sleeping moves."""

    now: float = 1000.0

    def sleep(self, seconds: float) -> None:
        """Let time pass."""
        self.now += seconds


def paced(max_qps: float) -> tuple[RateLimiter, Time]:
    """A pacer and the time that it lives in."""
    moment = Time()
    return RateLimiter(max_qps, lambda: moment.now, moment.sleep), moment


def test_throttling_halves_at_most_once_a_second() -> None:
    """Contract, section 5, row throttled: halved, at most once a second, not under 1/s."""
    rate_limiter, moment = paced(48)
    seen = []
    for pause in (0, 0.5, 0.5, 1, 1, 1, 1, 1):
        moment.now += pause
        rate_limiter.throttled(None)
        seen.append(rate_limiter.effective)
    assert seen == [24, 24, 12, 6, 3, 1.5, 1, 1]


def test_the_rate_climbs_after_five_quiet_seconds() -> None:
    """Then by 5 % of max_qps a second, up to max_qps; `configured` stays."""
    rate_limiter, moment = paced(48)
    rate_limiter.throttled(None)
    seen = []
    for pause in (5, 1, 1, 7.99, 0.01, 100):
        moment.now += pause
        seen.append(rate_limiter.effective)
    assert [pytest.approx(rate) for rate in (24, 26.4, 28.8, 47.976, 48, 48)] == seen
    assert rate_limiter.configured == 48


def test_throttling_again_begins_the_quiet_time_anew() -> None:
    """A refusal within the second after a halving halves nothing, but the five quiet seconds count from it."""
    rate_limiter, moment = paced(40)
    rate_limiter.throttled(None)
    moment.now += 0.9
    rate_limiter.throttled(None)
    moment.now += 4.9
    assert rate_limiter.effective == 20
    moment.now += 1.1
    assert rate_limiter.effective == pytest.approx(22)


def test_a_throttled_rate_spaces_the_slots() -> None:
    """The slots follow the effective rate, not the configured one."""
    rate_limiter, moment = paced(40)
    rate_limiter.throttled(None)
    first, second = rate_limiter.reserve(math.inf), rate_limiter.reserve(math.inf)
    assert [moment.now, pytest.approx(moment.now + 1 / 19.8)] == [first, second]


def test_a_slow_account_is_not_throttled_upwards() -> None:
    """The floor of 1/s does not lift an account that is configured lower."""
    rate_limiter, _ = paced(0.5)
    rate_limiter.throttled(None)
    assert rate_limiter.effective == 0.5


@pytest.mark.parametrize(("retry_after", "held"), [(3.0, 3.0), (60.0, 60.0), (86400.0, 60.0), (0.0, 0.0)])
def test_retry_after_holds_every_call(retry_after: float, held: float) -> None:
    """Retry-After is kept for the account, at most 60 s, also by calls that had their slot already."""
    rate_limiter, moment = paced(48)
    slot = rate_limiter.reserve(math.inf)
    rate_limiter.throttled(retry_after)
    assert rate_limiter.reserve(moment.now + held - 0.001) is None
    assert slot is not None
    assert rate_limiter.wait(slot).waited == pytest.approx(held)


def test_a_shorter_retry_after_does_not_shorten() -> None:
    """Of two answers the one that asks for more time counts."""
    rate_limiter, _ = paced(48)
    rate_limiter.throttled(10)
    rate_limiter.throttled(1)
    assert rate_limiter.wait(0).waited == pytest.approx(10)
