"""Callbacks over real sockets, on a clock that a test sets."""

import hashlib
import http.client
import json
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from exporter.enums import PageReason
from exporter.model.target import TargetId
from exporter.simulator.caller import Caller
from exporter.simulator.fleet import Fleet
from exporter.simulator.lives import Ending, Plan
from exporter.simulator.manner import EXACT, Counts, Manner
from exporter.simulator.page import Trouble
from exporter.simulator.settings import Settings
from exporter.simulator.simulation import CALLBACK_SECRET, Scene, Simulation

if TYPE_CHECKING:
    from tests.simulator.conftest import Receiver

Wait = Callable[..., None]
AT_ONCE = Manner(interval=0.0)
IMPATIENT = Manner(interval=0.0, patience=0.1)
SCRIPT = Plan(
    Settings(freeze_check=5, event_notify=True, start_timeout=3, max_running_time=3600),
    starts=10,
    ends=90,
    ending=Ending.BROKE,
    troubles=(Trouble(PageReason.START_TIMEOUT, 0), Trouble(PageReason.FREEZE, 20.25, lasting=True)),
)
TOLD = [
    ("2026-01-15T08:30:08Z", 4, " StartEventTimeout"),
    ("2026-01-15T08:30:15Z", 1, None),
    ("2026-01-15T08:30:35.250Z", 4, "PageFreeze"),
    ("2026-01-15T08:30:45.250Z", 5, "PageFreeze"),
    ("2026-01-15T08:31:35Z", 2, None),
]


class World:
    """A fleet on a clock that stands still until a test moves it, and its callers."""

    def __init__(self, now: float) -> None:
        self.now = now
        self.fleet = Fleet(lambda: self.now)
        self.callers: list[Caller] = []

    def call(self, url: str, manner: Manner = EXACT) -> Caller:
        """A running caller."""
        self.callers.append(Caller(self.fleet, url, "a secret", manner=manner))
        self.callers[-1].start()
        return self.callers[-1]

    def start(self, count: int) -> None:
        """So many tasks that start now."""
        for number in range(count):
            self.fleet.begin(TargetId("app", "Room", f"Task{number}"), Plan())


@pytest.fixture
def world(now: float) -> Iterator[World]:
    """One whose callers end with it."""
    made = World(now)
    yield made
    for caller in made.callers:
        caller.stop()


def signed(body: dict[str, str], secret: str) -> bool:
    """Whether the signature is that of all other values and the secret, sorted and joined."""
    values = [value for name, value in body.items() if name != "Signature"]
    return hashlib.sha256("".join(sorted([*values, secret])).encode()).hexdigest() == body["Signature"]


def test_a_life_is_called_back(world: World, target: TargetId, receiver: "Receiver", wait: Wait) -> None:
    """Every event of a life arrives once, signed, with the task, its time, Status and Reason."""
    world.fleet.begin(target, SCRIPT)
    caller = world.call(receiver.url)
    world.now += 100
    wait(lambda: caller.counts == Counts(due=5, delivered=5))
    assert all(signed(body, "a secret") for body in receiver.bodies)
    data = {body["EventTime"]: json.loads(body["EventData"]) for body in receiver.bodies}
    assert sorted((at, told["Status"], told.get("Reason")) for at, told in data.items()) == TOLD
    assert {(told["AppId"], told["RoomId"], told["TaskId"]) for told in data.values()} == {target}
    assert len({body["EventId"] for body in receiver.bodies}) == 5
    receipts = [(receipt.at, receipt.http_status, receipt.number) for receipt in caller.log]
    assert [(world.now, 200, 1)] * 5 == receipts


