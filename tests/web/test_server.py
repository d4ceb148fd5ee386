"""Slow clients and many of them: each kind of waiting has an end, and a scrape is answered all the same."""

import asyncio
import logging
import resource
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest
import uvicorn
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from exporter.web.endpoints import ChunkedResponse, Turns
from exporter.web.server import (
    CALLBACK_SHARE,
    CONNECTION_SHARE,
    STALL_TIMEOUTS,
    WRITE_STALL_TIMEOUT,
    Server,
    Waiting,
    _Handshake,
    max_connections,
)
from exporter.web.tls import Tls
from tests.support.certificates import client_context

if TYPE_CHECKING:
    from exporter.simulator.server import Certificates

HEAD = b"GET / HTTP/1.1\r\nHost: a\r\n"
WHOLE = HEAD + b"\r\n"
BIG = [b"x" * 100_000] * 400
Client = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def site(scope: Scope, receive: Receive, send: Send) -> None:
    """`/` is small, `/big` has 40 MB, `/body` reads its body, `/never` has no answer."""
    answer: Response = PlainTextResponse("hello")
    if scope["path"] == "/big":
        answer = ChunkedResponse(BIG, sum(map(len, BIG)), {}, Turns())
    elif scope["path"] == "/body":
        answer = PlainTextResponse(str(len(await Request(scope, receive).body())))
    elif scope["path"] == "/never":
        await asyncio.get_running_loop().create_future()
    await answer(scope, receive, send)


class Scene:
    """A server on a loopback port, in the test's own event loop; time passes only when a test says so."""

    def __init__(self, most: int, tls: Tls | None, app: ASGIApp) -> None:
        self.now = 0.0
        self.writers: list[asyncio.StreamWriter] = []
        self.listening = socket.create_server(("127.0.0.1", 0), backlog=1000)
        config = uvicorn.Config(app, lifespan="off", access_log=False, log_config=None, timeout_graceful_shutdown=1)
        config.load()
        self.tls = tls
        self.server = Server(config, lambda: self.tls, most, lambda: self.now)
        self.server.lifespan = config.lifespan_class(config)

    async def client(self, *, context: ssl.SSLContext | None = None, small: bool = False) -> Client:
        """One more, whom the server has accepted; a `small` one takes little at once."""
        sock = socket.socket()
        if small:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.setblocking(False)  # noqa: FBT003 - socket's own
        await asyncio.get_running_loop().sock_connect(sock, self.listening.getsockname())
        host = "127.0.0.1" if context else None
        reader, writer = await asyncio.open_connection(sock=sock, ssl=context, server_hostname=host)
        self.writers.append(writer)
        return reader, writer

    async def until(self, holds: Callable[[], object]) -> None:
        """Let the loop run until something is so; what never becomes so is a failure."""
        async with asyncio.timeout(20):
            while not holds():  # noqa: ASYNC110 - whatever may become so
                await asyncio.sleep(0)

    def change_of(self, what: Callable[[], object]) -> Callable[[], bool]:
        """Whether something is no longer what it is now."""
        before = what()
        return lambda: what() != before

    async def connected(self, number: int) -> None:
        """Waiting until so many clients are connected."""
        await self.until(lambda: len(self.server.server_state.connections) == number)

    async def pass_time(self, seconds: float) -> None:
        """Let time pass between two looks."""
        self.server._close_stalled()
        self.now += seconds
        self.server._close_stalled()
        await asyncio.sleep(0)

    @property
    def waits(self) -> list[Waiting]:
        """For what the connections wait."""
        return [connection.update(self.now) for connection in self.server._connections()]


@asynccontextmanager
async def opened(most: int = 512, tls: Tls | None = None, app: ASGIApp = site) -> AsyncIterator[Scene]:
    scene = Scene(most, tls, app)
    with scene.listening:
        await scene.server.startup([scene.listening])
        yield scene
        await scene.server.shutdown()
        for writer in scene.writers:
            writer.transport.abort()
        await asyncio.sleep(0.01)  # so that the loop closes what they hold; nothing is judged after it


