"""The databases that a state can be in: how each is opened, written, read and checked.

`Database` has one connection for the writer and a few for readers, so that neither waits for the other. A state in
memory has one connection only, used in turns.
"""

import sqlite3
import time
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeoutError
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext, suppress
from functools import cache
from importlib import import_module
from pathlib import Path
from threading import BoundedSemaphore, Lock, RLock
from typing import TYPE_CHECKING, Any, Final, TypeVar

import sqlalchemy as sa
from sqlalchemy import Table, event
from sqlalchemy.engine import URL, Connection, Engine
from sqlalchemy.exc import DatabaseError, OperationalError, SQLAlchemyError
from sqlalchemy.pool import NullPool, QueuePool, StaticPool

from exporter.config.documents import FileFault, check_kind, fault_of
from exporter.errors import StartError, StateError
from exporter.store.schema import META, SCHEMA_VERSION, columns_of, copy_before, is_ours, prepare

if TYPE_CHECKING:
    from sqlalchemy.dialects import postgresql, sqlite

    Insert = sqlite.Insert | postgresql.Insert

READERS: Final = 4
HEADER: Final = b"SQLite format 3\0"
NO_DATABASE: Final = "is no SQLite database; point state.url at another file"
SEARCH_INDEX: Final = (
    "CREATE INDEX IF NOT EXISTS runs_for_search"
    " ON runs (end_seen, app_id, room_id, task_id, first_seen, stopped, labels)"
)
"""A search reads this instead of the table, which is ten times as large. PostgreSQL bounds what an index can hold."""
LOCK_WAIT: Final = 0.25
"""Seconds that a statement waits for another process's lock on a SQLite file."""
NETWORK_DISK: Final = "shared memory does not work there: the state needs a local disk (docs/reliability.md)"

T = TypeVar("T")
Query = Callable[[Connection], T]


class LeaseLostError(StateError):
    """Another process has the state by now: nothing may be written any more."""


class Database:
    """One opened state. `name` is for sentences: `state webcast-exporter.db`."""

    def __init__(self, name: str, writer: Engine, readers: Engine) -> None:
        self.name = name
        self._writer = writer
        self._readers = readers
        self._turns: AbstractContextManager[object] = nullcontext()

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """One transaction of the only writer; LeaseLostError when the state is another process's."""
        with self._turns, self._writer.begin() as connection:
            self.fence(connection)
            yield connection

    @contextmanager
    def reading(self, timeout: float) -> Iterator[Connection]:
        """A connection for reading; a SQLite statement is interrupted after `timeout` seconds."""
        with self._turns, self._readers.connect() as connection:
            self.limit(connection, timeout)
            yield connection

    def on_answer(self, answered: Callable[[], None]) -> None:
        """Call `answered` after each statement of the writer."""
        event.listen(self._writer, "after_cursor_execute", lambda *_: answered())

    def close(self) -> None:
        """Close all connections."""
        self._readers.dispose()
        self._writer.dispose()

    def fence(self, _connection: Connection) -> None:
        """Raise LeaseLostError, in the writer's transaction, when the state is another process's."""
        self.check()

    def check(self) -> None:
        """Raise LeaseLostError when the state is known to be another's, without asking a server."""

    def limit(self, connection: Connection, timeout: float) -> None:
        """Bound what one query may take; PostgreSQL's connections have their own bounds."""


