"""Rows that are added, or take the place of those with the same key, in the words of the engine at hand."""

from collections.abc import Callable
from functools import cache
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Connection

Rows = list[dict[str, Any]]
Insert = sqlite.Insert | postgresql.Insert

INSERT: Final[dict[str, Callable[[sa.Table], Insert]]] = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}
"""By the dialect's name: the engines whose inserts say what becomes of a key that is there already."""


def upsert(connection: Connection, table: sa.Table, rows: Rows) -> None:
    """Write the rows, each of which names every column."""
    if rows:
        connection.execute(replacing(table, connection.dialect.name), rows)


def add_new(connection: Connection, table: sa.Table, rows: Rows) -> None:
    """Write the rows whose key is not there yet."""
    if rows:
        connection.execute(keeping(table, connection.dialect.name), rows)


@cache
def replacing(table: sa.Table, dialect: str) -> Insert:
    """The same for every write of a table; to build it takes longer than to execute it."""
    keys = [column.name for column in table.primary_key]
    statement = INSERT[dialect](table)
    changed = {column.name: statement.excluded[column.name] for column in table.c if column.name not in keys}
    return statement.on_conflict_do_update(index_elements=keys, set_=changed)


@cache
def keeping(table: sa.Table, dialect: str) -> Insert:
    """As `replacing`, but what is there stays."""
    return INSERT[dialect](table).on_conflict_do_nothing()
