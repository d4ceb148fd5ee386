"""A state in a PostgreSQL: the one session that writes is the one that holds the lock.

A process that is stopped, cut off or dead loses the lock within LEASE, because the server ends a session that is
silent. It finds out by the clock alone: what it has not proved for LEASE it takes for lost, and slows down. Whoever has
the lock next waits for as long before it reads, unless the one before has resigned.
"""

from collections.abc import Callable
from contextlib import suppress
from time import monotonic
from typing import Any, Final

import psycopg
import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import StaticPool

from exporter.config.fields import StateUrl
from exporter.errors import StartError
from exporter.store.bounds import BOUNDS, LEASE
from exporter.store.preparing import prepare
from exporter.store.schema import META

LOCK: Final = 0x57656243617374
"""The advisory lock of a database's one writer: "WebCast"."""
HANDOVER: Final = 1.05
"""Seconds that a call of the process before counts for."""
SILENCE: Final = (
    f"SET idle_session_timeout = {1000 * LEASE:.0f}; SET idle_in_transaction_session_timeout = {1000 * LEASE:.0f}"
)


class Session:
    """This process's session on the server. Nothing is written without the lock, for it is that of the writing session.

    A session that breaks off is made anew with the next write, if the lock can be had and no other process had it
    meanwhile; else the state is `lost`, and every write fails.
    """

    def __init__(self, url: StateUrl, clock: Callable[[], float] = monotonic) -> None:
        self._url = sa.URL.create(**url.parts)
        self._name = f"state {url}"
        self._clock = clock
        self._connection: psycopg.Connection[Any] | None = None
        self._term: int | None = None
        self._asked = self._proved = 0.0
        self.patience = 0.0
        self.lost = False

    def try_it(self) -> bool:
        """Whether the lock is ours by now; StartError when the server cannot be reached or refuses."""
        try:
            if self._connection is not None:
                with suppress(psycopg.Error):  # it was silent for too long, or the server has started again
                    return self._lock(self._connection)
                self.release()
            self._connection = self._connect()
            return self._lock(self._connection)
        except psycopg.Error as error:
            self.release()
            raise StartError(f"{self._name}: {_sentence(error)}") from error

    def acquire(self, wait: Callable[[], bool]) -> bool:
        """Try until the lock is ours; StartError as `try_it`."""
        while not self.try_it():
            if not wait():
                return False
        return True

    def release(self) -> None:
        """End the session, and with it the lock."""
        if self._connection is not None:
            with suppress(psycopg.Error):
                self._connection.close()
            self._connection = None

    def open(self) -> Engine:
        """Every connection of this engine has the lock; StartError says why the database cannot be used.

        `patience` is then how many seconds the process that had the state before may yet believe to have it.
        """
        engine = sa.create_engine(self._url, creator=self._locked, poolclass=StaticPool)
        event.listen(engine, "begin", self._ask)
        event.listen(engine, "commit", self._prove)
        try:
            with engine.begin() as connection:
                prepare(connection, self._name, lambda: None)  # a server has backups of its own
                self.patience = _patience(connection)
                self._term = _next_term(connection)
        except SQLAlchemyError as error:
            engine.dispose()
            cause = getattr(error, "orig", None)
            raise StartError(f"{self._name}: {_sentence(cause) if cause else type(error).__name__}") from error
        except StartError:
            engine.dispose()
            raise
        return engine

    @property
    def proved(self) -> bool:
        """Whether the lock was ours within LEASE. By the clock: a process that was stopped knows at once."""
        return self._clock() < self._proved + LEASE

    def _ask(self, _connection: Connection) -> None:
        self._asked = self._clock()

    def _prove(self, _connection: Connection) -> None:
        self._proved = self._asked

    def _locked(self) -> psycopg.Connection[Any]:
        """The session that was acquired or, if that has ended, another one with the lock."""
        acquired, self._connection = self._connection, None
        if acquired is not None and not acquired.closed:
            acquired.autocommit = False
            return acquired
        made = self._connect()
        if self._lock(made) and self._nobody_had_it(made):
            made.autocommit = False
            return made
        made.close()
        self.lost = True
        raise psycopg.OperationalError("another process has the state")

    def _connect(self) -> psycopg.Connection[Any]:
        given = self._url.get_dialect()().create_connect_args(self._url)[1]
        arguments: dict[str, Any] = {**BOUNDS, **given}
        connection = psycopg.connect(**arguments, autocommit=True)
        connection.execute(SILENCE.encode())
        return connection

    def _lock(self, connection: psycopg.Connection[Any]) -> bool:
        row: tuple[Any, ...] | None = connection.execute("SELECT pg_try_advisory_lock(%s)", (LOCK,)).fetchone()
        return row == (True,)

    def _nobody_had_it(self, connection: psycopg.Connection[Any]) -> bool:
        """Since this process opened it."""
        terms: list[tuple[Any, ...]] = connection.execute("SELECT term FROM meta").fetchall()
        return terms == [(self._term,)]


def _patience(connection: Connection) -> float:
    """After a term that ended in good order its last second alone counts: the budget is that of any second."""
    term, resigned = connection.execute(sa.select(META.c.term, META.c.resigned)).one()
    if term is None:
        return 0.0
    return HANDOVER if term == resigned else LEASE


def _next_term(connection: Connection) -> int:
    """Whoever opens the state begins a term; a session that was away sees by it whether another had the state."""
    term = sa.func.coalesce(META.c.term, 0) + 1
    number: int = connection.execute(META.update().values(term=term).returning(META.c.term)).scalar_one()
    return number


def _sentence(error: BaseException) -> str:
    """The server's words on one line; libpq names host, port and user in them, never a password."""
    return f"cannot be used: {' '.join(str(error).split())}"
