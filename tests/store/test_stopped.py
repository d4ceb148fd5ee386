"""The stopped runs: asked for by time, app, status, reason and text; the latest end first."""

import pytest
from sqlalchemy.engine import Engine

from exporter.enums import Status, StopReason
from exporter.model.run import Run, StateChange
from exporter.model.target import TargetId
from exporter.model.task import Task
from exporter.store.opening import open_engine
from exporter.store.run_table import RunQuery, status_of, stopped_runs
from exporter.store.store import Store


def run(name: str, end_seen: float | None, reason: StopReason | None, status: Status | None, app: str = "app") -> Run:
    """One run, over or not."""
    entered = frozenset({Status.RUNNING} | ({status} if status else set()))
    last = Task(status, stop_reason=reason) if status else None
    return Run(TargetId(app, "Room_1", name), 1.0, 2.0, entered, reason, end_seen, last)


RUNS = (
    run("early", 100.0, StopReason.STOP_BY_API, Status.ENDED),
    run("late", 300.0, StopReason.START_TASK_FAILED, Status.FAILED),
    run("lost", 200.0, StopReason.LOST, None),
    run("other", 250.0, StopReason.UNKNOWN, Status.FAILED, app="other"),
    run("live", None, None, None),
)


@pytest.fixture
def engine() -> Engine:
    """A state with these runs."""
    engine = open_engine("sqlite://")
    store = Store(engine, lambda: 0.0, lambda *_args, **_more: None)
    store.labels_of = lambda target: {"team": "教育"} if target.task_id == "late" else {}
    store.record(StateChange(RUNS))
    store.flush()
    return engine


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (RunQuery(0.0), ["late", "other", "lost", "early"]),
        (RunQuery(200.0, 300.0), ["other", "lost"]),
        (RunQuery(0.0, app_id="other"), ["other"]),
        (RunQuery(0.0, status=Status.FAILED), ["late", "other"]),
        (RunQuery(0.0, status=Status.RUNNING, reason=StopReason.LOST), []),
        (RunQuery(0.0, reason=StopReason.LOST), ["lost"]),
        (RunQuery(0.0, text="LAT"), ["late"]),
        (RunQuery(0.0, text="m_1", limit=1), ["late"]),
        (RunQuery(0.0, text="m%1"), []),
        (RunQuery(0.0, limit=2, offset=1), ["other", "lost"]),
        (RunQuery(0.0, target=TargetId("app", "Room_1", "early")), ["early"]),
        (RunQuery(0.0, target=TargetId("app", "Room_1", "live")), []),
    ],
)
def test_which_are_found(engine: Engine, wanted: RunQuery, expected: list[str]) -> None:
    """The latest end first; one that goes on is none of them."""
    with engine.connect() as connection:
        found = stopped_runs(connection, wanted)
    assert [run.target.task_id for run in found.runs] == expected


def test_how_many_fit(engine: Engine) -> None:
    """Whatever the page; what comes back is the run as it was recorded."""
    with engine.connect() as connection:
        found = stopped_runs(connection, RunQuery(0.0, limit=1))
    assert (found.total, found.runs, found.labels) == (4, (RUNS[1],), ({"team": "教育"},))
    assert [status_of(run) for run in RUNS[:3]] == [Status.ENDED, Status.FAILED, None]
