"""A state in a PostgreSQL: one session holds the lock and writes, and whoever has lost it writes nothing any more."""

import sys
import time
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa

from exporter.config.fields import StateUrl
from exporter.errors import StartError, StateError
from exporter.model.run import StateChange
from exporter.store.opening import Hold, hold_of
from exporter.store.standby_queue import first_of
from exporter.store.store import RETRY_AFTER, Store
from tests.store.conftest import World, on_postgresql

if TYPE_CHECKING:
    from tests.postgresql import Postgres

pytestmark = pytest.mark.real

Ended = Callable[..., StateChange]
Count = Callable[[Store], float]
CUT = "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND pid <> pg_backend_pid()"


@pytest.fixture
def engine() -> str:
    """Of the two, this one."""
    return "postgresql"


def never() -> bool:
    """Give up at the first wait."""
    return False


def soon() -> Callable[[], bool]:
    """Wait for as long as it may take the server to see that a session has ended."""
    tries = iter(range(500))

    def wait() -> bool:
        time.sleep(0.01)  # what is waited for is another process's
        return next(tries, None) is not None

    return wait


def held(world: World) -> tuple[Hold, Store]:
    """The state, opened by a process."""
    hold = hold_of(world.url)
    assert hold.acquire(soon())
    return hold, Store(hold.open(), lambda: world.now, world._failed)


def prove(store: Store) -> None:
    """Ask for something, as is done twice a second."""
    with suppress(StateError), store.transaction() as connection:
        first_of(connection)


def refusal(url: str) -> str:
    """The sentence with which a start is refused."""
    try:
        hold = hold_of(StateUrl(url))
        hold.acquire(never)
        hold.open()
    except StartError as error:
        return str(error)
    pytest.fail("it was not refused")


def test_a_second_one_waits_until_the_first_has_closed(world: World) -> None:
    """The wait is called between two tries."""
    _, store = held(world)
    second, waits, wait_more = hold_of(world.url), [0], soon()

    def wait() -> bool:
        waits.append(len(waits))
        if len(waits) == 3:
            store.close()
        return wait_more()

    assert second.acquire(wait)
    assert waits[:3] == [0, 1, 2]
    second.open().dispose()


def test_a_wait_that_is_broken_off(world: World) -> None:
    """A stop that comes while waiting leaves the lock with its holder."""
    first, second = hold_of(world.url), hold_of(world.url)
    assert first.acquire(never)
    assert not second.acquire(never)
    first.release()
    assert second.acquire(soon())
    second.release()


def test_databases_have_locks_of_their_own(postgres: "Postgres") -> None:
    """Exporters on one server are not in each other's way."""
    holds = [hold_of(postgres.database()) for _ in range(2)]
    assert [hold.acquire(never) for hold in holds] == [True, True]
    for hold in holds:
        hold.release()


def test_a_session_that_was_cut_is_made_anew(world: World, ended: Ended, stop_count: Count) -> None:
    """One write fails; the next one is in a new session with the lock, and everything is counted once."""
    hold, store = held(world)
    store.record(ended("one"))
    store.flush()
    world.change(CUT)
    store.record(ended("two"))
    store.flush()
    assert (world.failures, hold.lost, stop_count(store)) == ([True], False, 1)
    world.now += RETRY_AFTER
    store.flush()
    assert (world.failures, hold.lost, stop_count(store)) == ([True], False, 2)
    other = hold_of(world.url)
    assert not other.acquire(never)
    other.release()
    store.close()
    assert stop_count(world.open()) == 2


def test_a_state_that_another_has_by_now_is_lost(world: World, ended: Ended, stop_count: Count) -> None:
    """Its totals are the other's: none of ours is written over them."""
    hold, store = held(world)
    world.change(CUT)
    other, successor = held(world)
    successor.record(ended("one"))
    successor.flush()
    for name in ("two", "three"):
        store.record(ended(name))
        store.flush()
        world.now += RETRY_AFTER
    assert (hold.lost, other.lost, world.failures) == (True, False, [True, False])
    store.close()
    successor.close()
    assert stop_count(world.open()) == 1


