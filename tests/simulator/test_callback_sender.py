"""Callbacks over real sockets: what is sent, how often, and when it is given up."""

import hashlib
import http.client
import json
import socket
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from exporter.enums import PageReason
from exporter.model.target import TargetId
from exporter.simulator import callback_sender
from exporter.simulator.callback_sender import (
    DEMO_DELIVERY,
    EXACT,
    CallbackSender,
    DeliveryCounts,
    DeliveryPolicy,
    check_url,
)
from exporter.simulator.lifecycle import Ending, PageTrouble, RunPlan, TaskSettings
from exporter.simulator.server import CALLBACK_SECRET, Simulation, SimulationOptions

if TYPE_CHECKING:
    from tests.simulator.conftest import Receiver

Wait = Callable[..., None]
AT_ONCE = DeliveryPolicy(interval=0.0)
SCRIPT = RunPlan(
    TaskSettings(freeze_check=5, event_notify=True, start_timeout=3, max_running_time=3600),
    starts=10,
    ends=90,
    ending=Ending.BROKE,
    troubles=(PageTrouble(PageReason.START_TIMEOUT, 0), PageTrouble(PageReason.FREEZE, 20.25, lasting=True)),
)
TOLD = [
    ("2026-01-15T08:30:08Z", 4, " StartEventTimeout"),
    ("2026-01-15T08:30:15Z", 1, None),
    ("2026-01-15T08:30:35.250Z", 4, "PageFreeze"),
    ("2026-01-15T08:30:45.250Z", 5, "PageFreeze"),
    ("2026-01-15T08:31:35Z", 2, None),
]


class World:
    """A simulation on a clock that stands still until a test moves it."""

    def __init__(self, now: float) -> None:
        self.now = now
        self.simulation = Simulation(SimulationOptions(tasks=0, speed=1), lambda: self.now)
        self.fleet = self.simulation.fleet

    def send(self, url: str, policy: DeliveryPolicy = EXACT) -> CallbackSender:
        """Callbacks to a URL from now on."""
        return self.simulation.send_callbacks(url, secret="a secret", policy=policy)

    def start(self, count: int) -> None:
        """So many tasks that start now."""
        for number in range(count):
            self.fleet.begin(TargetId("app", "Room", f"Task{number}"), RunPlan())


@pytest.fixture
def world(now: float) -> Iterator[World]:
    made = World(now)
    with made.simulation:
        yield made


def signed(body: dict[str, str], secret: str) -> bool:
    """Whether the signature is that of all other values and the secret, sorted and joined."""
    values = [value for name, value in body.items() if name != "Signature"]
    return hashlib.sha256("".join(sorted([*values, secret])).encode()).hexdigest() == body["Signature"]


def test_a_run_is_called_back(world: World, target: TargetId, receiver: "Receiver", wait: Wait) -> None:
    """Every event of a run arrives once, signed, with the task, its time, Status and Reason."""
    world.fleet.begin(target, SCRIPT)
    sender = world.send(receiver.url)
    world.now += 100
    wait(lambda: sender.counts == DeliveryCounts(due=5, delivered=5))
    assert all(signed(body, "a secret") for body in receiver.bodies)
    data = {body["EventTime"]: json.loads(body["EventData"]) for body in receiver.bodies}
    assert sorted((at, told["Status"], told.get("Reason")) for at, told in data.items()) == TOLD
    assert {(told["AppId"], told["RoomId"], told["TaskId"]) for told in data.values()} == {target}
    assert len({body["EventId"] for body in receiver.bodies}) == 5
    assert [(world.now, 200, 1)] * 5 == [(record.at, record.http_status, record.number) for record in sender.log]


def test_a_stopped_task_is_called_back_no_more(
    world: World, target: TargetId, receiver: "Receiver", wait: Wait
) -> None:
    """Neither a later page event of a stopped task nor its former end arrives."""
    world.fleet.begin(target, SCRIPT)
    sender = world.send(receiver.url)
    world.now += 35
    assert world.fleet.stop(target)
    world.now += 1000
    wait(lambda: sender.counts.delivered == 4)
    told = sorted((body["EventTime"][:19], json.loads(body["EventData"])["Status"]) for body in receiver.bodies)
    assert told == [(at[:19], status) for at, status, _ in TOLD[:3]] + [("2026-01-15T08:30:40", 3)]


def test_300_at_once(world: World, receiver: "Receiver", wait: Wait) -> None:
    """The events of a whole school that starts at once arrive once each, over a few connections at a time."""
    sender = world.send(receiver.url)
    world.start(300)
    wait(lambda: sender.counts == DeliveryCounts(due=300, delivered=300))
    assert Counter(body["EventId"] for body in receiver.bodies).most_common(1)[0][1] == 1
    assert receiver.most_at_once <= 8


