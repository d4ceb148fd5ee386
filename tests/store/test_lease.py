"""One process writes a state: a lock on a SQLite file, a lease with a fencing token in PostgreSQL."""

import errno
import fcntl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa

from exporter.config.fields import StateUrl
from exporter.errors import StartError, StateError
from exporter.model.run import StateChange
from exporter.store import lease as leases
from exporter.store.database import open_sqlite
from exporter.store.lease import ADVISORY_LOCK, FileLock, Lease, state_lock
from exporter.store.store import Store
from tests.store.conftest import on_postgresql
from tests.support.state import LIMIT

if TYPE_CHECKING:
    from tests.store.conftest import World
    from tests.support.postgresql import Postgres

Ended = Callable[..., StateChange]
Count = Callable[[Store], float]
CUT = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'webcast-exporter'"
EXPIRE = "UPDATE meta SET expires_at = 0"
HOLDER = """
import sys
from pathlib import Path
from exporter.store.lease import FileLock
lock = FileLock(Path(sys.argv[1]))
print(lock.acquire(lambda: False), flush=True)
sys.stdin.read()
"""
real = pytest.mark.real


@pytest.fixture
def engine() -> str:
    """Of the two, this one."""
    return "postgresql"


def never() -> bool:
    """Give up at the first wait."""
    return False


def until(holds: Callable[[], object]) -> None:
    """Wait until it holds."""
    end = time.monotonic() + LIMIT
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.01)


# A file's lock


def test_a_second_process_waits_for_a_file_until_the_first_lets_go(tmp_path: Path) -> None:
    """The wait is called between two tries and can end it."""
    first, second = FileLock(tmp_path / "state.db"), FileLock(tmp_path / "state.db")
    assert first.acquire(never)
    assert not second.acquire(never)
    waits: list[int] = []

    def wait() -> bool:
        waits.append(len(waits))
        if len(waits) == 3:
            first.release()
            first.release()
        return True

    assert second.acquire(wait)
    assert waits == [0, 1, 2]
    second.release()


@pytest.mark.parametrize("end", ["kill", "terminate"])
def test_a_dead_process_holds_nothing(tmp_path: Path, end: str) -> None:
    """However a process ends, its state is free for the next one."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, tmp_path / "state.db"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "True\n"
        lock = FileLock(tmp_path / "state.db")
        assert not lock.acquire(never)
        getattr(holder, end)()
        holder.wait()
    assert lock.acquire(never)
    lock.release()


def test_two_names_of_one_file_are_one_lock_and_two_files_are_two(tmp_path: Path) -> None:
    """A link to the state is the state; a state in memory needs no lock; the lock file is ours alone."""
    (tmp_path / "link.db").symlink_to(tmp_path / "state.db")
    locks = [FileLock(tmp_path / name) for name in ("state.db", "link.db", "other.db")]
    assert [lock.acquire(never) for lock in (*locks, FileLock(None))] == [True, False, True, True]
    assert (tmp_path / "state.db.lock").stat().st_mode & 0o777 == 0o600
    for lock in locks:
        lock.release()


def test_a_lock_file_that_cannot_be_opened(tmp_path: Path) -> None:
    """One sentence says which and why."""
    with pytest.raises(StartError, match=r"its lock file cannot be opened \(.*no such file or directory\)"):
        FileLock(tmp_path / "none" / "state.db")
    (tmp_path / "state.db.lock").mkdir()
    with pytest.raises(StartError, match="is a directory"):
        FileLock(tmp_path / "state.db")


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.ENOSYS, errno.EIO, errno.ENOTSUP])
def test_a_disk_without_locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    """Any errno of flock is a sentence, not a traceback."""

    def refuse(*_arguments: object) -> None:
        raise OSError(number, "refused")

    monkeypatch.setattr(fcntl, "flock", refuse)
    with pytest.raises(StartError, match="its disk has no file locks, use a local disk"):
        FileLock(tmp_path / "state.db").acquire(never)


@pytest.mark.parametrize("gone", ["state.db", "state.db.lock", "state.db-wal", "state.db-shm"])
@pytest.mark.parametrize("replaced", [False, True])
def test_a_file_that_goes_away_under_the_process_ends_its_state(
    tmp_path: Path,
    ended: Ended,
    gone: str,
    replaced: bool,
) -> None:
    """Nothing counts as committed any more, the process says so and makes no call, and what was committed is kept."""
    lock = FileLock(tmp_path / "state.db")
    assert lock.acquire(never)
    failures: list[None] = []
    store = Store(lock.open(), on_failure=lambda: failures.append(None))
    change = ended()
    store.wait(store.record(change), LIMIT)
    assert lock.confirmed
    (tmp_path / gone).unlink()
    if replaced:
        (tmp_path / gone).touch()
    assert lock.confirmed == ("-" in gone)  # without its log the state is still no other process's
    with pytest.raises(StateError, match="was removed or replaced while in use"):
        store.wait(store.record(ended()), LIMIT)
    assert gone in store.lost
    assert len(failures) == 1
    store.close()
    lock.release()
    kept = "state.db.lost" if (gone, replaced) == ("state.db", True) else "state.db"
    assert {file.name for file in tmp_path.iterdir()} <= {
        "state.db",
        "state.db.lock",
        "state.db-wal",
        "state.db-shm",
        kept,
    }
    again = Store(open_sqlite(tmp_path / kept))
    assert again.latest_runs([change.runs[0].target]) == {change.runs[0].target: change.runs[0]}
    again.close()


def test_a_state_is_locked_although_its_lock_file_is_gone(tmp_path: Path) -> None:
    """Another process makes a new lock file, and still waits."""
    lock, other = FileLock(tmp_path / "state.db"), None
    assert lock.acquire(never)
    database = lock.open()
    (tmp_path / "state.db.lock").unlink()
    other = FileLock(tmp_path / "state.db")
    assert not other.acquire(never)
    database.close()
    lock.release()
    assert other.acquire(never)
    other.release()


# A server's lease


@pytest.fixture
def clock() -> list[float]:
    """The leases' clock, moved by the test alone."""
    return [1000.0]


