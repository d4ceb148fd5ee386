"""What standbys took in is acted on by the one that reads, once, in its order; what cannot be done holds nothing up."""

import json
import sqlite3
from contextlib import closing

import pytest

from exporter.model.target import TargetId
from exporter.service.exporter import Exporter
from exporter.simulator.lifecycle import STARTED, CallbackEvent, callback_payload
from exporter.store.standby_queue import BATCH, EntryKind
from tests.support.small_world import APP, World, samples

SECRET = "secret-of-the-callbacks"
ONE, TWO = TargetId(APP, "Room", "One"), TargetId(APP, "Room", "Two")


def pushed(*targets: TargetId) -> str:
    return json.dumps([{"targets": [str(target) for target in targets], "labels": {"team": "edu"}}])


@pytest.fixture
def exporter(world: World) -> Exporter:
    """One that takes pushes and callbacks, and lists nothing by itself."""
    for name, text in (("tokens", "a-token-of-the-tests"), ("secret", SECRET)):
        (world.folder / name).write_text(text)
    world.write(push={"token_file": "tokens"}, callbacks={"secret_file": "secret"})
    return world.start()


def put(world: World, *entries: tuple[str, str], at: float | None = None) -> None:
    """As standbys do."""
    rows = [(kind, body, world.shift.unix() if at is None else at) for kind, body in entries]
    with closing(sqlite3.connect(world.folder / "state.db", timeout=10)) as connection:
        connection.executemany("INSERT INTO inbox (kind, body, at) VALUES (?, ?, ?)", rows)
        connection.commit()


def waiting(world: World) -> int:
    with closing(sqlite3.connect(world.folder / "state.db")) as connection:
        count: int = connection.execute("SELECT count(*) FROM inbox").fetchone()[0]
    return count


def listed(exporter: Exporter) -> set[TargetId]:
    return {state.target.id for state in exporter.tracked() if state.drain_until is None}


def test_pushes_are_acted_on_in_their_order(world: World, exporter: Exporter) -> None:
    """Added, replaced, released: as the leader's own API does it; then nothing waits."""
    put(world, (EntryKind.ADD, pushed(ONE)), (EntryKind.REPLACE, pushed(TWO)), (EntryKind.ADD, pushed(ONE)))
    exporter.queue_worker.apply()
    assert (listed(exporter), waiting(world)) == ({ONE, TWO}, 0)
    put(world, (EntryKind.RELEASE_NOW, json.dumps(ONE)), (EntryKind.RELEASE, json.dumps(ONE)))
    exporter.queue_worker.apply()
    assert (listed(exporter), waiting(world)) == ({TWO}, 0)


def test_a_callback_counts_by_when_it_came(world: World, exporter: Exporter) -> None:
    """It names a target, once, however long it waited; the standby counted it, so this one does not."""
    long_ago = world.shift.unix() - 7 * 24 * 3600
    notice = CallbackEvent(ONE, int(1000 * long_ago), STARTED, "", "evt-1")
    body = callback_payload(notice, SECRET, "4821").decode()
    put(world, (EntryKind.CALLBACK, body), (EntryKind.CALLBACK, body), at=long_ago)
    exporter.queue_worker.apply()
    assert (listed(exporter), waiting(world)) == ({ONE}, 0)
    assert set(samples(exporter, "webcast_callback_events_total").values()) == {0.0}


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        (EntryKind.CALLBACK, "{"),
        (
            EntryKind.CALLBACK,
            callback_payload(CallbackEvent(TWO, 1, STARTED, "", "evt"), "another-secret", "4821").decode(),
        ),
        (EntryKind.ADD, "nonsense"),
        (EntryKind.ADD, '[{"targets": ["no target"]}]'),
        (EntryKind.REPLACE, "7"),
        (EntryKind.RELEASE, "[]"),
        (EntryKind.RELEASE, "{"),
        ("a_later_release_s", "anything"),
    ],
)
def test_what_cannot_be_done_holds_nothing_up(world: World, exporter: Exporter, kind: str, body: str) -> None:
    """It is dropped with a line, and what is behind it is acted on."""
    put(world, (kind, body), (EntryKind.ADD, pushed(ONE)))
    exporter.queue_worker.apply()
    assert (listed(exporter), waiting(world)) == ({ONE}, 0)


def test_more_than_are_taken_at_once(world: World, exporter: Exporter) -> None:
    targets = [TargetId(APP, "Room", f"Task{number}") for number in range(BATCH + 5)]
    put(world, *((EntryKind.ADD, pushed(target)) for target in targets))
    exporter.queue_worker.apply()
    assert (listed(exporter), waiting(world)) == (set(targets), 0)


def test_what_the_state_cannot_take_waits(world: World, exporter: Exporter) -> None:
    """While another connection holds the file nothing is dropped; that is a failed write."""
    put(world, (EntryKind.ADD, pushed(ONE)))
    with closing(sqlite3.connect(world.folder / "state.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        exporter.queue_worker.apply()
        assert listed(exporter) == set()
    assert waiting(world) == 1
    assert samples(exporter, "webcast_state_write_failures_total")[()] >= 1
    exporter.queue_worker.apply()
    assert (listed(exporter), waiting(world)) == ({ONE}, 0)
