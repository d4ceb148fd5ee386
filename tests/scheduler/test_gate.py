from functools import partial

import pytest

from exporter.scheduler.circuit_breaker import CircuitBreaker


def closed_by_losses() -> CircuitBreaker:
    """A gate that ten lost calls have closed at 100."""
    gate = CircuitBreaker(300.0)
    for _ in range(10):
        gate.lost(gate.sent(100.0), 100.0)
    return gate


def test_ten_lost_calls_in_a_row_close_it() -> None:
    """The tenth closes it, and says so once."""
    gate = CircuitBreaker(300.0)
    assert [gate.lost(gate.sent(100.0), 100.0) for _ in range(11)] == [False] * 9 + [True, False]
    assert gate.lets_through(104.9) is False
    assert gate.lets_through(105.0) is True


def test_an_answer_in_between_begins_the_row_anew() -> None:
    """Nine lost, one answered, nine lost: the way is not broken."""
    gate = CircuitBreaker(300.0)
    for _ in range(2):
        for _ in range(9):
            assert gate.lost(gate.sent(100.0), 100.0) is False
        gate.answered()


def test_a_broken_way_is_tried_every_five_seconds_from_sending_to_sending() -> None:
    """How long the probe takes to fail does not slow the pace."""
    gate = closed_by_losses()
    epoch = gate.sent(105.0)
    assert gate.lets_through(109.9) is False
    gate.lost(epoch, 109.5)
    assert gate.lets_through(110.0) is True


def test_a_probe_that_never_comes_back_is_followed_by_another() -> None:
    """The next one goes when it is its time."""
    gate = closed_by_losses()
    gate.sent(105.0)
    assert gate.lets_through(110.0) is True


@pytest.mark.parametrize(
    ("max_backoff", "waits"), [(300.0, [5, 10, 20, 40, 80, 160, 300, 300]), (7.0, [5, 7, 7]), (1.0, [1, 1])]
)
def test_refusals_double_the_wait(max_backoff: float, waits: list[float]) -> None:
    """From five seconds (or `max_backoff`, if shorter) up to `max_backoff`."""
    gate, now = CircuitBreaker(max_backoff), 100.0
    for wait in waits:
        gate.refused(gate.sent(now), now)
        assert gate.opens_at == now + wait
        now += wait


def test_the_wait_after_a_refusal_has_jitter() -> None:
    """Between 80 and 100 % of it: exporters that were refused together do not probe together."""
    for chance, wait in ((0.0, 4.0), (0.5, 4.5), (1.0, 5.0)):
        gate = CircuitBreaker(300.0, partial(float, chance))
        gate.refused(gate.sent(100.0), 100.0)
        assert gate.opens_at == pytest.approx(100.0 + wait)


def test_calls_that_were_under_way_when_it_closed_tell_nothing_new() -> None:
    """Ten calls that are refused together are one refusal."""
    gate = CircuitBreaker(300.0)
    epochs = [gate.sent(100.0) for _ in range(10)]
    assert [gate.refused(epoch, 100.1) for epoch in epochs] == [True] + [False] * 9
    assert gate.opens_at == 105.1


def test_calls_lost_from_before_do_not_close_it_again() -> None:
    """Two hundred calls in flight fail one after the other, though a probe was answered meanwhile."""
    gate = CircuitBreaker(300.0)
    epochs = [gate.sent(100.0) for _ in range(200)]
    for epoch in epochs[:10]:
        gate.lost(epoch, 105.0)
    gate.sent(110.0)
    gate.answered()
    assert [gate.lost(epoch, 111.0) for epoch in epochs[10:]] == [False] * 190
    assert gate.opens_at is None


def test_an_answer_opens_it_and_tells_once_that_calls_had_failed() -> None:
    """The second answer is no news."""
    gate = closed_by_losses()
    assert [gate.answered(), gate.answered()] == [True, False]
    assert gate.lets_through(100.0) is True


def test_after_an_answer_refusals_begin_at_the_first_wait() -> None:
    """What was refused in the past is past."""
    gate = CircuitBreaker(300.0)
    for now in (100.0, 105.0, 115.0):
        gate.refused(gate.sent(now), now)
    gate.answered()
    gate.refused(gate.sent(200.0), 200.0)
    assert gate.opens_at == 205.0


def test_tried_at_once_it_is_open_but_the_failing_is_not_over() -> None:
    """Only an answer tells that; and calls from before tell nothing of now."""
    gate = CircuitBreaker(300.0)
    old = gate.sent(100.0)
    gate.refused(old, 100.0)
    assert gate.try_at_once() is True
    assert gate.refused(old, 101.0) is False
    assert gate.lets_through(101.0) is True
    assert gate.answered() is True