@pytest.fixture
def made(world: "World", clock: list[float]) -> Iterator[Callable[[], Lease]]:
    """Leases that are sought."""
    all_of_them: list[Lease] = []

    def make() -> Lease:
        all_of_them.append(Lease(world.url, lambda: clock[0]))
        all_of_them[-1].start()
        return all_of_them[-1]

    yield make
    for lease in all_of_them:
        lease.release()


@pytest.mark.parametrize("boot_clock", [True, False])
def test_a_lease_is_unconfirmed_after_a_sleep_of_the_machine(
    monkeypatch: pytest.MonkeyPatch,
    boot_clock: bool,
) -> None:
    """CLOCK_MONOTONIC stands still meanwhile; it is used only where there is no other."""
    seconds = {time.CLOCK_MONOTONIC: 50.0}
    if boot_clock:
        seconds[time.CLOCK_BOOTTIME] = 1000.0
    else:
        monkeypatch.delattr(time, "CLOCK_BOOTTIME")
    monkeypatch.setattr(time, "clock_gettime", seconds.__getitem__)
    lease = Lease(StateUrl("postgresql+psycopg://user@host/database"), answered_before=5.0)
    assert lease.answered_at == 5.0
    before = time.time()
    lease = Lease(StateUrl("postgresql+psycopg://user@host/database"))
    assert before <= lease.answered_at <= time.time()
    lease.token, lease._confirmed_until = 1, lease._clock() + leases.LEASE_SECONDS
    assert lease.confirmed
    clock = time.CLOCK_BOOTTIME if boot_clock else time.CLOCK_MONOTONIC
    seconds[clock] += 60.0
    assert (lease.held, lease.confirmed, lease.idle_for) == (True, False, 60.0)


@real
def test_the_second_replica_has_the_lease_once_the_first_has_released_it(made: Callable[[], Lease]) -> None:
    """With the next token, and after a wait in which the first one's calls are over."""
    first = made()
    assert first.wait(LIMIT)
    second = made()
    assert not second.wait(1.0)
    assert (first.held, first.confirmed, first.handover_wait) == (True, True, 0.0)
    first.release()
    assert second.wait(LIMIT)
    assert (first.token, second.token, second.handover_wait) == (1, 2, leases.HANDOVER_SECONDS)


