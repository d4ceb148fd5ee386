"""Listening sockets and the HTTP server: uvicorn with bounds on slow clients and on their number.

uvicorn limits idle connections only. Without more limits a client that never completes a request, or never reads its
answer, stays as long as it likes, and enough of them leave no file descriptor for a scrape.
"""

import asyncio
import logging
import os
import resource
import socket
import ssl
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from enum import Enum, auto
from itertools import count
from threading import Event, Thread
from typing import Any, NamedTuple, cast

import structlog
import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle
from uvicorn.server import ServerState

from exporter.config.fields import ALL_IPV4, parse_listen_address
from exporter.errors import StartError
from exporter.web.auth import CurrentPolicy
from exporter.web.interfaces import ReportError
from exporter.web.tls import Tls

log = structlog.stdlib.get_logger(__name__)

KEEP_ALIVE = 75
"""Seconds an idle connection is kept: longer than a usual scrape interval, so that Prometheus reuses its own."""

BACKLOG = 512
GRACEFUL_SHUTDOWN = 1
"""Seconds that requests in progress have at a stop."""
RESTART_SECONDS = 1.0
"""Seconds before a server that failed is started again."""

MAX_CONNECTIONS = 512
CONNECTION_SHARE, CALLBACK_SHARE = 2, 4
"""A listener, or that of callbacks, has one part in so many of the files that may be open: a quarter is left."""

HANDSHAKE_TIMEOUT = 10.0
"""Seconds for a TLS handshake, and as many for its end."""
TICKS_PER_CHECK = 10
"""uvicorn ticks, ten a second, between two checks of all connections."""
ACCEPT_RETRY_SECONDS = 0.1
ACCEPT_BATCH = 32
"""Clients accepted in one pass of the loop: a probe behind hundreds of others must not wait for as many passes."""
SEND_BUFFER_BYTES = 128 * 1024
"""The kernel takes so much for a client that does not read; by itself it would take megabytes for each of hundreds."""
WRITE_STALL_TIMEOUT = 2.0
"""Seconds without progress after which a client that does not read its answer may be closed for a new one."""

DEFAULT_OPTION, CALLBACK_OPTION = "--web.listen-address", "callbacks.listen_address"
SYSTEMD_FIRST_FD = 3


class Waiting(Enum):
    """What a connection waits for."""

    HEAD = auto()
    """The first request, or the rest of a request's head."""
    IDLE = auto()
    """The next request."""
    ANSWER = auto()
    """The answer being made and read by the client."""
    CLOSE = auto()
    """The client reading the last bytes before the connection closes."""


STALL_TIMEOUTS = {Waiting.HEAD: 10.0, Waiting.IDLE: KEEP_ALIVE + 5.0, Waiting.ANSWER: 60.0, Waiting.CLOSE: 10.0}
"""Seconds without any progress after which a connection is aborted."""


class ConnectionState(NamedTuple):
    """What a connection waits for, after which request, and how many bytes are unsent: any difference is progress."""

    waiting: Waiting
    request: RequestResponseCycle | None = None
    unsent: int = 0


class Connection(H11Protocol):
    """One client's connection, which knows what it waits for and since when.

    `number` counts the server's clients. `since` is the time of the last progress, in seconds of the server's clock.
    A client whose certificate has none of the allowed names is disconnected.
    """

    def __init__(
        self,
        config: uvicorn.Config,
        server_state: ServerState,
        *,
        tls: Tls | None,
        number: int,
        since: float,
    ) -> None:
        super().__init__(config, server_state, app_state={}, _loop=asyncio.get_running_loop())
        self.access_log = False  # uvicorn turns it on with the first handler of the root logger
        self.number = number
        self.since = since
        self.tls = tls
        self._refused = False
        self._state = ConnectionState(Waiting.HEAD)

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # uvicorn calls it so
        """Begin, or disconnect a client without an allowed name."""
        super().connection_made(transport)
        self._refused = self.tls is not None and not self.tls.accepts(transport.get_extra_info("peercert"))
        if self._refused:
            reason = "the client's certificate has none of the names of client_allowed_sans"
            log.warning("TLS client refused", client=_host(transport), reason=reason)
            transport.abort()

    def data_received(self, data: bytes) -> None:
        """Handle what the client sent."""
        if not self._refused:
            super().data_received(data)

    def shutdown(self) -> None:
        """Close after the request in progress."""
        if not self.transport.is_closing():
            super().shutdown()

    def update(self, now: float) -> Waiting:
        """Note progress, and return what it waits for."""
        state = self._current_state()
        if state != self._state:
            self._state, self.since = state, now
        return state.waiting

    def is_served(self, now: float) -> bool:
        """Whether its answer is being made, or read by the client."""
        answering = self.update(now) is Waiting.ANSWER
        return answering and not (self._state.unsent and now - self.since >= WRITE_STALL_TIMEOUT)

    def _current_state(self) -> ConnectionState:
        unsent = self.transport.get_write_buffer_size()
        if self.transport.is_closing():
            return ConnectionState(Waiting.CLOSE, self.cycle, unsent)
        request: RequestResponseCycle | None = self.cycle  # None before the first, despite uvicorn's annotation
        if unsent or (request and not request.response_complete):
            return ConnectionState(Waiting.ANSWER, request, unsent)
        begun = request is None or self.conn.trailing_data[0]
        return ConnectionState(Waiting.HEAD if begun else Waiting.IDLE, request)


