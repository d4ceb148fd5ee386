"""The gateway on a port: real sockets, the official signer, and no way to kill it."""

import http.client
import json
import logging
import socket
import threading
import time
import warnings
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from volcenginesdkcore.signv4 import SignerV4

from exporter.errors import StartError
from exporter.simulator.faults import FaultMode
from exporter.simulator.gateway import Gateway
from exporter.simulator.replies import Outcome, Reply
from exporter.simulator.server import Server
from exporter.simulator.simulation import ACCOUNT, Scene, Simulation
from exporter.simulator.wire import Request

QUERY = {
    "Action": "GetWebCastTask",
    "Version": "2020-12-01",
    "AppId": "661e0000000000000000543c",
    "RoomId": "Room1",
    "TaskId": "Task1",
}


@pytest.fixture
def simulation() -> Iterator[Simulation]:
    """A running one on the real clock."""
    with Simulation(Scene(tasks=13, qps=100_000)) as running:
        yield running


def official(simulation: Simulation, query: dict[str, str], method: str = "GET", body: str = "") -> dict[str, str]:
    """The headers as the vendor's own Python signer makes them; Host must be spelled so."""
    headers = {"Host": urlsplit(simulation.url).netloc}
    if body:
        headers["Content-Type"] = "application/json"
    key = simulation.credentials
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # it calls utcnow(), deprecated from 3.12 on
        SignerV4.sign("/", method, headers, body, None, query, key.access_key, key.secret_key, "cn-north-1", "rtc")
    return headers


def connect(simulation: Simulation) -> http.client.HTTPConnection:
    """A connection that a test closes."""
    return http.client.HTTPConnection(urlsplit(simulation.url).netloc, timeout=5)


def ask(
    connection: http.client.HTTPConnection,
    simulation: Simulation,
    query: dict[str, str],
    body: dict[str, Any] | None = None,
) -> tuple[int, Any]:
    """One officially signed call."""
    raw = json.dumps(body) if body else ""
    method = "POST" if body else "GET"
    path = "/?" + SignerV4.canonical_query(query)
    connection.request(method, path, raw.encode() or None, official(simulation, query, method, raw))
    answer = connection.getresponse()
    return answer.status, json.loads(answer.read())


def test_the_official_signer_is_accepted(simulation: Simulation) -> None:
    """GET and POST signed by volcenginesdkcore pass, on one connection that is kept."""
    connection = connect(simulation)
    status, document = ask(connection, simulation, QUERY)
    assert (status, document["Result"]["WebcastTask"]["Status"]) == (200, 2)
    first_socket = connection.sock
    body = {"AppId": "app", "RoomId": "R", "TaskId": "T", "UserId": "webcast_1", "SourceURL": "https://a.example"}
    assert ask(connection, simulation, {"Action": "StartWebcast", "Version": "2023-11-01"}, body)[1]["Result"] == "ok"
    assert ask(connection, simulation, {"Action": "StopWebcast", "Version": "2023-11-01"}, body)[1]["Result"] == "ok"
    assert first_socket is connection.sock
    connection.close()


def test_the_pages_are_served(simulation: Simulation) -> None:
    """/targets and /truth are JSON, unsigned."""
    connection = connect(simulation)
    for path, size in (("/targets", 13), ("/truth", 6)):
        connection.request("GET", path)
        answer = connection.getresponse()
        assert (answer.status, answer.headers["Content-Type"]) == (200, "application/json")
        assert size == len(json.loads(answer.read()))
    connection.close()


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b"\x16\x03\x01\x02\x00nonsense\r\n\r\n", b"HTTP/1.1 400 "),
        (b"POST / HTTP/1.1\r\nContent-Length: 70000\r\n\r\n", b"HTTP/1.1 413 "),
        (b"PATCH / HTTP/1.0\r\n\r\n", b"HTTP/1.1 404 "),
        (b"", b""),
    ],
)
def test_bad_http_ends_its_connection_alone(simulation: Simulation, raw: bytes, expected: bytes) -> None:
    """Each gets an error and is closed; the next caller is answered."""
    with socket.create_connection((simulation.scene.host, urlsplit(simulation.url).port or 0), timeout=5) as wild:
        wild.sendall(raw)
        wild.shutdown(socket.SHUT_WR)
        received = b"".join(iter(lambda: wild.recv(4096), b""))
    assert expected == received[: len(expected)]
    connection = connect(simulation)
    assert ask(connection, simulation, QUERY)[0] == 200
    assert simulation.server.errors == 0
    connection.close()


