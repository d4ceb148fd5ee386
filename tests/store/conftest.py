from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa
from sqlalchemy.pool import NullPool

from exporter.config.fields import StateUrl
from exporter.enums import Status, StopReason
from exporter.model.run import Run, RunStopped, StateChange, StatusEntered
from exporter.model.target import TargetId
from exporter.model.task import EventNotify, MonitorIntervals, Task, VideoStream
from exporter.store.counters import Series, Total
from exporter.store.database import open_sqlite
from exporter.store.lease import Lease
from exporter.store.schema import METADATA
from exporter.store.store import Store
from tests.support.state import LIMIT, kill

if TYPE_CHECKING:
    from tests.support.postgresql import Postgres

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


class World:
    """Stores over one state, and how many writes failed. `other` is an engine of another program."""

    def __init__(self, url: StateUrl, other: sa.Engine, lock: Sequence[str]) -> None:
        self.url = url
        self.failures = 0
        self._other = other.execution_options(isolation_level="AUTOCOMMIT")
        self._lock = lock
        self._stores: list[Store] = []
        self._leases: list[Lease] = []

    @property
    def file(self) -> Path:
        """SQLite's."""
        assert self.url.path is not None
        return self.url.path

    def hold(self) -> Lease:
        """The lease of a server's state, once it is held."""
        lease = Lease(self.url)
        self._leases.append(lease)
        lease.start()
        assert lease.wait(LIMIT), lease.problem
        return lease

    def open(self, *, retry_seconds: float = 0.05, max_queued: int = 100_000) -> Store:
        """Open the state, as a start of the exporter does."""
        database = self.hold().open() if self.url.is_shared else open_sqlite(self.url.path)
        store = Store(database, on_failure=self._failed, max_queued=max_queued, retry_seconds=retry_seconds)
        self._stores.append(store)
        return store

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Meanwhile the tables cannot be written."""
        with self._other.connect() as connection:
            for statement in self._lock:
                connection.exec_driver_sql(statement)
            yield
            connection.exec_driver_sql("ROLLBACK")

    def change(self, *statements: str) -> None:
        """Change the state as another program."""
        with self._other.connect() as connection:
            for statement in statements:
                connection.exec_driver_sql(statement)

    def rows(self, query: str) -> list[tuple[object, ...]]:
        """What another program sees in it."""
        with self._other.connect() as connection:
            return [tuple(row) for row in connection.exec_driver_sql(query)]

    def kill(self, store: Store) -> None:
        """End it as a killed process ends: without a last write."""
        kill(store)
        self._stores.remove(store)
        self._end_leases()

    def close(self, store: Store) -> None:
        """End it as a process that stops."""
        store.close(LIMIT)
        self._stores.remove(store)
        self._end_leases()

    def end(self) -> None:
        """Close what the test has left open."""
        for store in self._stores:
            store.close(LIMIT)
        self._end_leases()
        self._other.dispose()

    def _end_leases(self) -> None:
        for lease in self._leases:
            lease.release()
        self._leases.clear()

    def _failed(self) -> None:
        self.failures += 1


def on_sqlite(folder: Path) -> World:
    """A state file that does not exist yet."""
    url = f"sqlite:///{folder}/state.db"
    return World(StateUrl(url), sa.create_engine(url, poolclass=NullPool), ["BEGIN IMMEDIATE"])


def on_postgresql(postgres: "Postgres") -> World:
    """An empty database, whose locks are soon given up."""
    url = postgres.database().whole
    tables = ", ".join(table.name for table in METADATA.sorted_tables if table.name != "meta")
    other = sa.create_engine(url, poolclass=NullPool)
    locked = StateUrl(f"{url}&options=-c%20lock_timeout%3D50")
    return World(locked, other, ["BEGIN", f"LOCK TABLE {tables} IN EXCLUSIVE MODE"])


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.real)])
def engine(request: pytest.FixtureRequest) -> str:
    """Each test of the store runs on both."""
    name: str = request.param
    return name


@pytest.fixture
def world(engine: str, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[World]:
    """A new state."""
    made = on_sqlite(tmp_path) if engine == "sqlite" else on_postgresql(request.getfixturevalue("postgres"))
    yield made
    made.end()


@pytest.fixture
def ended() -> Callable[..., StateChange]:
    """The change of a run whose end was seen; `name` is its TaskId."""

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
        event = RunStopped("app", StopReason.STOP_BY_API, Status.ENDED, duration=99.875, delay=10.0)
        return StateChange((run,), (StatusEntered("app", Status.ENDED), event))

    return make


@pytest.fixture
def stop_count() -> Callable[[Store], float]:
    """How many runs of "app" the store shows as stopped by the API; 0 when it shows no such counter."""
    return lambda store: store.counters().get(Series(Total.RUN_STOPS, "app", StopReason.STOP_BY_API), 0.0)
