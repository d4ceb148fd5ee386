"""A relay from a loopback port to a server, which can swallow what is sent while its kernel acknowledges."""

import contextlib
import socket
from pathlib import Path
from threading import Event, Thread

CHUNK = 65536


class Relay:
    """Relays until it is closed; `server` is a socket's path or a loopback port.

    While `silent` it reads from both sides and passes nothing on. Of each piece of an answer at most `most` bytes are
    passed on. `passed` is how many pieces clients have sent that were passed on.
    """

    def __init__(self, server: Path | int) -> None:
        self.most: int | None = None
        self.passed = 0
        self._server = server
        self._passes = Event()
        self._passes.set()
        self._over = False
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        self._kept: set[socket.socket] = set()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        Thread(target=self._accept, daemon=True).start()

    @property
    def silent(self) -> bool:
        """Whether it swallows what is sent."""
        return not self._passes.is_set()

    @silent.setter
    def silent(self, silent: bool) -> None:
        (self._passes.clear if silent else self._passes.set)()

    def has_passed(self, pieces: int) -> bool:
        """Whether clients have sent more pieces than that, and they were passed on."""
        return self.passed > pieces

    def cut(self) -> None:
        """Break every connection on the client's side; the server's halves stay open, as behind a NAT that forgets."""
        for client, server in self._pairs:
            self._kept.add(server)
            with contextlib.suppress(OSError):
                client.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """End it, and every connection."""
        self._over = True
        self._kept.clear()
        self._passes.set()
        for each in (self._listener, *(end for pair in self._pairs for end in pair)):
            _end(each)

    def _accept(self) -> None:
        while not self._over:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            if isinstance(self._server, Path):
                server = socket.socket(socket.AF_UNIX)
                server.connect(str(self._server))
            else:
                server = socket.create_connection(("127.0.0.1", self._server))
            self._pairs.append((client, server))
            for source, sink in ((client, server), (server, client)):
                Thread(target=self._pass_on, args=(source, sink, source is server), daemon=True).start()

    def _pass_on(self, source: socket.socket, sink: socket.socket, answers: bool) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(CHUNK):
                if not self.silent:
                    sink.sendall(data[: self.most] if answers else data)
                    self.passed += not answers
        self._passes.wait()  # an end that was passed on would be an answer
        for each in {source, sink} - self._kept:
            _end(each)


def _end(each: socket.socket) -> None:
    """Close a socket, and wake the thread that waits for it."""
    with contextlib.suppress(OSError):
        each.shutdown(socket.SHUT_RDWR)
    each.close()
