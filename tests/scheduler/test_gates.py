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
from exporter.model.read_result import ReadResult
from exporter.model.target import TargetId
from exporter.model.task import Task
from exporter.scheduler.circuit_breakers import BreakerEvent, CircuitBreakers

RUNNING = Task(status=Status.RUNNING)


def call(
    gates: CircuitBreakers, outcome: Task | ReadError, app_id: str = "app", now: float = 100.0
) -> list[BreakerEvent]:
    """A call that ends at once."""
    reading = ReadResult(TargetId(app_id, "room", "task"), now, now, 0.1, outcome)
    return gates.saw(reading, gates.sent(app_id, now), now)


@pytest.mark.parametrize("error", [TimedOut("late"), ServerFailed("broken")])
def test_ten_calls_lost_on_their_way_are_news_of_the_account(error: ReadError) -> None:
    """Told once, with the error that closed it."""
    gates = CircuitBreakers(300.0)
    assert [call(gates, error) for _ in range(11)] == [[]] * 9 + [[BreakerEvent(None, error)]] + [[]]
    assert gates.lets_through(104.0) is False


def test_throttled_calls_are_not_counted() -> None:
    """The rate answers them; and they are no answer either."""
    gates = CircuitBreakers(300.0)
    for _ in range(9):
        call(gates, TimedOut("late"))
    assert [call(gates, Throttled("slow")) for _ in range(20)] == [[]] * 20
    assert gates.open is True
    call(gates, TimedOut("late"))
    assert gates.open is False
    assert call(gates, Throttled("slow"), now=105.0) == []
    assert gates.open is False


def test_refused_credentials_close_the_account_at_once() -> None:
    """One refusal is enough, for all apps."""
    gates, error = CircuitBreakers(300.0), CredentialsRefused("no")
    assert call(gates, error) == [BreakerEvent(None, error)]
    assert gates.lets_through(100.1) is False


def test_a_refused_app_is_alone_in_it() -> None:
    """The account and its other apps go on."""
    gates, error = CircuitBreakers(300.0), AppRefused("no")
    assert call(gates, error, "a") == [BreakerEvent("a", error)]
    assert gates.lets_through(100.1) is True
    assert gates.held_until("a", 100.1) == 105.0
    assert gates.held_until("a", 105.0) is None
    assert gates.held_until("b", 100.1) is None


def test_a_refused_app_is_an_answer_to_the_account() -> None:
    """The credentials that were refused are taken now."""
    gates, error = CircuitBreakers(300.0), AppRefused("no")
    call(gates, CredentialsRefused("no"))
    assert call(gates, error, "a", now=105.0) == [BreakerEvent(None, None), BreakerEvent("a", error)]


@pytest.mark.parametrize("outcome", [RUNNING, NotFound("no such task"), Rejected("bad room")])
def test_any_answer_opens_account_and_app(outcome: Task | ReadError) -> None:
    """A task that is not found or rejected was answered."""
    gates = CircuitBreakers(300.0)
    call(gates, AppRefused("no"), "a")
    call(gates, CredentialsRefused("no"), "a", now=106.0)
    assert call(gates, outcome, "a", now=112.0) == [BreakerEvent(None, None), BreakerEvent("a", None)]
    assert call(gates, outcome, "a", now=113.0) == []
    assert gates.held_until("a", 112.0) is None


def test_probes_of_an_app_are_ever_rarer() -> None:
    """Each refusal of a probe doubles the wait."""
    gates = CircuitBreakers(300.0)
    call(gates, AppRefused("no"), "a", now=100.0)
    assert call(gates, AppRefused("no"), "a", now=105.0) == []
    assert gates.held_until("a", 105.1) == 115.0


def test_the_next_probe_is_when_both_gates_let_it_through() -> None:
    """None while neither is closed."""
    gates = CircuitBreakers(300.0)
    assert gates.next_probe("a") is None
    call(gates, AppRefused("no"), "a", now=100.0)
    assert [gates.next_probe("a"), gates.next_probe("b")] == [105.0, None]
    call(gates, CredentialsRefused("no"), "b", now=103.0)
    assert [gates.next_probe("a"), gates.next_probe("b")] == [108.0, 108.0]


def test_all_can_be_tried_at_once() -> None:
    """It tells which gates that opened, None for the account's."""
    gates = CircuitBreakers(300.0)
    assert gates.try_at_once() == []
    call(gates, AppRefused("no"), "a")
    call(gates, CredentialsRefused("no"), "b")
    assert gates.try_at_once() == [None, "a"]
    assert gates.open is True
    assert gates.held_until("a", 100.1) is None


def test_a_new_bound_holds_for_gates_that_are_there_and_to_come() -> None:
    """`max_backoff` of a reload."""
    gates = CircuitBreakers(300.0)
    call(gates, AppRefused("no"), "a")
    gates.reconfigure(2.0)
    call(gates, AppRefused("no"), "a", now=110.0)
    call(gates, AppRefused("no"), "b", now=110.0)
    call(gates, CredentialsRefused("no"), "c", now=110.0)
    assert [gates.held_until("a", 110.1), gates.held_until("b", 110.1)] == [112.0, 112.0]
    assert gates.lets_through(112.0) is True
