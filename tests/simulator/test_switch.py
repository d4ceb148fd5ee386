"""The page that sets faults."""

from collections.abc import Callable

import pytest

from exporter.simulator.faults import FaultMode
from exporter.simulator.gateway import Gateway
from exporter.simulator.replies import Reply
from exporter.simulator.wire import Request

Ask = Callable[..., Reply]


@pytest.fixture
def ask(gateway: Gateway, now: float) -> Ask:
    """`ask(query, method)` of /fault."""

    def made(query: str = "", method: str = "POST") -> Reply:
        return gateway.answer(Request(method, "/fault", query, {}), now)

    return made


def test_it_tells_what_is_in_force(ask: Ask, gateway: Gateway, now: float) -> None:
    """The mode, for whom, how long, and all there are."""
    gateway.faults.begin(FaultMode.STALL, only="app", until=now + 3)
    shown = ask(method="GET").document
    assert (shown["mode"], shown["only"], shown["seconds_left"]) == ("stall", "app", 3.0)
    assert list(shown["modes"]) == [mode.value for mode in FaultMode]


def test_it_sets_a_fault(ask: Ask, gateway: Gateway, now: float) -> None:
    """With its seconds and its scope; one without them lasts for everybody, until it is ended."""
    query = "mode=latency&only=app%2Froom%2Ftask&seconds=30&latency=1.5&retry_after=9&ahead=-20"
    assert ask(query).status == 200
    faults = gateway.faults
    assert (faults.mode, faults.only, faults.until) == (FaultMode.LATENCY, "app/room/task", now + 30)
    assert (faults.latency, faults.retry_after, faults.ahead) == (1.5, 9, -20)
    assert ask("mode=none").document["seconds_left"] is None
    assert (faults.mode, faults.only) == (FaultMode.NONE, "")


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ("", "mode is none of those"),
        ("mode=nonsense", "mode is none of those"),
        ("mode=stall&second=3", "second is none of"),
        ("mode=stall&seconds=soon", "seconds must be a number"),
        ("mode=stall&seconds=nan", "seconds must be a number"),
        ("mode=stall&seconds=-1", "seconds must be a number"),
        ("mode=stall&latency=1e9", "latency must be a number"),
        ("mode=stall&only=a%20b", "only names an app"),
        ("mode=connection_refused", "takes `seconds`"),
        ("mode=connection_refused&seconds=3&only=app", "and no `only`"),
        ("mode=no_tls&seconds=3", "needs an https endpoint"),
    ],
)
def test_what_makes_no_sense_changes_nothing(query: str, sentence: str, ask: Ask, gateway: Gateway) -> None:
    """400 with a sentence."""
    reply = ask(query)
    assert reply.status == 400
    assert sentence in reply.document["error"]
    assert gateway.faults.mode is FaultMode.NONE


def test_the_door_of_an_https_endpoint(ask: Ask, gateway: Gateway) -> None:
    """There its certificate may be a stranger's for a while."""
    gateway.tls = True
    assert ask("mode=unknown_ca&seconds=3").status == 200
    assert gateway.faults.mode is FaultMode.UNKNOWN_CA
