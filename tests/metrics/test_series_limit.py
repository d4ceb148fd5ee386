"""Who has series when there are more tasks than `metrics.max_tasks`."""

from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from exporter.metrics.series_cache import SeriesLimit
from exporter.model.target import TargetId
from exporter.model.task_state import DisplayStatus, TaskState

NOW = 1_700_000_000.0
STAYING = (DisplayStatus.FAILED, DisplayStatus.RUNNING)
OTHERS = tuple(
    display_status for display_status in DisplayStatus if display_status not in (*STAYING, DisplayStatus.ENDED)
)
IDS = [TargetId("App1", "Room1", f"Task{number}") for number in range(6)]


def rank(known: TaskState) -> int:
    """0 = stays, 2 = goes first."""
    return 0 if known.display_status in STAYING else 2 if known.display_status is DisplayStatus.ENDED else 1


def seated(limited: SeriesLimit) -> list[str]:
    """The task ids with a seat."""
    return [target.task_id for target in IDS if limited.allows(target)]


def test_without_a_limit_nobody_has_a_seat(display_status: Callable[..., TaskState]) -> None:
    """`max_tasks: 0` = no per-task series, whatever the task; all of them are counted as waiting."""
    limited = SeriesLimit(0)
    assert limited.put(display_status(DisplayStatus.RUNNING, "Task0")) == []
    assert limited.put(display_status(DisplayStatus.FAILED, "Task1")) == []
    assert (seated(limited), limited.without_series) == ([], 2)
    assert limited.remove(IDS[0]) == []
    assert limited.without_series == 1


def test_who_comes_when_all_is_taken_waits(display_status: Callable[..., TaskState]) -> None:
    """Nobody loses a seat to an equal."""
    limited = SeriesLimit(1)
    limited.put(display_status(DisplayStatus.RUNNING, "Task0"))
    assert limited.put(display_status(DisplayStatus.FAILED, "Task1")) == []
    assert (seated(limited), limited.without_series) == (["Task0"], 1)


@pytest.mark.parametrize("other", OTHERS)
@pytest.mark.parametrize("staying", STAYING)
def test_a_failed_or_running_task_takes_the_seat_of_any_other(
    display_status: Callable[..., TaskState], staying: DisplayStatus, other: DisplayStatus
) -> None:
    """Failed and running tasks come first, and nobody takes a seat from them."""
    limited = SeriesLimit(1)
    limited.put(display_status(other, "Task0"))
    assert [IDS[0]] == limited.put(display_status(staying, "Task1"))
    assert seated(limited) == ["Task1"]
    assert limited.put(display_status(other, "Task2")) == []
    assert seated(limited) == ["Task1"]


@pytest.mark.parametrize("order", [[0, 1, 2], [2, 1, 0], [1, 0, 2]])
def test_the_longest_ended_goes_first(display_status: Callable[..., TaskState], order: list[int]) -> None:
    """By its own end, in whatever order the ends were seen (after a restart: the order of the list)."""
    limited = SeriesLimit(3)
    for number in order:
        limited.put(display_status(DisplayStatus.ENDED, f"Task{number}", end=NOW + number))
    limited.put(display_status(DisplayStatus.NOT_STARTED, "Task3"))
    assert seated(limited) == ["Task1", "Task2", "Task3"]
    limited.put(display_status(DisplayStatus.RUNNING, "Task4"))
    assert seated(limited) == ["Task2", "Task3", "Task4"]


def test_an_end_without_a_time_counts_from_when_it_was_seen(
    display_status: Callable[..., TaskState], after: Callable[..., TaskState]
) -> None:
    """A missing EndTime makes nobody the longest ended of all."""
    limited = SeriesLimit(1)
    limited.put(display_status(DisplayStatus.ENDED, "Task0", end=NOW - 1))
    limited.put(display_status(DisplayStatus.ENDED, "Task1", end=None))
    assert seated(limited) == ["Task1"]
    ended = display_status(DisplayStatus.ENDED, "Task1").task
    limited.put(after(display_status(DisplayStatus.ENDED, "Task2"), ended, at=NOW + 60))
    assert seated(limited) == ["Task1"]


def test_who_runs_and_ends_keeps_the_seat_until_somebody_better_comes(display_status: Callable[..., TaskState]) -> None:
    """The freshly ended goes last of the ended ones, and first when one that runs is waiting."""
    limited = SeriesLimit(2)
    limited.put(display_status(DisplayStatus.ENDED, "Task0", end=NOW - 60))
    limited.put(display_status(DisplayStatus.RUNNING, "Task1"))
    assert limited.put(display_status(DisplayStatus.ENDED, "Task1", end=NOW)) == []
    assert [IDS[0]] == limited.put(display_status(DisplayStatus.RUNNING, "Task2"))
    assert [IDS[1]] == limited.put(display_status(DisplayStatus.RUNNING, "Task3"))
    assert limited.put(display_status(DisplayStatus.ENDED, "Task3", end=NOW + 60)) == []
    assert seated(limited) == ["Task2", "Task3"]


def test_who_is_stale_for_a_while_loses_no_seat_to_one_like_it(display_status: Callable[..., TaskState]) -> None:
    """A status that changes to and fro does not make series come and go."""
    limited = SeriesLimit(1)
    limited.put(display_status(DisplayStatus.RUNNING, "Task0"))
    limited.put(display_status(DisplayStatus.NOT_STARTED, "Task1"))
    assert limited.put(display_status(DisplayStatus.UNKNOWN, "Task0")) == []
    assert limited.put(display_status(DisplayStatus.STALE, "Task0")) == []
    assert seated(limited) == ["Task0"]


def test_a_freed_seat_goes_to_the_best_and_longest_waiting(display_status: Callable[..., TaskState]) -> None:
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
        limited.put(display_status(state, f"Task{number}", end=end))
    order = [limited.remove(IDS[number]) for number in (0, 4, 5, 3, 2, 1)]
    assert [[IDS[4]], [IDS[5]], [IDS[3]], [IDS[2]], [IDS[1]], []] == order


def test_letting_go_of_one_who_waits_or_is_unknown_moves_nobody(display_status: Callable[..., TaskState]) -> None:
    """Only a seat that is given up can be given on."""
    limited = SeriesLimit(1)
    limited.put(display_status(DisplayStatus.RUNNING, "Task0"))
    limited.put(display_status(DisplayStatus.RUNNING, "Task1"))
    assert (limited.remove(IDS[1]), limited.remove(IDS[2])) == ([], [])
    assert (seated(limited), limited.without_series) == (["Task0"], 0)


moves = st.tuples(st.sampled_from(range(len(IDS))), st.sampled_from([None, *DisplayStatus]), st.integers(0, 5))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(limit=st.integers(0, 4), steps=st.lists(moves, max_size=40))
def test_whatever_happens_the_limited_are_the_best_ones(
    display_status: Callable[..., TaskState], limit: int, steps: list[tuple[int, DisplayStatus | None, int]]
) -> None:
    """All limited are used, no worse one sits while a better one waits, and an equal is never pushed out."""
    limited, world = SeriesLimit(limit), dict[TargetId, TaskState]()
    for number, state, ago in steps:
        target, had, stayed = IDS[number], set(filter(limited.allows, IDS)), _staying(world)
        if state is None:
            world.pop(target, None)
            moved = limited.remove(target)
        else:
            world[target] = display_status(state, target.task_id, end=NOW - ago)
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
