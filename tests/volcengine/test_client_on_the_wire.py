import gzip
import logging
import socket
import threading
from collections.abc import Iterator
from dataclasses import replace

import pytest
from requests import Request

from exporter import __version__
from exporter.errors import NotJson, Rejected, ServerFailed, Throttled, TimedOut, TlsFailed, Unreachable
from exporter.model.credentials import Credentials
from exporter.model.target import TargetId
from exporter.model.task import ReadResult
from exporter.volcengine.client import Client, Endpoint, head
from exporter.volcengine.rate_limiter import Permit, RateLimiter
from tests.support.credentials import fixed
from tests.support.loopback import TASK, Answer, LoopbackServer, raw, reply, reset, silence

TARGET = TargetId("661e0000000000000000543c", "room@a.b-c_1", "Task1")
KEY = Credentials("AKLTexample", "s3cret-key", "s3cret-token")
WIRE_QUERY = (
    "Action=GetWebCastTask&AppId=661e0000000000000000543c&RoomId=room%40a.b-c_1&TaskId=Task1&Version=2020-12-01"
)

LIMIT = 60.0
"""Seconds that a test waits at most for what needs no timeout."""


@pytest.fixture
def api() -> Iterator[LoopbackServer]:
    server = LoopbackServer()
    yield server
    server.close()


@pytest.fixture(params=[False, True], ids=["new connection", "kept connection"])
def kept(request: pytest.FixtureRequest) -> bool:
    """Whether the first call of the test goes over a connection that an earlier call has left."""
    return bool(request.param)


@pytest.fixture
def client(api: LoopbackServer, *, kept: bool) -> Iterator[Client]:
    """A client of that server, with a timeout that no good answer meets, on any machine."""
    made = client_of(at(api.port, LIMIT))
    if kept:
        use(made, api)
    yield made
    made.close()


def use(client: Client, api: LoopbackServer) -> None:
    """Make a call that is answered, and forget its request."""
    assert client.read(TARGET).task is not None
    api.heads.clear()


def at(port: int, timeout: float = 0.4) -> Endpoint:
    """The endpoint at this port, with a short timeout."""
    return Endpoint(url=f"http://127.0.0.1:{port}", timeout=timeout)


def client_of(endpoint: Endpoint, rate_limiter: RateLimiter | None = None) -> Client:
    """A client that hardly waits for its budget."""
    return Client(endpoint, fixed(KEY), rate_limiter or RateLimiter(1000))


def test_the_wire_carries_what_was_signed(api: LoopbackServer, client: Client) -> None:
    """The request line holds the signed query byte for byte (%40, %20, never +), and the headers the signed host."""
    assert client.read(TARGET).task is not None
    line, *headers = api.heads[0].split("\r\n")
    assert f"GET /?{WIRE_QUERY} HTTP/1.1" == line
    names = [header.split(":")[0].lower() for header in headers]
    signed = ["authorization", "host", "x-content-sha256", "x-date", "x-security-token"]
    assert sorted([*signed, "accept", "accept-encoding", "user-agent"]) == sorted(names)
    for header in (
        f"Host: 127.0.0.1:{api.port}",
        "Accept: application/json",
        f"User-Agent: webcast-exporter/{__version__}",
    ):
        assert header in headers


def test_connections_are_kept_and_cookies_are_not(api: LoopbackServer, client: Client) -> None:
    """Calls in turn share one connection; what the server would have remembered is not sent back."""
    api.answer = reply(headers="Set-Cookie: session=1; Path=/\r\n")
    assert [client.read(TARGET).error for _ in range(3)] == [None] * 3
    assert len(api.connections) == 1
    assert "cookie" not in "".join(api.heads).lower()


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "307 Temporary Redirect", "308 Permanent Redirect"])
def test_a_redirect_is_not_followed(api: LoopbackServer, client: Client, status: str) -> None:
    api.answer = reply(b"", status, f"Location: http://127.0.0.1:{api.port}/elsewhere\r\n")
    assert isinstance(client.read(TARGET).error, Rejected)
    assert len(api.heads) == 1


