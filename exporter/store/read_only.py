"""A look into the state that another process may be writing: nothing of it is changed."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.engine import Connection
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import NullPool

from exporter.errors import StartError


@contextmanager
def looking_into(path: Path) -> Iterator[Connection]:
    """A connection that can only read; StartError when the file is no state of this release."""
    if not path.is_file():
        raise StartError(f"state {path}: there is no such file")
    uri = f"{path.absolute().as_uri()}?mode=ro"
    engine = sa.create_engine("sqlite://", creator=lambda: sqlite3.connect(uri, uri=True), poolclass=NullPool)
    try:
        with engine.connect() as connection:
            yield connection
    except (SQLAlchemyError, ValueError, TypeError) as error:
        cause = getattr(error, "orig", None) or type(error).__name__
        raise StartError(f"state {path} cannot be read: {cause}") from error
    finally:
        engine.dispose()