class _Handshake(NamedTuple):
    """An accepted client whose TLS handshake is in progress."""

    task: "asyncio.Task[None]"
    number: int
    since: float


def max_connections(share: int) -> int:
    """How many clients a listener has at most: one part in `share` of the files that may be open."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return MAX_CONNECTIONS if soft == resource.RLIM_INFINITY else min(MAX_CONNECTIONS, max(1, soft // share))


class Server(uvicorn.Server):
    """Serves on listening sockets. `tls` is called for each new connection; None means plain HTTP.

    One client above `limit` closes the connection that has waited longest, those being served last. `clock` is
    monotonic, in seconds.
    """

    def __init__(
        self,
        config: uvicorn.Config,
        tls: Callable[[], Tls | None],
        limit: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(config)
        self._tls = tls
        self._limit = limit
        self._clock = clock
        self._accepting: list[asyncio.Task[None]] = []
        self._handshakes: set[_Handshake] = set()
        self._numbers = count()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Accept from now on."""
        self.servers = []
        for listening in sockets or ():
            listening.settimeout(0)
            self._accepting.append(asyncio.create_task(self._accept(listening)))
        self.started = True

    async def on_tick(self, counter: int) -> bool:
        """Check connections once a second; return whether to stop. An error of an accepting task is raised."""
        for task in self._accepting:
            if task.done():
                task.result()
        if counter % TICKS_PER_CHECK == 0:
            self._close_stalled()
        return await super().on_tick(counter)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Accept no more, give requests in progress a moment, and close the rest."""
        for listening in sockets or ():  # else a client that comes now would meet a cancelled future
            asyncio.get_running_loop().remove_reader(listening)
        for task in (*self._accepting, *(handshake.task for handshake in self._handshakes)):
            task.cancel()
        await super().shutdown(sockets)
        for connection in self._connections():
            connection.transport.abort()
        await asyncio.sleep(0)

    async def _accept(self, listening: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        for number in count(1):
            try:
                client, _ = await loop.sock_accept(listening)
            except OSError:  # the client has left, or no descriptor is free
                self._make_room(self._limit)
                await asyncio.sleep(ACCEPT_RETRY_SECONDS)
                continue
            client.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
            self._make_room(self._limit - 1)
            self._start(client)
            if number % ACCEPT_BATCH == 0:
                await asyncio.sleep(0)  # connected clients get their turn however many come

    def _start(self, client: socket.socket) -> None:
        number, now = next(self._numbers), self._clock()
        handshake = _Handshake(asyncio.create_task(self._connect(client, number, now)), number, now)
        self._handshakes.add(handshake)
        handshake.task.add_done_callback(lambda _: self._handshakes.discard(handshake))

    async def _connect(self, client: socket.socket, number: int, now: float) -> None:
        loop, tls = asyncio.get_running_loop(), self._tls()
        timeouts = (
            {"ssl_handshake_timeout": HANDSHAKE_TIMEOUT, "ssl_shutdown_timeout": STALL_TIMEOUTS[Waiting.CLOSE]}
            if tls
            else {}
        )
        host = _host(client)
        try:
            await loop.connect_accepted_socket(
                lambda: Connection(self.config, self.server_state, tls=tls, number=number, since=now),
                client,
                ssl=tls.context if tls else None,
                **timeouts,
            )
        except (ssl.SSLError, ConnectionAbortedError) as error:
            log.warning("TLS handshake failed", client=host, reason=handshake_error(error))
        except OSError:
            return  # the client has left

    def _connections(self) -> list[Connection]:
        return cast("list[Connection]", [*self.server_state.connections])

    def _close_stalled(self) -> None:
        """Abort connections without progress, and close those that began under a TLS policy no longer in force."""
        now, tls = self._clock(), self._tls()
        for connection in self._connections():
            if connection.tls is not tls:
                connection.shutdown()
            if STALL_TIMEOUTS[connection.update(now)] <= now - connection.since:
                connection.transport.abort()

    def _make_room(self, limit: int) -> None:
        """Close those that have waited longest, until there are `limit` at most."""
        if len(self._handshakes) + len(self.server_state.connections) <= limit:
            return
        now = self._clock()
        clients: dict[int, tuple[bool, float, Callable[[], object]]] = {
            each.number: (False, each.since, each.task.cancel) for each in self._handshakes
        }
        for connection in self._connections():  # one whose handshake has just ended may be in both
            served = connection.is_served(now)
            clients[connection.number] = (served, connection.since, connection.transport.abort)
        order = sorted(clients, key=lambda number: (*clients[number][:2], number))
        for number in order[: max(0, len(order) - limit)]:
            clients[number][-1]()


HANDSHAKE_REASONS: Mapping[str, str] = {
    "HTTP_REQUEST": "the client speaks plain HTTP",
    "HTTPS_PROXY_REQUEST": "the client speaks plain HTTP",
    "WRONG_VERSION_NUMBER": "the client speaks no TLS",
    "PEER_DID_NOT_RETURN_A_CERTIFICATE": "the client showed no certificate",
    "CERTIFICATE_VERIFY_FAILED": "the client's certificate is not trusted",
    "UNSUPPORTED_PROTOCOL": "the client's TLS version is not accepted",
    "NO_SHARED_CIPHER": "no cipher suite in common",
    "TLSV1_ALERT_UNKNOWN_CA": "the client does not trust the certificate of tls_server_config",
    "SSLV3_ALERT_BAD_CERTIFICATE": "the client refused the certificate of tls_server_config",
    "SSLV3_ALERT_CERTIFICATE_UNKNOWN": "the client refused the certificate of tls_server_config",
    "SSLV3_ALERT_CERTIFICATE_EXPIRED": "the client says that the certificate of tls_server_config has expired",
}


def handshake_error(error: OSError) -> str:
    """Why a TLS handshake failed, as a phrase."""
    if not isinstance(error, ssl.SSLError):
        return f"not complete after {HANDSHAKE_TIMEOUT:g} s"
    reason = error.reason or type(error).__name__
    said = HANDSHAKE_REASONS.get(reason, reason.replace("_", " ").lower())
    detail = getattr(error, "verify_message", "")
    return f"{said} ({detail})" if detail else said


def _host(client: socket.socket | asyncio.Transport) -> str:
    try:
        name = client.getpeername() if isinstance(client, socket.socket) else client.get_extra_info("peername")
    except OSError:
        return ""
    return str(name[0]) if name else ""


class UvicornLogFilter(logging.Filter):
    """Drops uvicorn's lines about `Upgrade` headers, which Java and curl send, and about errors reported already.

    Its other lines are bounded by exporter/logs.py.
    """

    DROPPED = ("Unsupported upgrade request", "No supported WebSocket library", "Exception in ASGI application")

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the line is written."""
        return not record.getMessage().startswith(self.DROPPED)


