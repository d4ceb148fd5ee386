"""A store over a SQLite state, its ends, and a disk that fails as a test wants."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy.exc import OperationalError

from exporter.store.database import open_sqlite
from exporter.store.store import Store
from tests.support.waiting import wait_until

LIMIT = 60.0
"""Seconds that a test waits for a commit."""


def unexpected_failure() -> None:
    """No write fails here."""
    raise AssertionError("a write failed")


def open_store(file: Path | None = None, on_failure: Callable[[], None] = unexpected_failure) -> Store:
    """The store of a state file, or of one in memory; a failed write is tried again soon."""
    return Store(open_sqlite(file), on_failure=on_failure, retry_seconds=0.05)


def kill(store: Store) -> None:
    """End it as a killed process ends: what is not committed by now never is."""
    with store._wake:
        store._closed = store._closing = True
        store._wake.notify_all()
    store._writer.join(LIMIT)
    store._database.close()


def set_broken(store: Store, *, broken: bool) -> None:
    """From now on every write fails, or none; once none does, what is queued is written."""
    if broken:
        store.flush(LIMIT)
        store._database.writing = _failing  # type: ignore[method-assign, assignment]  # a disk that fails
    else:
        store._database.__dict__.pop("writing", None)
        wait_until(store.flush, "what is queued is written")  # a try that has begun may still fail


@contextmanager
def _failing() -> Iterator[None]:
    raise OperationalError("", None, sqlite3.OperationalError("disk I/O error"))
    yield