class SqliteDatabase(Database):
    """A SQLite file, or a state in memory (`path` None). The file and its lock file must stay what they are."""

    def __init__(self, path: Path | None, writer: Engine, readers: Engine, lock_file: Path | None) -> None:
        super().__init__(_name_of(path), writer, readers)
        if path is None:
            self._turns = RLock()
        self._path = path
        self._identities = {file: file_identity(file) for file in (path, lock_file) if file}
        self._logs = {file: file_identity(file) for file in _write_ahead_log(path.resolve())} if path else {}

    def check(self) -> None:
        """Raise LeaseLostError when a file, or its folder, was removed or replaced. What was committed is kept.

        Commits to a file that has no name any more, such as a write-ahead log, would be lost.
        """
        for file, identity in self._identities.items():
            if file_identity(file) != identity:
                kept = self._keep(file.resolve()) if file == self._path else ""
                raise LeaseLostError(
                    f"{self.name}: {file.name} was removed or replaced while in use{kept}; start again"
                )
        for log, identity in self._logs.items():
            if identity is not None and file_identity(log) != identity:  # what it held is written at the close
                raise LeaseLostError(f"{self.name}: {log.name} was removed or replaced while in use; start again")

    def _keep(self, path: Path) -> str:
        """Write the state, which is still open, to its place or, when that is taken, beside it; where it is now."""
        part, beside = path.with_name(f"{path.name}.part"), path.with_name(f"{path.name}.lost")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            part.unlink(missing_ok=True)
            with self._writer.connect() as connection, closing(sqlite3.connect(part)) as copy:
                source: Any = connection.connection.driver_connection
                source.backup(copy)
            for log, identity in self._logs.items():  # SQLite would apply it to whatever state is there
                if file_identity(log) == identity:
                    log.unlink(missing_ok=True)
            try:
                path.hardlink_to(part)  # never onto the state of another process
            except FileExistsError:
                part.replace(beside)
                return f", and is kept in {beside.name}"
            part.unlink()
        except (OSError, sqlite3.Error, SQLAlchemyError) as error:
            return f", and cannot be kept ({error})"
        return ", and is restored"

    def close(self) -> None:
        """Close all connections. Those to a file that is gone stay: SQLite would remove its successor's log by name."""
        if all(file_identity(file) == identity for file, identity in self._identities.items()):
            super().close()

    def limit(self, connection: Connection, timeout: float) -> None:
        """Have SQLite ask every few thousand steps whether to go on."""
        deadline = time.monotonic() + timeout
        driver = connection.connection.driver_connection
        if self._path is not None and isinstance(driver, sqlite3.Connection):
            driver.set_progress_handler(lambda: time.monotonic() > deadline, 10_000)


class PostgresqlDatabase(Database):
    """A database on a server; `token` is the lease's, which each write proves."""

    def __init__(self, name: str, writer: Engine, readers: Engine, token: int) -> None:
        super().__init__(name, writer, readers)
        # A key-share lock lets the lease be renewed meanwhile, and makes a take-over wait until this is committed.
        self._fence = sa.select(META.c.term).where(META.c.term == token).with_for_update(read=True, key_share=True)

    def fence(self, connection: Connection) -> None:
        """Raise LeaseLostError when another process has the lease, or had it meanwhile."""
        if connection.execute(self._fence).first() is None:
            raise LeaseLostError(f"{self.name}: another process has it by now")


class Workers:
    """A few threads that run queries for callers who wait no longer than a deadline.

    At most `threads` queries run and seven times as many wait; one more is refused at once. A database that is silent
    costs its callers the deadline, never more: after the first that was not answered in time, one at a time tries
    again, and the others are refused at once, until one is answered.
    """

    def __init__(self, name: str, threads: int) -> None:
        self._pool = ThreadPoolExecutor(threads, name)
        self._room = BoundedSemaphore(8 * threads)
        self._silent = False
        self._trial = Lock()

    def run(self, work: Callable[[], T], timeout: float) -> T:
        """The result of `work`; StateError when it fails or is not there in time."""
        if not self._silent:
            return self._run(work, timeout)
        if not self._trial.acquire(blocking=False):
            raise StateError("the state does not answer")
        try:
            return self._run(work, timeout)
        finally:
            self._trial.release()

    def _run(self, work: Callable[[], T], timeout: float) -> T:
        if not self._room.acquire(blocking=False):
            raise StateError("the state is busy: too many queries at once")
        try:
            future = self._pool.submit(work)
        except RuntimeError as error:
            self._room.release()
            raise StateError("the state is closed") from error
        future.add_done_callback(self._ended)
        try:
            return future.result(timeout)
        except CancelledError as error:
            raise StateError("the state is closed") from error
        except FutureTimeoutError as error:
            self._silent = True
            future.cancel()
            raise StateError(f"the state does not answer within {timeout:g} s") from error
        except (SQLAlchemyError, ValueError, TypeError, AttributeError) as error:
            raise StateError(f"the state cannot be read: {type(error).__name__}") from error

    def _ended(self, future: "Future[T]") -> None:
        self._room.release()
        if not future.cancelled() and future.exception() is None:
            self._silent = False

    def close(self) -> None:
        """Begin nothing more; what is running is not waited for."""
        self._pool.shutdown(wait=False, cancel_futures=True)


