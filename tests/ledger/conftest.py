from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy.exc import SQLAlchemyError

from exporter.ledger.ledger import Ledger
from exporter.ledger.opening import open_engine
from exporter.ledger.totals import Series, Total
from exporter.model.run import Entered, Run, Step, Stopped
from exporter.model.target import TargetId
from exporter.model.task import EventNotify, MonitorIntervals, Task, VideoStream
from exporter.vocabulary import Status, StopReason

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
    """Ledgers over one file, the clock they go by, and the failures they told of (each: was it the first?)."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.now = 0.0
        self.failures: list[bool] = []
        self._open: list[Ledger] = []

    @property
    def url(self) -> str:
        """The state's URL."""
        return f"sqlite:///{self.file}"

    def open(self, url: str | None = None) -> Ledger:
        """Open the state, as a start of the exporter does."""
        ledger = Ledger(open_engine(url or self.url), lambda: self.now, self._failed)
        self._open.append(ledger)
        return ledger

    def kill(self, ledger: Ledger) -> None:
        """End it as a killed process ends: without a last write."""
        ledger._engine.dispose()
        self._open.remove(ledger)

    def close(self) -> None:
        """Close what the test has left open."""
        for ledger in self._open:
            ledger.close()

    def _failed(self, error: SQLAlchemyError, *, first: bool) -> None:
        assert isinstance(error, SQLAlchemyError)
        self.failures.append(first)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """A state file that does not exist yet, with a fake clock."""
    made = World(tmp_path / "state.db")
    yield made
    made.close()


@pytest.fixture
def ended() -> Callable[..., Step]:
    """The step of a run whose end was seen; `name` is its TaskId."""

    def make(name: str = "task", *, seen: float = 50.0, end_seen: float = 210.0) -> Step:
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
        fact = Stopped("app", StopReason.STOP_BY_API, Status.ENDED, duration=99.875, delay=10.0)
        return Step((run,), (Entered("app", Status.ENDED), fact))

    return make


@pytest.fixture
def stop_count() -> Callable[[Ledger], float]:
    """How many runs of "app" the ledger shows as stopped by the API; 0 when it shows no such counter."""
    return lambda ledger: ledger.totals().get(Series(Total.RUN_STOPS, "app", StopReason.STOP_BY_API), 0.0)
