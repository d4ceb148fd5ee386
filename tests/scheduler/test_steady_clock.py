import pytest

from exporter.errors import CLOCK_CODE, AppRefused, CredentialsRefused, NotFound, ReadError
from exporter.model.clock import Clock
from exporter.model.target import TargetId
from exporter.model.task import ReadResult
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


@pytest.mark.parametrize(
    ("answers", "proven", "expected"),
    [
        ((), False, 4600 + HOLD),
        ((NotFound("no such task"),), True, 4600 + HOLD),
        ((AppRefused("not its app"),), True, 4600 + HOLD),
        ((CredentialsRefused("no such key", code="InvalidAccessKey"),), False, 4600 + HOLD),
        ((CredentialsRefused("the time", code=CLOCK_CODE),), False, 1000 + HOLD),
        ((CredentialsRefused("the time", code=CLOCK_CODE), NotFound("no such task")), True, 4600 + HOLD),
    ],
)
def test_the_api_says_whether_the_clock_is_right(answers: tuple[ReadError, ...], proven: bool, expected: float) -> None:
    """While it refuses the time, a step ahead is not believed however long it lasts."""
    at = [0.0, 0.0]
    clock = SteadyClock(Clock(lambda: 1000.0 + at[0] + at[1], lambda: at[0]))
    for answer in answers:
        clock.add_read(
            ReadResult(TargetId("app", "Room", "Task"), at=0.0, server_time=0.0, elapsed=0.1, outcome=answer)
        )
    for at[0], at[1] in ((0.0, 3600.0), (HOLD, 3600.0)):
        told = clock.unix()
    assert (clock.proven, told) == (proven, expected)
