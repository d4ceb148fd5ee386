"""The simulation on a port: real sockets, real TLS, the official signer."""

import http.client
import json
import socket
import ssl
import threading
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from volcenginesdkcore.signv4 import SignerV4

from exporter.errors import StartError
from exporter.simulator.faults import FaultMode
from exporter.simulator.gateway import ApiRequest, Gateway
from exporter.simulator.replies import Outcome, VendorReply
from exporter.simulator.server import ACCOUNT, Certificates, Simulation, SimulationOptions, make_certificates

Wait = Callable[..., None]
TIMEOUT = 60.0
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
    with Simulation(SimulationOptions(tasks=13, qps=100_000)) as running:
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
    return http.client.HTTPConnection(urlsplit(simulation.url).netloc, timeout=TIMEOUT)


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
        (b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n", b"HTTP/1.1 400 "),
        (b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nabc", b"HTTP/1.1 400 "),
        (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 70000\r\n\r\n" + b"x" * 70_000, b"HTTP/1.1 413 "),
        (b"GET /" + b"a" * 40_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", b"HTTP/1.1 431 "),
        (b"PATCH / HTTP/1.0\r\n\r\n", b"HTTP/1.1 404 "),
        (b"HEAD /targets HTTP/1.0\r\n\r\n", b"HTTP/1.1 404 "),
        (b"", b""),
    ],
)
def test_bad_http_ends_its_connection_alone(simulation: Simulation, raw: bytes, expected: bytes) -> None:
    """Each gets an error and is closed; the next caller is answered."""
    with socket.create_connection(("127.0.0.1", urlsplit(simulation.url).port or 0), timeout=TIMEOUT) as wild:
        wild.sendall(raw)
        wild.shutdown(socket.SHUT_WR)
        received = b"".join(iter(lambda: wild.recv(4096), b""))
    assert expected == received[: len(expected)]
    connection = connect(simulation)
    assert ask(connection, simulation, QUERY)[0] == 200
    assert simulation.errors == 0
    connection.close()


def test_many_callers_at_once(simulation: Simulation) -> None:
    """Eight connections at a time: every call is answered and counted."""

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


def test_the_end_does_not_wait_for_a_reply() -> None:
    """Idle connections and replies held back are dropped, and the port is free again."""
    with Simulation(SimulationOptions(tasks=1)) as simulation:
        idle, waiting = connect(simulation), connect(simulation)
        assert ask(idle, simulation, QUERY)[0] == 200
        simulation.faults.mode, simulation.faults.latency = FaultMode.LATENCY, 3600.0
        waiting.request("GET", "/?" + SignerV4.canonical_query(QUERY), headers=official(simulation, QUERY))
    with pytest.raises((OSError, http.client.HTTPException)):
        waiting.getresponse()
    idle.close()
    waiting.close()
    with Simulation(SimulationOptions(tasks=1, port=urlsplit(simulation.url).port or 0)) as again:
        assert simulation.url == again.url
    Simulation(SimulationOptions(tasks=1, port=urlsplit(simulation.url).port or 0)).close()  # it never started


def test_an_address_in_use_is_told(simulation: Simulation) -> None:
    """A port that is taken is a StartError with a sentence that names it."""
    port = urlsplit(simulation.url).port or 0
    with pytest.raises(StartError, match=rf"The simulator cannot listen on 127\.0\.0\.1:{port}: "):
        Simulation(SimulationOptions(tasks=1, port=port))
    with pytest.raises(StartError, match=r"The simulator cannot listen on 127\.0\.0\.1:99999: "):
        Simulation(SimulationOptions(tasks=1, port=99_999))


def test_an_unexpected_error_is_counted_and_survived(
    simulation: Simulation, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Should the gateway itself fail, that connection ends, it is counted and logged, and the server goes on."""

    def fail(_gateway: Gateway, _request: ApiRequest, _at: float) -> VendorReply:
        raise ZeroDivisionError

    connection = connect(simulation)
    with monkeypatch.context() as patch:
        patch.setattr(Gateway, "answer", fail)
        with pytest.raises((http.client.RemoteDisconnected, ConnectionResetError)):
            ask(connection, simulation, QUERY)
    assert simulation.errors == 1
    assert "unexpected error" in caplog.text
    connection.close()
    again = connect(simulation)
    assert ask(again, simulation, QUERY)[0] == 200
    again.close()


def test_replies_carry_the_simulator_s_date() -> None:
    """The Date header follows the clock that was passed in, not the machine's."""
    with Simulation(SimulationOptions(tasks=1), clock=lambda: 1768465805.0) as simulation:
        connection = connect(simulation)
        connection.request("GET", "/targets")
        assert connection.getresponse().headers["Date"] == "Thu, 15 Jan 2026 08:30:05 GMT"
        connection.close()
    assert ACCOUNT.keys[0] == simulation.credentials


def received(simulation: Simulation, mode: FaultMode) -> bytes:
    """All that arrives of an answer until the end of the connection."""
    simulation.faults.mode = mode
    connection = connect(simulation)
    connection.request("GET", "/?" + SignerV4.canonical_query(QUERY), headers=official(simulation, QUERY))
    try:
        return b"".join(iter(lambda: connection.sock.recv(4096), b""))
    finally:
        connection.close()


def test_a_closed_connection_has_said_nothing(simulation: Simulation) -> None:
    """It ends in order."""
    assert received(simulation, FaultMode.CLOSE) == b""


@pytest.mark.parametrize("mode", [FaultMode.RESET, FaultMode.RESET_HALFWAY])
def test_a_reset_is_one_on_the_wire(simulation: Simulation, mode: FaultMode) -> None:
    """The kernel tells the caller; halfway, half of the answer may have come."""
    with pytest.raises(ConnectionResetError):
        received(simulation, mode)
    assert simulation.errors == 0


@pytest.mark.parametrize(("mode", "begins"), [(FaultMode.STALL, b""), (FaultMode.TRICKLE, b"HTT")])
def test_an_answer_that_does_not_come(simulation: Simulation, mode: FaultMode, begins: bytes) -> None:
    """Nothing is sent, or a byte at a time; the end of the simulation does not wait for it."""
    simulation.faults.mode = mode
    connection = connect(simulation)
    connection.request("GET", "/?" + SignerV4.canonical_query(QUERY), headers=official(simulation, QUERY))
    assert b"".join(connection.sock.recv(1) for _ in begins) == begins
    connection.sock.settimeout(0.1)
    with pytest.raises(TimeoutError):
        connection.sock.recv(100)
    connection.close()


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    """Made once."""
    return make_certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture
def plain() -> Iterator[Simulation]:
    """An http endpoint."""
    with Simulation(SimulationOptions(tasks=1)) as running:
        yield running


@pytest.fixture
def secured(certificates: Certificates) -> Iterator[Simulation]:
    """An https endpoint."""
    with Simulation(SimulationOptions(tasks=1, certificates=certificates)) as running:
        yield running


def fetch(simulation: Simulation) -> int:
    """The HTTP status of its /truth on a new connection, its own authority trusted alone."""
    parts = urlsplit(simulation.url)
    certificates = simulation.options.certificates
    connection: http.client.HTTPConnection
    if certificates is None:
        connection = http.client.HTTPConnection(parts.netloc, timeout=TIMEOUT)
    else:
        context = ssl.create_default_context(cafile=certificates.authority)
        connection = http.client.HTTPSConnection(parts.netloc, timeout=TIMEOUT, context=context)
    try:
        connection.request("GET", "/truth")
        return connection.getresponse().status
    finally:
        connection.close()


def failure(simulation: Simulation) -> type[Exception] | None:
    """What a call ends with."""
    try:
        fetch(simulation)
    except (OSError, http.client.HTTPException) as error:
        return type(error)
    return None


def test_a_refused_connection_and_the_same_port_afterwards(plain: Simulation, wait: Wait) -> None:
    """The port is closed and open connections end; when it is over the port answers again."""
    kept = http.client.HTTPConnection(urlsplit(plain.url).netloc, timeout=TIMEOUT)
    kept.request("GET", "/truth")
    assert kept.getresponse().read()
    plain.faults.mode = FaultMode.CONNECTION_REFUSED
    wait(lambda: failure(plain) is ConnectionRefusedError)
    assert kept.sock.recv(1) == b""
    kept.close()
    plain.faults.mode = FaultMode.NONE
    wait(lambda: failure(plain) is None)
    assert plain.errors == 0


def test_a_fault_with_an_end_ends_by_itself(plain: Simulation, wait: Wait) -> None:
    """Its end needs no call, since none can arrive."""
    plain.faults.begin(FaultMode.CONNECTION_REFUSED, until=plain.fleet.clock() + 0.5)
    wait(lambda: failure(plain) is ConnectionRefusedError)
    wait(lambda: failure(plain) is None)
    assert plain.faults.mode is FaultMode.NONE


def test_it_is_stopped_while_it_refuses() -> None:
    """As fast as ever."""
    with Simulation(SimulationOptions(tasks=1)) as simulation:
        simulation.faults.mode = FaultMode.CONNECTION_REFUSED
    assert failure(simulation) is ConnectionRefusedError


def test_https_with_a_certificate_of_its_own(secured: Simulation) -> None:
    """Only a client that trusts its authority is answered."""
    assert secured.url.startswith("https://127.0.0.1:")
    assert fetch(secured) == 200
    with pytest.raises(ssl.SSLCertVerificationError):
        http.client.HTTPSConnection(urlsplit(secured.url).netloc, timeout=TIMEOUT).request("GET", "/truth")
    assert secured.errors == 0


@pytest.mark.parametrize(
    ("mode", "error"), [(FaultMode.UNKNOWN_CA, ssl.SSLCertVerificationError), (FaultMode.NO_TLS, ssl.SSLError)]
)
def test_faults_of_tls(secured: Simulation, mode: FaultMode, error: type[Exception], wait: Wait) -> None:
    """The certificate of another authority, or a plain answer to a TLS greeting; and all is well afterwards."""
    secured.faults.mode = mode
    wait(lambda: failure(secured) is error)
    secured.faults.mode = FaultMode.NONE
    wait(lambda: failure(secured) is None)
    assert secured.errors == 0


def test_a_close_over_tls_does_not_wait_for_anyone(certificates: Certificates) -> None:
    """A call without an answer is dropped, and no thread of it is left."""
    before = threading.active_count()
    with Simulation(SimulationOptions(tasks=1, certificates=certificates)) as simulation:
        context = ssl.create_default_context(cafile=certificates.authority)
        idle = http.client.HTTPSConnection(urlsplit(simulation.url).netloc, timeout=TIMEOUT, context=context)
        idle.request("GET", "/truth")
        assert idle.getresponse().read()
        assert threading.active_count() > before
    assert threading.active_count() == before
    idle.close()


def test_without_openssl_it_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A StartError with a sentence."""
    monkeypatch.setenv("PATH", "")
    with pytest.raises(StartError, match="The command openssl makes no certificate: FileNotFoundError"):
        make_certificates(tmp_path)


def test_keys_are_readable_by_their_owner_alone(certificates: Certificates) -> None:
    """Made-up keys, and private all the same."""
    assert certificates.trusted.stat().st_mode & 0o077 == 0
    assert b"PRIVATE KEY" not in certificates.authority.read_bytes()
