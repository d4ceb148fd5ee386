"""A state in a SQLite file, or in memory."""

import sqlite3
from contextlib import suppress
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.engine import URL, Connection, Engine
from sqlalchemy.exc import DatabaseError, OperationalError
from sqlalchemy.pool import NullPool, StaticPool

from exporter.errors import StartError
from exporter.store.migration import columns_of, copy_before
from exporter.store.preparing import is_ours, prepare
from exporter.store.schema import SCHEMA_VERSION

PREFIX = "sqlite:///"
HEADER = b"SQLite format 3\0"
NO_DATABASE = "is no SQLite database; point state.url at another file"
LOCK_WAIT = 0.25
"""Seconds a write waits for another connection's; a longer one is counted as failed and tried again later."""


def open_file(url: str) -> Engine:
    """One connection for all threads: the ledger has one writer at a time, and SQLite would have it so anyway."""
    # The path as it is written: the lock beside it is taken by that name, and releases of SQLAlchemy read a % apart.
    database = url[len(PREFIX) :]
    name = f"state {database or 'in memory'}"
    engine = sa.create_engine(
        URL.create("sqlite", database=database or None),
        poolclass=StaticPool,
        connect_args={"check_same_thread": False, "timeout": LOCK_WAIT, "isolation_level": None},
    )
    event.listen(engine, "connect", _set_up)
    event.listen(engine, "begin", _begin)
    try:
        if database:
            _look_at(Path(database), name)
        with engine.begin() as connection:
            prepare(connection, name, lambda: copy_before(Path(database), SCHEMA_VERSION) if database else None)
    except DatabaseError as error:
        engine.dispose()
        raise StartError(f"{name}: {_sentence(error, Path(database))}") from error
    except StartError:
        engine.dispose()
        raise
    return engine


def _set_up(connection: sqlite3.Connection, _record: object) -> None:
    connection.execute("PRAGMA journal_mode=WAL")
    # In WAL, NORMAL loses nothing to a killed process, and at most the last moments to a power cut.
    connection.execute("PRAGMA synchronous=NORMAL")


def _begin(connection: Connection) -> None:
    """The driver would begin only before a row is changed, and leave tables half made to whoever comes next."""
    connection.exec_driver_sql("BEGIN")


def _look_at(path: Path, name: str) -> None:
    """Refuse what is not ours before a connection that may write so much as folds a write-ahead log into it.

    A file that can only be read after a repair is not refused here.
    """
    if path.is_file() and _head(path) not in (b"", HEADER):  # SQLite takes a very short file for a new one
        raise StartError(f"{name}: {NO_DATABASE}")
    uri = f"{path.absolute().as_uri()}?mode=ro"
    reader = sa.create_engine("sqlite://", creator=lambda: sqlite3.connect(uri, uri=True), poolclass=NullPool)
    with suppress(OperationalError), reader.connect() as connection:
        is_ours(connection, columns_of(connection), name)


def _head(path: Path) -> bytes:
    with suppress(OSError), path.open("rb") as file:
        return file.read(len(HEADER))
    return b""


def _sentence(error: DatabaseError, path: Path) -> str:
    cause = str(error.orig)
    if "not a database" in cause:
        return NO_DATABASE
    if "unable to open" in cause:
        return f"cannot be opened; is {path.parent} a folder this user may write to?"
    return f"cannot be used: {cause}"
