"""The cache: which series there are at this moment, and how many tasks of each kind."""

from dataclasses import replace
from threading import Thread

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families

from exporter.enums import Status
from exporter.metrics.exposition import Exposition, Format
from exporter.metrics.families import Group, Sample, task_families
from exporter.metrics.series_cache import SeriesCache, TaskCountKey
from exporter.model.target import TargetId
from exporter.model.task import Task
from exporter.model.task_state import DisplayStatus, TaskState
from tests.support.task_states import NOW, after, shown_as

ROWS = task_families(Group)


class World(dict[TargetId, TaskState]):
    """What is known of each task, as the tracker holds it, and the cache that shows it."""

    def __init__(self, max_tasks: int = 100) -> None:
        super().__init__()
        self.cache = SeriesCache(ROWS, max_tasks, self.get)

    def show(self, known: TaskState) -> None:
        """Know, then show."""
        self[known.target.id] = known
        self.cache.show(known)

    def hide(self, known: TaskState) -> None:
        """Forget, then hide."""
        self.pop(known.target.id, None)
        self.cache.hide(known.target.id)

    def shown(self) -> dict[str, int]:
        """The tasks with series, and how many each has."""
        text = Exposition(CollectorRegistry(), self.cache).scrape(Format.TEXT).decode()
        samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
        tasks = [sample.labels["task_id"] for sample in samples]
        return {task: tasks.count(task) for task in sorted(set(tasks))}

    def counts(self) -> dict[tuple[str, str, str], int]:
        """The places where a task counts."""
        return {(*place,): count for place, count in self.cache.counts().items() if count}


def test_a_hidden_task_is_in_no_later_scrape() -> None:
    """All its series go at once, no other do, and it counts no more."""
    world = World()
    world.show(shown_as(DisplayStatus.RUNNING, "Task1"))
    world.show(shown_as(DisplayStatus.RUNNING, "Task2"))
    before = world.shown()
    world.hide(shown_as(DisplayStatus.RUNNING, "Task1"))
    assert {"Task2": before["Task2"]} == world.shown()
    assert world.counts() == {("default", "App1", "running"): 1}


def test_hiding_what_was_never_shown_changes_nothing() -> None:
    """A target may be forgotten before anything of it was shown, or twice."""
    world = World()
    known = shown_as(DisplayStatus.RUNNING)
    world.hide(known)
    world.show(known)
    world.hide(known)
    world.hide(known)
    assert (world.shown(), world.counts()) == ({}, {})


def test_a_read_replaces_all_of_a_tasks_series() -> None:
    """Nothing of the state before is left when a task is shown anew."""
    world = World()
    world.show(shown_as(DisplayStatus.RUNNING))
    world.show(shown_as(DisplayStatus.UNREAD))
    assert world.shown() == {"Task1": 1}


def test_a_task_counts_once_wherever_it_stands() -> None:
    """`webcast_tasks` follows every change of status, and a status that is left stays at zero."""
    world = World()
    for state in (*DisplayStatus, *reversed(DisplayStatus)):
        world.show(shown_as(state, end=NOW))
        assert {("default", "App1", state.value): 1} == world.counts()
    assert {state.value for state in DisplayStatus} == {place.display_status for place in world.cache.counts()}


def test_a_task_that_changes_its_account_changes_its_count() -> None:
    """After a reload the app may be another account's: the task counts there, and no more where it was."""
    world = World()
    world.show(shown_as(DisplayStatus.RUNNING, account="old"))
    world.show(shown_as(DisplayStatus.RUNNING, account="new"))
    assert world.counts() == {("new", "App1", "running"): 1}
    assert world.cache.counts()[TaskCountKey("old", "App1", DisplayStatus.RUNNING)] == 0


def test_a_task_beyond_the_limit_counts_but_has_no_series() -> None:
    """All are read and counted; `webcast_tasks_without_series` tells how many are not shown."""
    world = World(max_tasks=1)
    world.show(shown_as(DisplayStatus.RUNNING, "Task1"))
    world.show(shown_as(DisplayStatus.RUNNING, "Task2"))
    assert {"Task1"} == world.shown().keys()
    assert world.cache.without_series() == 1
    assert world.counts() == {("default", "App1", "running"): 2}


def test_no_task_has_series_when_none_may() -> None:
    """`max_tasks: 0` leaves the fleet's families."""
    world = World(max_tasks=0)
    world.show(shown_as(DisplayStatus.FAILED))
    assert (world.shown(), world.cache.without_series()) == ({}, 1)
    assert world.counts() == {("default", "App1", "failed"): 1}