@pytest.mark.parametrize("status", [201, 302, 401, 503])
def test_anything_but_200_is_delivered_again(world: World, receiver: "Receiver", wait: Wait, status: int) -> None:
    """An event is delivered three times at most, with one EventId, and then given up."""
    receiver.answer = lambda _event_id, _times: status
    sender = world.send(receiver.url, AT_ONCE)
    world.start(2)
    wait(lambda: sender.counts == DeliveryCounts(due=2, given_up=2))
    assert list(Counter(body["EventId"] for body in receiver.bodies).values()) == [3, 3]
    assert sorted((record.number, record.http_status) for record in sender.log) == [
        (number, status) for number in (1, 1, 2, 2, 3, 3)
    ]


def test_the_third_delivery_may_succeed(world: World, receiver: "Receiver", wait: Wait) -> None:
    """A receiver that is busy twice gets the event a third time."""
    receiver.answer = lambda _event_id, times: 200 if times == 3 else 503
    sender = world.send(receiver.url, AT_ONCE)
    world.start(3)
    wait(lambda: sender.counts == DeliveryCounts(due=3, delivered=3))
    assert len(receiver.bodies) == 9


@pytest.mark.parametrize("second", [200, 500])
def test_a_doubled_event(world: World, receiver: "Receiver", wait: Wait, second: int) -> None:
    """It arrives twice with one EventId, counts once, and the second answer does not matter."""
    receiver.answer = lambda _event_id, times: 200 if times == 1 else second
    sender = world.send(receiver.url, DeliveryPolicy(doubled=1.0, interval=0.0))
    world.start(1)
    wait(lambda: len(sender.log) == 2)
    assert len({body["EventId"] for body in receiver.bodies}) == 1
    assert all(signed(body, "a secret") for body in receiver.bodies)
    assert sender.counts == DeliveryCounts(due=1, delivered=1)


def test_shares(world: World, receiver: "Receiver", wait: Wait) -> None:
    """About so many events are lost or doubled as the policy says."""
    sender = world.send(receiver.url, DeliveryPolicy(lost=0.5, doubled=0.5, delayed=0.5, delay=0.1, interval=0.0))
    world.start(200)
    wait(lambda: sender.counts.due == 200 == sender.counts.delivered + sender.counts.lost)
    assert 60 < sender.counts.lost < 140
    wait(lambda: len(sender.log) > 1.2 * sender.counts.delivered)
    assert (DEMO_DELIVERY.lost, EXACT.doubled, EXACT.delayed) == (0, 0, 0)


def test_one_that_hangs_does_not_hold_up_the_others(world: World, receiver: "Receiver", wait: Wait) -> None:
    """An event without an answer is given up after three deliveries; the others are delivered meanwhile."""
    first: list[str] = []

    def answer(event_id: str, _times: int) -> int:
        first.append(event_id)
        return 0 if event_id == first[0] else 200

    receiver.answer = answer
    sender = world.send(receiver.url, DeliveryPolicy(interval=0.0, timeout=0.5))
    world.start(30)
    wait(lambda: sender.counts.delivered == 29)
    wait(lambda: sender.counts == DeliveryCounts(due=30, delivered=29, given_up=1))
    assert [record.http_status for record in sender.log if record.http_status != 200] == [0, 0, 0]


@pytest.mark.parametrize("host", ["127.0.0.1", "a..example", f"{'a' * 70}.example"])
def test_a_receiver_that_is_not_there(world: World, wait: Wait, host: str) -> None:
    """It costs each event its three deliveries, and then nothing waits any more."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    sender = world.send(f"http://{host}:{port}/", AT_ONCE)
    world.start(20)
    wait(lambda: sender.counts == DeliveryCounts(due=20, given_up=20))
    assert len(sender.log) == 60


@pytest.mark.parametrize("answer", [b"", b"no HTTP\r\n\r\n", b"HTTP/1.1 2000 \r\n", b"HTTP/1.1 200 OK\r\n\r\nbody"])
def test_what_is_an_answer(world: World, wait: Wait, answer: bytes) -> None:
    """Only a status line counts; the rest of the answer may be anything."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(20)
        sender = world.send(f"http://127.0.0.1:{listening.getsockname()[1]}/", AT_ONCE)
        world.start(1)
        expected = 1 if b"200 OK" in answer else 3
        for _ in range(expected):
            connection, _ = listening.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(answer)
        wait(lambda: len(sender.log) == expected)
    assert sender.counts == DeliveryCounts(due=1, delivered=expected == 1, given_up=expected == 3)


