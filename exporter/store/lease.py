"""Who may write a state: a lock on a SQLite file, or a lease in a PostgreSQL database.

A lease is the row of `meta`: holder, fencing token (`term`) and expiry by the server's clock. Its holder renews it
every RENEW_SECONDS, on a connection and a thread that do nothing else. Without a renewal it is unconfirmed after
LEASE_SECONDS, by a clock that goes on while a machine sleeps. Another process may then take it, with the next token,
and writes with the old one fail.
"""

import fcntl
import os
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from threading import Condition, Lock, Thread
from typing import Any, Final
from uuid import uuid4

import sqlalchemy as sa
import structlog
from sqlalchemy.engine import Connection
from sqlalchemy.exc import ArgumentError, SQLAlchemyError
from sqlalchemy.pool import StaticPool

from exporter.config.documents import FileFault, check_kind
from exporter.config.fields import StateUrl
from exporter.errors import StartError
from exporter.store.database import Database, PostgresqlDatabase, file_identity, open_sqlite
from exporter.store.schema import META, columns_of, prepare

log = structlog.stdlib.get_logger(__name__)

LEASE_SECONDS: Final = 2.5
RENEW_SECONDS: Final = 0.5
TRY_SECONDS: Final = 0.25
LEASE_SILENCE: Final = 1.0
"""Seconds after which a renewal that is not answered is given up, so that there is time for another one."""
HANDOVER_SECONDS: Final = 1.05
"""A new holder's calls begin so long after the lease of the one before ended: the budget is that of any second."""
RELEASE_TIMEOUT: Final = 1.0
MAX_LOGGED: Final = 10
"""Reasons that are logged before the server answers again."""
ADVISORY_LOCK: Final = 0x57656243617374
"""The lock ("WebCast") that releases up to 0.1 lead by; held as well, so that neither leads beside the other."""
NOW: Final = sa.func.extract("epoch", sa.func.clock_timestamp())


class FileLock:
    """A lock on FILE.lock beside a SQLite state; the kernel frees it when the process dies.

    `path` None (a state in memory) needs no lock; two names of one file are one. StartError when it cannot be had.
    """

    lost, handover_wait = "", 0.0
    answered_at: float | None = None

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._file: Path | None = None
        self._descriptor: int | None = None
        self._state_descriptor: int | None = None
        self._identities: dict[Path, tuple[int, int] | None] = {}
        self.held = path is None
        if path is not None:
            try:
                self._file = Path(f"{path.resolve()}.lock")
                self._descriptor = os.open(self._file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK, 0o600)
                check_kind(os.fstat(self._descriptor))
            except (OSError, RuntimeError, FileFault) as error:
                raise StartError(self._sentence("its lock file cannot be opened", error)) from error

    def acquire(self, wait: Callable[[], bool]) -> bool:
        """Try until it is ours; `wait` is called between two tries and says whether to go on."""
        while not (self.held or self._lock()):
            if not wait():
                return False
        return True

    def _lock(self) -> bool:
        """Whether it is ours by now; StartError on a disk that has no locks."""
        if self._descriptor is None:
            return True
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError as error:
            reason = "its disk has no file locks, use a local disk"
            raise StartError(self._sentence(reason, error)) from error
        self.held = self._lock_state()
        return self.held

    @property
    def confirmed(self) -> bool:
        """Whether the files are those that were opened, so that no other process can have locked others."""
        return all(file_identity(file) == identity for file, identity in self._identities.items())

    def open(self) -> Database:
        """Open the file; it stays untouched when it cannot be used."""
        database = open_sqlite(self._path, self._file)
        if self._path is not None and self._file is not None and self.held:
            if not self._lock_state():
                raise StartError(f"state {self._path}: another process has it by now")
            self._identities = {file: file_identity(file) for file in (self._path, self._file)}
        return database

    def release(self) -> None:
        """Let the next process in."""
        for descriptor in (self._state_descriptor, self._descriptor):
            if descriptor is not None:
                os.close(descriptor)
        if self._path is not None:
            self._state_descriptor, self._descriptor, self.held = None, None, False

    def _lock_state(self) -> bool:
        """Lock the state itself too, once it exists: its lock file may be removed under the process that holds it.

        Only on Linux: elsewhere such a lock would meet SQLite's own.
        """
        if self._path is None or self._state_descriptor is not None or sys.platform != "linux":
            return True
        try:
            descriptor = os.open(self._path, os.O_RDWR | os.O_CLOEXEC)
        except OSError:
            return True  # opening it as a state says what is wrong
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(descriptor)
            return not isinstance(error, BlockingIOError)
        self._state_descriptor = descriptor
        return True

    def _sentence(self, what: str, error: Exception) -> str:
        reason = getattr(error, "strerror", None) or str(error)
        return f"state {self._path}: {what} ({self._file or f'{self._path}.lock'}: {reason.lower()})"