def test_a_stopped_task_is_called_back_no_more(
    world: World, target: TargetId, receiver: "Receiver", wait: Wait
) -> None:
    """Of a task that is stopped neither a later page event nor its former end arrives."""
    world.fleet.begin(target, SCRIPT)
    caller = world.call(receiver.url)
    world.now += 35
    assert world.fleet.stop(target)
    world.now += 1000
    world.start(1)
    wait(lambda: caller.counts == Counts(due=5, delivered=5))
    told = sorted((body["EventTime"], json.loads(body["EventData"])["Status"]) for body in receiver.bodies)
    stopped = ("2026-01-15T08:30:40Z", 3)
    assert [(at, status) for at, status, _ in TOLD[:3]] + [stopped] == told[:4]


def test_300_at_once(world: World, receiver: "Receiver", wait: Wait) -> None:
    """A whole school's tasks that start together arrive in seconds, each once, over a few kept connections."""
    caller = world.call(receiver.url)
    began = time.monotonic()
    world.start(300)
    wait(lambda: caller.counts == Counts(due=300, delivered=300))
    assert time.monotonic() - began < 5
    assert Counter(body["EventId"] for body in receiver.bodies).most_common(1)[0][1] == 1
    assert len(receiver.connections) <= 8
    assert len([thread for thread in threading.enumerate() if thread.name == "callback"]) == 8


def test_503_twice(world: World, receiver: "Receiver", wait: Wait) -> None:
    """A receiver that is busy twice gets the same event a third time."""
    receiver.answer = lambda _event_id, times: 200 if times == 3 else 503
    caller = world.call(receiver.url, AT_ONCE)
    world.start(3)
    wait(lambda: caller.counts == Counts(due=3, delivered=3))
    assert list(Counter(body["EventId"] for body in receiver.bodies).values()) == [3, 3, 3]
    statuses: dict[str, list[tuple[int, int]]] = {}
    for receipt in caller.log:
        statuses.setdefault(receipt.event_id, []).append((receipt.number, receipt.http_status))
    assert list(statuses.values()) == [[(1, 503), (2, 503), (3, 200)]] * 3


def test_a_doubled_event(world: World, receiver: "Receiver", wait: Wait) -> None:
    """One that is doubled arrives twice with one EventId, both signed, and counts once."""
    caller = world.call(receiver.url, Manner(doubled=1.0, interval=0.0))
    world.start(1)
    wait(lambda: len(receiver.bodies) == 2 == len(caller.log))
    assert len({body["EventId"] for body in receiver.bodies}) == 1
    assert all(signed(body, "a secret") for body in receiver.bodies)
    assert Counts(due=1, delivered=1) == caller.counts


def test_one_that_hangs_does_not_hold_up_the_others(world: World, receiver: "Receiver", wait: Wait) -> None:
    """An event without an answer is given up after three deliveries; the others are delivered meanwhile."""
    first: list[str] = []

    def answer(event_id: str, _times: int) -> int:
        first.append(event_id)
        return 0 if event_id == first[0] else 200

    receiver.answer = answer
    caller = world.call(receiver.url, IMPATIENT)
    world.start(30)
    wait(lambda: caller.counts == Counts(due=30, delivered=29, given_up=1))
    assert [receipt.http_status for receipt in caller.log if receipt.http_status != 200] == [0, 0, 0]


