"""`serve` on a state that cannot be used: one sentence, exit 1, whatever the disk does."""

import errno
import fcntl
import os
import sqlite3
from collections.abc import Callable
from functools import partial
from pathlib import Path
from sqlite3 import dbapi2
from typing import TYPE_CHECKING, Any, Never

import pytest

if TYPE_CHECKING:
    from tests.cli.conftest import Run

NO_LOCKS = "its disk has no file locks, use a local disk"
NO_MEMORY = "shared memory does not work there: the state needs a local disk (docs/reliability.md)"

Spoil = Callable[[pytest.MonkeyPatch], None]
connect = sqlite3.connect


def flock_fails(number: int, patch: pytest.MonkeyPatch) -> None:
    """As on network disks."""

    def fail(*_arguments: object) -> Never:
        raise OSError(number, os.strerror(number))

    patch.setattr(fcntl, "flock", fail)


def no_shared_memory(patch: pytest.MonkeyPatch) -> None:
    """SQLite's own way to a disk without locks and shared memory."""
    patch.setattr(dbapi2, "connect", lambda path, **more: connect(f"file:{path}?vfs=unix-none", **more, uri=True))


def wal_fails(sentence: str, patch: pytest.MonkeyPatch, name: str = "SQLITE_IOERR_SHMMAP") -> None:
    """What SQLite says where shared memory is there and fails."""
    error = sqlite3.OperationalError(sentence)
    error.sqlite_errorname = name

    class Failing(sqlite3.Connection):
        def execute(self, sql: str, *arguments: Any) -> sqlite3.Cursor:
            if "journal_mode" in sql:
                raise error
            return super().execute(sql, *arguments)

    patch.setattr(dbapi2, "connect", partial(connect, factory=Failing))


CASES: dict[str, tuple[Spoil, str]] = {
    **{name: (partial(flock_fails, getattr(errno, name)), NO_LOCKS) for name in ("ENOLCK", "ENOTSUP", "EIO", "ESTALE")},
    "no shared memory": (no_shared_memory, NO_MEMORY),
    "locking protocol": (partial(wal_fails, "locking protocol"), NO_MEMORY),
    "disk I/O error": (partial(wal_fails, "disk I/O error"), NO_MEMORY),
    "full disk": (partial(wal_fails, "disk I/O error", name="SQLITE_IOERR_SHMSIZE"), "error; is the disk full?"),
    "pipe": (lambda _: os.mkfifo("state.db"), "is a named pipe, not a file"),
    "pipe for a lock": (lambda _: os.mkfifo("state.db.lock"), "its lock file cannot be opened"),
    "folder": (lambda _: Path("state.db").mkdir(), "is a directory, not a file"),
    "device": (lambda _: Path("state.db").symlink_to("/dev/zero"), "is a device, not a file"),
    "link to itself": (lambda _: Path("state.db").symlink_to("state.db"), "its lock file cannot be opened"),
    "folder for shared memory": (lambda _: Path("state.db-shm").mkdir(), "cannot be written"),
    "no folder": (lambda patch: patch.chdir("/proc"), "its lock file cannot be opened"),
}


@pytest.mark.parametrize("case", CASES)
def test_a_state_that_cannot_be_used(run: "Run", tmp_path: Path, monkeypatch: pytest.MonkeyPatch, case: str) -> None:
    """A network disk without locks or shared memory, and what is no file: it neither hangs nor shows a traceback."""
    file = tmp_path / "webcast-exporter.yml"
    file.write_text("accounts: [{access_key_id: AK, secret_access_key: SK}]\nstate: {url: 'sqlite:///state.db'}\n")
    monkeypatch.chdir(tmp_path)
    spoil, sentence = CASES[case]
    spoil(monkeypatch)
    result = run("serve", "--config.file", str(file), "--web.listen-address", "127.0.0.1:0")
    (line,) = result.stderr.splitlines()
    assert (result.exit_code, line[:33]) == (1, "webcast-exporter: state state.db:")
    assert sentence in line
