"""A run and its row, also a row that another release wrote."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.enums import PageAction, PageReason, Status, StopReason
from exporter.model.run import Run, StateChange
from exporter.model.target import TargetId
from exporter.model.task import NO_PAGES, EventNotify, MonitorIntervals, PageEvent, Pages, Task, VideoStream
from exporter.store.run_table import run_from_row, run_to_row

if TYPE_CHECKING:
    from tests.store.conftest import World

Ended = Callable[..., StateChange]

SECONDS = st.floats(0, 4e9)
COUNTS = st.none() | st.integers(0, 90_000)
TASKS = st.builds(
    Task,
    status=st.sampled_from(list(Status)),
    start=st.none() | SECONDS,
    end=st.none() | SECONDS,
    stop_reason=st.none() | st.sampled_from(list(StopReason)),
    user_id=st.text(st.characters(exclude_categories=["Cs"]), max_size=9),
    source_host=st.text(st.characters(exclude_categories=["Cs"]), max_size=9),
    max_running_time=COUNTS,
    video=st.lists(st.builds(VideoStream, COUNTS, COUNTS, COUNTS, COUNTS), max_size=2).map(tuple),
    monitor=st.builds(MonitorIntervals, COUNTS, COUNTS, COUNTS),
    event_notify=st.builds(EventNotify, st.none() | st.booleans(), COUNTS),
)
PAGE_EVENTS = st.builds(PageEvent, st.sampled_from(list(PageAction)), st.sampled_from(list(PageReason)), SECONDS)
RUNS = st.builds(
    Run,
    target=st.just(TargetId("app", "room", "task")),
    first_seen=SECONDS,
    start=st.none() | SECONDS,
    entered=st.frozensets(st.sampled_from(list(Status))),
    stopped=st.none() | st.sampled_from(list(StopReason)),
    end_seen=st.none() | SECONDS,
    last=st.none() | TASKS,
    earlier=st.lists(SECONDS, max_size=3).map(tuple),
    pages=st.builds(
        Pages,
        st.integers(0, 99),
        st.integers(0, 99),
        st.lists(
            st.builds(PageEvent, st.sampled_from(list(PageAction)), st.sampled_from(list(PageReason)), SECONDS),
            max_size=3,
        ).map(tuple),
    ),
)


class Columns:
    """A row as the database gives it."""

    def __init__(self, values: dict[str, Any]) -> None:
        self.__dict__.update(values)


def read_back(run: Run, **changed: Any) -> Run:
    """The run of a row in which another release has changed columns."""
    row: Any = Columns({**run_to_row(run), **changed})
    return run_from_row(row)


@given(RUNS)
def test_a_run_is_read_back_whole(run: Run) -> None:
    """Nothing of a run is lost between two processes, not a millisecond of it."""
    assert run == read_back(run)


@given(RUNS)
def test_a_row_holds_plain_values(run: Run) -> None:
    """A database driver takes text, numbers and NULL; an enum's word is its text."""
    assert {type(value) for value in run_to_row(run).values()} <= {str, int, float, type(None), StopReason}


@pytest.mark.parametrize("said", ["nonsense", "[1]", '{"a": 1}', '[["refresh", "PageMelt", 5]]', '[["refresh"]]'])
def test_page_events_of_a_later_release_are_passed_over(said: str) -> None:
    """How many there were is known all the same."""
    run = Run(TargetId("app", "room", "task"), 1.0, pages=Pages(3, 2))
    assert read_back(run, page_latest=said) == run
    assert read_back(run, page_refreshes=0, page_reschedules=0, page_latest=None).pages == NO_PAGES


def test_words_of_a_later_release_are_passed_over(ended: Ended) -> None:
    """A status without a word here is left out, and an unknown reason is Other: the run stays counted."""
    (run,) = ended().runs
    assert run == read_back(run, entered="ended paused running")
    assert StopReason.OTHER is read_back(run, stopped="StoppedByMoon").stopped


@pytest.mark.parametrize("inside", ["", "video", "monitor", "event_notify"])
def test_fields_of_a_later_release_are_passed_over(ended: Ended, inside: str) -> None:
    """What the next minor adds to the last state, at any depth, is not needed to show it."""
    (run,) = ended().runs
    last = json.loads(run_to_row(run)["last"])
    holders = {"": last, "video": last["video"][0], "monitor": last["monitor"], "event_notify": last["event_notify"]}
    holders[inside]["mood"] = "sunny"
    assert run == read_back(run, last=json.dumps(last))


def test_an_unknown_reason_in_the_last_state_is_other(ended: Ended) -> None:
    """The reason that is shown has a word here."""
    (run,) = ended().runs
    assert run.last is not None
    last = {**json.loads(run_to_row(run)["last"]), "stop_reason": "StoppedByMoon"}
    assert replace(run, last=replace(run.last, stop_reason=StopReason.OTHER)) == read_back(run, last=json.dumps(last))


@pytest.mark.parametrize(
    "last",
    [
        "{",
        "[]",
        "7",
        '"ended"',
        "{}",
        '{"status": "paused", "stop_reason": null}',
        '{"status": "ended", "stop_reason": null, "video": 3}',
        '{"status": "ended", "stop_reason": null, "video": [3]}',
        '{"status": "ended", "stop_reason": [3], "video": [], "monitor": {}, "event_notify": {}}',
    ],
)
def test_a_last_state_that_cannot_be_read_stops_no_start(ended: Ended, last: str) -> None:
    """The run is known without it, and its state is one more read away."""
    (run,) = ended().runs
    assert replace(run, last=None) == read_back(run, last=last)


def test_a_later_minors_rows_survive_this_release(world: "World", ended: Ended) -> None:
    """Columns and tables that were only added are read past, and what stands in them is left as it is."""
    store = world.open()
    store.record(ended())
    world.close(store)
    world.change(
        "ALTER TABLE runs ADD COLUMN mood TEXT",
        "ALTER TABLE totals ADD COLUMN unit TEXT DEFAULT 'runs'",
        "ALTER TABLE meta ADD COLUMN written_by TEXT",
        "CREATE TABLE pushed (target TEXT)",
        "UPDATE runs SET mood = 'sunny'",
        "INSERT INTO totals (total, app_id, label, bucket, value) VALUES ('smiles', 'app', '', '', 42)",
    )
    again = world.open()
    again.record(ended(end_seen=999.0))
    assert again.flush()
    assert again.latest_runs([TargetId("app", "room", "task")]).popitem()[1].end_seen == 999.0
    assert "smiles" not in {series.total for series in again.counters()}
    assert world.rows("SELECT mood, end_seen FROM runs") == [("sunny", 999.0)]
    assert world.rows("SELECT value FROM totals WHERE total = 'smiles'") == [(42.0,)]


def test_nothing_of_the_source_is_kept_but_its_host() -> None:
    """The last state is the Task, and of SourceURL a Task has the host alone; a new field needs a look here."""
    names = {"status", "start", "end", "stop_reason", "user_id", "source_host", "max_running_time"}
    run = Run(TargetId("app", "room", "task"), 1.0, last=Task(Status.ENDED))
    assert {*names, "video", "monitor", "event_notify"} == set(json.loads(run_to_row(run)["last"]))