@real
def test_a_lease_that_is_not_renewed_is_taken_over(made: Callable[[], Lease], clock: list[float]) -> None:
    """The holder before is unconfirmed by its own clock, and then knows that it lost."""
    first = made()
    assert first.wait(LIMIT)
    first._stopping = True
    first._give_back = lambda: None  # type: ignore[method-assign]  # a process that was stopped
    with first._wake:
        first._wake.notify_all()
    second = made()
    clock[0] += leases.LEASE_SECONDS
    assert not first.confirmed
    assert second.wait(LIMIT)
    first._engine.dispose()
    first._try()
    first._engine.dispose()
    assert (first.held, "another process has it by now" in first.lost) == (False, True)


@real
def test_a_lease_is_over_though_the_server_s_clock_was_set_back(
    world: "World", made: Callable[[], Lease], clock: list[float]
) -> None:
    """A holder that lives renews it; one that was seen unchanged for as long as a lease lasts is dead."""
    first = made()
    assert first.wait(LIMIT)
    first.release()
    world.change("UPDATE meta SET expires_at = 9e9")
    second = made()
    assert not second.wait(1.0)
    clock[0] += leases.LEASE_SECONDS + 0.1
    assert second.wait(LIMIT)
    assert second.confirmed


@real
def test_the_waits_of_a_take_over_are_five_seconds_at_most() -> None:
    """The expiry, the next try, a connection that does not answer, and the wait of a new leader before it reads."""
    assert leases.LEASE_SECONDS + leases.TRY_SECONDS + leases.LEASE_SILENCE + leases.HANDOVER_SECONDS < 5


def test_writes_with_an_old_token_fail(world: "World", ended: Ended, stop_count: Count) -> None:
    """Its counters are the new holder's: none of the old ones is written over them."""
    store = world.open()
    world.change("UPDATE meta SET term = term + 1, holder = 'another'")
    with pytest.raises(StateError, match="another process has it by now"):
        store.wait(store.record(ended()), LIMIT)
    assert store.lost
    world.kill(store)
    assert stop_count(world.open()) == 0


@real
def test_a_take_over_waits_for_a_write_that_is_on_its_way(world: "World", stop_count: Count) -> None:
    """It is committed, and counted by both, or it is not."""
    store = world.open()
    with store._database.writing() as connection:
        world._leases[0].release()
        other = Lease(world.url)
        other.start()
        assert not other.wait(1.0)
        connection.exec_driver_sql("INSERT INTO totals VALUES ('run_stops', 'app', 'StopByAPI', '', 5)")
    assert other.wait(LIMIT)
    successor = Store(other.open())
    assert stop_count(successor) == 5
    successor.close()
    other.release()


@real
def test_cut_sessions_are_made_anew(world: "World", ended: Ended, stop_count: Count) -> None:
    """The lease is held by its row, not by a session: nothing is lost, and everything is counted once."""
    store = world.open()
    for name in ("one", "two", "three"):
        world.change(CUT)
        store.record(ended(name))
    until(store.flush)
    assert (stop_count(store), world._leases[0].held, store.lost) == (3, True, "")
    assert store.live_runs() == {}


@real
def test_the_dead_half_of_an_own_session_is_no_other_process(made: Callable[[], Lease]) -> None:
    """The client's half of a connection breaks and the server's stays, with its locks: the holder goes on."""
    lease = made()
    assert lease.wait(LIMIT)
    ghost = lease._engine.raw_connection()
    ghost.detach()  # its session stays, and has the advisory lock
    lease._engine.dispose()
    lease._try()
    assert (lease.held, lease.problem) == (True, "")
    ghost.close()


@real
def test_an_older_release_leads_by_its_lock(world: "World", made: Callable[[], Lease]) -> None:
    """While it does, no lease is taken beside it."""
    with world._other.connect() as older:
        older.execute(sa.select(sa.func.pg_advisory_lock(ADVISORY_LOCK)))
        lease = made()
        assert not lease.wait(1.0)
        older.execute(sa.select(sa.func.pg_advisory_unlock(ADVISORY_LOCK)))
    assert lease.wait(LIMIT)


@real
def test_a_server_that_starts_again(postgres: "Postgres", world: "World", ended: Ended, stop_count: Count) -> None:
    """Nothing is lost but time."""
    store = world.open()
    postgres.stop()
    store.record(ended())
    assert not store.flush(LIMIT)
    postgres.start()
    until(store.flush)
    assert (stop_count(store), store.lost) == (1, "")
    until(lambda: world._leases[0].confirmed)


