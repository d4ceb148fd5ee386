"""Which tasks have series when there are more tasks than `metrics.max_tasks`."""

from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from exporter.enums import Severity, Status, TaskProblem
from exporter.metrics.series_cache import SeriesLimit
from exporter.model.target import TargetId
from exporter.model.task import Task
from exporter.model.task_state import ActiveProblem, DisplayStatus, TaskState
from tests.support.task_states import NOW, after, shown_as

STAYING = (DisplayStatus.FAILED, DisplayStatus.RUNNING)
OTHERS = tuple(
    display_status for display_status in DisplayStatus if display_status not in (*STAYING, DisplayStatus.ENDED)
)
IDS = [TargetId("App1", "Room1", f"Task{number}") for number in range(6)]


def rank(known: TaskState) -> int:
    """0 = stays, 2 = goes first."""
    return 0 if known.display_status in STAYING else 2 if known.display_status is DisplayStatus.ENDED else 1


def shown(limited: SeriesLimit) -> list[str]:
    """The task ids with series."""
    return [target.task_id for target in IDS if limited.allows(target)]


def test_with_a_limit_of_zero_no_task_has_series() -> None:
    """`max_tasks: 0` = no per-task series, whatever the task; all of them are counted as without series."""
    limited = SeriesLimit(0)
    assert limited.put(shown_as(DisplayStatus.RUNNING, "Task0")) == []
    assert limited.put(shown_as(DisplayStatus.FAILED, "Task1")) == []
    assert (shown(limited), limited.without_series) == ([], 2)
    assert limited.remove(IDS[0]) == []
    assert limited.without_series == 1


def test_a_task_beyond_the_limit_has_no_series() -> None:
    limited = SeriesLimit(1)
    limited.put(shown_as(DisplayStatus.RUNNING, "Task0"))
    assert limited.put(shown_as(DisplayStatus.FAILED, "Task1")) == []
    assert (shown(limited), limited.without_series) == (["Task0"], 1)


@pytest.mark.parametrize("other", OTHERS)
@pytest.mark.parametrize("staying", STAYING)
def test_a_failed_or_running_task_displaces_any_other(staying: DisplayStatus, other: DisplayStatus) -> None:
    """Failed and running tasks come first, and no other displaces them."""
    limited = SeriesLimit(1)
    limited.put(shown_as(other, "Task0"))
    assert [IDS[0]] == limited.put(shown_as(staying, "Task1"))
    assert shown(limited) == ["Task1"]
    assert limited.put(shown_as(other, "Task2")) == []
    assert shown(limited) == ["Task1"]


@pytest.mark.parametrize("order", [[0, 1, 2], [2, 1, 0], [1, 0, 2]])
def test_the_longest_ended_goes_first(order: list[int]) -> None:
    """By its own end, in whatever order the ends were seen (after a restart: the order of the list)."""
    limited = SeriesLimit(3)
    for number in order:
        limited.put(shown_as(DisplayStatus.ENDED, f"Task{number}", end=NOW + number))
    limited.put(shown_as(DisplayStatus.NOT_STARTED, "Task3"))
    assert shown(limited) == ["Task1", "Task2", "Task3"]
    limited.put(shown_as(DisplayStatus.RUNNING, "Task4"))
    assert shown(limited) == ["Task2", "Task3", "Task4"]


def test_an_end_without_a_time_counts_from_when_it_was_seen() -> None:
    """A missing EndTime does not make a task the longest ended of all."""
    limited = SeriesLimit(1)
    limited.put(shown_as(DisplayStatus.ENDED, "Task0", end=NOW - 1))
    limited.put(shown_as(DisplayStatus.ENDED, "Task1", end=None))
    assert shown(limited) == ["Task1"]
    limited.put(after(shown_as(DisplayStatus.ENDED, "Task2"), Task(Status.ENDED), at=NOW + 60))
    assert shown(limited) == ["Task1"]


def test_a_task_that_ends_keeps_its_series_until_a_running_one_needs_them() -> None:
    """The latest ended goes last of the ended ones, and first when a running one has none."""
    limited = SeriesLimit(2)
    limited.put(shown_as(DisplayStatus.ENDED, "Task0", end=NOW - 60))
    limited.put(shown_as(DisplayStatus.RUNNING, "Task1"))
    assert limited.put(shown_as(DisplayStatus.ENDED, "Task1", end=NOW)) == []
    assert [IDS[0]] == limited.put(shown_as(DisplayStatus.RUNNING, "Task2"))
    assert [IDS[1]] == limited.put(shown_as(DisplayStatus.RUNNING, "Task3"))
    assert limited.put(shown_as(DisplayStatus.ENDED, "Task3", end=NOW + 60)) == []
    assert shown(limited) == ["Task2", "Task3"]


