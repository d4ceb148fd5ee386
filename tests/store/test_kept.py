from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from exporter.enums import Source
from exporter.errors import StartError, StateError
from exporter.model.run import StateChange
from exporter.model.target import TargetId
from exporter.store.store import Store
from exporter.store.stored_targets import StoredTarget, StoredTargets

if TYPE_CHECKING:
    from tests.store.conftest import World

ONE, TWO, THREE = (TargetId("app", "room", name) for name in ("one", "two", "three"))
FIRST = StoredTarget({"team": "edu", "__expected_start__": "1768465805", "page": "\u8bfe"}, 100.5)
LATER = StoredTarget({}, 200.25)


def opened(world: "World") -> StoredTargets:
    """The pushed targets, as after a start."""
    return StoredTargets(world.open(), Source.PUSH)


def test_what_was_added_is_there_after_a_kill(world: "World") -> None:
    """A target that was added, with its labels and time, is in the state once the call is back."""
    store = world.open()
    StoredTargets(store, Source.PUSH).add({ONE: FIRST, TWO: LATER})
    world.kill(store)
    assert opened(world).all() == {ONE: FIRST, TWO: LATER}


def test_adding_again_takes_the_place_of_what_was_said(world: "World") -> None:
    """The labels are the new ones alone; nothing else goes."""
    pushed = opened(world)
    pushed.add({ONE: FIRST, TWO: FIRST})
    pushed.add({ONE: LATER})
    assert pushed.all() == {ONE: LATER, TWO: FIRST}


def test_replacing_and_removing(world: "World") -> None:
    """To replace leaves the new ones alone; to remove drops these alone, and what is not there is no failure."""
    pushed = opened(world)
    pushed.add({ONE: FIRST, TWO: FIRST})
    pushed.replace({TWO: LATER, THREE: FIRST})
    assert pushed.all() == {TWO: LATER, THREE: FIRST}
    pushed.remove([TWO, ONE])
    pushed.remove([])
    assert pushed.all() == {THREE: FIRST}
    pushed.replace({})
    assert pushed.all() == {}


def test_sources_share_the_table_and_nothing_else(world: "World") -> None:
    """Another source's rows of the same targets are neither seen nor touched."""
    store = world.open()
    pushed, other = StoredTargets(store, Source.PUSH), StoredTargets(store, Source.HTTP)
    pushed.add({ONE: FIRST})
    other.add({ONE: LATER, TWO: LATER})
    pushed.replace({THREE: FIRST})
    pushed.remove([TWO])
    assert (pushed.all(), other.all()) == ({THREE: FIRST}, {ONE: LATER, TWO: LATER})


def test_a_write_that_fails_changes_nothing(world: "World") -> None:
    """A locked state is a StateError, counted as a failed write; the rows stay as they were, and it works later."""
    pushed = opened(world)
    pushed.add({ONE: FIRST})
    with world.locked():
        changes: list[Callable[[], None]] = [
            lambda: pushed.add({TWO: FIRST}),
            lambda: pushed.replace({TWO: FIRST}),
            lambda: pushed.remove([ONE]),
        ]
        for change in changes:
            with pytest.raises(StateError, match="the state cannot be written: OperationalError"):
                change()
    assert world.failures == [True, False, False]
    assert pushed.all() == {ONE: FIRST}
    pushed.replace({TWO: LATER})
    assert pushed.all() == {TWO: LATER}


@pytest.mark.parametrize("engine", ["sqlite"])
def test_half_a_replacement_is_none(world: "World") -> None:
    """When the second half of a change cannot be written, the first is undone."""
    pushed = opened(world)
    pushed.add({ONE: FIRST})
    world.change(
        "CREATE TRIGGER no BEFORE INSERT ON pushed_targets WHEN NEW.task_id = 'two' "
        "BEGIN SELECT RAISE(ABORT, 'no'); END",
    )
    with pytest.raises(StateError):
        pushed.replace({THREE: FIRST, TWO: FIRST})
    assert pushed.all() == {ONE: FIRST}


def test_after_the_close_nothing_is_written(world: "World") -> None:
    """Whoever is late gets a StateError."""
    store = world.open()
    pushed = StoredTargets(store, Source.PUSH)
    store.close()
    with pytest.raises(StateError, match="closed"):
        pushed.add({ONE: FIRST})


def test_runs_are_written_between(
    world: "World", ended: Callable[..., StateChange], stop_count: Callable[..., float]
) -> None:
    """One lock for both: runs and pushed targets are in the state together."""
    store = world.open()
    StoredTargets(store, Source.PUSH).add({ONE: FIRST})
    store.record(ended())
    store.flush()
    world.kill(store)
    again = world.open()
    assert (stop_count(again), StoredTargets(again, Source.PUSH).all()) == (1.0, {ONE: FIRST})


def test_a_state_from_before_there_were_pushes(world: "World", ended: Callable[..., StateChange]) -> None:
    """The table is added to a state without it, and what was there stays."""
    store = world.open()
    store.record(ended())
    store.flush()
    world.kill(store)
    world.change("DROP TABLE pushed_targets")
    again = world.open()
    assert len(again.latest_runs()) == 1
    StoredTargets(again, Source.PUSH).add({ONE: FIRST})
    assert StoredTargets(again, Source.PUSH).all() == {ONE: FIRST}


def test_another_program_s_table_of_that_name_is_refused(world: "World") -> None:
    """It stays untouched."""
    world.kill(world.open())
    world.change("DROP TABLE pushed_targets", "CREATE TABLE pushed_targets (name TEXT)")
    with pytest.raises(StartError, match="another program's database"):
        world.open()


@pytest.mark.parametrize("labels", ["nonsense", "[1]", "7"])
def test_rows_that_cannot_be_read(world: "World", labels: str) -> None:
    """A row of another program is a StartError with a sentence."""
    pushed = opened(world)
    pushed.add({ONE: FIRST})
    world.change(f"UPDATE pushed_targets SET labels = '{labels}'")
    with pytest.raises(StartError, match="the targets in the state cannot be read"):
        pushed.all()


def test_many(world: "World") -> None:
    """20,000 targets are one transaction."""
    store: Store = world.open()
    many = {TargetId("app", "room", str(number)): FIRST for number in range(20_000)}
    pushed = StoredTargets(store, Source.PUSH)
    pushed.replace(many)
    assert pushed.all() == many
    pushed.remove(many)
    assert pushed.all() == {}
