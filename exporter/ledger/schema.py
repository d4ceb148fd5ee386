"""The tables of the state, and opening them: created when new, refused when not ours.

Schema 1. A newer release adds columns and tables and raises SCHEMA_VERSION; this one refuses what it cannot read.
"""

from pathlib import Path

import sqlalchemy as sa
from sqlalchemy import Column, Float, Integer, String, Table, Text
from sqlalchemy.engine import Connection, Engine, make_url
from sqlalchemy.exc import DatabaseError
from sqlalchemy.pool import StaticPool

from exporter.errors import StartError

SCHEMA_VERSION = 1
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


def open_engine(url: str) -> Engine:
    """Connect to the state and bring it to this schema; StartError says why it cannot be used, and it stays untouched.

    One connection for all threads: the ledger has one writer at a time, and SQLite would have it so anyway.
    """
    parsed = make_url(url)
    options = {"check_same_thread": False, "timeout": LOCK_WAIT}
    engine = sa.create_engine(parsed, poolclass=StaticPool, connect_args=options)
    name = parsed.database or "in memory"
    try:
        with engine.begin() as connection:
            _prepare(connection, name)
        with engine.connect() as connection:
            connection.exec_driver_sql("PRAGMA journal_mode=WAL")
            # In WAL, NORMAL loses nothing to a killed process, and at most the last moments to a power cut.
            connection.exec_driver_sql("PRAGMA synchronous=NORMAL")
    except DatabaseError as error:
        engine.dispose()
        raise StartError(f"state {name}: {_sentence(error, Path(name))}") from error
    except StartError:
        engine.dispose()
        raise
    return engine


def _prepare(connection: Connection, name: str) -> None:
    tables = sa.inspect(connection).get_table_names()
    if META.name not in tables:
        if tables:
            raise StartError(f"state {name} is another program's database; point state.url at another file")
        METADATA.create_all(connection)
        connection.execute(META.insert().values(schema_version=SCHEMA_VERSION))
        return
    version = connection.execute(sa.select(META.c.schema_version)).scalar_one()
    if version > SCHEMA_VERSION:
        raise StartError(
            f"state {name} has schema {version} and this release reads up to {SCHEMA_VERSION}: "
            "run the release that wrote it, or point state.url at another file"
        )


def _sentence(error: DatabaseError, path: Path) -> str:
    cause = str(error.orig)
    if "not a database" in cause:
        return "is no SQLite database; point state.url at another file"
    if "unable to open" in cause:
        return f"cannot be opened; is {path.parent} a folder this user may write to?"
    return f"cannot be used: {cause}"