@pytest.mark.parametrize("headers", ["", "Retry-After: 0\r\n"])
@pytest.mark.parametrize(
    ("status", "kind"), [("429 Slow down", Throttled), ("503 Unavailable", ServerFailed), ("500 Error", ServerFailed)]
)
def test_nothing_is_repeated(
    api: LoopbackServer, client: Client, status: str, kind: type[Exception], headers: str
) -> None:
    """One read is one request, whatever the answer invites to: repeating belongs above the pacing."""
    api.answer = reply(b"{}", status, headers)
    assert isinstance(client.read(TARGET).error, kind)
    assert len(api.heads) == 1


@pytest.mark.parametrize(
    ("answer", "kind", "sentence"),
    [
        (reply(b"<html>Bad Gateway</html>", "502 Bad Gateway"), ServerFailed, "the API failed inside"),
        (reply(b"<html>welcome</html>"), NotJson, "the answer is no JSON"),
        (reply(b"", "204 No Content"), NotJson, "the answer is empty"),
        (reply(b" " * 2 * 1024 * 1024), NotJson, "the answer is larger than 1 MiB"),
        (
            reply(gzip.compress(b" " * 8 * 1024 * 1024), headers="Content-Encoding: gzip\r\n"),
            NotJson,
            "the answer is larger than 1 MiB",
        ),
        (reply(b"no gzip", headers="Content-Encoding: gzip\r\n"), NotJson, "the answer cannot be decompressed"),
        (raw(b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n" + TASK), Unreachable, "the answer stopped half way"),
        (
            raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n40\r\n{"),
            Unreachable,
            "the answer stopped half way",
        ),
        (
            raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"),
            Unreachable,
            "the answer stopped half way",
        ),
        (raw(b"HTTP/1.1 200 OK\r\nContent-Le"), Unreachable, "the answer stopped half way"),
        (reply(headers="Content-Length: 5\r\n"), Unreachable, "the answer is no HTTP"),
        (raw(b""), Unreachable, "the connection was closed before an answer"),
        (raw(b"220 smtp.example ESMTP\r\n"), Unreachable, "the answer is no HTTP"),
        (raw(b"HTTP/3 200 OK\r\n\r\n"), Unreachable, "the answer is no HTTP"),
        (raw(b"HTTP/1.1 200 OK\r\nX: " + b"x" * 70_000 + b"\r\n\r\n"), Unreachable, "the answer is no HTTP"),
        (raw(b"HTTP/1.1 200 OK\r\n" + b"X: x\r\n" * 101 + b"\r\n"), Unreachable, "the answer is no HTTP"),
        (reset, Unreachable, "the connection was reset"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_broken_answer_is_a_failed_read(
    api: LoopbackServer, client: Client, answer: Answer, kind: type[Exception], sentence: str, *, kept: bool
) -> None:
    """Each is told in the exporter's words, at once; only a kept connection without an answer is tried again."""
    api.answer = answer
    error = client.read(TARGET).error
    assert error is not None
    assert (kind, sentence) == (type(error), error.what)
    without_answer = sentence in ("the connection was closed before an answer", "the connection was reset")
    assert len(api.heads) == (2 if kept and without_answer else 1)


@pytest.mark.parametrize(
    ("start", "stays"),
    [
        ("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n{task}", True),
        ("HTTP/1.1 200\nContent-Length:{length}\n\n{task}", True),
        ("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{task}", True),
        (
            "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{task}",
            True,
        ),
        ("HTTP/1.1 200 OK\r\nno header\r\nContent-Length: {length}\r\n\r\n{task}", True),
        ("HTTP/1.1 200 OK\r\nContent-Length: {length}, {length}\r\n\r\n{task}", True),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n{length:x}\r\n{task}\r\n0\r\n\r\n", True),
        ("HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\nContent-Length: {length}\r\n\r\n{task}", True),
        ("HTTP/1.0 200 OK\r\nContent-Length: {length}\r\n\r\n{task}", False),
        ("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{task}", False),
    ],
)
def test_a_connection_stays_when_the_answer_says_so(
    api: LoopbackServer, client: Client, start: str, *, stays: bool
) -> None:
    """By the version, Connection, and a length or chunks."""
    answer = start.format(length=len(TASK), task=TASK.decode()).encode()
    api.answer = lambda connection: connection.sendall(answer)
    connections = len(api.connections)
    assert [client.read(TARGET).error for _ in range(3)] == [None] * 3
    made = len(api.connections) - max(connections, 1)
    assert made == (0 if stays else 2)


def test_an_answer_that_ends_with_its_connection_is_read(api: LoopbackServer, client: Client) -> None:
    """An answer without a length."""
    api.answer = raw(b"HTTP/1.1 200 OK\r\n\r\n" + TASK)
    assert client.read(TARGET).task is not None


@pytest.mark.parametrize("line_break", ["\r\n", "\n", "\r"])
def test_a_header_cannot_hold_a_line_break(line_break: str) -> None:
    """It would be taken for the end of the header."""
    request = Request("GET", "http://rtc.example/?a=b").prepare()
    assert head(request) == b"GET /?a=b HTTP/1.1\r\nAccept-Encoding: identity\r\n\r\n"
    request.headers["X-Date"] = f"2026{line_break}Injected: 1"
    with pytest.raises(ValueError, match="line break"):
        head(request)


def test_a_compressed_answer_is_read(api: LoopbackServer, client: Client) -> None:
    """Compression is not asked for, but a proxy may send it all the same."""
    api.answer = reply(gzip.compress(TASK), headers="Content-Encoding: gzip\r\n")
    assert client.read(TARGET).task is not None


@pytest.mark.parametrize(
    ("start", "drop"),
    [
        (b"", b"H"),
        (b"HTTP/1.1 200 OK\r\nX-Slow: ", b"a"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n", b"{"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\n{\r\n"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffff\r\n", b"{"),
        (b"HTTP/1.1 200 OK\r\n\r\n", b"{"),
    ],
    ids=["status line", "header", "body", "chunks", "one chunk", "until closed"],
)
def test_a_slow_trickle_is_a_timeout(api: LoopbackServer, start: bytes, drop: bytes, *, kept: bool) -> None:
    """The timeout bounds the whole answer, headers too, however steadily it drips."""
    client = client_of(at(api.port, timeout=1.0))
    if kept:
        use(client, api)
    api.answer = api.drip(start, drop)
    assert isinstance(client.read(TARGET).error, TimedOut)
    assert len(api.heads) == 1


def test_silence_is_a_timeout(api: LoopbackServer, client: Client) -> None:
    """No answer at all is given up after the timeout, and the next call is not held up by it."""
    api.answer = silence
    assert isinstance(client_of(at(api.port)).read(TARGET).error, TimedOut)
    api.answer = reply()
    assert client.read(TARGET).task is not None


def test_a_refused_connection_is_told(api: LoopbackServer) -> None:
    """Without a listener the connection fails, and the error says how."""
    api.close()
    error = client_of(at(api.port)).read(TARGET).error
    assert str(error) == "connection refused"


def test_a_kept_connection_that_the_server_closed(api: LoopbackServer, client: Client) -> None:
    """A connection closed while idle is noticed before the next call, which makes a new one."""
    client.read(TARGET)
    api.connections[0].shutdown(socket.SHUT_RDWR)
    assert client.read(TARGET).task is not None
    assert len(api.connections) == 2


def test_a_ca_file_that_is_not_there(api: LoopbackServer) -> None:
    """A CA file that was taken away is a TLS failure with its own sentence."""
    client = client_of(Endpoint(url=f"https://127.0.0.1:{api.port}", ca_file="missing.pem"))
    error = str(client.read(TARGET).error)
    assert error.startswith("the CA file cannot be read; it is named by tls_config.ca_file, REQUESTS_CA_BUNDLE")


def test_tls_that_is_none() -> None:
    """An https endpoint that speaks plain HTTP is a TLS failure."""
    with socket.create_server(("127.0.0.1", 0)) as plain:

        def speak_no_tls() -> None:
            connection, _ = plain.accept()
            connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            connection.recv(65536)
            connection.close()

        threading.Thread(target=speak_no_tls, daemon=True).start()
        client = client_of(Endpoint(url=f"https://127.0.0.1:{plain.getsockname()[1]}"))
        assert isinstance(client.read(TARGET).error, TlsFailed)


def test_a_proxy_that_refuses_keeps_its_password(api: LoopbackServer, caplog: pytest.LogCaptureFixture) -> None:
    """CONNECT goes to the proxy with its password; its refusal is told without it."""
    api.answer = raw(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")
    caplog.set_level(logging.DEBUG)
    proxy = f"http://user:pa55word@127.0.0.1:{api.port}"
    reading = client_of(Endpoint(url="https://rtc.example", proxy_url=proxy)).read(TARGET)
    assert str(reading.error) == "the proxy does not accept its user or password (http=407)"
    assert "Proxy-Authorization: Basic" in api.heads[0]
    assert "pa55word" not in repr(reading) + caplog.text


def test_a_plain_endpoint_goes_through_its_proxy(api: LoopbackServer) -> None:
    """A proxy of a plain endpoint is sent the whole URL; its 407 comes as an answer."""
    api.answer = reply()
    client = client_of(Endpoint(url="http://rtc.example", proxy_url=f"http://127.0.0.1:{api.port}"))
    assert client.read(TARGET).task is not None
    assert api.heads[0].startswith(f"GET http://rtc.example/?{WIRE_QUERY} HTTP/1.1\r\n")
    api.answer = reply(b"", "407 Proxy Authentication Required")
    assert isinstance(client.read(TARGET).error, Unreachable)


def test_secrets_are_told_nowhere(api: LoopbackServer, client: Client, caplog: pytest.LogCaptureFixture) -> None:
    """No log line, repr or error holds the secret key, the session token or the signature, whatever is answered."""
    caplog.set_level(logging.DEBUG)
    told = [repr(client), repr(KEY)]
    for answer in (reply(), reply(b"s3cret-key", "401 Unauthorized"), reply(b"no json"), reset, raw(b"s3cret-key\r\n")):
        api.answer = answer
        reading = client.read(TARGET)
        told += [repr(reading), str(reading.error)]
    signatures = [head.partition("Signature=")[2].partition("\r\n")[0] for head in api.heads]
    assert all(signatures)
    for secret in (KEY.secret_key, KEY.session_token, *signatures):
        assert secret not in caplog.text + "".join(told)


def test_close_ends_calls_in_flight(api: LoopbackServer) -> None:
    """A clean stop does not wait for a silent API: the call in flight ends with an error at once."""
    api.answer = silence
    client = client_of(replace(at(api.port), timeout=30))
    readings: list[ReadResult] = []
    caller = threading.Thread(target=lambda: readings.append(client.read(TARGET)))
    caller.start()
    assert api.arrived.wait(LIMIT)
    client.close()
    caller.join(LIMIT)
    assert [Unreachable] == [type(reading.error) for reading in readings]


class Listening(RateLimiter):
    """A rate limiter that keeps when calls were sent, and what the server had seen by then."""

    def __init__(self, api: LoopbackServer) -> None:
        super().__init__(1000)
        self.api = api
        self.seen: list[tuple[int, int]] = []

    def confirm_send(self, grant: Permit) -> None:
        """Keep it."""
        super().confirm_send(grant)
        self.seen.append((len(self.api.connections), len(self.api.heads)))


def test_a_call_counts_from_when_it_is_written(api: LoopbackServer) -> None:
    """The budget holds at the server: a call is confirmed once its connection is made, before it is written."""
    rate_limiter = Listening(api)
    client = client_of(at(api.port), rate_limiter)
    client.read(TARGET)
    client.read(TARGET)
    client.close()
    assert [requests for _, requests in rate_limiter.seen] == [0, 1]
    assert rate_limiter.seen[1][0] == 1