class Lease:
    """The lease of a PostgreSQL state, sought and renewed by a thread of its own from `start` to `release`.

    Any error is tried again: `problem` is the latest sentence, empty when the server answers. Once another process has
    it `lost` says so, and it is not sought again. `answered_before` is when the server answered this process before
    (Unix seconds).
    """

    handover_wait = HANDOVER_SECONDS

    def __init__(
        self, url: StateUrl, clock: Callable[[], float] | None = None, answered_before: float | None = None
    ) -> None:
        postgresql = driver()
        self._answered_before = time.time() if answered_before is None else answered_before
        self._url = server_url(url)
        self._hide_secrets_in = url.hide_in
        self.name = f"state {url}"
        self._clock = clock or _boot_time
        self._holder = uuid4().hex
        self._postgresql = postgresql
        self._engine = sa.create_engine(self._url, creator=self._connect, poolclass=StaticPool, hide_parameters=True)
        self._wake = Condition(Lock())
        self._stopping = self._answered = self._has_columns = False
        self._advisory: Any = None
        self._confirmed_until = -1.0
        self.token: int | None = None
        self._tried_at = self._clock()
        self._answered_at: float | None = None
        self.problem = self.lost = ""
        self._logged: set[str] = set()
        self._seen_expiry: float | None = None
        self._seen_at = 0.0
        self._thread = Thread(target=self._run, name="lease", daemon=True)

    @property
    def held(self) -> bool:
        """Whether it was acquired and is not known to be lost."""
        return self.token is not None and not self.lost

    @property
    def confirmed(self) -> bool:
        """Whether it was renewed within LEASE_SECONDS; a process that was stopped knows at once that it was not."""
        return self.held and self._clock() < self._confirmed_until

    @property
    def idle_for(self) -> float:
        """Seconds since the server was last asked, whatever it answered."""
        return self._clock() - self._tried_at

    @property
    def answered_at(self) -> float:
        """When the server last answered, Unix seconds; while it never did, when it was first to be asked."""
        if self._answered_at is None:
            return self._answered_before
        return time.time() - (self._clock() - self._answered_at)

    def start(self) -> None:
        """Begin to seek it."""
        if not self._thread.is_alive():
            self._thread.start()

    def acquire(self, wait: Callable[[], bool]) -> bool:
        """Seek it until it is held; StartError with the first problem, for a process that is alone."""
        self.start()
        with self._wake:
            self._wake.wait_for(lambda: self.held or self._answered or self.problem)  # the first try has a deadline
        while not self.held:
            if self.problem and not self._answered:
                raise StartError(self.problem)
            if not wait():
                return False
        return True

    def wait(self, timeout: float) -> bool:
        """Wait until it is held, or until something else is known; whether it is held."""
        with self._wake:
            self._wake.wait_for(lambda: self.held, timeout)
        return self.held

    def open(self) -> Database:
        """Connections of their own for writing and reading, the writing ones fenced by the token."""
        if self.token is None:
            raise StartError(f"{self.name}: the lease is not held")
        writer, readers = self._postgresql.writer_engine(self._url), self._postgresql.pooled_engine(self._url)
        return PostgresqlDatabase(self.name, writer, readers, self.token)

    def release(self) -> None:
        """Let the next process have it at once, if the server answers."""
        with self._wake:
            self._stopping = True
            self._wake.notify_all()
        if self._thread.is_alive():
            self._thread.join(RELEASE_TIMEOUT)

    def _run(self) -> None:
        while not self._stopping and not self.lost:
            self._try()
            with self._wake:
                self._wake.notify_all()
                self._wake.wait_for(lambda: self._stopping, RENEW_SECONDS if self.held else TRY_SECONDS)
        with suppress(SQLAlchemyError):
            self._give_back()
        self._engine.dispose()

    def _try(self) -> None:
        try:
            if self.held:
                self._renew()
            else:
                self._seek()
            self.problem, self._answered, self._answered_at = "", True, self._clock()
            self._logged.clear()
        except SQLAlchemyError as error:
            cause = getattr(error, "orig", None)
            self._failed(" ".join(str(cause).split()) if cause else type(error).__name__)
        except StartError as error:  # another program's database, or a newer schema
            self._failed(str(error).removeprefix(f"{self.name}: "))
        except Exception as error:  # the edge of the thread: the next try may succeed
            log.exception("unexpected error", job="lease")
            self._failed(type(error).__name__)
        self._tried_at = self._clock()

    def _failed(self, reason: str) -> None:
        """Keep the reason. Libpq names host, port and user in its words; a password is cut out to be sure.

        Each is logged once until the server answers: what ends a session is seldom what is wrong afterwards.
        """
        reason = self._hide_secrets_in(reason)
        if reason not in self._logged and len(self._logged) < MAX_LOGGED:
            self._logged.add(reason)
            log.error("lease unavailable, it is tried again", state=self.name, reason=reason)
        self.problem = f"{self.name}: cannot be used: {reason}" if not reason.startswith(self.name) else reason

    def _renew(self) -> None:
        asked = self._clock()
        mine = sa.and_(META.c.term == self.token, META.c.holder == self._holder)
        with self._engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            renewed = connection.execute(META.update().where(mine).values(expires_at=NOW + LEASE_SECONDS))
            if renewed.rowcount == 0:
                self.lost = f"{self.name}: another process has it by now"
                log.warning("lease lost", state=self.name)
                return
            self._confirmed_until = asked + LEASE_SECONDS
            self._lock_out_old_releases(connection)

    def _seek(self) -> None:
        with self._engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            if self._is_held_by_other(connection) or not self._lock_out_old_releases(connection):
                return
        asked = self._clock()
        with self._engine.begin() as connection:
            prepare(connection, self.name, lambda: None)  # a server has backups of its own
            # Waits for writes of the holder before that are on their way: they are committed, or they are not.
            row = sa.select(META.c.term, META.c.expires_at, NOW).with_for_update()
            term, expires_at, now = connection.execute(row).one()
            if self._is_in_force(expires_at, float(now)):
                return
            values = {"term": (term or 0) + 1, "holder": self._holder, "expires_at": NOW + LEASE_SECONDS}
            connection.execute(META.update().values(values))
        self._confirmed_until = asked + LEASE_SECONDS
        self.handover_wait = HANDOVER_SECONDS if term else 0.0
        self.token = (term or 0) + 1

    def _give_back(self) -> None:
        if self.token is not None:
            mine = sa.and_(META.c.term == self.token, META.c.holder == self._holder)
            with self._engine.begin() as connection:
                connection.execute(META.update().where(mine).values(resigned=self.token, expires_at=0.0))

    def _is_held_by_other(self, connection: Connection) -> bool:
        """Whether the lease is in force; False too while the tables are not there or older."""
        if not self._has_columns:
            self._has_columns = META.c.expires_at.name in columns_of(connection).get(META.name, ())
        row = connection.execute(sa.select(META.c.expires_at, NOW)).first() if self._has_columns else None
        return row is not None and self._is_in_force(row[0], float(row[1]))

    def _is_in_force(self, expires_at: float | None, now: float) -> bool:
        """Whether a lease has not expired, by the server's clock or, if that was set back, by ours."""
        if expires_at != self._seen_expiry:
            self._seen_expiry, self._seen_at = expires_at, self._clock()
        not_renewed = self._clock() - self._seen_at > LEASE_SECONDS
        return expires_at is not None and expires_at > now and not not_renewed

    def _lock_out_old_releases(self, connection: Connection) -> bool:
        """Hold the lock that older releases lead by; False when another session has it."""
        session = connection.connection.driver_connection
        if self._advisory is not session:
            if not connection.execute(sa.select(sa.func.pg_try_advisory_lock(ADVISORY_LOCK))).scalar_one():
                return False
            self._advisory = session
        return True

    def _connect(self) -> Any:
        """A session that the server ends when it is silent, and with it the lock of older releases."""
        connection = self._postgresql.connect(self._url, silence=LEASE_SILENCE)
        connection.execute(f"SET idle_session_timeout = {1000 * LEASE_SECONDS:.0f}")
        connection.commit()
        return connection


StateLock = FileLock | Lease
"""The right to write a state."""


def state_lock(url: StateUrl) -> StateLock:
    """The lock of a state, not acquired yet; StartError without a file's lock, or without a server's driver."""
    return Lease(url) if url.is_shared else FileLock(url.path)


def driver() -> Any:
    """The module that connects to PostgreSQL; StartError without the extra that it needs."""
    try:
        return import_module("exporter.store.postgresql")
    except ImportError as error:
        raise StartError("state.url: PostgreSQL needs a driver: pip install 'webcast-exporter[postgresql]'") from error


def server_url(url: StateUrl) -> sa.URL:
    """A server's URL for SQLAlchemy; StartError when a parameter after its `?` cannot be used."""
    made = sa.URL.create(**url.parts)
    try:
        made.get_dialect()().create_connect_args(made)
    except (ArgumentError, ValueError) as error:
        raise StartError(f"state {url}: cannot be used: {url.hide_in(str(error))}") from None
    return made


def _boot_time() -> float:
    """Seconds by a clock that goes on while the machine sleeps, where there is one."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))