def test_a_state_that_another_had_meanwhile_is_lost(world: World, ended: Ended, stop_count: Count) -> None:
    """It is free again, and the totals that we remember are old ones."""
    hold, store = held(world)
    world.change(CUT)
    _, meanwhile = held(world)
    meanwhile.record(ended("one"))
    meanwhile.close()
    for _ in range(2):
        prove(store)
        world.now += RETRY_AFTER
    assert (hold.lost, world.failures) == (True, [True, False])
    store.close()
    assert stop_count(world.open()) == 1


def test_a_server_that_starts_again(postgres: "Postgres", world: World, ended: Ended, stop_count: Count) -> None:
    """Nothing is lost but time."""
    hold, store = held(world)
    postgres.stop()
    store.record(ended())
    for _ in range(2):
        store.flush()
        world.now += RETRY_AFTER
    postgres.start()
    store.flush()
    assert (world.failures, hold.lost, stop_count(store)) == ([True, False], False, 1)
    store.close()


def test_a_proof_writes_nothing(world: World) -> None:
    """Nor does it fail while others keep us from writing."""
    _, store = held(world)
    with world.locked():
        prove(store)
    assert world.failures == []
    store.close()


def test_another_program_s_database_is_refused(postgres: "Postgres") -> None:
    """It stays as it is."""
    world = on_postgresql(postgres)
    world.change("CREATE TABLE meta (name TEXT)")
    assert refusal(world.url.whole).endswith("is another program's database; point state.url elsewhere")
    assert world.rows("SELECT tablename FROM pg_tables WHERE schemaname = 'public'") == [("meta",)]
    world.close()


def test_a_newer_schema_is_refused(world: World) -> None:
    """As a file's is."""
    held(world)[1].close()
    world.change("UPDATE meta SET schema_version = 99")
    assert "has schema 99 and this release reads up to 1" in refusal(world.url.whole)
    assert world.rows("SELECT schema_version, term FROM meta") == [(99, 1)]


def test_an_older_state_is_brought_up_to_date(world: World, ended: Ended, stop_count: Count) -> None:
    """What is missing is added, and what was there stays."""
    _, store = held(world)
    store.record(ended())
    store.close()
    world.change(
        "ALTER TABLE meta DROP COLUMN term", "ALTER TABLE runs DROP COLUMN page_latest", "DROP TABLE heard_callbacks"
    )
    again = world.open()
    assert (stop_count(again), len(again.latest_runs())) == (1, 1)
    assert world.rows("SELECT term FROM meta") == [(1,)]


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("postgresql+psycopg://exporter:hunter2@127.0.0.1:1/state", "cannot be used: connection"),
        ("postgresql+psycopg://exporter:hunter2@localhost/state?host=/nowhere", "cannot be used: connection"),
        (
            "postgresql+psycopg://exporter:hunter2@localhost/state?sslmode=odd",
            "cannot be used: connection is bad: invalid sslmode",
        ),
    ],
)
def test_a_server_that_cannot_be_used_is_told_without_the_password(url: str, words: str) -> None:
    """In one line, with libpq's own words."""
    sentence = refusal(url)
    assert words in sentence
    assert "\n" not in sentence
    assert "hunter2" not in sentence


def test_no_database_of_that_name(postgres: "Postgres") -> None:
    """It is not made."""
    url = f"postgresql+psycopg://exporter@localhost/nothing?host={postgres.folder}"
    assert 'database "nothing" does not exist' in refusal(url)


def test_without_the_driver_the_sentence_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """It comes with an extra."""
    monkeypatch.delitem(sys.modules, "exporter.store.postgresql", raising=False)
    monkeypatch.setitem(sys.modules, "psycopg", None)
    assert refusal("postgresql+psycopg://db/state").endswith("pip install 'webcast-exporter[postgresql]'")


def test_it_is_psycopg_s_connection_with_bounds(world: World) -> None:
    """A URL's own parameters come before ours."""
    hold = hold_of(world.url)
    assert hold.acquire(never)
    engine = hold.open()
    with engine.connect() as connection:
        assert connection.execute(sa.text("SHOW lock_timeout")).scalar_one() == "50ms"
        assert connection.execute(sa.text("SHOW application_name")).scalar_one() == "webcast-exporter"
    engine.dispose()