def test_a_task_that_is_stale_for_a_while_keeps_its_series() -> None:
    """A status that changes to and fro does not make series come and go."""
    limited = SeriesLimit(1)
    limited.put(shown_as(DisplayStatus.RUNNING, "Task0"))
    limited.put(shown_as(DisplayStatus.NOT_STARTED, "Task1"))
    assert limited.put(shown_as(DisplayStatus.UNKNOWN, "Task0")) == []
    assert limited.put(shown_as(DisplayStatus.STALE, "Task0")) == []
    assert shown(limited) == ["Task0"]


def test_a_freed_place_goes_to_the_best_and_longest_waiting() -> None:
    """First those that stay, in the order they came; then the others; then the ended ones, the latest ended first."""
    limited = SeriesLimit(1)
    for number, state, end in [
        (0, DisplayStatus.RUNNING, None),
        (1, DisplayStatus.ENDED, NOW),
        (2, DisplayStatus.ENDED, NOW + 1),
        (3, DisplayStatus.UNREAD, None),
        (4, DisplayStatus.FAILED, NOW),
        (5, DisplayStatus.RUNNING, None),
    ]:
        limited.put(shown_as(state, f"Task{number}", end=end))
    order = [limited.remove(IDS[number]) for number in (0, 4, 5, 3, 2, 1)]
    assert [[IDS[4]], [IDS[5]], [IDS[3]], [IDS[2]], [IDS[1]], []] == order


def test_removing_a_task_without_series_or_unknown_moves_no_other() -> None:
    """Only series that are given up make room."""
    limited = SeriesLimit(1)
    limited.put(shown_as(DisplayStatus.RUNNING, "Task0"))
    limited.put(shown_as(DisplayStatus.RUNNING, "Task1"))
    assert (limited.remove(IDS[1]), limited.remove(IDS[2])) == ([], [])
    assert (shown(limited), limited.without_series) == (["Task0"], 0)


moves = st.tuples(st.sampled_from(range(len(IDS))), st.sampled_from([None, *DisplayStatus]), st.integers(0, 5))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(limit=st.integers(0, 4), steps=st.lists(moves, max_size=40))
def test_whatever_happens_the_limited_are_the_best_ones(
    limit: int, steps: list[tuple[int, DisplayStatus | None, int]]
) -> None:
    """All limited are used, no worse one sits while a better one waits, and an equal is never pushed out."""
    limited, world = SeriesLimit(limit), dict[TargetId, TaskState]()
    for number, state, ago in steps:
        target, had, stayed = IDS[number], set(filter(limited.allows, IDS)), _staying(world)
        if state is None:
            world.pop(target, None)
            moved = limited.remove(target)
        else:
            world[target] = shown_as(state, target.task_id, end=NOW - ago)
            moved = limited.put(world[target])
        has = set(filter(limited.allows, IDS))
        assert has ^ had == {*moved, target} & (has ^ had)
        assert set(moved) == (has ^ had) - {target}
        assert (min(limit, len(world)), len(world) - len(has)) == (len(has), limited.without_series)
        assert not [other for other in stayed & had & _staying(world) if other not in has]
        _assert_no_better_one_waits(world, has)


def _staying(world: dict[TargetId, TaskState]) -> set[TargetId]:
    return {target for target, known in world.items() if rank(known) == 0}


def _assert_no_better_one_waits(world: dict[TargetId, TaskState], has: set[TargetId]) -> None:
    def worth(target: TargetId) -> tuple[int, float]:
        known = world[target]
        ended = known.task.end if rank(known) == 2 and known.task else None
        return -rank(known), ended or 0.0

    worst = min(map(worth, has), default=(1, 0.0))
    assert all(worth(target) <= worst for target in world.keys() - has)


def test_a_dark_class_comes_before_others_of_its_status() -> None:
    """What the alerts call critical is not what goes when there are too many tasks."""
    limited = SeriesLimit(1)
    dark = (ActiveProblem(TaskProblem.CLASS_DARK, Severity.CRITICAL, NOW),)
    limited.put(shown_as(DisplayStatus.NOT_STARTED, "Task0"))
    limited.put(replace(shown_as(DisplayStatus.ENDED, "Task1", end=NOW), problems=dark))
    assert shown(limited) == ["Task1"]
