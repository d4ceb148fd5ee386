"""The listening socket and the server on it."""

import socket
from threading import Thread
from typing import Any

import uvicorn
from starlette.types import ASGIApp

from exporter.errors import StartError

BACKLOG = 512
KEEP_ALIVE = 75
"""Seconds an idle connection is kept: longer than a usual scrape interval, so that scrapes reuse theirs."""
GRACE = 1
"""Seconds a request that is being answered has at the end."""


def parse_address(text: str) -> tuple[str, int]:
    """`HOST:PORT`, `:PORT` (every interface) or `[IPV6]:PORT`; ValueError with a sentence for a person."""
    host, colon, port = text.rpartition(":")
    if not colon or not port.isascii() or not port.isdigit() or int(port) > 65535:  # noqa: PLR2004 - the largest port
        raise ValueError(f"{text!r} is not HOST:PORT or :PORT")
    if ":" in host and not (host.startswith("[") and host.endswith("]")):
        raise ValueError(f"{text!r}: put the IPv6 address in brackets, [::1]:10960")
    return host.strip("[]"), int(port)


def bind(text: str) -> socket.socket:
    """Take the address without listening on it yet; StartError when it cannot be had."""
    host, port = parse_address(text)
    try:
        return _every_interface(port) if not host else _bound(host, port)
    except OSError as error:
        reason = error.strerror or str(error)
        raise StartError(f"cannot listen on {text}: {reason.lower()}; --web.listen-address chooses another") from error


class Listener:
    """Serves an application on a bound socket, on a thread of its own."""

    def __init__(self, app: ASGIApp, bound: socket.socket) -> None:
        self._socket = bound
        config = uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            lifespan="off",
            server_header=False,
            backlog=BACKLOG,
            timeout_keep_alive=KEEP_ALIVE,
            timeout_graceful_shutdown=GRACE,
        )
        self._server = uvicorn.Server(config)
        self._thread = Thread(target=self._server.run, args=([bound],), name="web", daemon=True)

    @property
    def url(self) -> str:
        """Where to look, from this machine."""
        host, port = self._socket.getsockname()[:2]
        if host in ("::", "0.0.0.0"):  # noqa: S104 - compared, not bound
            host = "127.0.0.1"
        return f"http://{f'[{host}]' if ':' in host else host}:{port}"

    def start(self) -> None:
        """Listen, and answer from now on."""
        self._socket.listen(BACKLOG)
        self._thread.start()

    def stop(self) -> None:
        """Answer what is being answered, then end."""
        self._server.should_exit = True
        self._thread.join(GRACE + 0.5)


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
