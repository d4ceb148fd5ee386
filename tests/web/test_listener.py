import socket
from collections.abc import Callable, Iterator

import httpx
import pytest
import uvicorn
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from exporter.config.fields import parse_listen_address
from exporter.errors import StartError
from exporter.web import server as listening
from exporter.web.app import RequestGuard
from exporter.web.auth import CurrentPolicy
from exporter.web.server import Listener, bind
from tests.support import web_client

HELLO: ASGIApp = PlainTextResponse("hello")
Failures = list[tuple[str, Exception]]
Open = Callable[[str, ASGIApp], Listener]


@pytest.fixture
def failures() -> Failures:
    """What the listener reported."""
    return []


@pytest.fixture
def opened(failures: Failures) -> Iterator[Open]:
    running: list[Listener] = []

    def start(address: str, app: ASGIApp) -> Listener:
        running.append(Listener(app, bind(address), lambda what, error: failures.append((what, error))))
        running[-1].start()
        return running[-1]

    yield start
    for one in running:
        one.stop()


def ask(listener: Listener) -> str:
    return web_client.get(listener.url).text


@pytest.mark.parametrize(
    ("text", "address"),
    [
        (":10960", ("", 10960)),
        ("127.0.0.1:0", ("127.0.0.1", 0)),
        ("localhost:65535", ("localhost", 65535)),
        ("my-host.example:80", ("my-host.example", 80)),
        ("[::1]:10960", ("::1", 10960)),
        ("[fe80::1%eth0]:1", ("fe80::1%eth0", 1)),
    ],
)
def test_addresses(text: str, address: tuple[str, int]) -> None:
    """HOST:PORT, :PORT and [IPV6]:PORT are addresses, port 0 included."""
    assert parse_listen_address(text) == address


@pytest.mark.parametrize(
    "text",
    [
        *("", ":", "10960", "localhost", "localhost:", ":65536", ":-1", ":80x", ": 80", "http://host:80", "a b:80"),
        *("[]:80", "[abc:80", "[host]:80", ":\uff18\uff10", "x" * 300 + ":80", ":" + "9" * 5000),
    ],
)
def test_bad_addresses(text: str) -> None:
    """Anything else is a short sentence, never another kind of error."""
    with pytest.raises(ValueError, match="is no address to listen on") as caught:
        parse_listen_address(text)
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize("text", ["::1:10960", "fe80::1:80"])
def test_a_bare_ipv6_address_gets_a_hint(text: str) -> None:
    """Without brackets the last group would be the port, so they are asked for."""
    with pytest.raises(ValueError, match="brackets"):
        parse_listen_address(text)


@pytest.mark.parametrize(("address", "start"), [("127.0.0.1:0", "http://127.0.0.1:"), (":0", "http://127.0.0.1:")])
def test_it_serves_where_it_says(opened: Open, address: str, start: str) -> None:
    """`url` is where this machine finds it, the free port included."""
    listener = opened(address, HELLO)
    assert listener.url.startswith(start)
    assert ask(listener) == "hello"


@pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="this machine has no IPv6")
def test_it_serves_on_ipv6(opened: Open) -> None:
    listener = opened("[::1]:0", HELLO)
    assert listener.url.startswith("http://[::1]:")
    assert ask(listener) == "hello"


def test_every_interface_without_ipv6(monkeypatch: pytest.MonkeyPatch, opened: Open) -> None:
    """Where there is no IPv6, `:PORT` is every IPv4 interface."""
    monkeypatch.setattr(socket, "has_dualstack_ipv6", lambda: False)
    assert ask(opened(":0", HELLO)) == "hello"


def test_no_client_is_answered_before_the_start() -> None:
    """A bound address is taken but not open: a client that comes too early is refused, not left waiting."""
    with bind("127.0.0.1:0") as bound:
        host, port = bound.getsockname()
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection((host, port), timeout=5)


def test_a_port_in_use(opened: Open) -> None:
    address = opened("127.0.0.1:0", HELLO).url.removeprefix("http://")
    with pytest.raises(StartError, match=rf"cannot listen on {address}: address already in use; --web.listen-address"):
        bind(address)


def test_a_port_that_another_process_came_to_first(failures: Failures) -> None:
    """Two may bind before either listens; the second one is told when it starts to."""
    with bind("127.0.0.1:0") as first:
        address = f"127.0.0.1:{first.getsockname()[1]}"
        with bind(address) as second:
            first.listen()
            late = Listener(HELLO, second, lambda what, error: failures.append((what, error)))
            with pytest.raises(StartError, match=address):
                late.start()
            late.stop()
    assert failures == []


@pytest.mark.parametrize("host", ["nothing.invalid", "192.0.2.1", "a..b", "x" * 64 + ".example"])
def test_a_host_that_is_not_here(host: str) -> None:
    """A name that does not resolve and an address of another machine are sentences too."""
    with pytest.raises(StartError, match="cannot listen on"):
        bind(f"{host}:0")


def test_a_server_that_breaks_down_is_started_anew(
    monkeypatch: pytest.MonkeyPatch, opened: Open, failures: Failures
) -> None:
    """The process lives on, the breakdown is reported, and the same address is served again."""
    monkeypatch.setattr(listening, "RESTART_SECONDS", 0.0)
    breakdown, run = RuntimeError("no more events"), uvicorn.Server.run
    breakdowns = [breakdown]

    def broken(server: uvicorn.Server, sockets: list[socket.socket]) -> None:
        if breakdowns:
            raise breakdowns.pop()
        run(server, sockets)

    monkeypatch.setattr(uvicorn.Server, "run", broken)
    assert ask(opened("127.0.0.1:0", HELLO)) == "hello"
    assert failures == [("web server", breakdown)]


def test_an_answer_that_breaks_off_is_cut(opened: Open, failures: Failures) -> None:
    """Half an answer cannot be taken for a whole one: the connection ends before the promised length."""

    async def half(_scope: Scope, _receive: Receive, send: Send) -> None:
        start: Message = {"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"10")]}
        await send(start)
        await send({"type": "http.response.body", "body": b"half", "more_body": True})
        raise RuntimeError("canary")

    listener = opened(
        "127.0.0.1:0", RequestGuard(half, lambda what, error: failures.append((what, error)), CurrentPolicy())
    )
    with pytest.raises(httpx.RemoteProtocolError):
        ask(listener)
    assert [what for what, _ in failures] == ["GET /"]