def open_sqlite(path: Path | None, lock_file: Path | None = None) -> SqliteDatabase:
    """Open or create a state file, or one in memory; StartError says why it cannot be used, and it is untouched."""
    name = _name_of(path)
    arguments = {"check_same_thread": False, "timeout": LOCK_WAIT, "isolation_level": None}
    # The path as it is written: the lock beside it has that name, and SQLAlchemy's URLs would unquote a %.
    url = URL.create("sqlite", database=str(path) if path else None)
    writer = sa.create_engine(url, poolclass=StaticPool, connect_args=arguments, hide_parameters=True)
    event.listen(writer, "connect", _set_up)
    event.listen(writer, "begin", _begin)
    readers = writer
    if path is not None:
        readers = sa.create_engine(
            url, poolclass=QueuePool, pool_size=READERS, connect_args=arguments, hide_parameters=True
        )
        event.listen(readers, "connect", _only_read)
    try:
        if path:
            _look_at(path, name)
        with writer.begin() as connection:
            prepare(connection, name, lambda: copy_before(path, SCHEMA_VERSION) if path else None)
            connection.exec_driver_sql(SEARCH_INDEX)
        return SqliteDatabase(path, writer, readers, lock_file)
    except DatabaseError as error:
        writer.dispose()
        raise StartError(f"{name}: {_sentence(error, path or Path())}") from error
    except StartError:
        writer.dispose()
        raise


@contextmanager
def reading_file(path: Path) -> Iterator[Connection]:
    """A connection that only reads a state file which another process may write; StartError when it is no state."""
    _check_file(path, f"state {path}")
    if not path.exists():
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


def _name_of(path: Path | None) -> str:
    return f"state {path or 'in memory'}"


def _write_ahead_log(path: Path) -> tuple[Path, Path]:
    return path.with_name(f"{path.name}-wal"), path.with_name(f"{path.name}-shm")


def file_identity(path: Path) -> tuple[int, int] | None:
    """Device and inode; None when there is no such file."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _set_up(connection: sqlite3.Connection, _record: object) -> None:
    (mode,) = connection.execute("PRAGMA journal_mode=WAL").fetchone()
    if mode not in {"wal", "memory"}:
        raise sqlite3.OperationalError(NETWORK_DISK)
    # In WAL mode, NORMAL loses nothing to a killed process, and at most the last moments to a power cut.
    connection.execute("PRAGMA synchronous=NORMAL")


def _only_read(connection: sqlite3.Connection, _record: object) -> None:
    connection.execute("PRAGMA query_only=1")


def _begin(connection: Connection) -> None:
    """The driver would begin only before a row is changed, and could leave tables half made."""
    connection.exec_driver_sql("BEGIN")


def _look_at(path: Path, name: str) -> None:
    """Refuse what is not ours before a connection that may write so much as folds a write-ahead log into it.

    A file that can only be read after a repair is not refused here.
    """
    _check_file(path, name)
    if path.is_file() and _head(path) not in (b"", HEADER):  # SQLite takes a very short file for a new one
        raise StartError(f"{name}: {NO_DATABASE}")
    uri = f"{path.absolute().as_uri()}?mode=ro"
    reader = sa.create_engine("sqlite://", creator=lambda: sqlite3.connect(uri, uri=True), poolclass=NullPool)
    with suppress(OperationalError), reader.connect() as connection:
        is_ours(connection, columns_of(connection), name)


def _check_file(path: Path, name: str) -> None:
    """StartError when there is something else than a file; SQLite would read a pipe for ever."""
    try:
        check_kind(path.stat())
    except FileNotFoundError:
        return
    except OSError as error:
        raise StartError(f"{name}: {fault_of(error)}") from error
    except FileFault as fault:
        raise StartError(f"{name}: {fault}") from None


def _head(path: Path) -> bytes:
    with suppress(OSError), path.open("rb") as file:
        return file.read(len(HEADER))
    return b""


def _sentence(error: DatabaseError, path: Path) -> str:
    cause = str(error.orig)
    if "not a database" in cause:
        return NO_DATABASE
    if "unable to open" in cause:
        return f"cannot be opened; is {path.parent} a folder this user may write to?"
    if "readonly" in cause:
        return f"cannot be written; may this user write to {path.name}, {path.name}-wal and {path.name}-shm?"
    if getattr(error.orig, "sqlite_errorname", "") == "SQLITE_IOERR_SHMSIZE":
        return f"cannot be used: {cause}; is the disk full?"
    if "locking protocol" in cause or "disk I/O error" in cause:
        return f"cannot be used: {cause}; {NETWORK_DISK}"
    return f"cannot be used: {cause}"


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
