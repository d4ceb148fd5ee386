"""Rows that are added, or take the place of those with the same key."""

from functools import cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.sqlite import Insert, insert
from sqlalchemy.engine import Connection


def upsert(connection: Connection, table: sa.Table, rows: list[dict[str, Any]]) -> None:
    """Write the rows, each of which names every column."""
    if rows:
        connection.execute(_statement(table), rows)


@cache
def _statement(table: sa.Table) -> Insert:
    """The same for every write of a table; to build it takes longer than to execute it."""
    keys = [column.name for column in table.primary_key]
    statement = insert(table)
    changed = {column.name: statement.excluded[column.name] for column in table.c if column.name not in keys}
    return statement.on_conflict_do_update(index_elements=keys, set_=changed)