def test_nobody_is_there(world: World, wait: Wait) -> None:
    """A receiver that is down costs each event its three deliveries, and then nothing waits any more."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    caller = world.call(f"http://127.0.0.1:{port}/", AT_ONCE)
    world.start(20)
    wait(lambda: caller.counts == Counts(due=20, given_up=20))
    assert len(caller.log) == 60


def test_stop_does_not_wait_for_an_answer(world: World, receiver: "Receiver", wait: Wait) -> None:
    """With every sender waiting for an answer and events behind them, it stops at once, and gives none of them up."""
    receiver.answer = lambda _event_id, _times: 0
    caller = world.call(receiver.url, Manner(patience=60.0))
    world.start(50)
    wait(lambda: len(receiver.bodies) == 8)
    began = time.monotonic()
    caller.stop()
    assert time.monotonic() - began < 1
    assert Counts(due=50) == caller.counts
    assert [thread for thread in threading.enumerate() if thread.name.startswith("callback")] == []


def test_stop_does_not_wait_for_a_connection(world: World, monkeypatch: pytest.MonkeyPatch, wait: Wait) -> None:
    """A sender that nothing can wake is left behind after a second; once awake it sends nothing."""
    awake = threading.Event()
    connecting: list[int] = []

    def connect(_connection: http.client.HTTPConnection) -> None:
        connecting.append(1)
        awake.wait()

    monkeypatch.setattr(http.client.HTTPConnection, "connect", connect)
    caller = world.call("http://127.0.0.1:9/")
    world.start(1)
    wait(lambda: connecting)
    began = time.monotonic()
    caller.stop()
    assert time.monotonic() - began < 2
    awake.set()
    wait(lambda: [thread for thread in threading.enumerate() if thread.name.startswith("callback")] == [])
    assert ((), Counts(due=1)) == (caller.log, caller.counts)


def test_a_caller_that_never_started_can_be_stopped(world: World) -> None:
    """Stopping before the start, and stopping twice, is nothing."""
    Caller(world.fleet, "http://a.example/", "").stop()
    caller = world.call("http://a.example/")
    caller.stop()
    caller.stop()


def truth(simulation: Simulation) -> dict[str, object]:
    """What it says of its callbacks; empty when it says nothing."""
    connection = http.client.HTTPConnection(urlsplit(simulation.url).netloc, timeout=5)
    connection.request("GET", "/truth")
    document = json.loads(connection.getresponse().read())
    connection.close()
    told = document.get("callbacks", {})
    assert isinstance(told, dict)
    return told


def test_a_scene_calls_back(receiver: "Receiver", wait: Wait) -> None:
    """A simulation with a URL sends its fleet's events with its secret while it is entered, and counts them."""
    scene = Scene(tasks=0, callback_url=receiver.url, callback_secret="of the scene")
    with Simulation(scene) as simulation:
        simulation.fleet.begin(TargetId("app", "Room", "Task"), Plan())
        expected = {"due": 1, "delivered": 1, "given_up": 0, "lost": 0}
        wait(lambda: truth(simulation) == expected)
    assert signed(receiver.bodies[0], "of the scene")
    assert "of the scene" not in repr(scene)
    simulation.fleet.begin(TargetId("app", "Room", "Task2"), Plan())
    assert simulation.caller is not None
    assert [thread for thread in threading.enumerate() if thread.name.startswith("callback")] == []


def test_a_scene_can_begin_to_call_back_later(receiver: "Receiver", wait: Wait) -> None:
    """Without a URL nobody is called; then it may be given, and given anew: only the last one is called."""
    with Simulation(Scene(tasks=0)) as simulation:
        assert truth(simulation) == {}
        other = simulation.call_back("http://127.0.0.1:9/callback")
        caller = simulation.call_back(receiver.url, secret="later", manner=AT_ONCE)
        simulation.fleet.begin(TargetId("app", "Room", "Task"), Plan())
        wait(lambda: caller.counts.delivered == 1)
        assert (caller, Counts()) == (simulation.caller, other.counts)
        with pytest.raises(ValueError, match="is no http:// or https:// URL"):
            simulation.call_back("nowhere")
        simulation.call_back(receiver.url)
        simulation.fleet.begin(TargetId("app", "Room", "Task2"), Plan())
        wait(lambda: truth(simulation) == {"due": 1, "delivered": 1, "given_up": 0, "lost": 0})
    assert [signed(body, secret) for body, secret in zip(receiver.bodies, ("later", CALLBACK_SECRET), strict=True)] == [
        True,
        True,
    ]


def test_a_scene_without_a_possible_url() -> None:
    """It is refused when it is described, before anything is opened."""
    with pytest.raises(ValueError, match="is no http:// or https:// URL"):
        Scene(callback_url="nowhere")
