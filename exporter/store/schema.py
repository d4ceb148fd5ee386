"""Tables of the state, what was added since schema 1, and the two ways in which rows are written.

A release that only adds tables, indexes, or columns that are nullable or have a default leaves SCHEMA_VERSION as it is,
so that the release before it can still read the state. The number rises when that is no longer possible.
"""

from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy import Boolean, Column, Float, Integer, String, Table, Text
from sqlalchemy.engine import Connection

if TYPE_CHECKING:
    from sqlalchemy.dialects import postgresql, sqlite

    Insert = sqlite.Insert | postgresql.Insert

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

DIALECTS = {"sqlite": "sqlalchemy.dialects.sqlite", "postgresql": "sqlalchemy.dialects.postgresql"}
"""Only the dialect in use is imported."""

ROWS_AT_A_TIME = 1000
"""A server ends a transaction in which it hears nothing for long."""

Rows = list[dict[str, Any]]


def upsert(connection: Connection, table: Table, rows: Rows) -> None:
    """Insert rows, replacing those with the same key; each row names every column."""
    for first in range(0, len(rows), ROWS_AT_A_TIME):
        connection.execute(_replacing(table, connection.dialect.name), rows[first : first + ROWS_AT_A_TIME])


def insert_new(connection: Connection, table: Table, rows: Rows) -> None:
    """Insert the rows whose key does not exist yet."""
    if rows:
        connection.execute(_keeping(table, connection.dialect.name), rows)


@cache
def _replacing(table: Table, dialect: str) -> "Insert":
    """Cached because building the statement takes longer than executing it."""
    keys = [column.name for column in table.primary_key]
    statement = _insert(table, dialect)
    changed = {column.name: statement.excluded[column.name] for column in table.c if column.name not in keys}
    return statement.on_conflict_do_update(index_elements=keys, set_=changed)


@cache
def _keeping(table: Table, dialect: str) -> "Insert":
    return _insert(table, dialect).on_conflict_do_nothing()


def _insert(table: Table, dialect: str) -> "Insert":
    insert: Insert = import_module(DIALECTS[dialect]).insert(table)
    return insert
