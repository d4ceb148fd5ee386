"""Rows that are added, or take the place of those with the same key."""

from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.engine import Connection


def upsert(connection: Connection, table: sa.Table, rows: list[dict[str, Any]]) -> None:
    """Write the rows, each of which names every column."""
    if not rows:
        return
    keys = [column.name for column in table.primary_key]
    statement = insert(table)
    changed = {column.name: statement.excluded[column.name] for column in table.c if column.name not in keys}
    connection.execute(statement.on_conflict_do_update(index_elements=keys, set_=changed), rows)
