"""The listening socket and the server on it."""

import socket
from collections.abc import Callable
from threading import Event, Thread
from typing import Any

import uvicorn
from starlette.types import ASGIApp

from exporter.config.listening import parse_address
from exporter.errors import StartError
from exporter.web.connection import KEEP_ALIVE
from exporter.web.server import Server, most_connections
from exporter.web.tls import Tls

CHOOSER = "--web.listen-address"
"""What a person changes to have another address."""
BACKLOG = 512
GRACE = 1
"""Seconds a request that is being answered has at the end."""
PAUSE = 1.0
"""Seconds before a server that broke down is started anew."""
SHARE = 2
"""One part in so many of all that may be open is for the clients of a listener; the rest is for all else."""


def bind(text: str, chooser: str = CHOOSER) -> socket.socket:
    """Take the address without listening on it yet; StartError, naming its `chooser`, when it cannot be had."""
    host, port = parse_address(text)
    try:
        return _bound(host, port) if host else _every_interface(port)
    except (OSError, UnicodeError) as error:
        raise _unusable(text, error, chooser) from error


def plain() -> None:
    """No TLS."""


class Listener:
    """Serves an application on a bound socket, on a thread of its own.

    `failed` is told when the server itself breaks down; it is then started anew, on the same socket. `chooser` is what
    a person changes to have another address. `tls` says how to speak, at each new connection. One part in `share` of
    the files that may be open is for its clients.
    """

    def __init__(
        self,
        app: ASGIApp,
        bound: socket.socket,
        failed: Callable[[str, Exception], None],
        chooser: str = CHOOSER,
        tls: Callable[[], Tls | None] = plain,
        *,
        share: int = SHARE,
    ) -> None:
        self._share = share
        self._socket = bound
        self._tls = tls
        self._chooser = chooser
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
            timeout_graceful_shutdown=GRACE,
        )
        self._stopping = Event()
        self._server = self._new_server()
        self._thread = Thread(target=self._run, name="web", daemon=True)

    @property
    def url(self) -> str:
        """Where to look, from this machine."""
        host, port = self._socket.getsockname()[:2]
        if host in ("::", "0.0.0.0"):  # noqa: S104 - compared, not bound
            host = "127.0.0.1"
        scheme = "https" if self._tls() else "http"
        return f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}"

    def start(self) -> None:
        """Listen, and answer from now on; StartError when another process has come to listen here first."""
        try:
            self._socket.listen(BACKLOG)
        except OSError as error:
            raise _unusable(self.url.partition("//")[2], error, self._chooser) from error
        self._thread.start()

    def stop(self) -> None:
        """Answer what is being answered, then end and let the address go."""
        self._stopping.set()
        self._server.should_exit = True
        if self._thread.is_alive():
            self._thread.join(GRACE + 0.5)
        self._socket.close()

    def _run(self) -> None:
        # Whoever stops sets the event first and reads the server then: one of the two looks here sees it.
        while not self._stopping.is_set():
            try:
                with self._socket.dup() as shared:
                    self._server.run([shared])
            except Exception as error:  # noqa: BLE001 - the edge of a thread: the exporter must not become unseen
                self._failed("the web server", error)
            self._server = self._new_server()
            self._stopping.wait(PAUSE)

    def _new_server(self) -> Server:
        return Server(self._config, self._tls, most_connections(self._share))


def _unusable(address: str, error: Exception, chooser: str) -> StartError:
    reason = getattr(error, "strerror", None) or str(error)
    return StartError(f"cannot listen on {address}: {reason.lower()}; {chooser} chooses another")


def _bound(host: str, port: int) -> socket.socket:
    family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    return _bind(socket.socket(family, kind, protocol), address)


def _every_interface(port: int) -> socket.socket:
    """IPv6 and IPv4 on one socket, as Prometheus's own servers have it; IPv4 alone where there is no IPv6."""
    if not socket.has_dualstack_ipv6():
        return _bound("0.0.0.0", port)  # noqa: S104 - what `:PORT` means
    both = socket.socket(socket.AF_INET6, socket.SOCK_STREAM)
    both.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    return _bind(both, ("::", port))


def _bind(unbound: socket.socket, address: tuple[Any, ...]) -> socket.socket:
    try:
        unbound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        unbound.bind(address)
    except OSError:
        unbound.close()
        raise
    return unbound
