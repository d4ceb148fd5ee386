"""The state is created when new, and refused with a sentence, untouched, when this release cannot use it."""

import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import sqlalchemy as sa

from exporter.errors import StartError
from exporter.store.database import open_sqlite
from exporter.store.schema import METADATA, SCHEMA_VERSION

ROOT, OTHER_USER = 0, 65534
ALL_TABLES = {"meta", "runs", "totals", "pushed_targets", "heard_callbacks", "inbox"}


def make(file: Path, *statements: str) -> None:
    """Write a database by other hands."""
    with closing(sqlite3.connect(file)) as connection:
        connection.executescript(";".join(statements))


def ours(file: Path, *statements: str) -> None:
    """Write a state of this release, then change it."""
    open_sqlite(file).close()
    make(file, *statements)


def refusal(file: Path) -> str:
    """The sentence with which the state is refused."""
    with pytest.raises(StartError) as raised:
        open_sqlite(file)
    return str(raised.value)


def tables(file: Path) -> set[str]:
    """The tables of a database."""
    with closing(sqlite3.connect(file)) as connection:
        return {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}


@pytest.mark.parametrize("begin", ["absent", "empty", "ours"])
def test_a_new_state_is_made_and_an_old_one_kept(tmp_path: Path, begin: str) -> None:
    """No file, an empty one and our own all open, as write-ahead logs, with one version."""
    file = tmp_path / "state.db"
    if begin == "empty":
        file.touch()
    if begin == "ours":
        ours(file)
    state = open_sqlite(file)
    with state.writing() as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar_one() == "wal"
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar_one() == 1
        assert connection.execute(sa.text("SELECT schema_version FROM meta")).scalars().all() == [SCHEMA_VERSION]
    state.close()
    assert tables(file) == ALL_TABLES


@pytest.mark.parametrize("name", ["with space.db", "100%25.db", "\u72b6\u6001.db", "a+b&c.db"])
def test_a_file_may_have_any_name(tmp_path: Path, name: str) -> None:
    """The file that is looked at is the file that is opened."""
    for _ in range(2):
        open_sqlite(tmp_path / name).close()
    assert (tmp_path / name).stat().st_size
    make(tmp_path / name, "UPDATE meta SET schema_version = 99")
    assert "has schema 99" in refusal(tmp_path / name)


def test_a_relative_file_is_relative_to_the_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Contract, section 2, on `state.url`."""
    monkeypatch.chdir(tmp_path)
    open_sqlite(Path("state.db")).close()
    assert tables(tmp_path / "state.db") == ALL_TABLES


NEWER = "has schema {} and this release reads up to 1: run the release that wrote it, or point state.url elsewhere"
FOREIGN = "is another program's database; point state.url elsewhere"


@pytest.mark.parametrize(
    ("first", "statements", "sentence"),
    [
        (ours, "UPDATE meta SET schema_version = 2", NEWER.format(2)),
        (ours, "UPDATE meta SET schema_version = 99; DROP TABLE runs", NEWER.format(99)),
        (ours, "UPDATE meta SET schema_version = 2; ALTER TABLE runs RENAME COLUMN first_seen TO x", NEWER.format(2)),
        (make, "CREATE TABLE meta (key TEXT, value TEXT)", FOREIGN),
        (make, "CREATE TABLE runs (id INTEGER)", FOREIGN),
        (make, "CREATE TABLE meta (schema_version INTEGER); INSERT INTO meta (schema_version) VALUES (1)", FOREIGN),
        (make, "CREATE TABLE bookmarks (url TEXT); INSERT INTO bookmarks VALUES ('https://example.com')", FOREIGN),
        (ours, "DELETE FROM meta", FOREIGN),
        (ours, "INSERT INTO meta (schema_version) VALUES (1)", FOREIGN),
        (ours, "UPDATE meta SET schema_version = 'one'", FOREIGN),
        (ours, "DROP TABLE totals", FOREIGN),
        (ours, "ALTER TABLE runs DROP COLUMN earlier", FOREIGN),
    ],
)
def test_what_this_release_cannot_read_is_refused_untouched(
    tmp_path: Path, first: Callable[..., None], statements: str, sentence: str
) -> None:
    """A newer schema, another program's database, or a damaged state: the sentence says what to do."""
    file = tmp_path / "state.db"
    first(file, statements)
    before = file.read_bytes()
    assert refusal(file) == f"state {file} {sentence}"
    assert file.read_bytes() == before


