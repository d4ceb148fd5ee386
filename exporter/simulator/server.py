"""The gateway on a port: HTTP/1.1 with connections kept alive, a thread for each."""

import logging
import socket
import socketserver
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

from exporter.errors import StartError
from exporter.simulator.gateway import Gateway
from exporter.simulator.replies import Outcome, Reply
from exporter.simulator.wire import BadRequest, Request, read_request, render

log = logging.getLogger(__name__)

IDLE_TIMEOUT = 75.0
STOP_TIMEOUT = 1.0
POLL_INTERVAL = 0.05


class _Connection(socketserver.StreamRequestHandler):
    disable_nagle_algorithm = True
    timeout = IDLE_TIMEOUT
    server: "_Listener"

    def handle(self) -> None:
        try:
            while not self.server.stopping.is_set() and self._exchange():
                pass
        except OSError:
            log.debug("A connection broke off.")

    def _exchange(self) -> bool:
        """One request and its reply; whether the connection goes on."""
        try:
            request = read_request(self.rfile)
        except BadRequest as error:
            reply = Reply(error.status, {"error": str(error)}, Outcome.REFUSED)
            self.wfile.write(render(reply, self.server.clock(), keep_alive=False))
            return False
        if request is None:
            return False
        return self._reply(request)

    def _reply(self, request: Request) -> bool:
        reply = self.server.gateway.answer(request, self.server.clock())
        if reply.delay and self.server.stopping.wait(reply.delay):
            return False
        head_only = request.method == "HEAD"
        self.wfile.write(render(reply, self.server.clock(), keep_alive=request.keep_alive, head_only=head_only))
        return request.keep_alive


class _Listener(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, gateway: Gateway, host: str, port: int, clock: Callable[[], float]) -> None:
        self.gateway = gateway
        self.clock = clock
        self.stopping = threading.Event()
        self.errors = 0
        self._open: set[socket.socket] = set()
        self._changed = threading.Condition()
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        super().__init__((host, port), _Connection)

    def process_request(self, request: Any, client_address: Any) -> None:
        with self._changed:
            self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        super().shutdown_request(request)
        with self._changed:
            self._open.discard(request)
            self._changed.notify_all()

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002 - socketserver's signature
        with self._changed:
            self.errors += 1
        log.exception("A connection of the simulator failed.")  # noqa: LOG004 - called while it is handled

    def hang_up(self) -> None:
        """End every connection, and wait for their threads, at most a second."""
        self.stopping.set()
        with self._changed:
            for connection in self._open:
                _shut(connection)
            self._changed.wait_for(lambda: not self._open, STOP_TIMEOUT)


class Server:
    """A gateway that listens on a host's port, 0 = a free one. `clock` gives Unix seconds.

    Use it as a context manager, or call `start` and `stop`. It raises StartError when the address cannot be had.
    """

    def __init__(self, gateway: Gateway, host: str, port: int, clock: Callable[[], float]) -> None:
        try:
            self._listener = _Listener(gateway, host, port, clock)
        except (OSError, OverflowError) as error:
            raise StartError(f"The simulator cannot listen on {host}:{port}: {error}.") from error
        self._thread = threading.Thread(
            target=self._listener.serve_forever, args=(POLL_INTERVAL,), name="simulator", daemon=True
        )

    @property
    def url(self) -> str:
        """Where it is, without a slash at its end."""
        host, port = self._listener.server_address[:2]
        name = host if isinstance(host, str) else host.decode()
        return f"http://[{name}]:{port}" if ":" in name else f"http://{name}:{port}"

    @property
    def errors(self) -> int:
        """How many connections ended by a fault of the simulator itself."""
        return self._listener.errors

    def start(self) -> None:
        """Begin to answer."""
        self._thread.start()

    def stop(self) -> None:
        """Stop answering and close every connection, within about a second."""
        if self._thread.is_alive():
            self._listener.shutdown()
            self._thread.join()
        self._listener.hang_up()
        self._listener.server_close()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def _shut(connection: socket.socket) -> None:
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        log.debug("A connection was closed already.")
