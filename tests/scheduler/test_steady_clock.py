import pytest

from exporter.model.clock import Clock
from exporter.scheduler.registry import CLOCK_HOLD as HOLD
from exporter.scheduler.registry import SteadyClock


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        ([(10, 0)], 1010),
        ([(10, 4)], 1014),
        ([(10, 73 * 3600)], 1010),
        ([(10, 73 * 3600), (13, 0)], 1013),
        ([(10, 73 * 3600), (10 + HOLD, 73 * 3600)], 1010 + HOLD + 73 * 3600),
        ([(10, 3600), (30, 0), (10 + HOLD, 3600)], 1010 + HOLD),
        ([(10, -3600)], 1010 - 3600),
    ],
)
def test_a_step_ahead_is_believed_once_it_has_lasted(steps: list[tuple[float, float]], expected: float) -> None:
    """Steps are the seconds since the start and how far the wall clock is off then."""
    at = [0.0, 0.0]
    clock = SteadyClock(Clock(lambda: 1000.0 + at[0] + at[1], lambda: at[0]))
    told = 0.0
    for at[0], at[1] in steps:
        told = clock.unix()
    assert told == expected
