import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import NullPool

from exporter.config.fields import StateUrl
from exporter.enums import Status, StopReason
from exporter.model.run import Run, RunStopped, StateChange, StatusEntered
from exporter.model.target import TargetId
from exporter.model.task import EventNotify, MonitorIntervals, Task, VideoStream
from exporter.store.counters import Series, Total
from exporter.store.opening import hold_of
from exporter.store.schema import METADATA
from exporter.store.store import Store

if TYPE_CHECKING:
    from tests.postgresql import Postgres

LAST = Task(
    Status.ENDED,
    start=100.125,
    end=200.0,
    stop_reason=StopReason.STOP_BY_API,
    user_id="bot",
    source_host="class.example.com",
    max_running_time=3600,
    video=(VideoStream(1280, 720, 15, 0), VideoStream()),
    monitor=MonitorIntervals(freeze=5),
    event_notify=EventNotify(enabled=True, start_timeout=2),
)


def wait_a_bit() -> bool:
    """The server sees in its own time that a session has ended."""
    time.sleep(0.01)
    return True


class World:
    """Ledgers over one state, the clock they go by, and the failures they told of (each: was it the first?).

    `other` is an engine for whoever else works on the state, `lock` the statements with which that one keeps others
    from writing.
    """

    def __init__(self, url: StateUrl, other: sa.Engine, lock: Sequence[str]) -> None:
        self.url = url
        self.now = 0.0
        self.failures: list[bool] = []
        self._other = other.execution_options(isolation_level="AUTOCOMMIT")
        self._lock = lock
        self._open: list[Store] = []

    @property
    def file(self) -> Path:
        """SQLite's."""
        assert self.url.path is not None
        return self.url.path

    def open(self, url: str | None = None) -> Store:
        """Open the state, as a start of the exporter does."""
        hold = hold_of(StateUrl(url) if url else self.url)
        assert not self.url.is_shared or hold.acquire(wait_a_bit)  # a file's lock is for processes
        store = Store(hold.open(), lambda: self.now, self._failed)
        self._open.append(store)
        return store

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Meanwhile nobody can write."""
        with self._other.connect() as connection:
            for statement in self._lock:
                connection.exec_driver_sql(statement)
            yield
            connection.exec_driver_sql("ROLLBACK")

    def change(self, *statements: str) -> None:
        """Change the state by other hands."""
        with self._other.connect() as connection:
            for statement in statements:
                connection.exec_driver_sql(statement)

    def rows(self, query: str) -> list[tuple[object, ...]]:
        """What another sees in it."""
        with self._other.connect() as connection:
            return [tuple(row) for row in connection.exec_driver_sql(query)]

    def kill(self, store: Store) -> None:
        """End it as a killed process ends: without a last write."""
        store._engine.dispose()
        self._open.remove(store)

    def close(self) -> None:
        """Close what the test has left open."""
        for store in self._open:
            store.close()
        self._other.dispose()

    def _failed(self, error: SQLAlchemyError, *, first: bool) -> None:
        assert isinstance(error, SQLAlchemyError)
        self.failures.append(first)


def on_sqlite(folder: Path) -> World:
    """A state file that does not exist yet."""
    url = f"sqlite:///{folder}/state.db"
    return World(StateUrl(url), sa.create_engine(url, poolclass=NullPool), ["BEGIN IMMEDIATE"])


def on_postgresql(postgres: "Postgres") -> World:
    """An empty database, whose locks are soon given up."""
    url = postgres.database().whole
    tables = ", ".join(table.name for table in METADATA.sorted_tables)
    other = sa.create_engine(url, poolclass=NullPool)
    return World(
        StateUrl(f"{url}&options=-c%20lock_timeout%3D50"), other, ["BEGIN", f"LOCK TABLE {tables} IN EXCLUSIVE MODE"]
    )


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.real)])
def engine(request: pytest.FixtureRequest) -> str:
    """Each test of the ledger, on both."""
    name: str = request.param
    return name


@pytest.fixture
def world(engine: str, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[World]:
    """A new state with a fake clock."""
    made = on_sqlite(tmp_path) if engine == "sqlite" else on_postgresql(request.getfixturevalue("postgres"))
    yield made
    made.close()


@pytest.fixture
def ended() -> Callable[..., StateChange]:
    """The step of a run whose end was seen; `name` is its TaskId."""

    def make(name: str = "task", *, seen: float = 50.0, end_seen: float = 210.0) -> StateChange:
        run = Run(
            TargetId("app", "room", name),
            first_seen=seen,
            start=100.125,
            entered=frozenset({Status.RUNNING, Status.ENDED}),
            stopped=StopReason.STOP_BY_API,
            end_seen=end_seen,
            last=LAST,
            earlier=(1.5, 2.25),
        )
        fact = RunStopped("app", StopReason.STOP_BY_API, Status.ENDED, duration=99.875, delay=10.0)
        return StateChange((run,), (StatusEntered("app", Status.ENDED), fact))

    return make


@pytest.fixture
def stop_count() -> Callable[[Store], float]:
    """How many runs of "app" the ledger shows as stopped by the API; 0 when it shows no such counter."""
    return lambda store: store.counters().get(Series(Total.RUN_STOPS, "app", StopReason.STOP_BY_API), 0.0)
