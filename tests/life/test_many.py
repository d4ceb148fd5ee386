"""Many tasks: a restart reads what lives and nothing else, and what has lived leaves nothing behind."""

import gc
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from exporter.enums import CallbackOutcome, Source, Status, StopReason
from exporter.model.run import Run, StateChange
from exporter.model.target import TargetId
from exporter.model.task import Task
from exporter.scheduler.registry import SWEEP_SLACK
from exporter.simulator.lifecycle import Ending, RunPlan, callback_events
from tests.support.state import open_store

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.simulated_exporter import Whole, World

pytestmark = pytest.mark.no_cover  # simulations of days, twice as long under coverage

APP = "661e0000000000000000543c"
ENDED, LIVE = 2_500, 500
WAVES, IN_A_WAVE = 3, 150
ENDINGS = (Ending.STOPPED_BY_API, Ending.BY_THE_PAGE, Ending.BROKE)
MOST_BLOCKS_LEFT = 1.5
"""Blocks of memory for each task that has lived: its id alone, a tuple and a text, would be more."""


def remember(folder: "Path", runs: list[Run]) -> None:
    """Leave these runs in the state, as a process that has ended."""
    store = open_store(folder / "state.db")
    for run in runs:
        store.record(StateChange((run,)))
    assert store.flush(60)
    store.close()


def ended_run(target: TargetId, end: float) -> Run:
    last = Task(Status.ENDED, start=end - 3000, end=end, stop_reason=StopReason.STOP_BY_API, user_id="bot")
    entered = frozenset({Status.RUNNING, Status.ENDED})
    return Run(target, end - 2990, end - 3000, entered, StopReason.STOP_BY_API, end + 5, last)


def test_a_restart_reads_the_living_and_not_the_dead(
    new_world: Callable[[], "World"], new_whole: Callable[..., "Whole"], tmp_path: "Path"
) -> None:
    """Of 3,000 listed targets the 500 whose run is live are read within 20 s of the start, and no other."""
    world = new_world()
    dead = [TargetId(APP, "Room", f"Ended{number}") for number in range(ENDED)]
    alive = [TargetId(APP, "Room", f"Live{number}") for number in range(LIVE)]
    start = round(world.now) - 3600.0
    for target in alive:
        world.begin(target, RunPlan(), age=world.now - start)
    remember(
        tmp_path,
        [ended_run(target, world.now - 60 - number * 8) for number, target in enumerate(dead)]
        + [Run(target, start + 5, start, frozenset({Status.RUNNING})) for target in alive],
    )
    whole = new_whole(world)
    whole.list([*dead[::2], *alive, *dead[1::2]])
    began = world.now
    whole.run(20)
    assert set(alive) == {target for at, target in world.asked if at <= began + 20}
    assert whole.stops() == {}


def left(whole: "Whole") -> dict[str, int]:
    """How much is kept of targets, everywhere."""
    exporter, poller = whole.exporter, whole.poller
    cache, registry, queue = exporter._components.series_cache, exporter._components.registry, poller._queue
    return {
        "states": len(registry),
        "expiries": max(0, len(registry._checks) - SWEEP_SLACK),
        "looks": len(registry._check_at),
        "forgotten": len(registry._forgotten),
        "texts": len(cache._rendered) + len(cache._texts),
        "places": len(cache._counted),
        "counted": sum(cache.counts().values()),
        "queued": len(queue._entries),
        "class_counts": sum(queue.class_counts.values()),
        "failures": len(poller._failures),
        "starts": len(poller._starts),
        "being read": len(poller._being_read),
        "to be written": len(exporter._components.store._queued.runs)
        + len(exporter._components.store._queued.receipts),
        "called back": len(exporter._components.stored_lists.lists[Source.CALLBACK].stored.rows),
        "lapsed": len(registry._expired_listings),
        "remembered reads": len(exporter._components.history._successes) + len(exporter._components.history._failures),
        "remembered changes": len(exporter._components.history._changes),
        "listed": len(exporter._targets._index._targets),
    }


def live_through(whole: "Whole", world: "World", wave: int) -> None:
    """So many tasks wait, run, end, linger, and are listed no more; a tenth of them the API never knew.

    The vendor calls back about each that runs, so that it is a target by callback too until it has ended.
    """
    targets = [TargetId(APP, "Room", f"Task{wave}-{number}") for number in range(IN_A_WAVE)]
    for number, target in enumerate(targets):
        if number % 10:
            world.begin(target, RunPlan(starts=30.0, ends=150.0, ending=ENDINGS[number % len(ENDINGS)]))
    whole.list(targets)
    whole.run(5)
    whole.run(240, step=0.5)
    for target in targets:
        for life in world.fleet.runs(world.milliseconds).get(target, ()):
            outcomes = {whole.call_back(notice) for notice in callback_events(target, life)}
            assert outcomes == {CallbackOutcome.ACCEPTED}
    whole.list([])
    whole.run(200, step=2.0)


def test_what_has_lived_leaves_nothing(new_world: Callable[[], "World"], new_whole: Callable[..., "Whole"]) -> None:
    """Nothing is left of tasks that are over and no longer listed: no text, entry, failure or query, and no memory."""
    world = new_world()
    polling = {"interval": "60s", "fast_interval": "60s"}
    whole = new_whole(world, lifecycle={"linger": "20s"}, polling=polling, callbacks={"secret_file": "secret"})
    used = []
    for wave in range(WAVES):
        live_through(whole, world, wave)
        whole.exporter._components.store._recent.clear()  # by itself after some seconds
        used.append(forget_the_vendor_and_measure(world))
    assert dict.fromkeys(left(whole), 0) == left(whole)
    assert sum(whole.stops().values()) == WAVES * IN_A_WAVE * 9 / 10
    assert (used[-1] - used[0]) / ((WAVES - 1) * IN_A_WAVE) < MOST_BLOCKS_LEFT


def forget_the_vendor_and_measure(world: "World") -> int:
    """Blocks of memory in use without what the simulation itself keeps."""
    world.fleet._tasks.clear()
    world.asked.clear()
    gc.collect()
    return sys.getallocatedblocks()
