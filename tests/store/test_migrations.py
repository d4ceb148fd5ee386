"""A state of an earlier release is copied, then brought up to date in one transaction."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy as sa

from exporter.enums import StopReason
from exporter.errors import StartError
from exporter.model.target import TargetId
from exporter.model.task import NO_PAGES
from exporter.store import schema
from exporter.store.database import open_sqlite
from exporter.store.schema import ADDED_COLUMNS, RUNS, SCHEMA_VERSION
from tests.support.state import open_store

FIRST_RELEASE = """
CREATE TABLE meta (schema_version INTEGER NOT NULL);
CREATE TABLE runs (
    app_id VARCHAR(128) NOT NULL, room_id VARCHAR(128) NOT NULL, task_id VARCHAR(128) NOT NULL,
    first_seen FLOAT NOT NULL, start FLOAT, entered VARCHAR(64) NOT NULL, stopped VARCHAR(32), end_seen FLOAT,
    last TEXT, earlier TEXT NOT NULL, PRIMARY KEY (app_id, room_id, task_id, first_seen)
);
CREATE INDEX runs_by_end ON runs (end_seen);
CREATE TABLE totals (
    total VARCHAR(64) NOT NULL, app_id VARCHAR(128) NOT NULL, label VARCHAR(64) NOT NULL,
    bucket VARCHAR(16) NOT NULL, value FLOAT NOT NULL, PRIMARY KEY (total, app_id, label, bucket)
);
INSERT INTO meta VALUES (1);
INSERT INTO runs VALUES ('app', 'room', 'task', 50.5, 40.25, 'ended running', 'StopByAPI', 99.0, NULL, '1.5 2.5');
INSERT INTO totals VALUES ('run_stops', 'app', 'StopByAPI', '', 7.0);
"""
"""As the first release made it: its tables, a run that has stopped, a total."""
TASKS = [TargetId("app", "room", name) for name in ("task", "new")]


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """Such a state, with its last row still in the write-ahead log."""
    file = tmp_path / "state.db"
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.executescript(FIRST_RELEASE)
    return file


def rows(file: Path, statement: str) -> list[tuple[object, ...]]:
    """What a statement finds in a file."""
    with closing(sqlite3.connect(file)) as connection:
        return connection.execute(statement).fetchall()


def columns(file: Path, table: str) -> set[str]:
    """The columns of a table."""
    return {str(name) for name, *_ in rows(file, f"SELECT name FROM pragma_table_info('{table}')")}


def beside(file: Path) -> set[str]:
    """The files in the state's folder."""
    return {path.name for path in file.parent.iterdir()}


def test_what_it_holds_goes_on(old: Path) -> None:
    """Its run is known, with no page events, and its counter stands where it stood."""
    store = open_store(old)
    (run,) = store.latest_runs(TASKS).values()
    assert (run.first_seen, run.start, run.stopped, run.earlier) == (50.5, 40.25, StopReason.STOP_BY_API, (1.5, 2.5))
    assert run.pages == NO_PAGES
    assert sum(store.counters().values()) == 7.0
    store.close()


def test_a_copy_is_made_first_and_once(old: Path) -> None:
    """FILE.schema-1 is the state as it was; a state that is up to date already is not copied."""
    open_store(old).close()
    copy = old.with_name(f"state.db.schema-{SCHEMA_VERSION}")
    later = {column.name for column in ADDED_COLUMNS if column.table is RUNS}
    assert columns(copy, "runs") == columns(old, "runs") - later
    assert rows(copy, "SELECT value FROM totals") == [(7.0,)]
    copy.unlink()
    open_store(old).close()
    assert beside(old) == {"state.db"}


def test_what_stands_only_in_the_log_is_copied_too(old: Path) -> None:
    """A process that was killed leaves its last rows there."""
    with closing(sqlite3.connect(old)) as writer:
        writer.execute("INSERT INTO totals VALUES ('run_stops', 'app', 'Lost', '', 1.0)")
        writer.commit()
        open_store(old).close()
    assert rows(old.with_name("state.db.schema-1"), "SELECT sum(value) FROM totals") == [(8.0,)]


def test_the_release_before_reads_and_writes_it_still(old: Path) -> None:
    """Columns and tables are only added: its rows find their defaults, and go on from there."""
    open_store(old).close()
    with closing(sqlite3.connect(old)) as connection:
        names = "app_id, room_id, task_id, first_seen, entered, earlier"
        connection.execute(f"INSERT INTO runs ({names}) VALUES ('app', 'room', 'new', 60.0, 'running', '')")
        connection.commit()
    store = open_store(old)
    assert {run.pages for run in store.latest_runs(TASKS).values()} == {NO_PAGES}
    store.close()
    assert rows(old, "SELECT schema_version FROM meta") == [(SCHEMA_VERSION,)]


def test_without_a_copy_nothing_is_changed(old: Path) -> None:
    """A full disk stops the start with a sentence, and the state is as it was."""
    old.with_name("state.db.schema-1.part").mkdir()
    before = columns(old, "runs")
    with pytest.raises(StartError, match=r"cannot be copied to state\.db\.schema-1 before it is migrated"):
        open_sqlite(old)
    assert columns(old, "runs") == before


def test_a_process_that_dies_midway_has_changed_nothing(old: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All that is missing is added in the transaction that opens the state, or none of it."""
    add_missing = schema._add_missing

    def die(connection: sa.Connection, found: schema.Columns) -> None:
        add_missing(connection, found)
        raise KeyboardInterrupt

    monkeypatch.setattr(schema, "_add_missing", die)
    with pytest.raises(KeyboardInterrupt):
        open_sqlite(old)
    monkeypatch.undo()
    assert "page_refreshes" not in columns(old, "runs")
    assert rows(old, "SELECT name FROM sqlite_master WHERE name = 'heard_callbacks'") == []
    open_store(old).close()
    assert "page_refreshes" in columns(old, "runs")


def test_a_state_that_lacks_only_a_column_is_migrated(tmp_path: Path) -> None:
    """All tables are there; the column that a later release added comes with a start."""
    file = tmp_path / "state.db"
    open_sqlite(file).close()
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute("ALTER TABLE runs DROP COLUMN page_latest")
    open_sqlite(file).close()
    with closing(sqlite3.connect(file)) as connection:
        assert "page_latest" in {row[1] for row in connection.execute("PRAGMA table_info(runs)")}
