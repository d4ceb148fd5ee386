"""A proxy on a loopback port: CONNECT and plain forwarding, and the ways in which a proxy says no."""

import contextlib
import select
import socket
import threading
from collections.abc import Callable, Iterator
from enum import Enum
from urllib.parse import urlsplit

HEAD_END = b"\r\n\r\n"
LIMIT = 5.0
BACKLOG = 64
LOOK = 0.2


class ProxyMode(Enum):
    """What becomes of a request to it."""

    PASS = "HTTP/1.1 200 Connection established\r\n\r\n"
    FORBID = "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    ASK_PASSWORD = (
        'HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic realm="canary"\r\n'
        "Content-Length: 0\r\nConnection: close\r\n\r\n"
    )
    DOWN = ""
    """Its port is closed."""


class Proxy:
    """Serves until it is closed; `turn` changes its mode for old connections too. `heads` is what it was asked."""

    def __init__(self) -> None:
        self.heads: list[str] = []
        self._mode = ProxyMode.PASS
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._listener = _bound_by_number()
        self._listener.listen(BACKLOG)
        self.port: int = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def turn(self, mode: ProxyMode) -> None:
        """From now on it behaves so."""
        before, self._mode = self._mode, mode
        if mode is ProxyMode.DOWN:
            self._listener.shutdown(socket.SHUT_RDWR)  # on Linux it keeps the port
        elif before is ProxyMode.DOWN:
            self._listener.listen(BACKLOG)
        with self._lock:
            for connection in self._open:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """End it, and every connection."""
        self._closing.set()
        self.turn(ProxyMode.DOWN)
        self._thread.join()
        self._listener.close()

    def _accept(self) -> None:
        while not self._closing.is_set():
            try:
                connection, _ = self._listener.accept()
            except OSError:  # it is down
                self._closing.wait(LOOK / 4)
                continue
            threading.Thread(target=self._guarded, args=(connection,), daemon=True).start()

    def _guarded(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError), connection, self._kept(connection):
            connection.settimeout(LIMIT)
            self._serve(connection)

    @contextlib.contextmanager
    def _kept(self, connection: socket.socket) -> Iterator[None]:
        with self._lock:
            self._open.add(connection)
        try:
            yield
        finally:
            with self._lock:
                self._open.discard(connection)

    def _serve(self, connection: socket.socket) -> None:
        """One connection: its first request says where it goes, and there it stays."""
        head = b""
        while HEAD_END not in head:
            received = connection.recv(65536)
            if not received:
                return
            head += received
        self.heads.append(head.decode("latin-1"))
        if self._mode is not ProxyMode.PASS:
            connection.sendall(self._mode.value.encode())
            return
        method, url, _ = self.heads[-1].split(" ", 2)
        parts = urlsplit(f"//{url}" if method == "CONNECT" else url)
        with socket.create_connection((parts.hostname, parts.port or 80), LIMIT) as upstream, self._kept(upstream):
            if method == "CONNECT":
                connection.sendall(self._mode.value.encode())
                relay(connection, upstream, self._closing.is_set, lambda data: data)
            else:
                base = f"{parts.scheme}://{parts.netloc}".encode()
                upstream.sendall(_as_origin(head, base))
                relay(connection, upstream, self._closing.is_set, lambda data: _as_origin(data, base))


def _bound_by_number() -> socket.socket:
    """Linux may give a port that it chose to another process while there is no listener."""
    listener = socket.socket()
    with socket.socket() as first:
        for one in (first, listener):
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        first.bind(("127.0.0.1", 0))
        listener.bind(first.getsockname())
    return listener


def _as_origin(data: bytes, base: bytes) -> bytes:
    """A request to a proxy as its server takes it, from the path on."""
    return data.replace(b" " + base + b"/", b" /", 1)


def relay(
    client: socket.socket, server: socket.socket, over: Callable[[], bool], change: Callable[[bytes], bytes]
) -> None:
    """Pass on what both sides send until one of them ends, or it is over."""
    while not over():
        for ready in select.select([client, server], [], [], LOOK)[0]:
            data = ready.recv(65536)
            if not data:
                return
            if ready is client:
                server.sendall(change(data))
            else:
                client.sendall(data)
