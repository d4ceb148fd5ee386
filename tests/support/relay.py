"""A relay from a loopback port to a server's socket, which can swallow what is sent while its kernel acknowledges."""

import contextlib
import socket
from pathlib import Path
from threading import Event, Thread

CHUNK = 65536
LOOK = 0.1


class Relay:
    """Relays until it is closed; while `silent` it reads from both sides and passes nothing on."""

    def __init__(self, server: Path) -> None:
        self.silent = False
        self._server = server
        self._over = Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(LOOK)
        self.port: int = self._listener.getsockname()[1]
        Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """End it, and every connection."""
        self._over.set()
        self._listener.close()

    def _accept(self) -> None:
        while not self._over.is_set():
            try:
                client, _ = self._listener.accept()
            except TimeoutError:
                continue
            except OSError:
                return
            server = socket.socket(socket.AF_UNIX)
            server.connect(str(self._server))
            for source, sink in ((client, server), (server, client)):
                source.settimeout(LOOK)
                Thread(target=self._pass_on, args=(source, sink), daemon=True).start()

    def _pass_on(self, source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while not self._over.is_set():
                try:
                    data = source.recv(CHUNK)
                except TimeoutError:
                    continue
                if not data:
                    break
                if not self.silent:
                    sink.sendall(data)
        while self.silent and not self._over.wait(LOOK):
            pass  # an end that was passed on would be an answer
        for each in (source, sink):
            each.close()
