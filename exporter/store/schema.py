"""Tables of the state, and how a database is prepared.

A database without tables gets them, one that is not ours is refused, and an older state gets what it lacks.

A release that only adds tables, indexes, or columns that are nullable or have a default leaves SCHEMA_VERSION as it is,
so that the release before it can still read the state. The number rises when that is no longer possible.
"""

import shutil
import sqlite3
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy import Boolean, Column, Float, Integer, String, Table, Text
from sqlalchemy.engine import Connection
from sqlalchemy.schema import CreateColumn

from exporter.errors import StartError

SCHEMA_VERSION = 1

METADATA = sa.MetaData()

META = Table(
    "meta",
    METADATA,
    Column("schema_version", Integer, nullable=False),
    Column("term", Integer),  # fencing token: how often the lease of a state on a server changed hands
    Column("resigned", Integer),  # the latest token whose holder released it
    Column("holder", String(64)),  # the process that has the lease; null before this column existed
    Column("expires_at", Float),  # when the lease ends, Unix seconds by the server's clock
)

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
    Column("page_refreshes", Integer, nullable=False, server_default="0"),
    Column("page_reschedules", Integer, nullable=False, server_default="0"),
    Column("page_latest", Text),  # the latest page event of each kind as JSON: [[action, reason, time], ...]
    Column("labels", Text),  # once it has ended: its target's info labels then, a JSON object of texts
    Column("earlier_ends", Text),  # EndTimes of the target's earlier runs, separated by spaces
    Column("abandoned", Boolean),  # true once it was counted as an end unseen
    Column("previous", Text),  # the run before it as JSON, while that one is not counted yet
    sa.Index("runs_by_end", "end_seen"),
)

COUNTERS = Table(
    "totals",
    METADATA,
    Column("total", String(64), primary_key=True),
    Column("app_id", String(128), primary_key=True),
    Column("label", String(64), primary_key=True),
    Column("bucket", String(16), primary_key=True),
    Column("value", Float, nullable=False),
)

STORED_TARGETS = Table(
    "pushed_targets",
    METADATA,
    Column("source", String(16), primary_key=True),
    Column("app_id", String(128), primary_key=True),
    Column("room_id", String(128), primary_key=True),
    Column("task_id", String(128), primary_key=True),
    Column("labels", Text, nullable=False),  # a JSON object of texts, the two expected times among them
    Column("renewed_at", Float, nullable=False),  # when it was last named; of a drained one: until when it is read
)

RECEIPTS = Table(
    "heard_callbacks",
    METADATA,
    Column("app_id", String(128), primary_key=True),
    Column("event_id", String(256), primary_key=True),
    Column("heard_at", Float, nullable=False),
    sa.Index("heard_by_time", "heard_at"),
)

STANDBY_QUEUE = Table(
    "inbox",  # what standbys accepted for the leader, until the leader has applied it
    METADATA,
    Column("number", Integer, primary_key=True),
    Column("kind", String(16), nullable=False),
    Column("body", Text, nullable=False),
    Column("at", Float, nullable=False),
)

ADDED_TABLES = (STORED_TARGETS, RECEIPTS, STANDBY_QUEUE)
ADDED_COLUMNS = (
    META.c.term,
    META.c.resigned,
    META.c.holder,
    META.c.expires_at,
    RUNS.c.page_refreshes,
    RUNS.c.page_reschedules,
    RUNS.c.page_latest,
    RUNS.c.labels,
    RUNS.c.earlier_ends,
    RUNS.c.abandoned,
    RUNS.c.previous,
)
"""What a state of schema 1 may lack; opening it adds them."""


ELSEWHERE = "point state.url elsewhere"

Columns = Mapping[str, set[str]]
"""The columns of each table that exists."""


def prepare(connection: Connection, name: str, copy: Callable[[], None]) -> None:
    """Create or migrate the tables in the open transaction; StartError when the database cannot be used.

    `copy` is called before existing tables change.
    """
    columns = columns_of(connection)
    if not is_ours(connection, columns, name):
        METADATA.create_all(connection)
        connection.execute(META.insert().values(schema_version=SCHEMA_VERSION))
        return
    if _lacks_something(columns):
        copy()
        _add_missing(connection, columns)
    # Changes nothing, but fails at the start rather than at the first end of a run if the state cannot be written.
    connection.execute(META.update().values(schema_version=SCHEMA_VERSION))


def is_ours(connection: Connection, columns: Columns, name: str) -> bool:
    """Whether this release can read the database, False when it is empty; StartError when it is neither."""
    if not columns:
        return False
    version = _version(connection) if META.c.schema_version.name in columns.get(META.name, set()) else None
    if version is not None and version > SCHEMA_VERSION:
        raise StartError(
            f"{name} has schema {version} and this release reads up to {SCHEMA_VERSION}: "
            f"run the release that wrote it, or {ELSEWHERE}"
        )
    if version is None or not _has_required_columns(columns):
        raise StartError(f"{name} is another program's database; {ELSEWHERE}")
    return True


def columns_of(connection: Connection) -> Columns:
    """The tables of a database and their columns."""
    inspector = sa.inspect(connection)
    return {table: {column["name"] for column in inspector.get_columns(table)} for table in inspector.get_table_names()}


def _add_missing(connection: Connection, columns: Columns) -> None:
    """Add missing tables and columns in the open transaction."""
    METADATA.create_all(connection, tables=ADDED_TABLES)
    for column in _missing_columns(columns):
        table = connection.dialect.identifier_preparer.format_table(column.table)
        connection.exec_driver_sql(f"ALTER TABLE {table} ADD COLUMN {CreateColumn(column).compile(connection)}")


def copy_before(path: Path, version: int) -> None:
    """Copy a SQLite state, its write-ahead log included, to FILE.schema-VERSION; StartError when that fails."""
    whole, part = path.with_name(f"{path.name}.schema-{version}"), path.with_name(f"{path.name}.schema-{version}.part")
    try:
        part.unlink(missing_ok=True)
        with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(part)) as copy:
            source.backup(copy)
        shutil.copymode(path, part)
        part.replace(whole)
    except (OSError, sqlite3.Error) as error:
        raise StartError(
            f"state {path}: cannot be copied to {whole.name} before it is migrated; is there room?"
        ) from error


def _lacks_something(columns: Columns) -> bool:
    return any(table.name not in columns for table in ADDED_TABLES) or bool(_missing_columns(columns))


def _missing_columns(columns: Columns) -> list[sa.Column[object]]:
    return [column for column in ADDED_COLUMNS if column.name not in columns[column.table.name]]


def _has_required_columns(columns: Columns) -> bool:
    """Whether all of the first release's columns exist, and each later table has all of its own or is absent."""
    added = {(column.table.name, column.name) for column in ADDED_COLUMNS}
    present = [table for table in METADATA.sorted_tables if table not in ADDED_TABLES or table.name in columns]
    needed = {(table.name, column.name) for table in present for column in table.c} - added
    return needed <= {(table, column) for table, names in columns.items() for column in names}


def _version(connection: Connection) -> int | None:
    versions = connection.execute(sa.select(META.c.schema_version)).scalars().all()
    return versions[0] if len(versions) == 1 and isinstance(versions[0], int) else None
