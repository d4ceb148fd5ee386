"""A state in a PostgreSQL: the one session that writes is the one that holds the lock."""

import logging
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

import psycopg
import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine, make_url
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import StaticPool

from exporter.config.state import StateUrl
from exporter.errors import StartError
from exporter.ledger.preparing import prepare
from exporter.ledger.schema import META

log = logging.getLogger(__name__)

LOCK: Final = 0x57656243617374
"""The advisory lock of a database's one writer: "WebCast"."""

BOUNDS: Final = {
    "connect_timeout": 3,
    "tcp_user_timeout": 3000,
    "keepalives_idle": 2,
    "keepalives_interval": 1,
    "keepalives_count": 3,
    "options": "-c statement_timeout=5000 -c lock_timeout=1000",
    "application_name": "webcast-exporter",
}
"""A server that does not answer must not hold a read up for long; a URL may say otherwise."""


class Session:
    """This process's session on the server. Nothing is written without the lock, for it is that of the writing session.

    A session that breaks off is made anew with the next write, if the lock can be had and no other process had it
    meanwhile; else the state is `lost`, and every write fails.
    """

    def __init__(self, url: StateUrl) -> None:
        self._url = make_url(url.whole)
        self._name = f"state {url}"
        self._connection: psycopg.Connection[Any] | None = None
        self._term: int | None = None
        self.lost = False

    def acquire(self, wait: Callable[[], bool]) -> bool:
        """Connect and try until the lock is ours; StartError when the server cannot be reached or refuses."""
        while True:
            try:
                self._connection = self._connect()
            except psycopg.Error as error:
                raise StartError(f"{self._name}: {_sentence(error)}") from error
            if self._connection is not None:
                return True
            if not wait():
                return False

    def release(self) -> None:
        """End the session, and with it the lock."""
        if self._connection is not None:
            with suppress(psycopg.Error):
                self._connection.close()

    def open(self) -> Engine:
        """Every connection of this engine has the lock; StartError says why the database cannot be used."""
        engine = sa.create_engine(self._url, creator=self._locked, poolclass=StaticPool)
        try:
            with engine.begin() as connection:
                prepare(connection, self._name, lambda: None)  # a server has backups of its own
                self._term = _next_term(connection)
        except SQLAlchemyError as error:
            engine.dispose()
            cause = getattr(error, "orig", None)
            raise StartError(f"{self._name}: {_sentence(cause) if cause else type(error).__name__}") from error
        except StartError:
            engine.dispose()
            raise
        return engine

    def _locked(self) -> psycopg.Connection[Any]:
        """The session that was acquired or, if that has ended, another one with the lock."""
        acquired, self._connection = self._connection, None
        if acquired is not None and not acquired.closed:
            return acquired
        made = self._connect()
        if made is not None and self._nobody_had_it(made):
            return made
        self.lost = True
        raise psycopg.OperationalError("another process has the state")

    def _connect(self) -> psycopg.Connection[Any] | None:
        """A session with the lock; None while another has it."""
        arguments = {**BOUNDS, **self._dialect_arguments()}
        connection = psycopg.connect(**arguments, autocommit=True)
        try:
            row = connection.execute("SELECT pg_try_advisory_lock(%s)", (LOCK,)).fetchone()
            if row == (True,):
                connection.autocommit = False
                return connection
        except BaseException:
            connection.close()
            raise
        connection.close()
        return None

    def _dialect_arguments(self) -> dict[str, Any]:
        dialect = self._url.get_dialect()()
        return dict(dialect.create_connect_args(self._url)[1])

    def _nobody_had_it(self, connection: psycopg.Connection[Any]) -> bool:
        """Since this process opened it; else the connection is closed."""
        terms = connection.execute("SELECT term FROM meta").fetchall()
        connection.rollback()
        if terms != [(self._term,)]:
            connection.close()
        return not connection.closed


def _next_term(connection: Connection) -> int:
    """Whoever opens the state begins a term; a session that was away sees by it whether another had the state."""
    term = sa.func.coalesce(META.c.term, 0) + 1
    number: int = connection.execute(META.update().values(term=term).returning(META.c.term)).scalar_one()
    return number


def _sentence(error: BaseException) -> str:
    """The server's words on one line; libpq names host, port and user in them, never a password."""
    return f"cannot be used: {' '.join(str(error).split())}"
