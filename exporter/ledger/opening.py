"""Opening the state: created when new, refused when not ours, brought up to this release's tables otherwise."""

import sqlite3
from contextlib import suppress
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.engine import URL, Connection, Engine
from sqlalchemy.exc import DatabaseError, OperationalError
from sqlalchemy.pool import NullPool, StaticPool

from exporter.errors import StartError
from exporter.ledger.migration import Columns, add, columns_of, copy_before, lacks
from exporter.ledger.schema import ADDED_COLUMNS, ADDED_TABLES, META, METADATA, SCHEMA_VERSION

SQLITE_PREFIX = "sqlite:///"
SQLITE_HEADER = b"SQLite format 3\0"
NO_DATABASE = "is no SQLite database; point state.url at another file"
LOCK_WAIT = 0.25
"""Seconds a write waits for another connection's; a longer one is counted as failed and tried again later."""


def open_engine(url: str) -> Engine:
    """Connect to the state and bring it to this schema; StartError says why it cannot be used, and it stays untouched.

    One connection for all threads: the ledger has one writer at a time, and SQLite would have it so anyway.
    """
    # The path as it is written: the lock beside it is taken by that name, and releases of SQLAlchemy read a % apart.
    database = url[len(SQLITE_PREFIX) :]
    name = database or "in memory"
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
            _prepare(connection, name, database)
    except DatabaseError as error:
        engine.dispose()
        raise StartError(f"state {name}: {_sentence(error, Path(name))}") from error
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
    if path.is_file() and _head(path) not in (b"", SQLITE_HEADER):  # SQLite takes a very short file for a new one
        raise StartError(f"state {name}: {NO_DATABASE}")
    uri = f"{path.absolute().as_uri()}?mode=ro"
    reader = sa.create_engine("sqlite://", creator=lambda: sqlite3.connect(uri, uri=True), poolclass=NullPool)
    with suppress(OperationalError), reader.connect() as connection:
        _is_ours(connection, columns_of(connection), name)


def _head(path: Path) -> bytes:
    with suppress(OSError), path.open("rb") as file:
        return file.read(len(SQLITE_HEADER))
    return b""


def _is_ours(connection: Connection, columns: Columns, name: str) -> bool:
    """Whether this release can read it, False when it is empty; StartError when it is neither."""
    if not columns:
        return False
    version = _version(connection) if META.c.schema_version.name in columns.get(META.name, set()) else None
    if version is not None and version > SCHEMA_VERSION:
        raise StartError(
            f"state {name} has schema {version} and this release reads up to {SCHEMA_VERSION}: "
            "run the release that wrote it, or point state.url at another file"
        )
    if version is None or not _whole(columns):
        raise StartError(f"state {name} is another program's database; point state.url at another file")
    return True


def _whole(columns: Columns) -> bool:
    """Whether everything is there that was there from the beginning, and of each later table all or nothing."""
    added = {(column.table.name, column.name) for column in ADDED_COLUMNS}
    present = [table for table in METADATA.sorted_tables if table not in ADDED_TABLES or table.name in columns]
    needed = {(table.name, column.name) for table in present for column in table.c} - added
    return needed <= {(table, column) for table, names in columns.items() for column in names}


def _version(connection: Connection) -> int | None:
    versions = connection.execute(sa.select(META.c.schema_version)).scalars().all()
    return versions[0] if len(versions) == 1 and isinstance(versions[0], int) else None


def _prepare(connection: Connection, name: str, database: str) -> None:
    columns = columns_of(connection)
    if not _is_ours(connection, columns, name):
        METADATA.create_all(connection)
        connection.execute(META.insert().values(schema_version=SCHEMA_VERSION))
        return
    if lacks(columns):
        if database:
            copy_before(Path(database), SCHEMA_VERSION)
        add(connection, columns)
    # Changes nothing, and fails now rather than at the first end when the file cannot be written.
    connection.execute(META.update().values(schema_version=SCHEMA_VERSION))


def _sentence(error: DatabaseError, path: Path) -> str:
    cause = str(error.orig)
    if "not a database" in cause:
        return NO_DATABASE
    if "unable to open" in cause:
        return f"cannot be opened; is {path.parent} a folder this user may write to?"
    return f"cannot be used: {cause}"