def test_many_callers_at_once(simulation: Simulation) -> None:
    """Eight connections at a time: every call is answered, and the account holds them all."""

    def call_often() -> None:
        connection = connect(simulation)
        statuses.extend(ask(connection, simulation, QUERY)[0] for _ in range(50))
        connection.close()

    statuses: list[int] = []
    callers = [threading.Thread(target=call_often) for _ in range(8)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert statuses == [200] * 400
    assert simulation.calls.counts[Outcome.ANSWERED] == 400


def test_a_close_does_not_wait_for_anyone() -> None:
    """Idle connections and replies held back are dropped: it is closed within a second, its port free again."""
    with Simulation(Scene(tasks=1)) as simulation:
        idle, waiting = connect(simulation), connect(simulation)
        assert ask(idle, simulation, QUERY)[0] == 200
        simulation.faults.mode, simulation.faults.latency = FaultMode.LATENCY, 3600.0
        waiting.request("GET", "/?" + SignerV4.canonical_query(QUERY), headers=official(simulation, QUERY))
        began = time.monotonic()
    assert time.monotonic() - began < 1
    with pytest.raises(OSError, match=r"."):
        waiting.getresponse()
    idle.close()
    waiting.close()
    with Simulation(Scene(tasks=1, port=urlsplit(simulation.url).port or 0)) as again:
        assert simulation.url == again.url


def test_an_address_in_use_is_told(simulation: Simulation) -> None:
    """A port that is taken is a StartError with a sentence that names it."""
    port = urlsplit(simulation.url).port or 0
    with pytest.raises(StartError, match=rf"The simulator cannot listen on 127\.0\.0\.1:{port}: "):
        Simulation(Scene(tasks=1, port=port))
    with pytest.raises(StartError, match=r"The simulator cannot listen on 127\.0\.0\.1:99999: "):
        Simulation(Scene(tasks=1, port=99_999))


def test_a_fault_of_its_own_is_counted_and_survived(
    simulation: Simulation, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Should the gateway itself fail, that connection ends, it is counted and logged, and the server goes on."""

    def fail(_gateway: Gateway, _request: Request, _at: float) -> Reply:
        raise ZeroDivisionError

    connection = connect(simulation)
    with monkeypatch.context() as patch, caplog.at_level(logging.ERROR):
        patch.setattr(Gateway, "answer", fail)
        with pytest.raises((http.client.RemoteDisconnected, ConnectionResetError)):
            ask(connection, simulation, QUERY)
    assert simulation.server.errors == 1
    assert [record.message for record in caplog.records] == ["A connection of the simulator failed."]
    connection.close()
    again = connect(simulation)
    assert ask(again, simulation, QUERY)[0] == 200
    again.close()


def test_replies_carry_the_simulator_s_date(credentials: Any) -> None:
    """The Date header follows the clock that was passed in, not the machine's."""
    scene = Scene(tasks=1)
    with Simulation(scene, clock=lambda: 1768465805.0) as simulation:
        connection = connect(simulation)
        connection.request("GET", "/targets")
        assert connection.getresponse().headers["Date"] == "Thu, 15 Jan 2026 08:30:05 GMT"
        connection.close()
    assert credentials == ACCOUNT.keys[0] == simulation.credentials


def test_a_server_that_never_started_can_be_stopped(simulation: Simulation) -> None:
    """Stopping before the start frees the port."""
    server = Server(simulation.gateway, "127.0.0.1", 0, time.time)
    server.stop()
    with Server(simulation.gateway, "127.0.0.1", urlsplit(server.url).port or 0, time.time) as second:
        assert server.url == second.url
