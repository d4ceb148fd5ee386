"""Callbacks in the ledger: remembered with what they counted, in one transaction, by their EventId and signature."""

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from exporter.enums import PageAction, PageReason
from exporter.errors import StateError
from exporter.model.callback import Callback, PageEvent
from exporter.model.target import Target, TargetId
from exporter.model.task_state import TaskState, apply_callback
from exporter.store.counters import Series, Total
from exporter.store.store import RETRY_AFTER, Store

if TYPE_CHECKING:
    from tests.store.conftest import World

TARGET = TargetId("app", "room", "task")
CRASH = PageEvent(PageAction.RESCHEDULE, PageReason.CRASH, 100.0)
CALLBACK = Callback(TARGET, "evt-1", "0123abcd", 100.0, CRASH)
CRASHES = Series(Total.PAGE_RESCHEDULES, "app", PageReason.CRASH)


def take(store: Store, callback: Callback = CALLBACK, at: float = 100.0) -> None:
    """Take one in, of a target that was never read."""
    store.record(apply_callback(TaskState(Target(callback.target, "default")), callback, at)[1])
    store.flush()


def crashes(store: Store) -> float:
    """How many the ledger shows."""
    return store.counters().get(CRASHES, 0.0)


def test_a_callback_is_known_again_with_all_it_counted(world: "World") -> None:
    """Its page event, its run and its keys are one commit, and are there after a kill."""
    store = world.open()
    take(store)
    assert (store.has_written(CALLBACK), store.has_heard(CALLBACK), crashes(store)) == (True, True, 1.0)
    world.kill(store)
    again = world.open()
    assert (again.has_heard(CALLBACK), crashes(again)) == (True, 1.0)
    run = again.latest_runs()[TARGET]
    assert (run.pending, run.pages.reschedules, run.pages.latest) == (True, 1, (CRASH,))


@pytest.mark.parametrize(
    ("changes", "known"),
    [
        ({"event_id": "evt-2"}, True),
        ({"signature": "ffff"}, True),
        ({"event_id": "evt-2", "signature": "ffff"}, False),
        ({"target": TargetId("another", "room", "task"), "signature": "ffff"}, False),
        ({"target": TargetId("app", "room", "other"), "signature": "ffff"}, True),
    ],
    ids=["same signature", "same EventId", "neither", "EventId of another app", "EventId of another task"],
)
def test_either_key_is_enough(world: "World", changes: dict[str, str], known: bool) -> None:  # noqa: FBT001 - a row
    """An event that was overheard and sent again with its values exchanged has the signature it had."""
    store = world.open()
    take(store)
    other = replace(CALLBACK, **changes)  # type: ignore[arg-type]  # fields of the table above
    assert store.has_heard(other) == known


def test_while_it_cannot_be_written_it_is_known_and_not_shown(world: "World") -> None:
    """Sent again meanwhile it is not counted twice; once the file is free it is written by itself."""
    store = world.open()
    with world.locked():
        take(store)
        assert (store.has_written(CALLBACK), store.has_heard(CALLBACK), crashes(store)) == (False, True, 0.0)
    world.now += RETRY_AFTER
    store.flush()
    assert (store.has_written(CALLBACK), store.has_heard(CALLBACK), crashes(store)) == (True, True, 1.0)


def test_killed_before_the_write_it_was_never_heard(world: "World") -> None:
    """Nobody was told that it had been taken; delivered again, it counts once."""
    store = world.open()
    store.record(apply_callback(TaskState(Target(TARGET, "default")), CALLBACK, 100.0)[1])
    world.kill(store)
    again = world.open()
    assert (again.has_heard(CALLBACK), crashes(again)) == (False, 0.0)
    take(again)
    assert crashes(again) == 1.0


def test_after_a_failed_write_nobody_waits_for_the_file(world: "World") -> None:
    """For a second whoever asks is told at once that the state cannot be used: one wait for a lock holds up all."""
    store = world.open()
    with world.locked():
        take(store, replace(CALLBACK, event_id="evt-2", signature="ffff"))
        with pytest.raises(StateError):
            store.has_heard(CALLBACK)
    assert world.failures == [True]
    world.now += RETRY_AFTER
    assert not store.has_heard(CALLBACK)


def test_what_would_be_stale_is_forgotten(world: "World") -> None:
    """By when it arrived; a failure to forget is counted and does no harm."""
    store = world.open()
    later = replace(CALLBACK, event_id="evt-2", signature="ffff")
    take(store)
    take(store, later, at=200.0)
    with world.locked():
        store.forget_heard_before(150.0)
    assert world.failures == [True]
    world.now += RETRY_AFTER
    assert store.has_heard(CALLBACK)
    store.forget_heard_before(150.0)
    assert (store.has_heard(CALLBACK), store.has_heard(later)) == (False, True)


def test_a_later_write_of_the_run_keeps_its_page_events(world: "World") -> None:
    """Reads and callbacks write the same row, each with all that is known."""
    store = world.open()
    first, step = apply_callback(TaskState(Target(TARGET, "default")), CALLBACK, 100.0)
    store.record(step)
    second, step = apply_callback(first, replace(CALLBACK, event_id="evt-2", signature="ffff", at=101.0), 101.0)
    store.record(step)
    store.flush()
    assert second.pending_run is not None
    assert store.latest_runs()[TARGET] == second.pending_run
    assert (second.pending_run.pages.reschedules, crashes(store)) == (2, 2.0)
