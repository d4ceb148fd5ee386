"""Who has series when there are more tasks than `metrics.max_tasks`."""

from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from exporter.metrics.seats import Seats
from exporter.model.known import Known, Standing
from exporter.model.target import TargetId

NOW = 1_700_000_000.0
STAYING = (Standing.FAILED, Standing.RUNNING)
OTHERS = tuple(standing for standing in Standing if standing not in (*STAYING, Standing.ENDED))
IDS = [TargetId("App1", "Room1", f"Task{number}") for number in range(6)]


def rank(known: Known) -> int:
    """0 = stays, 2 = goes first."""
    return 0 if known.standing in STAYING else 2 if known.standing is Standing.ENDED else 1


def seated(seats: Seats) -> list[str]:
    """The task ids with a seat."""
    return [target.task_id for target in IDS if seats.has(target)]


def test_without_a_limit_nobody_has_a_seat(standing: Callable[..., Known]) -> None:
    """`max_tasks: 0` = no per-task series, whatever the task; all of them are counted as waiting."""
    seats = Seats(0)
    assert seats.take(standing(Standing.RUNNING, "Task0")) == []
    assert seats.take(standing(Standing.FAILED, "Task1")) == []
    assert (seated(seats), seats.waiting) == ([], 2)
    assert seats.leave(IDS[0]) == []
    assert seats.waiting == 1


def test_who_comes_when_all_is_taken_waits(standing: Callable[..., Known]) -> None:
    """Nobody loses a seat to an equal."""
    seats = Seats(1)
    seats.take(standing(Standing.RUNNING, "Task0"))
    assert seats.take(standing(Standing.FAILED, "Task1")) == []
    assert (seated(seats), seats.waiting) == (["Task0"], 1)


@pytest.mark.parametrize("other", OTHERS)
@pytest.mark.parametrize("staying", STAYING)
def test_a_failed_or_running_task_takes_the_seat_of_any_other(
    standing: Callable[..., Known], staying: Standing, other: Standing
) -> None:
    """Failed and running tasks come first, and nobody takes a seat from them."""
    seats = Seats(1)
    seats.take(standing(other, "Task0"))
    assert [IDS[0]] == seats.take(standing(staying, "Task1"))
    assert seated(seats) == ["Task1"]
    assert seats.take(standing(other, "Task2")) == []
    assert seated(seats) == ["Task1"]


@pytest.mark.parametrize("order", [[0, 1, 2], [2, 1, 0], [1, 0, 2]])
def test_the_longest_ended_goes_first(standing: Callable[..., Known], order: list[int]) -> None:
    """By its own end, in whatever order the ends were seen (after a restart: the order of the list)."""
    seats = Seats(3)
    for number in order:
        seats.take(standing(Standing.ENDED, f"Task{number}", end=NOW + number))
    seats.take(standing(Standing.NOT_STARTED, "Task3"))
    assert seated(seats) == ["Task1", "Task2", "Task3"]
    seats.take(standing(Standing.RUNNING, "Task4"))
    assert seated(seats) == ["Task2", "Task3", "Task4"]


def test_an_end_without_a_time_counts_from_when_it_was_seen(
    standing: Callable[..., Known], after: Callable[..., Known]
) -> None:
    """A missing EndTime makes nobody the longest ended of all."""
    seats = Seats(1)
    seats.take(standing(Standing.ENDED, "Task0", end=NOW - 1))
    seats.take(standing(Standing.ENDED, "Task1", end=None))
    assert seated(seats) == ["Task1"]
    ended = standing(Standing.ENDED, "Task1").task
    seats.take(after(standing(Standing.ENDED, "Task2"), ended, at=NOW + 60))
    assert seated(seats) == ["Task1"]


