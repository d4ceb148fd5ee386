"""A relay from a loopback port to a server, which can swallow what is sent while its kernel acknowledges."""

import contextlib
import socket
from pathlib import Path
from threading import Event, Thread

CHUNK = 65536
LOOK = 0.1


class Relay:
    """Relays until it is closed; `server` is a socket's path or a loopback port.

    While `silent` it reads from both sides and passes nothing on. Of each piece of an answer at most `most` bytes are
    passed on.
    """

    def __init__(self, server: Path | int) -> None:
        self.silent = False
        self.most: int | None = None
        self._server = server
        self._over = Event()
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        self._kept: set[socket.socket] = set()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(LOOK)
        self.port: int = self._listener.getsockname()[1]
        Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        """Break every connection on the client's side; the server's halves stay open, as behind a NAT that forgets."""
        for client, server in self._pairs:
            self._kept.add(server)
            with contextlib.suppress(OSError):
                client.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """End it, and every connection."""
        self._over.set()
        self._listener.close()
        for server in self._kept:
            server.close()

    def _accept(self) -> None:
        while not self._over.is_set():
            try:
                client, _ = self._listener.accept()
            except TimeoutError:
                continue
            except OSError:
                return
            if isinstance(self._server, Path):
                server = socket.socket(socket.AF_UNIX)
                server.connect(str(self._server))
            else:
                server = socket.create_connection(("127.0.0.1", self._server))
            self._pairs.append((client, server))
            for source, sink in ((client, server), (server, client)):
                source.settimeout(LOOK)
                Thread(target=self._pass_on, args=(source, sink, source is server), daemon=True).start()

    def _pass_on(self, source: socket.socket, sink: socket.socket, answers: bool) -> None:  # noqa: FBT001 - which way
        with contextlib.suppress(OSError):
            while not self._over.is_set():
                try:
                    data = source.recv(CHUNK)
                except TimeoutError:
                    continue
                if not data:
                    break
                if not self.silent:
                    sink.sendall(data[: self.most] if answers else data)
        while self.silent and not self._over.wait(LOOK):
            pass  # an end that was passed on would be an answer
        for each in {source, sink} - self._kept:
            each.close()
