"""A loopback server for raw connections, and ways in which it can answer."""

import contextlib
import socket
import struct
import threading
from collections.abc import Callable

Answer = Callable[[socket.socket], None]
TASK = b'{"Result": {"WebCastTask": {"Status": 2, "StartTime": 1768465000000}}}'


class LoopbackServer:
    """Listens at a free port. `serve` handles a connection; without it each request gets `answer` and is kept."""

    def __init__(self, serve: Answer | None = None) -> None:
        self.answer: Answer = reply()
        self.heads: list[str] = []
        self.connections: list[socket.socket] = []
        self.accepted, self.arrived, self.stopped = threading.Event(), threading.Event(), threading.Event()
        self._serve = serve or self._answer_all
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                self.connections.append(connection)
                self.accepted.set()
                threading.Thread(target=self._run, args=(connection,), daemon=True).start()

    def _run(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError):
            self._serve(connection)

    def _answer_all(self, connection: socket.socket) -> None:
        while head := request_of(connection):
            self.heads.append(head.decode("latin-1").removesuffix("\r\n\r\n"))
            self.arrived.set()
            self.answer(connection)

    def drip(self, start: bytes, drop: bytes) -> Answer:
        """Send the start, then a drop now and then without end."""

        def send(connection: socket.socket) -> None:
            connection.sendall(start)
            while not self.stopped.wait(0.02):
                connection.sendall(drop)

        return send

    def close(self) -> None:
        """End everything."""
        self.stopped.set()
        for each in (self._listener, *self.connections):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()


def request_of(connection: socket.socket) -> bytes:
    """The next request's head; empty when the connection ends."""
    data = b""
    while not data.endswith(b"\r\n\r\n"):
        received = connection.recv(65536)
        if not received:
            return b""
        data += received
    return data


def reply(body: bytes = TASK, status: str = "200 OK", headers: str = "") -> Answer:
    """Answer so, and keep the connection."""
    head = f"HTTP/1.1 {status}\r\n{headers}Content-Length: {len(body)}\r\n\r\n".encode()
    return lambda connection: connection.sendall(head + body)


def raw(data: bytes) -> Answer:
    """Send just this, then close."""

    def send(connection: socket.socket) -> None:
        connection.sendall(data)
        connection.shutdown(socket.SHUT_RDWR)

    return send


def reset(connection: socket.socket) -> None:
    """Close with a TCP reset."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def swallow(connection: socket.socket) -> None:
    """Take every byte and answer none."""
    while connection.recv(65536):
        pass


def silence(_connection: socket.socket) -> None:
    """Say nothing, and keep the connection."""