def play(act: Callable[[Scene], Awaitable[None]], **how: object) -> None:
    async def played() -> None:
        async with opened(**how) as scene:  # type: ignore[arg-type]  # as the test says
            await act(scene)

    asyncio.run(played())


async def ask(client: Client, request: bytes = WHOLE) -> bytes:
    """The head and the small body of one answer."""
    reader, writer = client
    writer.write(request)
    head = await reader.readuntil(b"\r\n\r\n")
    length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
    return head + await reader.readexactly(length)


async def is_cut(client: Client) -> bool:
    """Whether the server has ended it; waits for a byte or the end."""
    try:
        async with asyncio.timeout(20):
            return await client[0].read(1) == b""
    except ConnectionError:
        return True


@pytest.mark.parametrize("sent", [b"", b"G", HEAD, HEAD + b"X: " + b"y" * 5_000])
def test_a_head_that_does_not_come(sent: bytes) -> None:
    """A client that sends nothing, or half a head, is cut after 10 s."""

    async def act(scene: Scene) -> None:
        client = await scene.client()
        client[1].write(sent)
        await scene.connected(1)
        await scene.until(lambda: len(scene.server._connections()[0].conn.trailing_data[0]) == len(sent))
        await scene.pass_time(STALL_TIMEOUTS[Waiting.HEAD] - 0.1)
        assert scene.waits == [Waiting.HEAD]
        await scene.pass_time(0.1)
        assert await is_cut(client)

    play(act)


def test_a_head_that_trickles() -> None:
    """A byte now and then is no progress: all of the head must be there in time, of a later request too."""

    async def act(scene: Scene) -> None:
        client = await scene.client()
        assert (await ask(client)).endswith(b"hello")
        for byte in HEAD[:12]:
            received = scene.change_of(lambda: scene.server._connections()[0].conn.trailing_data)
            client[1].write(bytes([byte]))
            await scene.until(received)
            await scene.pass_time(1)
            if scene.server._connections() == []:
                break
        assert scene.now == STALL_TIMEOUTS[Waiting.HEAD]
        assert await is_cut(client)

    play(act)


def test_an_idle_connection_is_kept_longer_than_a_scrape_interval() -> None:
    """A minute after its answer it still serves; later it is cut, should uvicorn not have taken leave of it."""

    async def act(scene: Scene) -> None:
        client = await scene.client()
        for _ in range(3):
            assert (await ask(client)).endswith(b"hello")
            await scene.pass_time(60)
            assert scene.waits == [Waiting.IDLE]
        await scene.pass_time(STALL_TIMEOUTS[Waiting.IDLE])
        assert await is_cut(client)

    play(act)


def test_a_client_that_does_not_read() -> None:
    """It is cut after a minute without taking anything; as long as it takes something it is not."""

    async def act(scene: Scene) -> None:
        reader, writer = await scene.client(small=True)
        writer.write(WHOLE.replace(b"/", b"/big", 1))
        await scene.connected(1)
        (connection,) = scene.server._connections()
        await scene.until(lambda: connection.flow.write_paused)
        for _ in range(5):
            await scene.pass_time(STALL_TIMEOUTS[Waiting.ANSWER] - 1)
            taken = scene.change_of(connection.transport.get_write_buffer_size)
            assert await reader.readexactly(3_000_000)
            await scene.until(lambda: connection.flow.write_paused)
            await scene.until(taken)
        await scene.pass_time(STALL_TIMEOUTS[Waiting.ANSWER])
        await scene.connected(0)
        assert len(await reader.read()) < sum(map(len, BIG)) - 15_000_000  # what was on its way, and no more

    play(act)


