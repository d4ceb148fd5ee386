"""Stored targets: what `add`, `replace` and `remove` return from is in the state, or nothing has changed."""

import threading
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from exporter.enums import Source
from exporter.errors import StartError, StateError
from exporter.model.run import StateChange
from exporter.model.target import TargetId
from exporter.store.database import upsert
from exporter.store.standby_queue import EntryKind, StandbyQueue, release_to_text
from exporter.store.store import StoredTarget, StoredTargets
from tests.support.state import LIMIT
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from tests.store.conftest import World

ONE, TWO, THREE = (TargetId("app", "room", name) for name in ("one", "two", "three"))
FIRST = StoredTarget({"team": "edu", "__expected_start__": "1768465805", "page": "\u8bfe"}, 100.5)
LATER = StoredTarget({}, 200.25)


def test_what_was_added_is_there_after_a_kill(world: "World") -> None:
    """With its labels and time, once the call has returned; adding again replaces both."""
    store = world.open()
    pushed = StoredTargets(store, Source.PUSH)
    pushed.add({ONE: FIRST, TWO: FIRST})
    pushed.add({TWO: LATER})
    world.kill(store)
    assert StoredTargets(world.open(), Source.PUSH).load() == {ONE: FIRST, TWO: LATER}


def test_sources_share_the_table_and_nothing_else(world: "World") -> None:
    """Replacing leaves the new ones, removing deletes these alone, and another source's rows stay."""
    store = world.open()
    pushed, other = StoredTargets(store, Source.PUSH), StoredTargets(store, Source.CALLBACK)
    pushed.add({ONE: FIRST, TWO: FIRST})
    other.add({ONE: LATER, TWO: LATER})
    pushed.replace({TWO: LATER, THREE: FIRST})
    assert pushed.load() == {TWO: LATER, THREE: FIRST}
    pushed.remove([TWO, ONE])
    pushed.remove([])
    assert (pushed.load(), other.load()) == ({THREE: FIRST}, {ONE: LATER, TWO: LATER})
    pushed.replace({})
    assert pushed.load() == {}


def test_a_write_that_fails_changes_nothing(world: "World") -> None:
    """A locked state is a StateError and a failed write; it works later."""
    pushed = StoredTargets(world.open(), Source.PUSH)
    pushed.add({ONE: FIRST})
    with world.locked():
        changes: list[Callable[[], None]] = [
            lambda: pushed.add({TWO: FIRST}),
            lambda: pushed.replace({TWO: FIRST}),
            lambda: pushed.remove([ONE]),
        ]
        for change in changes:
            with pytest.raises(StateError, match="the state cannot be written"):
                change()
    assert (world.failures >= 3, pushed.load()) == (True, {ONE: FIRST})


@pytest.mark.parametrize("begun", [True, False])
def test_a_change_that_took_too_long(world: "World", begun: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that had not begun is withdrawn; one that had is said to be unsure once it ends, and can be made again."""
    monkeypatch.setattr("exporter.store.store.WAIT", 0.05)
    store, thaw, frozen = world.open(), threading.Event(), threading.Event()
    pushed = StoredTargets(store, Source.PUSH)

    def hang(*_: object) -> None:
        frozen.set()
        assert thaw.wait(LIMIT)

    def hang_and_write(*rows: Any) -> None:
        hang()
        upsert(*rows)

    if begun:
        monkeypatch.setattr("exporter.store.store.upsert", hang_and_write)
    else:
        store.change(hang)
        assert frozen.wait(LIMIT)
    with pytest.raises(StateError, match="not written within"):
        pushed.add({ONE: FIRST})
    assert not pushed.unsure
    thaw.set()
    assert store.flush(LIMIT)
    assert (pushed.unsure, pushed.load()) == (begun, {ONE: FIRST} if begun else {})
    monkeypatch.setattr("exporter.store.store.WAIT", LIMIT)
    pushed.add({ONE: FIRST})
    assert pushed.load() == {ONE: FIRST}


def test_what_is_kept_is_tried_until_it_is_written(world: "World") -> None:
    """In its order, without a wait, and however often it changes meanwhile each row waits once."""
    store = world.open()
    drained = StoredTargets(store, "drained")
    with world.locked():
        for _ in range(3):
            drained.drop([ONE, TWO])
            drained.keep({ONE: FIRST, TWO: FIRST})
        assert not store.flush(LIMIT)
        drained.drop([ONE])
        with store._wake:
            assert len(store._queued.stored | store._in_flight.stored) == 2
    wait_until(store.flush, "what is queued is written")
    assert drained.load() == {TWO: FIRST}


@pytest.mark.parametrize("engine", ["sqlite"])
def test_half_a_replacement_is_none(world: "World") -> None:
    """When the second half of a change cannot be written, the first is undone."""
    pushed = StoredTargets(world.open(), Source.PUSH)
    pushed.add({ONE: FIRST})
    world.change(
        "CREATE TRIGGER no BEFORE INSERT ON pushed_targets WHEN NEW.task_id = 'two' "
        "BEGIN SELECT RAISE(ABORT, 'no'); END",
    )
    with pytest.raises(StateError):
        pushed.replace({THREE: FIRST, TWO: FIRST})
    assert pushed.load() == {ONE: FIRST}


@pytest.mark.parametrize("labels", ["nonsense", "[1]", "7"])
def test_rows_that_cannot_be_read(world: "World", labels: str) -> None:
    """A row of another program is a StartError with a sentence."""
    pushed = StoredTargets(world.open(), Source.PUSH)
    pushed.add({ONE: FIRST})
    world.change(f"UPDATE pushed_targets SET labels = '{labels}'")
    with pytest.raises(StartError, match="the targets in the state cannot be read"):
        pushed.load()


@pytest.mark.real
@pytest.mark.parametrize("engine", ["postgresql"])
def test_what_a_standby_may_release(world: "World", ended: Callable[..., StateChange]) -> None:
    """What is listed or drained, and what has stopped, whatever lists it; not what runs, or was never read."""
    store = world.open()
    live = replace(ended("two", seen=99.0).runs[0], end_seen=None, stopped=None, last=None)
    for change in (ended("one"), ended("two"), StateChange((live,))):
        store.record(change)
    StoredTargets(store, Source.PUSH).add({THREE: FIRST})
    assert store.flush(LIMIT)
    queue = StandbyQueue(world.url)
    never = TargetId("app", "room", "never")
    assert [queue.may_release(target) for target in (ONE, TWO, THREE, never)] == [True, False, True, False]

    def puts(*kinds: EntryKind) -> list[bool]:
        found = []
        for kind in kinds:
            queue.put(kind, release_to_text(ONE), 1.0)
            found.append(queue.may_release(ONE))
        return found

    kinds = (EntryKind.RELEASE_NOW, EntryKind.ADD, EntryKind.RELEASE, EntryKind.RELEASE_NOW)
    assert puts(*kinds) == [False, True, True, False], "the latest entry that waits decides"
    assert queue.may_release(THREE)
    queue.close()


def test_many(world: "World") -> None:
    """20,000 targets are one transaction."""
    store = world.open()
    many = {TargetId("app", "room", str(number)): FIRST for number in range(20_000)}
    pushed = StoredTargets(store, Source.PUSH)
    pushed.keep(many)
    wait_until(store.flush, "what is queued is written")
    assert pushed.load() == many
