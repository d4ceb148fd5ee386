"""What listens for a gateway: HTTP/1.1 with connections kept alive, a thread for each; with certificates, HTTPS."""

import logging
import socket
import socketserver
import threading
from collections.abc import Callable
from typing import Any

from exporter.simulator.certificates import Certificates
from exporter.simulator.gateway import Gateway
from exporter.simulator.modes import FaultMode
from exporter.simulator.replies import Outcome, Reply
from exporter.simulator.sending import send
from exporter.simulator.wire import BadRequest, Request, read_request, render

log = logging.getLogger(__name__)

IDLE_TIMEOUT = 75.0
STOP_TIMEOUT = 1.0
POLL_INTERVAL = 0.05
QUEUE = 128
HELLO_LIMIT = 16 * 1024
NO_TLS_HERE = Reply(400, {"error": "This port speaks plain HTTP."}, Outcome.REFUSED)


class _Connection(socketserver.StreamRequestHandler):
    disable_nagle_algorithm = True
    timeout = IDLE_TIMEOUT
    server: "Listener"

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
            self.wfile.write(render(reply, self.server.now(), keep_alive=False))
            return False
        if request is None:
            return False
        return self._reply(request)

    def _reply(self, request: Request) -> bool:
        reply = self.server.gateway.answer(request, self.server.clock())
        if reply.delay and self.server.stopping.wait(reply.delay):
            return False
        head_only = request.method == "HEAD"
        raw = render(reply, self.server.now(), keep_alive=request.keep_alive, head_only=head_only)
        return send(self.connection, raw, reply.sending, self.server.stopping) and request.keep_alive


class Listener(socketserver.ThreadingTCPServer):
    """Accepts connections, as far as the fault in force lets it."""

    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = QUEUE
    timeout = POLL_INTERVAL

    def __init__(
        self, gateway: Gateway, host: str, port: int, clock: Callable[[], float], certificates: Certificates | None
    ) -> None:
        self.gateway = gateway
        self.clock = clock
        self.stopping = threading.Event()
        self.errors = 0
        self._tls = {
            mode: certificates.context(stranger=mode is FaultMode.UNKNOWN_CA)
            for mode in (FaultMode.NONE, FaultMode.UNKNOWN_CA)
            if certificates is not None
        }
        self._fault = FaultMode.NONE
        self._open: set[socket.socket] = set()
        self._changed = threading.Condition()
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        super().__init__((host, port), _Connection)

    def server_bind(self) -> None:
        """Ask for a port by its number: Linux would take one that it has chosen itself away while nobody listens."""
        with socket.socket(self.address_family) as first:
            if self.server_address[1] == 0:
                first.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                first.bind(self.server_address)  # held until the other one has it
                self.server_address = first.getsockname()
            super().server_bind()

    def now(self) -> float:
        """The time that an answer tells (Unix seconds)."""
        return self.clock() + self.gateway.faults.clock_ahead

    def serve(self) -> None:
        """Accept until it is stopping."""
        while not self.stopping.is_set():
            self._look_at_fault()
            if self._fault is FaultMode.CONNECTION_REFUSED:
                self.stopping.wait(POLL_INTERVAL)
            else:
                self.handle_request()

    def process_request(self, request: Any, client_address: Any) -> None:
        """Begin to serve a connection."""
        with self._changed:
            self._open.add(request)
        super().process_request(request, client_address)

    def finish_request(self, request: Any, client_address: Any) -> None:
        """Serve a connection, on its thread."""
        if not self._tls:
            super().finish_request(request, client_address)
            return
        request.settimeout(IDLE_TIMEOUT)
        try:
            if self._fault is FaultMode.NO_TLS:
                request.recv(HELLO_LIMIT)
                request.sendall(render(NO_TLS_HERE, self.now(), keep_alive=False))
                return
            request.getpeername()  # of a caller who has gone wrap_socket would leave a socket behind
            context = self._tls.get(self._fault) or self._tls[FaultMode.NONE]
            secured = context.wrap_socket(request, server_side=True)
        except OSError:
            log.debug("A connection broke off before its first request.")
            return
        with self._changed:
            self._open.add(secured)
        try:
            super().finish_request(secured, client_address)
        finally:
            self.shutdown_request(secured)

    def shutdown_request(self, request: Any) -> None:
        """End a connection."""
        super().shutdown_request(request)
        with self._changed:
            self._open.discard(request)
            self._changed.notify_all()

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002 - socketserver's signature
        """Count what nobody foresaw."""
        with self._changed:
            self.errors += 1
        log.exception("A connection of the simulator failed.")  # noqa: LOG004 - called while it is handled

    def hang_up(self) -> None:
        """End every connection."""
        with self._changed:
            for connection in self._open:
                _shut(connection)

    def wait(self) -> None:
        """Wait for the threads of all connections, at most a second."""
        with self._changed:
            self._changed.wait_for(lambda: not self._open, STOP_TIMEOUT)

    def _look_at_fault(self) -> None:
        """A fault at the door is met by connections that are already there, too."""
        faults = self.gateway.faults
        faults.look(self.clock())
        if (fault := faults.at_the_door) is self._fault:
            return
        refused = FaultMode.CONNECTION_REFUSED
        if fault is refused:
            self.socket.shutdown(socket.SHUT_RDWR)  # it keeps the port, but listens no more
        elif self._fault is refused:
            self.socket.listen(QUEUE)
        self._fault = fault
        self.hang_up()


def _shut(connection: socket.socket) -> None:
    try:
        socket.socket.shutdown(connection, socket.SHUT_RDWR)  # TLS's own would fail the thread that reads
    except OSError:
        log.debug("A connection was closed already.")
