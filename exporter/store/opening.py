"""Opening the state: the file or the server that `state.url` names."""

from collections.abc import Callable
from importlib import import_module
from typing import Protocol

from sqlalchemy.engine import Engine

from exporter.config.fields import StateUrl
from exporter.errors import StartError
from exporter.store.lock import StateLock
from exporter.store.sqlite import open_file


class Hold(Protocol):
    """What one process alone has of a state."""

    def try_it(self) -> bool:
        """Whether it is ours by now; StartError when a server cannot be reached."""
        ...

    def acquire(self, wait: Callable[[], bool]) -> bool:
        """Try until it is ours; `wait` is called between two tries and says whether to go on."""
        ...

    def release(self) -> None:
        """Let the next process in."""
        ...

    def open(self) -> Engine:
        """Connect, and bring the state to this release's tables; StartError says why it cannot be used."""
        ...

    @property
    def lost(self) -> bool:
        """Whether another process has it by now."""
        ...

    @property
    def proved(self) -> bool:
        """Whether it surely is this process's at this moment."""
        ...

    @property
    def patience(self) -> float:
        """Seconds, from when it was opened, for which the process before may yet believe to have it."""
        ...


class FileHold(StateLock):
    """A SQLite file's, or that of a state in memory, which needs none. OSError when the lock cannot be had."""

    lost, proved, patience = False, True, 0.0

    def __init__(self, url: StateUrl) -> None:
        super().__init__(url.path)
        self._url = url.whole

    def open(self) -> Engine:
        """The file stays untouched when it cannot be used."""
        return open_file(self._url)


def hold_of(url: StateUrl) -> Hold:
    """Not acquired yet. OSError when a file's lock cannot be had, StartError without the driver of a server."""
    if not url.is_shared:
        return FileHold(url)
    try:
        module = import_module("exporter.store.postgresql")
    except ImportError as error:
        raise StartError("state.url: PostgreSQL needs a driver: pip install 'webcast-exporter[postgresql]'") from error
    session: Hold = module.Session(url)
    return session


def open_engine(url: str) -> Engine:
    """A SQLite state that is held already, or that nobody else has."""
    return open_file(url)
