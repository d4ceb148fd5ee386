"""A kept connection to a receiver, and all that a receiver can do to it."""

import socket
import threading
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import pytest

from exporter.simulator.line import Line, check_url

if TYPE_CHECKING:
    from tests.simulator.conftest import Receiver

Play = Callable[[socket.socket], object]
Stage = Callable[[Play], str]
FINE = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
LONG = b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n" + b"a" * 100_000


@pytest.fixture
def stage() -> Iterator[Stage]:
    """`stage(play)`: a URL at which `play` meets each connection, one after the other."""
    listening = socket.create_server(("127.0.0.1", 0))
    threads: list[threading.Thread] = []

    def prepare(play: Play) -> str:
        def serve() -> None:
            while True:
                connection, _ = listening.accept()
                with connection:
                    connection.settimeout(20)
                    try:
                        play(connection)
                    except OSError:
                        continue

        def guarded() -> None:
            try:
                serve()
            except OSError:
                return

        threads.append(threading.Thread(target=guarded, daemon=True))
        threads[-1].start()
        return f"http://127.0.0.1:{listening.getsockname()[1]}/callback"

    yield prepare
    listening.shutdown(socket.SHUT_RDWR)
    listening.close()
    for thread in threads:
        thread.join()


def request(connection: socket.socket) -> bytes:
    """All of one that posts the body `x`; empty at the end of the connection."""
    received = b""
    while not received.endswith(b"\r\n\r\nx"):
        more = connection.recv(4096)
        if not more:
            return b""
        received += more
    return received


def test_the_connection_is_kept(receiver: "Receiver") -> None:
    """All bodies go over one connection, to path and query of the URL, and each status is told."""
    line = Line(receiver.url, 5)
    receiver.answer = lambda _event_id, times: 200 + times
    assert [line.post(b'{"EventId":"a"}') for _ in range(3)] == [201, 202, 203]
    assert len(receiver.connections) == 1
    line.close()


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (b"", 0),
        (b"no HTTP\r\n\r\n", 0),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort", 200),
        (b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n", 503),
        (b"HTTP/1.0 200 OK\r\n\r\nto the end", 200),
        (FINE, 200),
        (LONG, 200),
    ],
)
def test_a_closed_connection_is_made_anew(stage: Stage, answer: bytes, expected: int) -> None:
    """After an answer, good or cut short, the other side may hang up; the next body goes over a new connection."""

    def play(connection: socket.socket) -> None:
        met.append(request(connection))
        try:
            connection.sendall(answer)
            connection.shutdown(socket.SHUT_WR)
        finally:
            closed.set()
        connection.recv(1)

    def post() -> int:
        closed.clear()
        status = line.post(b"x")
        assert closed.wait(20)
        return status

    met: list[bytes] = []
    closed = threading.Event()
    line = Line(stage(play), 5)
    assert [expected] * 3 == [post() for _ in range(3)]
    assert len(met) == 3
    line.close()


def test_nobody_is_there() -> None:
    """A port without a listener, and a host without a possible name, are no answer."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    assert Line(f"http://127.0.0.1:{port}", 5).post(b"x") == 0
    assert Line(f"http://{'a' * 70}.example/", 5).post(b"x") == 0
    assert Line("http://a..example/", 5).post(b"x") == 0


def test_tls_to_a_plain_port(stage: Stage) -> None:
    """An https URL is spoken to in TLS; a receiver that does not is no answer."""
    said: list[bytes] = []
    line = Line(stage(lambda connection: said.append(connection.recv(1))).replace("http:", "https:"), 5)
    assert line.post(b"x") == 0
    assert said == [b"\x16"]


def test_no_answer_in_time(stage: Stage) -> None:
    """A receiver that hangs is given up after `patience` seconds, and the next body goes over a new connection."""
    line = Line(stage(lambda connection: (request(connection), connection.recv(1))), 0.05)
    assert [line.post(b"x"), line.post(b"x")] == [0, 0]


def test_a_trickle_is_no_answer(stage: Stage) -> None:
    """Something now and then does not help: another thread that looks after the line ends it when time is up."""

    def play(connection: socket.socket) -> None:
        request(connection)
        for byte in iter(lambda: b"H", b""):
            connection.sendall(byte)
            threading.Event().wait(0.01)

    line = Line(stage(play), 0.2)
    over = threading.Event()

    def look_after() -> None:
        while not over.wait(0.01):
            line.look_after()

    other = threading.Thread(target=look_after)
    other.start()
    assert line.post(b"x") == 0
    over.set()
    other.join()


@pytest.mark.parametrize("begun", [b"", FINE[:60], b"HTTP/1.0 200 OK\r\n\r\nand then nothing"])
def test_a_wait_can_be_broken(stage: Stage, begun: bytes) -> None:
    """Hanging up ends a wait at once, also in the middle of an answer, and nothing is sent after it."""
    waiting = threading.Event()

    def play(connection: socket.socket) -> None:
        met.append(request(connection))
        connection.sendall(begun)
        waiting.set()
        connection.recv(1)

    met: list[bytes] = []
    line = Line(stage(play), 60)
    poster = threading.Thread(target=line.post, args=(b"x",))
    poster.start()
    assert waiting.wait(20)
    line.hang_up()
    poster.join(20)
    assert not poster.is_alive()
    assert line.post(b"x") == 0
    assert [first.partition(b"\r\n")[0] for first in met if first] == [b"POST /callback HTTP/1.1"]
    line.close()


@pytest.mark.parametrize(
    "url",
    ["", "callback", "ftp://a.example/", "http://", "http:///path", "http://a:port/", "http://a b/", "http://[::"],
)
def test_what_is_no_url(url: str) -> None:
    """Anything but http and https with a host is a ValueError that names it."""
    with pytest.raises(ValueError, match="is no") as problem:
        check_url(url)
    assert str(problem.value).startswith(repr(url))
    with pytest.raises(ValueError, match="is no"):
        Line(url, 5)


@pytest.mark.parametrize("url", ["http://a", "https://a.example:8443/callback?b=c", "http://[::1]:80/"])
def test_what_is_one(url: str) -> None:
    """Both schemes, with or without port, path and query."""
    check_url(url)
    Line(url, 5).close()