@pytest.mark.parametrize("content", [b"webcast: true\n" * 200, b"x", os.urandom(5000)], ids=["yaml", "byte", "noise"])
def test_what_is_no_database_is_refused_untouched(tmp_path: Path, content: bytes) -> None:
    """A mistyped path must not cost the file it names."""
    file = tmp_path / "state.db"
    file.write_bytes(content)
    assert f"state {file}: is no SQLite database; point state.url at another file" == refusal(file)
    assert content == file.read_bytes()
    assert [path.name for path in tmp_path.iterdir()] == ["state.db"]


KILLED = """
import os, signal, sqlite3, sys
connection = sqlite3.connect(sys.argv[1])
connection.execute("PRAGMA journal_mode=WAL")
connection.executescript(sys.argv[2])
os.kill(os.getpid(), signal.SIGKILL)
"""


def killed(file: Path, statements: str) -> None:
    """Write with another process that dies before its log is folded into the file."""
    done = subprocess.run([sys.executable, "-c", KILLED, file, statements], check=False)
    assert done.returncode == -signal.SIGKILL
    assert file.with_name("state.db-wal").stat().st_size


def test_a_newer_release_that_was_killed_is_refused_untouched(tmp_path: Path) -> None:
    """What stands only in its write-ahead log is seen, and is not folded into the file."""
    file = tmp_path / "state.db"
    ours(file)
    killed(file, "UPDATE meta SET schema_version = 2")
    before, log = file.read_bytes(), file.with_name("state.db-wal").read_bytes()
    assert "has schema 2" in refusal(file)
    assert (before, log) == (file.read_bytes(), file.with_name("state.db-wal").read_bytes())


def test_a_killed_process_leaves_its_state(tmp_path: Path) -> None:
    """What it had committed is there, log or file."""
    file = tmp_path / "state.db"
    ours(file)
    killed(file, "INSERT INTO totals VALUES ('run_stops', 'app', 'Lost', '', 3)")
    state = open_sqlite(file)
    with state.writing() as connection:
        assert connection.execute(sa.text("SELECT value FROM totals")).scalar_one() == 3
    state.close()


def test_tables_are_made_all_or_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that dies while it makes them leaves an empty file, which the next one takes for new."""
    file = tmp_path / "state.db"
    create_all = METADATA.create_all

    def die(connection: sa.Connection) -> None:
        create_all(connection)
        raise KeyboardInterrupt

    monkeypatch.setattr(METADATA, "create_all", die)
    with suppress(KeyboardInterrupt):
        open_sqlite(file)
    assert set() == tables(file)
    monkeypatch.undo()
    open_sqlite(file).close()
    assert tables(file) == ALL_TABLES


def test_a_folder_that_is_none(tmp_path: Path) -> None:
    file = tmp_path / "none" / "state.db"
    expected = f"state {file}: cannot be opened; is {file.parent} a folder this user may write to?"
    assert expected == refusal(file)
    assert not file.parent.exists()


def test_a_folder_in_place_of_a_file(tmp_path: Path) -> None:
    assert refusal(tmp_path) == f"state {tmp_path}: is a directory, not a file"


@pytest.fixture
def as_anybody() -> Iterator[Path]:
    """A folder of a user who may not write everywhere; root goes on as such a one, so that modes mean something."""
    with TemporaryDirectory() as name:
        if os.geteuid() != ROOT:
            yield Path(name)
            return
        os.chown(name, OTHER_USER, OTHER_USER)
        os.seteuid(OTHER_USER)
        try:
            yield Path(name)
        finally:
            os.seteuid(ROOT)


@pytest.mark.parametrize("part", ["file", "folder"])
def test_a_state_that_cannot_be_written(as_anybody: Path, part: str) -> None:
    """It is refused at the start, not found out at the first end of a task."""
    file = as_anybody / "state.db"
    ours(file)
    closed = file if part == "file" else as_anybody
    closed.chmod(0o500)
    assert f"state {file}: cannot be" in refusal(file)
    as_anybody.chmod(0o700)


def test_a_file_that_another_connection_holds(tmp_path: Path) -> None:
    """A shell that holds the file is named in a sentence; the statement that waited for it is not."""
    file = tmp_path / "state.db"
    ours(file)
    with closing(sqlite3.connect(file, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        assert f"state {file}: cannot be used: database is locked" == refusal(file)
    open_sqlite(file).close()


def test_a_state_in_memory_needs_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`sqlite://` makes nothing on the disk."""
    monkeypatch.chdir(tmp_path)
    open_sqlite(None).close()
    assert list(tmp_path.iterdir()) == []
