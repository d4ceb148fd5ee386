"""Stopped runs are found by time, app, status, reason and text; the latest end comes first."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa

from exporter.enums import Status, StopReason
from exporter.model.run import Run, StateChange
from exporter.model.target import TargetId
from exporter.model.task import Task
from exporter.store import run_table
from exporter.store.run_table import FoundRuns, RunCursor, RunQuery, latest_runs, live_runs, status_of, stopped_runs
from exporter.store.store import Store
from tests.support.state import LIMIT, open_store

if TYPE_CHECKING:
    from tests.store.conftest import World


def run(name: str, end_seen: float | None, reason: StopReason | None, status: Status | None, app: str = "app") -> Run:
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
LABELS = {"team": '教育 "7%"', "Straße": "une école 😀", "path": r"C:\new", "имя": "Нью"}


def fill(made: Store) -> None:
    made._labels_of = lambda target: LABELS if target.task_id == "late" else {}
    made.wait(made.record(StateChange(RUNS)), LIMIT)


@pytest.fixture
def store() -> Iterator[Store]:
    made = open_store()
    fill(made)
    yield made
    made.close()


def find(store: Store, query: RunQuery) -> FoundRuns:
    """Everything that matches, however busy the machine is."""
    return store.search(partial(stopped_runs, query=query, budget=LIMIT), LIMIT)


QUERIES = [
    (RunQuery(0.0), ["late", "other", "lost", "early"]),
    (RunQuery(200.0, 300.0), ["other", "lost"]),
    (RunQuery(0.0, app_id="other"), ["other"]),
    (RunQuery(0.0, status=Status.FAILED), ["late", "other"]),
    (RunQuery(0.0, status=Status.RUNNING, reason=StopReason.LOST), []),
    (RunQuery(0.0, reason=StopReason.LOST), ["lost"]),
    (RunQuery(0.0, text="LAT"), ["late"]),
    (RunQuery(0.0, text="m_1", limit=1), ["late"]),
    (RunQuery(0.0, text="m%1"), []),
    (RunQuery(0.0, text="教育"), ["late"]),
    (RunQuery(0.0, text='"7%"'), ["late"]),
    (RunQuery(0.0, text="ÉCOLE 😀"), ["late"]),
    (RunQuery(0.0, text="ьЮ"), ["late"]),
    (RunQuery(0.0, text="É"), ["late"]),
    (RunQuery(0.0, text="Å"), []),
    (RunQuery(0.0, text="c:\\n"), ["late"]),
    (RunQuery(0.0, text="c:\n"), []),
    (RunQuery(0.0, text="u6559"), []),
    (RunQuery(0.0, text='": "'), []),
    (RunQuery(0.0, text="%"), ["late"]),
    (RunQuery(0.0, text="%1/"), []),
    (RunQuery(0.0, text="_1/"), ["late", "other", "lost", "early"]),
    (RunQuery(0.0, text="other/room_1/OTHER"), ["other"]),
    (RunQuery(0.0, text="m_1/l"), ["late", "lost"]),
    (RunQuery(0.0, text="late/"), []),
    (RunQuery(0.0, text="//"), []),
    (RunQuery(0.0, text="é1" * 5000), []),
    (RunQuery(0.0, text="\0"), []),
    (RunQuery(0.0, text="lat\0"), []),
    (RunQuery(0.0, text="\ud800"), []),
    (RunQuery(0.0, app_id="\0"), []),
    (RunQuery(0.0, limit=2, offset=1), ["other", "lost"]),
    (RunQuery(0.0, target=TargetId("app", "Room_1", "early")), ["early"]),
    (RunQuery(0.0, target=TargetId("app", "Room_1", "live")), []),
]


@pytest.mark.parametrize(("query", "expected"), QUERIES)
def test_which_are_found(store: Store, query: RunQuery, expected: list[str]) -> None:
    """A run that goes on is none of them; `text` is in an id or in the labels."""
    assert [run.target.task_id for run in find(store, query).runs] == expected


def test_how_many_match(store: Store) -> None:
    """The total does not depend on the page; a run comes back as it was recorded, with its labels."""
    found = find(store, RunQuery(0.0, limit=1))
    assert (found.total, found.runs, found.labels) == (4, (RUNS[1],), (LABELS,))
    assert [status_of(run) for run in RUNS[:3]] == [Status.ENDED, Status.FAILED, None]


PAGED = [RunQuery(0.0), RunQuery(0.0, text="ROOM"), RunQuery(150.0, 350.0, app_id="many")]
MANY = [run(f"task{number}", 300.0 - number // 5, StopReason.LOST, None, app="many") for number in range(12)]


@pytest.mark.parametrize("query", PAGED)
@pytest.mark.parametrize("limit", [1, 2, 100])
def test_a_search_that_ends_with_its_time_goes_on_at_its_cursor(
    store: Store, query: RunQuery, limit: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each run is found once and in order, runs of one end too, and each answer takes one window at most."""
    store.wait(store.record(StateChange(tuple(MANY))), LIMIT)
    monkeypatch.setattr(run_table, "WINDOW_ROWS", 3)
    pages = list(search_on(store, query._replace(limit=limit), budget=0.0))
    assert [each for page in pages for each in page.runs] == list(find(store, query).runs)
    assert max(len(page.runs) for page in pages) <= 8
    assert pages[-1].complete