logging.getLogger("uvicorn.error").addFilter(UvicornLogFilter())


class Listener:
    """Serves an application on bound sockets, on a thread of its own.

    `failed` is called when the server itself fails; it is then started again on the same sockets. New connections use
    the TLS of the `policy`; one `for_callbacks` alone asks for no client certificate.
    """

    def __init__(
        self,
        app: ASGIApp,
        sockets: socket.socket | Sequence[socket.socket],
        failed: ReportError,
        policy: CurrentPolicy | None = None,
        *,
        for_callbacks: bool = False,
    ) -> None:
        policy = policy or CurrentPolicy()
        self._tls: Callable[[], Tls | None] = lambda: policy.now.callback_tls if for_callbacks else policy.now.tls
        self._share = CALLBACK_SHARE if for_callbacks else CONNECTION_SHARE
        self._sockets = [sockets] if isinstance(sockets, socket.socket) else [*sockets]
        self._option = CALLBACK_OPTION if for_callbacks else DEFAULT_OPTION
        self._failed = failed
        self._config = uvicorn.Config(
            app,
            loop="asyncio",
            http="h11",
            log_config=None,
            access_log=False,
            lifespan="off",
            ws="none",
            proxy_headers=False,
            server_header=False,
            timeout_keep_alive=KEEP_ALIVE,
            timeout_graceful_shutdown=GRACEFUL_SHUTDOWN,
        )
        self._stopping = Event()
        self._server = self._new_server()
        self._thread = Thread(target=self._run, name="web", daemon=True)

    @property
    def url(self) -> str:
        """The first of `urls`."""
        return self.urls[0]

    @property
    def urls(self) -> list[str]:
        """URLs of the listener, seen from this machine."""
        scheme = "https" if self._tls() else "http"
        return [f"{scheme}://{_local_address(each)}" for each in self._sockets]

    def start(self) -> None:
        """Listen and answer; StartError when another process has begun to listen there."""
        for each in self._sockets:
            try:
                each.listen(BACKLOG)
            except OSError as error:
                raise _unusable(_local_address(each), error, self._option) from error
        self._thread.start()

    def stop(self) -> None:
        """Finish requests in progress, then end and release the addresses."""
        self._stopping.set()
        self._server.should_exit = True
        if self._thread.is_alive():
            self._thread.join(GRACEFUL_SHUTDOWN + 0.5)
        for each in self._sockets:
            each.close()

    def _run(self) -> None:
        # stop() sets the event before it reads self._server, so one of the two sees the other's change.
        while not self._stopping.is_set():
            try:
                with ExitStack() as copies:
                    self._server.run([copies.enter_context(each.dup()) for each in self._sockets])
            except Exception as error:  # noqa: BLE001 - the edge of a thread: the exporter must stay visible
                self._failed("web server", error)
            self._server = self._new_server()
            self._stopping.wait(RESTART_SECONDS)

    def _new_server(self) -> Server:
        return Server(self._config, self._tls, max_connections(self._share))


