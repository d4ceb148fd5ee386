"""The gateway on a port."""

import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self

from exporter.errors import StartError
from exporter.simulator.certificates import Certificates
from exporter.simulator.gateway import Gateway
from exporter.simulator.listener import Listener


class Server:
    """A gateway that listens on a host's port, 0 = a free one. `clock` gives Unix seconds; with certificates, HTTPS.

    Use it as a context manager, or call `start` and `stop`. It raises StartError when the address cannot be had.
    """

    def __init__(
        self,
        gateway: Gateway,
        host: str,
        port: int,
        clock: Callable[[], float],
        certificates: Certificates | None = None,
    ) -> None:
        gateway.tls = certificates is not None
        self._scheme = "https" if gateway.tls else "http"
        try:
            self._listener = Listener(gateway, host, port, clock, certificates)
        except (OSError, OverflowError) as error:
            raise StartError(f"The simulator cannot listen on {host}:{port}: {error}.") from error
        self._thread = threading.Thread(target=self._listener.serve, name="simulator", daemon=True)

    @property
    def url(self) -> str:
        """Where it is, without a slash at its end."""
        host, port = self._listener.server_address[:2]
        name = host if isinstance(host, str) else host.decode()
        return f"{self._scheme}://[{name}]:{port}" if ":" in name else f"{self._scheme}://{name}:{port}"

    @property
    def errors(self) -> int:
        """How many connections ended by a fault of the simulator itself."""
        return self._listener.errors

    def start(self) -> None:
        """Begin to answer."""
        self._thread.start()

    def stop(self) -> None:
        """Stop answering and close every connection, within about a second."""
        self._listener.stopping.set()
        if self._thread.is_alive():
            self._thread.join()
        self._listener.hang_up()
        self._listener.wait()
        self._listener.server_close()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
