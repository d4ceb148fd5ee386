import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from queue import SimpleQueue

import pytest
import time_machine

from exporter.scheduler.scheduler import HOUSEKEEPING, Every, Scheduler

PATIENCE = 20.0
NOW = datetime(2026, 1, 15, 8, 30, 5, tzinfo=UTC)
Make = Callable[..., Scheduler]


def nothing(*_args: object) -> None:
    """Do nothing."""


@pytest.fixture
def dispatcher() -> Iterator[Make]:
    """Make a dispatcher that ends with the test: `dispatcher(beat=..., housekeep=..., count=..., monotonic=...)`."""
    with ExitStack() as stack:

        def make(
            beat: Callable[[], None] = nothing,
            housekeep: Callable[[], None] = nothing,
            count: Callable[[str], None] = nothing,
            monotonic: Callable[[], float] = lambda: 0.0,
        ) -> Scheduler:
            made = Scheduler(beat, housekeep, count, monotonic)
            stack.callback(made.stop)
            return made

        yield make


def test_it_beats_again_and_again(dispatcher: Make) -> None:
    """From the start on, until it is stopped."""
    beats: SimpleQueue[int] = SimpleQueue()
    made = dispatcher(beat=lambda: beats.put(1))
    made.start()
    assert [beats.get(timeout=PATIENCE) for _ in range(5)] == [1] * 5


def test_it_keeps_house_when_it_starts(dispatcher: Make) -> None:
    """And then once in ten minutes."""
    kept = threading.Event()
    dispatcher(housekeep=kept.set).start()
    assert kept.wait(PATIENCE)
    assert Every(HOUSEKEEPING).get_next_fire_time(NOW, NOW) == NOW + timedelta(minutes=10)


def test_a_beat_that_fails_is_counted_and_logged_and_the_next_one_comes(
    dispatcher: Make, caplog: pytest.LogCaptureFixture
) -> None:
    """One broken beat must not end the reads."""
    counted: SimpleQueue[str] = SimpleQueue()
    beats: SimpleQueue[int] = SimpleQueue()

    def beat() -> None:
        beats.put(1)
        raise ZeroDivisionError

    dispatcher(beat=beat, count=counted.put).start()
    assert [beats.get(timeout=PATIENCE) for _ in range(3)] == [1] * 3
    assert counted.get(timeout=PATIENCE) == "error"
    assert counted.get(timeout=PATIENCE) == "error"
    assert {(record.levelno, record.getMessage()) for record in caplog.records} == {
        (logging.ERROR, "job beat failed for a reason that nobody foresaw")
    }
    assert all(record.exc_info for record in caplog.records)


def test_no_two_beats_run_at_once_and_what_is_left_out_is_counted(dispatcher: Make) -> None:
    """A beat that takes longer than its interval is waited for."""
    counted: SimpleQueue[str] = SimpleQueue()
    release, running = threading.Event(), threading.Semaphore(0)

    def beat() -> None:
        running.release()
        release.wait(PATIENCE)

    dispatcher(beat=beat, count=counted.put).start()
    assert counted.get(timeout=PATIENCE) == "max_instances"
    assert running.acquire(blocking=False) is True
    assert running.acquire(blocking=False) is False
    release.set()
    assert running.acquire(timeout=PATIENCE)


def test_alive_as_long_as_it_moved_lately(dispatcher: Make) -> None:
    """Five seconds without a beat that ended well, and it is not."""
    clock, beats = [100.0], threading.Semaphore(0)
    made = dispatcher(beat=beats.release, monotonic=lambda: clock[0])
    assert made.alive is True
    clock[0] = 104.9
    assert made.alive is True
    clock[0] = 105.0
    assert made.alive is False
    made.start()
    for _ in range(2):
        assert beats.acquire(timeout=PATIENCE)
    assert made.alive is True


def test_other_work_is_done_every_so_often_until_it_is_cancelled(dispatcher: Make) -> None:
    """At once for the first time; a second cancel is none."""
    done: SimpleQueue[int] = SimpleQueue()
    made = dispatcher()
    made.start()
    made.every("some", 0.01, lambda: done.put(1))
    assert [done.get(timeout=PATIENCE) for _ in range(3)] == [1] * 3
    made.cancel("some")
    made.cancel("some")


def test_other_work_that_hangs_does_not_stop_the_beat(dispatcher: Make) -> None:
    """It has threads of its own."""
    release, beats = threading.Event(), threading.Semaphore(0)
    made = dispatcher(beat=beats.release)
    made.start()

    def hang() -> None:
        release.wait(PATIENCE)

    for index in range(5):
        made.every(f"some{index}", 60.0, hang)
    try:
        for _ in range(5):
            assert beats.acquire(timeout=PATIENCE)
    finally:
        release.set()


@pytest.mark.parametrize("back", [timedelta(hours=1), timedelta(days=20_000)])
def test_a_wall_clock_set_back_stops_the_beat_until_it_is_nudged(back: timedelta, dispatcher: Make) -> None:
    """And work of longer intervals is not an hour late either."""
    beats, kept = threading.Semaphore(0), threading.Semaphore(0)
    made = dispatcher(beat=beats.release, housekeep=kept.release)
    with time_machine.travel(NOW, tick=True) as machine:
        made.start()
        assert beats.acquire(timeout=PATIENCE)
        assert kept.acquire(timeout=PATIENCE)
        machine.move_to(NOW - back, tick=True)
        while beats.acquire(timeout=0.3):
            pass
        made.nudge()
        assert beats.acquire(timeout=PATIENCE)
        assert beats.acquire(timeout=PATIENCE)
        assert kept.acquire(timeout=PATIENCE)


def test_a_nudge_hurries_nothing_that_is_in_time(dispatcher: Make) -> None:
    """Work of other intervals is not done more often because somebody looks."""
    kept, beats = threading.Semaphore(0), threading.Semaphore(0)
    made = dispatcher(beat=beats.release, housekeep=kept.release)
    made.nudge()
    made.start()
    assert kept.acquire(timeout=PATIENCE)
    for _ in range(5):
        made.nudge()
        assert beats.acquire(timeout=PATIENCE)
    assert kept.acquire(blocking=False) is False
    made.stop()
    made.stop()
    made.nudge()


def test_a_wall_clock_set_far_ahead_is_one_missed_beat(dispatcher: Make) -> None:
    """From 1970 to now in one step, and the next beat comes as ever."""
    beats = threading.Semaphore(0)
    made = dispatcher(beat=beats.release)
    with time_machine.travel(datetime(1970, 1, 2, tzinfo=UTC), tick=True) as machine:
        made.start()
        assert beats.acquire(timeout=PATIENCE)
        machine.move_to(NOW, tick=True)
        for _ in range(5):
            assert beats.acquire(timeout=PATIENCE)


def test_what_was_missed_is_done_once() -> None:
    """A late job fires now, and then an interval later; one in time keeps its rhythm."""
    every = Every(10.0)
    later = NOW + timedelta(hours=3)
    assert every.get_next_fire_time(None, NOW) == NOW
    assert every.get_next_fire_time(NOW, NOW + timedelta(seconds=4)) == NOW + timedelta(seconds=10)
    assert every.get_next_fire_time(NOW, later) == later
    assert every.get_next_fire_time(later, later) == later + timedelta(seconds=10)
