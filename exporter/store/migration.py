"""Bringing an older state up to date: what it lacks is added in the transaction that opens it, a copy is made first."""

import shutil
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.engine import Connection
from sqlalchemy.schema import CreateColumn

from exporter.errors import StartError
from exporter.store.schema import ADDED_COLUMNS, ADDED_TABLES, METADATA

Columns = Mapping[str, set[str]]
"""The columns of each table that is there."""


def columns_of(connection: Connection) -> Columns:
    """What is in a database now."""
    inspector = sa.inspect(connection)
    tables = inspector.get_table_names()
    return {table: {column["name"] for column in inspector.get_columns(table)} for table in tables}


def lacks(columns: Columns) -> bool:
    """Whether a state of this schema is without something that was added later."""
    return any(table.name not in columns for table in ADDED_TABLES) or any(_missing(columns))


def add(connection: Connection, columns: Columns) -> None:
    """Add what is missing, in the transaction that is open."""
    METADATA.create_all(connection, tables=ADDED_TABLES)
    for column in _missing(columns):
        table = connection.dialect.identifier_preparer.format_table(column.table)
        connection.exec_driver_sql(f"ALTER TABLE {table} ADD COLUMN {CreateColumn(column).compile(connection)}")


def copy_before(path: Path, version: int) -> None:
    """Copy a SQLite state, its write-ahead log included, to FILE.schema-VERSION; StartError when that cannot be."""
    whole, part = path.with_name(f"{path.name}.schema-{version}"), path.with_name(f"{path.name}.schema-{version}.part")
    try:
        part.unlink(missing_ok=True)
        with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(part)) as copy:
            source.backup(copy)
        shutil.copymode(path, part)
        part.replace(whole)
    except (OSError, sqlite3.Error) as error:
        raise StartError(f"state {path}: cannot be copied to {whole.name} before it is brought up to date") from error


def _missing(columns: Columns) -> list[sa.Column[object]]:
    return [column for column in ADDED_COLUMNS if column.name not in columns[column.table.name]]
