"""Rows that are added, or take the place of those with the same key, in the words of the engine at hand."""

from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

if TYPE_CHECKING:
    from sqlalchemy.dialects import postgresql, sqlite

    Insert = sqlite.Insert | postgresql.Insert

DIALECTS = {"sqlite": "sqlalchemy.dialects.sqlite", "postgresql": "sqlalchemy.dialects.postgresql"}
"""Engines that know what a conflict of keys is, in one way of saying; only the one at hand is imported."""

Rows = list[dict[str, Any]]


def upsert(connection: Connection, table: sa.Table, rows: Rows) -> None:
    """Write the rows, each of which names every column."""
    if rows:
        connection.execute(replacing(table, connection.dialect.name), rows)


def add_new(connection: Connection, table: sa.Table, rows: Rows) -> None:
    """Write the rows whose key is not there yet."""
    if rows:
        connection.execute(keeping(table, connection.dialect.name), rows)


@cache
def replacing(table: sa.Table, dialect: str) -> "Insert":
    """The same for every write of a table; to build it takes longer than to execute it."""
    keys = [column.name for column in table.primary_key]
    statement = _insert(table, dialect)
    changed = {column.name: statement.excluded[column.name] for column in table.c if column.name not in keys}
    return statement.on_conflict_do_update(index_elements=keys, set_=changed)


@cache
def keeping(table: sa.Table, dialect: str) -> "Insert":
    """As `replacing`, but what is there stays."""
    return _insert(table, dialect).on_conflict_do_nothing()


def _insert(table: sa.Table, dialect: str) -> "Insert":
    """An insert that can say what becomes of a key that is there already; KeyError for a third engine."""
    insert: Insert = import_module(DIALECTS[dialect]).insert(table)
    return insert
