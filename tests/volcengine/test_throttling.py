import math
from dataclasses import dataclass

import pytest

from exporter.volcengine.pacing import Pacer


@dataclass
class Time:
    """A clock that only sleeping moves."""

    now: float = 1000.0

    def sleep(self, seconds: float) -> None:
        """Let time pass."""
        self.now += seconds


def paced(max_qps: float) -> tuple[Pacer, Time]:
    """A pacer and the time that it lives in."""
    moment = Time()
    return Pacer(max_qps, lambda: moment.now, moment.sleep), moment


def test_throttling_halves_at_most_once_a_second() -> None:
    """Contract, section 5, row throttled: halved, at most once a second, not under 1/s."""
    pacer, moment = paced(48)
    seen = []
    for pause in (0, 0.5, 0.5, 1, 1, 1, 1, 1):
        moment.now += pause
        pacer.throttled(None)
        seen.append(pacer.effective)
    assert seen == [24, 24, 12, 6, 3, 1.5, 1, 1]


def test_the_rate_climbs_after_five_quiet_seconds() -> None:
    """Then by 5 % of max_qps a second, up to max_qps; `configured` stays."""
    pacer, moment = paced(48)
    pacer.throttled(None)
    seen = []
    for pause in (5, 1, 1, 7.99, 0.01, 100):
        moment.now += pause
        seen.append(pacer.effective)
    assert [pytest.approx(rate) for rate in (24, 26.4, 28.8, 47.976, 48, 48)] == seen
    assert pacer.configured == 48


def test_throttling_again_begins_the_quiet_time_anew() -> None:
    """A refusal within the second after a halving halves nothing, but the five quiet seconds count from it."""
    pacer, moment = paced(40)
    pacer.throttled(None)
    moment.now += 0.9
    pacer.throttled(None)
    moment.now += 4.9
    assert pacer.effective == 20
    moment.now += 1.1
    assert pacer.effective == pytest.approx(22)


def test_a_throttled_rate_spaces_the_slots() -> None:
    """The slots follow the effective rate, not the configured one."""
    pacer, moment = paced(40)
    pacer.throttled(None)
    first, second = pacer.reserve(math.inf), pacer.reserve(math.inf)
    assert [moment.now, pytest.approx(moment.now + 1 / 19.8)] == [first, second]


def test_a_slow_account_is_not_throttled_upwards() -> None:
    """The floor of 1/s does not lift an account that is configured lower."""
    pacer, _ = paced(0.5)
    pacer.throttled(None)
    assert pacer.effective == 0.5


@pytest.mark.parametrize(("retry_after", "held"), [(3.0, 3.0), (60.0, 60.0), (86400.0, 60.0), (0.0, 0.0)])
def test_retry_after_holds_every_call(retry_after: float, held: float) -> None:
    """Retry-After is kept for the account, at most 60 s, also by calls that had their slot already."""
    pacer, moment = paced(48)
    slot = pacer.reserve(math.inf)
    pacer.throttled(retry_after)
    assert pacer.reserve(moment.now + held - 0.001) is None
    assert slot is not None
    assert pacer.wait(slot).waited == pytest.approx(held)


def test_a_shorter_retry_after_does_not_shorten() -> None:
    """Of two answers the one that asks for more time counts."""
    pacer, _ = paced(48)
    pacer.throttled(10)
    pacer.throttled(1)
    assert pacer.wait(0).waited == pytest.approx(10)