def test_who_runs_and_ends_keeps_the_seat_until_somebody_better_comes(standing: Callable[..., Known]) -> None:
    """The freshly ended goes last of the ended ones, and first when one that runs is waiting."""
    seats = Seats(2)
    seats.take(standing(Standing.ENDED, "Task0", end=NOW - 60))
    seats.take(standing(Standing.RUNNING, "Task1"))
    assert seats.take(standing(Standing.ENDED, "Task1", end=NOW)) == []
    assert [IDS[0]] == seats.take(standing(Standing.RUNNING, "Task2"))
    assert [IDS[1]] == seats.take(standing(Standing.RUNNING, "Task3"))
    assert seats.take(standing(Standing.ENDED, "Task3", end=NOW + 60)) == []
    assert seated(seats) == ["Task2", "Task3"]


def test_who_is_stale_for_a_while_loses_no_seat_to_one_like_it(standing: Callable[..., Known]) -> None:
    """A status that changes to and fro does not make series come and go."""
    seats = Seats(1)
    seats.take(standing(Standing.RUNNING, "Task0"))
    seats.take(standing(Standing.NOT_STARTED, "Task1"))
    assert seats.take(standing(Standing.UNKNOWN, "Task0")) == []
    assert seats.take(standing(Standing.STALE, "Task0")) == []
    assert seated(seats) == ["Task0"]


def test_a_freed_seat_goes_to_the_best_and_longest_waiting(standing: Callable[..., Known]) -> None:
    """First those that stay, in the order they came; then the others; then the ended ones, the latest ended first."""
    seats = Seats(1)
    for number, state, end in [
        (0, Standing.RUNNING, None),
        (1, Standing.ENDED, NOW),
        (2, Standing.ENDED, NOW + 1),
        (3, Standing.UNREAD, None),
        (4, Standing.FAILED, NOW),
        (5, Standing.RUNNING, None),
    ]:
        seats.take(standing(state, f"Task{number}", end=end))
    order = [seats.leave(IDS[number]) for number in (0, 4, 5, 3, 2, 1)]
    assert [[IDS[4]], [IDS[5]], [IDS[3]], [IDS[2]], [IDS[1]], []] == order


def test_letting_go_of_one_who_waits_or_is_unknown_moves_nobody(standing: Callable[..., Known]) -> None:
    """Only a seat that is given up can be given on."""
    seats = Seats(1)
    seats.take(standing(Standing.RUNNING, "Task0"))
    seats.take(standing(Standing.RUNNING, "Task1"))
    assert (seats.leave(IDS[1]), seats.leave(IDS[2])) == ([], [])
    assert (seated(seats), seats.waiting) == (["Task0"], 0)


moves = st.tuples(st.sampled_from(range(len(IDS))), st.sampled_from([None, *Standing]), st.integers(0, 5))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(limit=st.integers(0, 4), steps=st.lists(moves, max_size=40))
def test_whatever_happens_the_seats_are_the_best_ones(
    standing: Callable[..., Known], limit: int, steps: list[tuple[int, Standing | None, int]]
) -> None:
    """All seats are used, no worse one sits while a better one waits, and an equal is never pushed out."""
    seats, world = Seats(limit), dict[TargetId, Known]()
    for number, state, ago in steps:
        target, had, stayed = IDS[number], set(filter(seats.has, IDS)), _staying(world)
        if state is None:
            world.pop(target, None)
            moved = seats.leave(target)
        else:
            world[target] = standing(state, target.task_id, end=NOW - ago)
            moved = seats.take(world[target])
        has = set(filter(seats.has, IDS))
        assert has ^ had == {*moved, target} & (has ^ had)
        assert set(moved) == (has ^ had) - {target}
        assert (min(limit, len(world)), len(world) - len(has)) == (len(has), seats.waiting)
        assert not [other for other in stayed & had & _staying(world) if other not in has]
        _assert_no_better_one_waits(world, has)


def _staying(world: dict[TargetId, Known]) -> set[TargetId]:
    return {target for target, known in world.items() if rank(known) == 0}


def _assert_no_better_one_waits(world: dict[TargetId, Known], has: set[TargetId]) -> None:
    def worth(target: TargetId) -> tuple[int, float]:
        known = world[target]
        ended = known.task.end if rank(known) == 2 and known.task else None
        return -rank(known), ended or 0.0

    worst = min(map(worth, has), default=(1, 0.0))
    assert all(worth(target) <= worst for target in world.keys() - has)