@real
def test_a_server_that_only_reads_is_tried_again(world: "World", made: Callable[[], Lease]) -> None:
    """After a failover to a replica of the server no process ends: the lease is held once it can be written."""
    name = world.url.parts["database"]
    world.change(f'ALTER DATABASE "{name}" SET default_transaction_read_only = on')
    lease = made()
    until(lambda: "read-only" in lease.problem)
    world.change("SET default_transaction_read_only = off", f'ALTER DATABASE "{name}" RESET ALL')
    lease._engine.dispose()  # as the server's sessions end
    assert lease.wait(LIMIT)


@real
def test_databases_have_leases_of_their_own(postgres: "Postgres") -> None:
    """Exporters on one server are not in each other's way."""
    both = [Lease(postgres.database()) for _ in range(2)]
    for lease in both:
        lease.start()
    assert [lease.wait(LIMIT) for lease in both] == [True, True]
    for lease in both:
        lease.release()


@real
@pytest.mark.parametrize(
    ("statement", "words"),
    [
        ("CREATE TABLE meta (name TEXT)", "is another program's database; point state.url elsewhere"),
        (
            "CREATE TABLE meta (schema_version INTEGER); INSERT INTO meta VALUES (99)",
            "has schema 99 and this release reads up to 1",
        ),
    ],
)
def test_a_database_that_is_not_ours_is_refused(postgres: "Postgres", statement: str, words: str) -> None:
    """It stays as it is."""
    world = on_postgresql(postgres)
    world.change(statement)
    lock = state_lock(world.url)
    with pytest.raises(StartError, match=words):
        lock.acquire(lambda: True)
    assert world.rows("SELECT tablename FROM pg_tables WHERE schemaname = 'public'") == [("meta",)]
    lock.release()
    world.end()


@real
def test_an_older_state_is_migrated(world: "World", ended: Ended, stop_count: Count) -> None:
    """What is missing is added, and what was there stays."""
    store = world.open()
    store.record(ended())
    world.close(store)
    world.change(
        *(f"ALTER TABLE meta DROP COLUMN {name}" for name in ("term", "holder", "expires_at")),
        "ALTER TABLE runs DROP COLUMN page_latest",
        "DROP TABLE heard_callbacks",
    )
    again = world.open()
    assert stop_count(again) == 1
    assert world.rows("SELECT term FROM meta") == [(1,)]


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("postgresql+psycopg://exporter:hunter2@127.0.0.1:1/state", "cannot be used: connection"),
        ("postgresql+psycopg://exporter:hunter2@localhost/state?host=/nowhere", "cannot be used: connection"),
        ("postgresql+psycopg://exporter:hunter2@localhost/state?sslmode=odd", "invalid sslmode"),
    ],
)
def test_a_server_that_cannot_be_used_is_told_without_the_password(url: str, words: str) -> None:
    """In one line, with libpq's own words."""
    lock = state_lock(StateUrl(url))
    with pytest.raises(StartError) as raised:
        lock.acquire(lambda: True)
    lock.release()
    assert words in str(raised.value)
    assert not {"\n", "hunter2"} & set(str(raised.value).split(" "))
    assert "hunter2" not in str(raised.value)


def test_without_the_driver_the_sentence_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """It comes with an extra."""
    monkeypatch.delitem(sys.modules, "exporter.store.postgresql", raising=False)
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(StartError, match=r"pip install 'webcast-exporter\[postgresql\]'"):
        state_lock(StateUrl("postgresql+psycopg://db/state"))


@real
def test_the_url_s_options_are_added_to_the_timeouts(world: "World") -> None:
    """For every role: none of the timeouts is dropped, and the URL's own value comes last."""
    store = world.open()
    settings = ("lock_timeout", "statement_timeout", "idle_in_transaction_session_timeout", "application_name")

    def shown(connection: sa.Connection) -> list[str]:
        return [connection.exec_driver_sql(f"SHOW {name}").scalar_one() for name in settings]

    expected = ["50ms", "3s", "2s", "webcast-exporter"]
    assert store.look_up(shown) == expected
    with store._database.writing() as connection:
        assert shown(connection) == expected
    with world._leases[0]._engine.connect() as connection:
        assert shown(connection) == expected
