"""A database that was connected to: made when empty, refused when not ours, brought up to this release's tables."""

from collections.abc import Callable

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from exporter.errors import StartError
from exporter.store.migration import Columns, add, columns_of, lacks
from exporter.store.schema import ADDED_COLUMNS, ADDED_TABLES, META, METADATA, SCHEMA_VERSION

ELSEWHERE = "point state.url elsewhere"


def prepare(connection: Connection, name: str, copy: Callable[[], None]) -> None:
    """Bring it to this schema in the open transaction, `copy` is called before old tables change; else StartError."""
    columns = columns_of(connection)
    if not is_ours(connection, columns, name):
        METADATA.create_all(connection)
        connection.execute(META.insert().values(schema_version=SCHEMA_VERSION))
        return
    if lacks(columns):
        copy()
        add(connection, columns)
    # Changes nothing, and fails now rather than at the first end when it cannot be written.
    connection.execute(META.update().values(schema_version=SCHEMA_VERSION))


def is_ours(connection: Connection, columns: Columns, name: str) -> bool:
    """Whether this release can read it, False when it is empty; StartError when it is neither."""
    if not columns:
        return False
    version = _version(connection) if META.c.schema_version.name in columns.get(META.name, set()) else None
    if version is not None and version > SCHEMA_VERSION:
        raise StartError(
            f"{name} has schema {version} and this release reads up to {SCHEMA_VERSION}: "
            f"run the release that wrote it, or {ELSEWHERE}"
        )
    if version is None or not _whole(columns):
        raise StartError(f"{name} is another program's database; {ELSEWHERE}")
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
