"""requests' adapter with what it lacks: an end to the whole answer, and a close that ends calls in flight."""

import http.client
import io
import socket
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from time import monotonic
from typing import Any, ClassVar
from weakref import WeakSet

from requests import PreparedRequest, Response
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool, PoolManager, Timeout
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import ConnectionPool


class Transport(HTTPAdapter):
    """Sends without retries over at most `connections` kept connections.

    The timeout bounds all reading of an answer, where requests bounds each read. Neither name resolution nor several
    addresses tried in turn are bounded by it. `leaves` is called by the calling thread just before a request is
    written, its connection made.
    """

    def __init__(self, connections: int, leaves: Callable[[], None]) -> None:
        self._sockets = _OpenSockets(leaves)
        self._pools: dict[tuple[str, ...], ConnectionPool] = {}
        super().__init__(pool_connections=4, pool_maxsize=connections, max_retries=0, pool_block=False)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        """As in requests, with our connections."""
        super().init_poolmanager(*args, **kwargs)
        self._watch(self.poolmanager)

    def proxy_manager_for(self, proxy: str, **proxy_kwargs: Any) -> Any:
        """As in requests, with our connections."""
        manager = super().proxy_manager_for(proxy, **proxy_kwargs)
        self._watch(manager)
        return manager

    def get_connection_with_tls_context(self, request: PreparedRequest, *args: Any, **kwargs: Any) -> ConnectionPool:
        """As in requests, but found once for an address, not sought again at each call."""
        key = (str(request.url).partition("?")[0], repr(args), repr(kwargs))
        if key not in self._pools:
            self._pools[key] = super().get_connection_with_tls_context(request, *args, **kwargs)
        return self._pools[key]

    def request_url(self, request: PreparedRequest, proxies: Mapping[str, str] | None) -> str:
        """As in requests, but quick without a proxy."""
        return super().request_url(request, proxies) if proxies else request.path_url

    def build_response(self, req: PreparedRequest, resp: Any) -> Response:
        """As in requests, less the cookies and the guessed encoding, which nobody here asks for."""
        response = Response()
        response.request = req
        response.raw = resp
        response.status_code = resp.status
        response.headers = resp.headers  # they take a name in any case as they are
        return response

    def send(self, request: PreparedRequest, *args: Any, **kwargs: Any) -> Response:
        """As in requests, but a `timeout` in seconds is for the connection and the answer together."""
        kwargs["timeout"] = Timeout(total=kwargs.get("timeout"))
        return super().send(request, *args, **kwargs)

    def close(self) -> None:
        """Close idle connections, and break those in use: their calls end at once with an error."""
        super().close()
        self._sockets.shut()

    def _watch(self, manager: PoolManager) -> None:
        manager.pool_classes_by_scheme = self._sockets.pool_classes


class _OpenSockets:
    """The connected sockets of one adapter, and the pools whose connections enter theirs here."""

    def __init__(self, leaves: Callable[[], None]) -> None:
        self.leaves = leaves
        self._lock = threading.Lock()
        self._sockets: WeakSet[socket.socket] = WeakSet()
        self.pool_classes = _pool_classes(self)

    def add(self, sock: socket.socket) -> None:
        with self._lock:
            self._sockets.add(sock)

    def shut(self) -> None:
        with self._lock:
            sockets = list(self._sockets)
        for sock in sockets:
            with suppress(OSError):
                socket.socket.shutdown(sock, socket.SHUT_RDWR)  # not SSLSocket's, which takes the TLS state away


class _Connection(HTTPConnection):
    """A connection that tells of its socket and gives answers with a deadline."""

    open_sockets: ClassVar[_OpenSockets]
    putheader = http.client.HTTPConnection.putheader  # urllib3's looks for a mark that no header of ours has

    def connect(self) -> None:
        super().connect()
        self.open_sockets.add(self.sock)

    def request(self, *args: Any, **kwargs: Any) -> None:
        if self.sock is None:
            self.connect()
        self.open_sockets.leaves()
        super().request(*args, **kwargs)


def _pool_classes(sockets: _OpenSockets) -> dict[str, type[HTTPConnectionPool]]:
    """urllib3 takes classes, not makers; so an adapter has classes of its own."""

    class Plain(_Connection):
        open_sockets = sockets
        response_class = _Answer

    class Tls(_Connection, HTTPSConnection):
        open_sockets = sockets
        response_class = _Answer

    class PlainPool(HTTPConnectionPool):
        ConnectionCls = Plain

    class TlsPool(HTTPSConnectionPool):
        ConnectionCls = Tls

    return {"http": PlainPool, "https": TlsPool}


class _Answer(http.client.HTTPResponse):
    """An answer all of whose reads, of headers too, share the time that the socket allows for one."""

    def __init__(self, sock: socket.socket, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        allowed = sock.gettimeout()
        if allowed is not None:
            self.fp = io.BufferedReader(_UntilDeadline(self.fp.detach(), sock, monotonic() + allowed))


class _UntilDeadline(io.RawIOBase):
    """A socket's stream that gives each read what is left of the time."""

    def __init__(self, stream: io.RawIOBase, sock: socket.socket, deadline: float) -> None:
        self._stream = stream
        self._sock = sock
        self._deadline = deadline

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        left = self._deadline - monotonic()
        if left <= 0:
            raise TimeoutError
        self._sock.settimeout(left)
        return self._stream.readinto(buffer)

    def close(self) -> None:
        self._stream.close()
        super().close()
