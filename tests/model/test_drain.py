"""What becomes of a target that no source lists any more."""

import math
from collections.abc import Callable
from dataclasses import replace

import pytest

from exporter.enums import Source, Status, StopReason
from exporter.errors import ReadError, TimedOut
from exporter.model.run import EndUnseen, RunStopped, StateChange
from exporter.model.target import Target, TargetId
from exporter.model.task import Task
from exporter.model.task_state import Lifetimes, TaskState, accept, expire, expires_at, release, retarget

Knowing = Callable[..., TaskState]

TARGET = Target(TargetId("app", "room", "task"), "default")
WAITS = Lifetimes(stale_after=120.0, linger=900.0, drain=1800.0)
T = 100_000.0
ON = Task(Status.RUNNING, start=T - 50)
OVER = Task(Status.ENDED, start=T - 50, end=T, stop_reason=StopReason.STOP_BY_API)
LOST = (RunStopped("app", StopReason.LOST),)


@pytest.mark.parametrize(
    ("outcomes", "drained"),
    [((), False), ((None,), False), ((TimedOut("late"),), False), ((ON,), True), ((ON, None), True), ((OVER,), False)],
)
def test_only_a_live_run_is_drained(
    known: Knowing,
    outcomes: tuple[Task | ReadError | None, ...],
    drained: bool,
) -> None:
    """What no source lists any more goes at once, but for a run that was last seen live."""
    left, _ = expire(release(known(*outcomes), T, WAITS), T, WAITS)
    assert drained == (left is not None)


def test_a_drain_ends(known: Knowing) -> None:
    """A run that is still live when its drain is over is let go, and its end counts as unseen, once."""
    draining = release(known(ON), T, WAITS)
    now = known(ON, begin=draining, at=T + 1790)
    at = T + WAITS.drain
    assert (now, StateChange()) == expire(now, math.nextafter(at, 0), WAITS)
    assert at == expires_at(now, T + 1795, WAITS)
    gone, step = expire(now, at, WAITS)
    assert (None, (EndUnseen("app"),)) == (gone, step.events)
    (run,) = step.runs
    assert expire(release(accept(TARGET, run, at), at, WAITS), at, WAITS) == (None, StateChange())


def test_a_drain_is_not_begun_twice(known: Knowing) -> None:
    """Another load of the lists without the target prolongs nothing, and takes nothing that lingers."""
    draining = release(known(ON), T, WAITS)
    assert draining == release(draining, T + 600, WAITS)
    over = known(OVER, begin=draining, at=T + 700)
    assert over == release(over, T + 800, WAITS)


@pytest.mark.parametrize(("end_seen", "until"), [(T + 60, T + 60 + 900), (T + 1700, T + 1800)])
def test_a_drained_run_lingers(known: Knowing, end_seen: float, until: float) -> None:
    """The end of a drained run is shown for `linger`, but not beyond the drain; then it is forgotten uncounted."""
    draining = release(known(ON), T, WAITS)
    over = known(OVER, begin=draining, at=end_seen)
    assert (over, StateChange()) == expire(over, math.nextafter(until, 0), WAITS)
    assert until == expires_at(over, end_seen, WAITS)
    assert (None, StateChange()) == expire(over, until, WAITS)


def test_a_drained_run_that_is_lost_is_forgotten(known: Knowing) -> None:
    """Nothing is left to show and nothing to wait for; it counts as Lost and not as unseen too."""
    draining = release(known(ON, None), T + 10, WAITS)
    gone, step = expire(draining, T + 130, WAITS)
    assert (gone, step.events) == (None, LOST)


def test_a_target_that_is_listed_again_stays(known: Knowing) -> None:
    """A new listing ends the drain and brings its labels; what was read stays."""
    draining = release(known(ON), T, WAITS)
    listed = replace(TARGET, labels={"team": "edu"})
    assert replace(known(ON), target=listed) == retarget(draining, listed)


def test_a_class_outlives_the_list_that_gave_its_times() -> None:
    """A callback lists the task without times: the class is kept until it is over, and no longer."""
    listed = replace(
        TARGET, sources=frozenset({Source.HTTP, Source.CALLBACK}), labels={"team": "edu"}, expected_end=T + 600
    )
    called_back = replace(TARGET, sources=frozenset({Source.CALLBACK}))
    kept = retarget(TaskState(listed), called_back)
    assert (kept.target.expected_end, kept.target.labels) == (T + 600, {"team": "edu"})
    assert expires_at(kept, T, WAITS) == T + 600
    assert retarget(kept, called_back) == kept
    over, _ = expire(kept, T + 600, WAITS)
    assert over is not None
    assert (over.target.expected_end, over.keeps_class) == (None, False)


def test_times_that_a_list_takes_back_are_gone() -> None:
    """A source that still lists the target and gives no times any more means it."""
    listed = replace(TARGET, sources=frozenset({Source.HTTP}), expected_end=T + 600)
    assert retarget(TaskState(listed), replace(listed, expected_end=None)).target.expected_end is None
    other = replace(TARGET, sources=frozenset({Source.PUSH}), expected_end=T + 60)
    assert retarget(TaskState(listed), other).target.expected_end == T + 60
