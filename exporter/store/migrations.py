"""Prepare a database: create the tables, refuse what is not ours, add what an older state lacks."""

import shutil
import sqlite3
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.engine import Connection
from sqlalchemy.schema import CreateColumn

from exporter.errors import StartError
from exporter.store.schema import ADDED_COLUMNS, ADDED_TABLES, META, METADATA, SCHEMA_VERSION

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
        add_missing(connection, columns)
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


def add_missing(connection: Connection, columns: Columns) -> None:
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