def test_a_client_that_does_not_read_its_last_answer_is_cut() -> None:
    """An answer is whole for the server once it is handed to the system; a client that does not read it is cut too."""

    async def act(scene: Scene) -> None:
        _, writer = await scene.client(small=True)
        writer.write(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        await scene.connected(1)
        (connection,) = scene.server._connections()
        await scene.until(lambda: connection.cycle is not None)
        await scene.until(lambda: connection.cycle.response_complete)
        await scene.pass_time(STALL_TIMEOUTS[Waiting.CLOSE])
        await scene.connected(0)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await Response(b"".join(BIG))(scope, receive, send)

    play(act, app=app)


def test_an_answer_that_is_not_made() -> None:
    """After a minute the client is told by the end of its connection."""

    async def act(scene: Scene) -> None:
        client = await scene.client()
        client[1].write(WHOLE.replace(b"/", b"/never", 1))
        await scene.connected(1)
        await scene.until(lambda: scene.waits == [Waiting.ANSWER])
        await scene.pass_time(STALL_TIMEOUTS[Waiting.ANSWER])
        assert await is_cut(client)
        for task in scene.server.server_state.tasks:
            task.cancel()

    play(act)


def test_a_handshake_that_does_not_come(certificates: "Certificates", monkeypatch: pytest.MonkeyPatch) -> None:
    """A client that connects to TLS and says nothing is cut by the loop's own clock; others are served meanwhile."""
    monkeypatch.setattr("exporter.web.server.HANDSHAKE_TIMEOUT", 0.05)
    context = client_context(certificates.authority)

    async def act(scene: Scene) -> None:
        mute = await scene.client()
        await scene.until(lambda: scene.server._handshakes)
        assert (await ask(await scene.client(context=context))).endswith(b"hello")
        assert await is_cut(mute)
        await scene.until(lambda: not scene.server._handshakes)

    play(act, tls=Tls(certificates.context(stranger=False)))


def test_noise_on_a_tls_port(certificates: "Certificates") -> None:
    """A client that speaks plain HTTP, or goes away at once, harms no other."""
    context = client_context(certificates.authority)

    async def act(scene: Scene) -> None:
        plain = await scene.client()
        plain[1].write(WHOLE)
        assert await is_cut(plain)
        gone = await scene.client()
        gone[1].transport.abort()
        assert (await ask(await scene.client(context=context))).endswith(b"hello")

    play(act, tls=Tls(certificates.context(stranger=False)))


def test_the_longest_waiting_makes_room() -> None:
    """One client more than there may be costs the one that has been idle longest its connection, and no other."""

    async def act(scene: Scene) -> None:
        clients = []
        for number in range(3):
            clients.append(await scene.client())
            await scene.connected(number + 1)
            scene.server._close_stalled()
            scene.now += 1
        await ask(clients[0])  # now the second one has waited longest
        newcomer = await scene.client()
        assert (await ask(newcomer)).endswith(b"hello")
        assert await is_cut(clients[1])
        for client in (clients[0], clients[2], newcomer):
            assert (await ask(client)).endswith(b"hello")

    play(act, most=3)


def test_connections_being_answered_are_closed_last() -> None:
    """An idle one makes room before one that waits for its answer, however long; if there is none, the eldest does."""

    async def act(scene: Scene) -> None:
        waiting = await scene.client()
        waiting[1].write(WHOLE.replace(b"/", b"/never", 1))
        await scene.until(lambda: scene.waits == [Waiting.ANSWER])
        scene.now += 5
        idle = await scene.client()
        await scene.connected(2)
        other = await scene.client()
        other[1].write(WHOLE.replace(b"/", b"/never", 1))
        assert await is_cut(idle)
        await scene.until(lambda: scene.waits == [Waiting.ANSWER] * 2)
        assert (await ask(await scene.client())).endswith(b"hello")
        assert await is_cut(waiting)
        for task in scene.server.server_state.tasks:
            task.cancel()

    play(act, most=2)


def test_a_client_that_does_not_read_its_answer_makes_room() -> None:
    """A full server of them still accepts new clients."""

    async def act(scene: Scene) -> None:
        stuck = [await scene.client(small=True) for _ in range(2)]
        for _, writer in stuck:
            writer.write(WHOLE.replace(b"/", b"/big", 1))
        await scene.connected(2)
        await scene.until(lambda: all(each.flow.write_paused for each in scene.server._connections()))
        await scene.pass_time(WRITE_STALL_TIMEOUT)
        first = await scene.client()
        await scene.until(lambda: len(scene.server._connections()) == 2)
        second = await scene.client()
        await scene.connected(2)
        assert [(await ask(client))[-5:] for client in (first, second)] == [b"hello"] * 2

    play(act, most=2)


def test_handshakes_count_too(certificates: "Certificates") -> None:
    """A client that connects and sends nothing takes no place from one that does."""
    context = client_context(certificates.authority)

    async def act(scene: Scene) -> None:
        mutes = [await scene.client() for _ in range(10)]
        await scene.until(lambda: len(scene.server._handshakes) == 3)
        scene.now += 1
        assert (await ask(await scene.client(context=context))).endswith(b"hello")
        assert await is_cut(mutes[0])

    play(act, most=3, tls=Tls(certificates.context(stranger=False)))


def test_a_connection_just_after_its_handshake_counts_once(certificates: "Certificates") -> None:
    """Among the connections already and among the greetings still: one client, who is cut once if need be."""
    context = client_context(certificates.authority)

    async def act(scene: Scene) -> None:
        client = await scene.client(context=context)
        await scene.connected(1)
        (connection,) = scene.server._connections()
        task = asyncio.create_task(asyncio.sleep(0))
        scene.server._handshakes.add(_Handshake(task, connection.number, connection.since))
        scene.server._make_room(1)
        assert (await ask(client)).endswith(b"hello")
        scene.server._make_room(0)
        assert await is_cut(client)
        await task

    play(act, tls=Tls(certificates.context(stranger=False)))


def test_six_hundred_idle_clients() -> None:
    """They are kept up to the bound, and a scrape among them is answered."""

    async def act(scene: Scene) -> None:
        idle = [await scene.client() for _ in range(600)]
        assert (await ask(await scene.client())).endswith(b"hello")
        assert len(scene.server.server_state.connections) <= 512
        assert await is_cut(idle[0])

    play(act)


def test_a_hundred_at_once() -> None:
    async def one(scene: Scene) -> int:
        reader, writer = await scene.client()
        writer.write(b"GET /big HTTP/1.0\r\n\r\n")
        total = 0
        while piece := await reader.read(2**20):
            total += len(piece)
        return total

    async def act(scene: Scene) -> None:
        totals = await asyncio.gather(*(one(scene) for _ in range(100)))
        assert min(totals) > 400_000

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await ChunkedResponse(BIG[:4], sum(map(len, BIG[:4])), {}, Turns())(scope, receive, send)

    play(act, app=app)


def test_a_client_with_a_slow_body_delays_no_other() -> None:
    """Others are answered between its bytes; the body is bounded where it is read (tests/web/test_endpoints.py)."""

    async def act(scene: Scene) -> None:
        slow = await scene.client()
        slow[1].write(b"POST /body HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\n")
        for byte in b"abc":
            assert (await ask(await scene.client())).endswith(b"hello")
            slow[1].write(bytes([byte]))
        assert (await slow[0].readuntil(b"\r\n\r\n3")).startswith(b"HTTP/1.1 200")

    play(act)


@pytest.mark.parametrize("header", [b"X: " + b"y" * 100_000, b"x: y\r\n" * 30_000])
def test_huge_headers(header: bytes) -> None:
    """They are refused with 400 once they are too many, and the connection is closed."""

    async def act(scene: Scene) -> None:
        client = await scene.client()
        client[1].write(HEAD + header)
        assert (await client[0].readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 400")
        await scene.connected(0)

    play(act)


def test_without_a_descriptor_somebody_makes_room(monkeypatch: pytest.MonkeyPatch) -> None:
    """When a client cannot be accepted, the next try comes by itself, and accepting goes on."""
    monkeypatch.setattr("exporter.web.server.ACCEPT_RETRY_SECONDS", 0.0)

    async def act(scene: Scene) -> None:
        loop = asyncio.get_running_loop()
        accept, failures = loop.sock_accept, [OSError(24, "Too many open files")] * 3

        async def failing(sock: socket.socket) -> tuple[socket.socket, object]:
            if failures:
                raise failures.pop()
            return await accept(sock)

        monkeypatch.setattr(loop, "sock_accept", failing)
        first = await scene.client()
        await scene.connected(1)
        assert (await ask(await scene.client())).endswith(b"hello")
        assert failures == []
        assert (await ask(first)).endswith(b"hello")

    play(act)


def test_accepting_that_breaks_down_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """The server ends with the error, so that it is started anew (tests/web/test_listener.py)."""

    async def act(scene: Scene) -> None:
        await ask(await scene.client())  # so that it accepts
        monkeypatch.setattr(asyncio.get_running_loop(), "sock_accept", lambda _: 1 / 0)
        assert (await ask(await scene.client())).endswith(b"hello")  # by the accept that was waiting already
        await scene.until(lambda: all(task.done() for task in scene.server._accepting))
        with pytest.raises(ZeroDivisionError):
            await scene.server.on_tick(1)

    play(act)


def test_every_second_all_are_looked_at() -> None:
    """Every tenth of uvicorn's ticks breaks off what has waited too long."""

    async def act(scene: Scene) -> None:
        client = await scene.client()
        await scene.connected(1)
        assert not await scene.server.on_tick(10)
        scene.now += STALL_TIMEOUTS[Waiting.HEAD]
        assert not await scene.server.on_tick(19)
        assert scene.waits == [Waiting.HEAD]
        assert not await scene.server.on_tick(20)
        assert await is_cut(client)

    play(act)


def test_a_client_that_comes_at_the_stop_is_no_error(caplog: pytest.LogCaptureFixture) -> None:
    """The loop has seen it already, and would hand it to what accepts no more."""

    async def act(scene: Scene) -> None:
        await asyncio.sleep(0.01)  # so that it waits for clients
        with socket.create_connection(scene.listening.getsockname()):
            await asyncio.sleep(0)
            await scene.server.shutdown([scene.listening])

    play(act)
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


def test_a_stop_cuts_all_who_are_left(certificates: "Certificates") -> None:
    """Idle, shaking hands, bad requests that linger: none of them outlives the server, nor makes it fail."""
    context = client_context(certificates.authority)
    clients: list[Client] = []

    async def act(scene: Scene) -> None:
        mute = await scene.client()
        idle, bad = await scene.client(context=context), await scene.client(context=context)
        await ask(idle)
        bad[1].write(b"\x00\r\n\r\n")
        assert (await bad[0].readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 400")
        clients.extend((mute, idle, bad))
        await scene.server.shutdown()
        assert [await is_cut(client) for client in (mute, idle)] == [True, True]
        assert not scene.server.server_state.connections

    play(act, tls=Tls(certificates.context(stranger=False)))


def test_connections_of_an_earlier_policy_are_closed(certificates: "Certificates") -> None:
    """Once TLS is asked for, or another certificate, no connection goes on without it; an answer is made to its end."""

    async def act(scene: Scene) -> None:
        idle, asking = await scene.client(), await scene.client()
        await ask(idle)
        asking[1].write(b"POST /body HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n1")
        await scene.until(lambda: Waiting.ANSWER in scene.waits)
        scene.tls = Tls(certificates.context(stranger=False))
        await scene.pass_time(1)
        assert await is_cut(idle)
        assert (await ask(asking, b"2")).endswith(b"2")
        assert await is_cut(asking)

    play(act)


@pytest.mark.parametrize(("soft", "most"), [(1024, 512), (200, 100), (1, 1), (-1, 512), (1_000_000, 512)])
def test_how_many_there_may_be(monkeypatch: pytest.MonkeyPatch, soft: int, most: int) -> None:
    """512, or a share of what the process may open."""
    monkeypatch.setattr(resource, "getrlimit", lambda _: (soft, -1))
    assert max_connections(2) == most


def test_two_listeners_leave_something(monkeypatch: pytest.MonkeyPatch) -> None:
    """Both full, the files, the state and the calls still find descriptors."""
    monkeypatch.setattr(resource, "getrlimit", lambda _: (1024, -1))
    assert max_connections(CONNECTION_SHARE) + max_connections(CALLBACK_SHARE) == 768