def search_on(store: Store, query: RunQuery, budget: float) -> Iterator[FoundRuns]:
    """Page after page, each from the cursor of the one before."""
    after: RunCursor | None = None
    while True:
        page = store.search(partial(stopped_runs, query=query._replace(after=after), budget=budget))
        yield page
        if page.next is None:
            return
        after = RunCursor.parse(str(page.next))


@pytest.mark.real
@pytest.mark.parametrize("engine", ["postgresql"])
def test_postgresql_finds_the_same(world: "World", store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also from cursor to cursor; its LIKE, its order of rows and its types are its own."""
    server = world.open()
    fill(server)
    for query, expected in QUERIES:
        assert [run.target.task_id for run in find(server, query).runs] == expected, query
    for each in (server, store):
        each.wait(each.record(StateChange(tuple(MANY))), LIMIT)
    monkeypatch.setattr(run_table, "WINDOW_ROWS", 3)
    for query in PAGED:
        pages = search_on(server, query._replace(limit=2), budget=0.0)
        assert [each for page in pages for each in page.runs] == list(find(store, query).runs), query


def test_the_runs_of_one_target_are_found_at_once(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """By their key, however many others ended after them."""
    monkeypatch.setattr(run_table, "WINDOW_ROWS", 1)
    query = RunQuery(0.0, target=RUNS[0].target)
    found = store.search(partial(stopped_runs, query=query, budget=0.0))
    assert (found.runs, found.complete) == ((RUNS[0],), True)


def test_how_many_match_is_a_lower_bound_when_time_is_short(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """The answer says so, and the page after it begins where the search ended."""
    monkeypatch.setattr(run_table, "WINDOW_ROWS", 1)
    found = store.search(lambda connection: stopped_runs(connection, RunQuery(0.0), budget=0.0))
    assert (found.total, found.complete, found.next) == (2, False, RunCursor(250.0))
    found = store.search(lambda connection: stopped_runs(connection, RunQuery(0.0, limit=1), budget=60.0))
    assert (found.total, found.complete, found.next) == (4, True, RunCursor(300.0, ("app", "Room_1", "late", 1.0)))


@pytest.mark.parametrize("text", ["", "x", "nan", "1/a/b/c", "1/a/b/c/x", "1/a/b c/d/2", "1/a/b/c/d/2", "1e999"])
def test_what_is_no_cursor(text: str) -> None:
    """ValueError, which the API answers with 400."""
    with pytest.raises(ValueError, match=r"."):
        RunCursor.parse(text)


@pytest.mark.parametrize(
    "look",
    [
        lambda connection: latest_runs(connection, [run.target for run in RUNS]),
        live_runs,
        lambda connection: stopped_runs(connection, RunQuery(0.0, text="lat")),
        lambda connection: stopped_runs(connection, RunQuery(0.0, target=RUNS[0].target)),
    ],
    ids=["latest runs", "live runs", "a search", "runs of a target"],
)
def test_no_query_scans_the_table(store: Store, look: Callable[[sa.Connection], object]) -> None:
    """A week has 118,000 runs: SQLite finds them by an index, whatever is asked."""
    plans: list[str] = []

    def explain(_connection: Any, cursor: Any, statement: str, parameters: Any, *_more: Any) -> None:
        rows = cursor.connection.execute(f"EXPLAIN QUERY PLAN {statement}", parameters).fetchall()
        plans.extend(row[-1] for row in rows)

    engine = store._database._readers
    sa.event.listen(engine, "before_cursor_execute", explain)
    store.search(look)
    assert [plan for plan in plans if plan.startswith("SCAN runs") and "INDEX" not in plan] == []
    assert any("USING" in plan for plan in plans)
