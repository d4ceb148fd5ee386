"""The tables of the state, and opening them: created when new, refused when not ours.

Schema 1. A column (nullable or with a default) or a table that a release only adds leaves SCHEMA_VERSION as it is, so
that the release before it goes on reading; the number rises when that one no longer could, and it then refuses.
"""

import sqlite3
from contextlib import suppress
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy import Column, Float, Integer, String, Table, Text, event
from sqlalchemy.engine import URL, Connection, Engine
from sqlalchemy.exc import DatabaseError, OperationalError
from sqlalchemy.pool import NullPool, StaticPool

from exporter.errors import StartError

SCHEMA_VERSION = 1
SQLITE_PREFIX = "sqlite:///"
SQLITE_HEADER = b"SQLite format 3\0"
NO_DATABASE = "is no SQLite database; point state.url at another file"
LOCK_WAIT = 0.25
"""Seconds a write waits for another connection's; a longer one is counted as failed and tried again later."""

METADATA = sa.MetaData()

META = Table("meta", METADATA, Column("schema_version", Integer, nullable=False))

RUNS = Table(
    "runs",
    METADATA,
    Column("app_id", String(128), primary_key=True),
    Column("room_id", String(128), primary_key=True),
    Column("task_id", String(128), primary_key=True),
    Column("first_seen", Float, primary_key=True),
    Column("start", Float),
    Column("entered", String(64), nullable=False),  # statuses, separated by spaces
    Column("stopped", String(32)),
    Column("end_seen", Float),
    Column("last", Text),  # the last state as JSON, without what may be secret
    Column("earlier", Text, nullable=False),  # StartTimes of the target's earlier runs, separated by spaces
    sa.Index("runs_by_end", "end_seen"),
)

TOTALS = Table(
    "totals",
    METADATA,
    Column("total", String(64), primary_key=True),
    Column("app_id", String(128), primary_key=True),
    Column("label", String(64), primary_key=True),
    Column("bucket", String(16), primary_key=True),
    Column("value", Float, nullable=False),
)

PUSHED_TARGETS = Table(
    "pushed_targets",
    METADATA,
    Column("source", String(16), primary_key=True),
    Column("app_id", String(128), primary_key=True),
    Column("room_id", String(128), primary_key=True),
    Column("task_id", String(128), primary_key=True),
    Column("labels", Text, nullable=False),  # a JSON object of texts, the two expected times among them
    Column("renewed_at", Float, nullable=False),
)

ADDED = (PUSHED_TARGETS,)
"""Tables that a state of schema 1 may be without."""


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
            _prepare(connection, name)
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
        _is_ours(connection, name)


def _head(path: Path) -> bytes:
    with suppress(OSError), path.open("rb") as file:
        return file.read(len(SQLITE_HEADER))
    return b""


def _is_ours(connection: Connection, name: str) -> bool:
    """Whether this release can read it, False when it is empty; StartError when it is neither."""
    columns = _columns(connection)
    if not columns:
        return False
    version = _version(connection) if META.c.schema_version.name in columns.get(META.name, set()) else None
    if version is not None and version > SCHEMA_VERSION:
        raise StartError(
            f"state {name} has schema {version} and this release reads up to {SCHEMA_VERSION}: "
            "run the release that wrote it, or point state.url at another file"
        )
    present = [table for table in METADATA.sorted_tables if table not in ADDED or table.name in columns]
    whole = all(set(table.c.keys()) <= columns.get(table.name, set()) for table in present)
    if version is None or not whole:
        raise StartError(f"state {name} is another program's database; point state.url at another file")
    return True


def _columns(connection: Connection) -> dict[str, set[str]]:
    inspector = sa.inspect(connection)
    tables = inspector.get_table_names()
    return {table: {column["name"] for column in inspector.get_columns(table)} for table in tables}


def _version(connection: Connection) -> int | None:
    versions = connection.execute(sa.select(META.c.schema_version)).scalars().all()
    return versions[0] if len(versions) == 1 and isinstance(versions[0], int) else None


def _prepare(connection: Connection, name: str) -> None:
    if _is_ours(connection, name):
        METADATA.create_all(connection, tables=ADDED)
        # Changes nothing, and fails now rather than at the first end when the file cannot be written.
        connection.execute(META.update().values(schema_version=SCHEMA_VERSION))
    else:
        METADATA.create_all(connection)
        connection.execute(META.insert().values(schema_version=SCHEMA_VERSION))


def _sentence(error: DatabaseError, path: Path) -> str:
    cause = str(error.orig)
    if "not a database" in cause:
        return NO_DATABASE
    if "unable to open" in cause:
        return f"cannot be opened; is {path.parent} a folder this user may write to?"
    return f"cannot be used: {cause}"