def bind(address: str, option: str = DEFAULT_OPTION) -> socket.socket:
    """Bind one address without listening yet; StartError, which names `option`, when it cannot be had."""
    host, port = parse_listen_address(address)
    try:
        return _bind_host(host, port) if host else _bind_all_interfaces(port)
    except (OSError, UnicodeError) as error:
        raise _unusable(address, error, option) from error


def bind_all(addresses: Iterable[str], option: str = DEFAULT_OPTION) -> list[socket.socket]:
    """Bind every address, or none: StartError when one of them cannot be had."""
    with ExitStack() as undo:
        sockets = [undo.enter_context(bind(address, option)) for address in addresses]
        undo.pop_all()
        return sockets


def systemd_sockets(environ: Mapping[str, str]) -> list[socket.socket]:
    """The sockets that systemd passes on (sd_listen_fds(3)); StartError when there is none that can be used."""
    if environ.get("LISTEN_PID") != str(os.getpid()) or not environ.get("LISTEN_FDS", "").isdecimal():
        raise StartError("--web.systemd-socket: systemd passed no socket; start the exporter by its .socket unit")
    number = int(environ["LISTEN_FDS"])
    sockets = []
    for fd in range(SYSTEMD_FIRST_FD, SYSTEMD_FIRST_FD + number):
        try:
            passed = socket.socket(fileno=fd)
        except OSError as error:
            raise StartError(f"--web.systemd-socket: file descriptor {fd} is no socket: {error.strerror}") from error
        if passed.type is not socket.SOCK_STREAM or passed.family not in (socket.AF_INET, socket.AF_INET6):
            raise StartError(f"--web.systemd-socket: file descriptor {fd} is no TCP socket; use ListenStream=PORT")
        os.set_inheritable(fd, False)  # noqa: FBT003 - os takes it by position
        sockets.append(passed)
    if not sockets:
        raise StartError("--web.systemd-socket: systemd passed no socket; add ListenStream= to the .socket unit")
    return sockets


def _local_address(bound: socket.socket) -> str:
    host, port = bound.getsockname()[:2]
    if host in ("::", ALL_IPV4):
        host = "127.0.0.1"
    return f"{f'[{host}]' if ':' in host else host}:{port}"


def _unusable(address: str, error: Exception, option: str) -> StartError:
    reason = getattr(error, "strerror", None) or str(error)
    return StartError(f"cannot listen on {address}: {reason.lower()}; {option} chooses another")


def _bind_host(host: str, port: int) -> socket.socket:
    family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    return _bind(socket.socket(family, kind, protocol), address)


def _bind_all_interfaces(port: int) -> socket.socket:
    """IPv6 and IPv4 on one socket, as in Prometheus's own servers; IPv4 alone where there is no IPv6."""
    if not socket.has_dualstack_ipv6():
        return _bind_host(ALL_IPV4, port)
    both = socket.socket(socket.AF_INET6, socket.SOCK_STREAM)
    both.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    return _bind(both, ("::", port))


def _bind(unbound: socket.socket, address: tuple[Any, ...]) -> socket.socket:
    try:
        unbound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if unbound.family == socket.AF_INET6 and address[0] != "::":
            unbound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        unbound.bind(address)
    except OSError:
        unbound.close()
        raise
    return unbound