def test_https_is_spoken_to_in_tls(world: World, wait: Wait) -> None:
    """A receiver that speaks plain HTTP is no answer."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(20)
        sender = world.send(f"https://127.0.0.1:{listening.getsockname()[1]}/", DeliveryPolicy(interval=60.0))
        world.start(1)
        connection, _ = listening.accept()
        with connection:
            assert connection.recv(1) == b"\x16"
        wait(lambda: [record.http_status for record in sender.log] == [0])


def test_a_receiver_that_hangs_does_not_fill_the_memory(
    world: World, receiver: "Receiver", wait: Wait, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More events than may wait at once are given up."""
    monkeypatch.setattr(callback_sender, "MAX_WAITING", 5)
    receiver.answer = lambda _event_id, _times: 0
    sender = world.send(receiver.url)
    world.start(50)
    wait(lambda: sender.counts == DeliveryCounts(due=50, given_up=45))


def test_the_end_does_not_wait_for_an_answer(now: float, receiver: "Receiver", wait: Wait) -> None:
    """With senders waiting for an answer and events behind them, the simulation ends, and gives none of them up."""
    receiver.answer = lambda _event_id, _times: 0
    world = World(now)
    with world.simulation:
        sender = world.send(receiver.url, DeliveryPolicy(timeout=3600.0))
        world.start(50)
        wait(lambda: len(receiver.bodies) == 8)
    assert sender.counts == DeliveryCounts(due=50)


def truth(simulation: Simulation) -> dict[str, object]:
    """What it says of its callbacks; empty when it says nothing."""
    connection = http.client.HTTPConnection(urlsplit(simulation.url).netloc, timeout=20)
    connection.request("GET", "/truth")
    document = json.loads(connection.getresponse().read())
    connection.close()
    told = document.get("callbacks", {})
    assert isinstance(told, dict)
    return told


def test_options_can_name_a_receiver(receiver: "Receiver", wait: Wait) -> None:
    """A simulation with a URL sends its fleet's events with its secret while it is entered, and counts them."""
    options = SimulationOptions(tasks=0, callback_url=receiver.url, callback_secret="of the options")
    with Simulation(options) as simulation:
        simulation.fleet.begin(TargetId("app", "Room", "Task"), RunPlan())
        wait(lambda: truth(simulation) == asdict(DeliveryCounts(due=1, delivered=1)))
    assert signed(receiver.bodies[0], "of the options")
    assert "of the options" not in repr(options) + repr(simulation.callback_sender)


def test_the_receiver_can_be_changed(receiver: "Receiver", wait: Wait) -> None:
    """Without a URL nothing is sent; it may be given later, and given anew: only the last one is used."""
    with Simulation(SimulationOptions(tasks=0)) as simulation:
        assert truth(simulation) == {}
        other = simulation.send_callbacks("http://127.0.0.1:9/callback")
        sender = simulation.send_callbacks(receiver.url, secret="later", policy=AT_ONCE)
        simulation.fleet.begin(TargetId("app", "Room", "Task"), RunPlan())
        wait(lambda: sender.counts.delivered == 1)
        assert (sender, DeliveryCounts()) == (simulation.callback_sender, other.counts)
        with pytest.raises(ValueError, match="is no http:// or https:// URL"):
            simulation.send_callbacks("nowhere")
        simulation.send_callbacks(receiver.url)
        simulation.fleet.begin(TargetId("app", "Room", "Task2"), RunPlan())
        wait(lambda: truth(simulation) == asdict(DeliveryCounts(due=1, delivered=1)))
    secrets = zip(receiver.bodies, ("later", CALLBACK_SECRET), strict=True)
    assert [signed(body, secret) for body, secret in secrets] == [True, True]


@pytest.mark.parametrize(
    "url",
    ["callback", "ftp://a.example/", "http://", "http:///path", "http://a:port/", "http://a b/", "http://[::"],
)
def test_what_is_no_url(url: str) -> None:
    """Anything but http and https with a host is a ValueError that names it, before anything is opened."""
    with pytest.raises(ValueError, match="is no") as problem:
        SimulationOptions(callback_url=url)
    assert str(problem.value).startswith(repr(url))


@pytest.mark.parametrize("url", ["http://a", "https://a.example:8443/callback?b=c", "http://[::1]:80/"])
def test_what_is_one(url: str) -> None:
    """Both schemes, with or without port, path and query."""
    check_url(url)