def test_a_task_that_gets_series_is_shown_as_it_is_now() -> None:
    """A place that falls free is used at once, with all that was learnt while waiting."""
    world = World(max_tasks=1)
    world.show(shown_as(DisplayStatus.RUNNING, "Task1"))
    waiting = shown_as(DisplayStatus.UNREAD, "Task2")
    world.show(waiting)
    world.show(after(waiting, Task(Status.RUNNING)))
    world.hide(shown_as(DisplayStatus.RUNNING, "Task1"))
    assert {"Task2"} == world.shown().keys()
    assert world.shown()["Task2"] > 1
    assert world.cache.without_series() == 0


def test_a_task_that_loses_its_place_loses_all_series_at_once() -> None:
    """The ended task makes room for the running one, before the next scrape."""
    world = World(max_tasks=1)
    world.show(shown_as(DisplayStatus.ENDED, "Task1", end=NOW))
    world.show(shown_as(DisplayStatus.RUNNING, "Task2"))
    assert {"Task2"} == world.shown().keys()


def test_a_reload_renders_every_task_again() -> None:
    """Other groups and a higher or lower limit are in force from the next scrape; a task with series keeps them."""
    world = World(max_tasks=2)
    for number in range(4):
        world.show(shown_as(DisplayStatus.RUNNING, f"Task{number}"))
    world.show(shown_as(DisplayStatus.RUNNING, "Task0"))
    world.cache.reconfigure(ROWS, 3)
    assert {"Task0", "Task1", "Task2"} == world.shown().keys()
    world.cache.reconfigure(task_families([]), 1)
    assert {"Task0"} == world.shown().keys()
    assert {row.family.name for row in task_families([])} == {row.family.name for row in world.cache.snapshot()[0]}
    world.cache.reconfigure(ROWS, 0)
    assert (world.shown(), world.cache.without_series()) == ({}, 4)


def test_a_task_that_is_forgotten_meanwhile_is_not_rendered() -> None:
    """Between the tracker's forgetting and the hiding the cache finds nothing to render, and shows nothing old."""
    world = World()
    world.show(shown_as(DisplayStatus.RUNNING))
    world.clear()
    world.cache.reconfigure(ROWS, 99)
    assert world.shown() == {}


def test_a_reload_that_breaks_off_leaves_nothing_half_rendered() -> None:
    """Texts of the old families never stand under the names of the new ones; each comes back with its next read."""

    def broken(_: TaskState) -> list[Sample]:
        raise ZeroDivisionError

    world = World()
    world.show(shown_as(DisplayStatus.RUNNING))
    with pytest.raises(ZeroDivisionError):
        world.cache.reconfigure([replace(ROWS[0], samples=broken)], 100)
    assert world.shown() == {}
    world.cache.reconfigure(ROWS, 100)
    assert world.shown().keys() == {"Task1"}


@pytest.mark.parametrize("fmt", Format)
def test_each_tasks_values_in_a_scrape_belong_to_one_read(fmt: Format) -> None:
    """However reads and scrapes overlap, no task sees half of one read and half of another."""
    world = World(max_tasks=3)
    names = ("webcast_task_last_successful_read_timestamp_seconds", "webcast_task_duration_seconds")
    exposition = Exposition(CollectorRegistry(), world.cache)
    fresh = {number: shown_as(DisplayStatus.RUNNING, f"Task{number}") for number in range(5)}
    torn: list[tuple[float, float]] = []

    def read(number: int) -> None:
        for second in range(200):
            if second % 7 == number:
                world.hide(fresh[number])
            world.show(after(fresh[number], Task(Status.RUNNING, start=NOW - 60), at=NOW + second))
            if second % 50 == 49:
                world.cache.reconfigure(ROWS if second % 100 == 49 else ROWS[:-3], 3)

    readers = [Thread(target=read, args=(number,)) for number in fresh]
    for reader in readers:
        reader.start()
    while any(reader.is_alive() for reader in readers):
        torn += _torn(exposition.scrape(fmt, names).decode())
    for reader in readers:
        reader.join()
    assert torn == []
    assert world.counts() == {("default", "App1", "running"): 5}
    assert (len(world.shown()), world.cache.without_series()) == (3, 2)


def _torn(text: str) -> list[tuple[float, float]]:
    """Tasks whose duration is not of the read that the other family tells."""
    by_task: dict[str, list[float]] = {}
    for line in text.splitlines():
        if not line.startswith("#"):
            series, _, value = line.rpartition(" ")
            by_task.setdefault(series.partition("{")[2], []).append(float(value))
    return [(at, ran) for at, ran in by_task.values() if at - (NOW - 60) != ran]
