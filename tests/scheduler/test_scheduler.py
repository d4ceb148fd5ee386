import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from queue import SimpleQueue

import pytest
import time_machine
from prometheus_client import CollectorRegistry

from exporter.metrics.self_metrics import SelfMetrics
from exporter.model.clock import Clock
from exporter.scheduler.scheduler import HUNG_AFTER, LATE, Every, Scheduler
from tests.support.waiting import wait_until

LIMIT = 60.0
NOW = datetime(2026, 1, 15, 8, 30, 5, tzinfo=UTC)


class Jobs:
    """A scheduler, its metrics and a clock that the test moves."""

    def __init__(self) -> None:
        self.monotonic = 100.0
        self.registry = CollectorRegistry()
        self.scheduler = Scheduler(SelfMetrics(self.registry), Clock(lambda: 5.0, lambda: self.monotonic))

    def events(self, event: str) -> float:
        """How often the scheduler reported this."""
        return self.registry.get_sample_value("webcast_exporter_scheduler_events_total", {"event": event}) or 0.0


def wait_for(event: threading.Event) -> None:
    event.wait(LIMIT)


@pytest.fixture
def jobs() -> Iterator[Jobs]:
    made = Jobs()
    yield made
    made.scheduler.stop()


def acquired(semaphore: threading.Semaphore, times: int = 1) -> bool:
    """Whether it was released so many times within the limit."""
    return all(semaphore.acquire(timeout=LIMIT) for _ in range(times))


@pytest.mark.parametrize("vital", [True, False])
def test_a_job_runs_at_once_and_again_and_again_until_it_is_cancelled(jobs: Jobs, vital: bool) -> None:
    done: SimpleQueue[int] = SimpleQueue()
    jobs.scheduler.every("some", 0.01, lambda: done.put(1), vital=vital)
    jobs.scheduler.start()
    assert [done.get(timeout=LIMIT) for _ in range(5)] == [1] * 5
    jobs.scheduler.cancel("some")
    jobs.scheduler.cancel("some")
    assert jobs.scheduler.jobs() == []


def test_the_table_tells_of_each_job(jobs: Jobs) -> None:
    """Its last run, duration, next run and errors; replaced, its row goes on."""
    done = threading.Semaphore(0)

    def work() -> None:
        jobs.monotonic += 0.25
        done.release()

    jobs.scheduler.every("b", 600.0, work)
    jobs.scheduler.every("a", 60.0, lambda: None)
    assert [(row.name, row.interval, row.last_run, row.next_run) for row in jobs.scheduler.jobs()] == [
        ("a", 60.0, None, None),
        ("b", 600.0, None, None),
    ]
    jobs.scheduler.start()
    assert acquired(done)
    deadline = threading.Event()
    while (row := jobs.scheduler.jobs()[1]).last_run is None:
        assert not deadline.wait(0.01)
    assert (row.last_run, row.duration, row.errors) == (5.0, 0.25, 0)
    assert row.next_run is not None
    jobs.scheduler.every("b", 300.0, lambda: None)
    assert jobs.scheduler.jobs()[1].interval == 300.0


def test_a_job_that_fails_is_counted_logged_and_run_again(jobs: Jobs, caplog: pytest.LogCaptureFixture) -> None:
    runs = threading.Semaphore(0)

    def work() -> None:
        runs.release()
        raise ZeroDivisionError

    jobs.scheduler.every("broken", 0.01, work, vital=True)
    jobs.scheduler.start()
    assert acquired(runs, 3)
    jobs.scheduler.stop()
    assert jobs.scheduler.jobs()[0].errors >= 2
    assert jobs.events("error") >= 1
    assert jobs.scheduler.alive
    del caplog


def test_no_two_runs_of_a_job_overlap_and_what_is_left_out_is_counted(jobs: Jobs) -> None:
    release, running = threading.Event(), threading.Semaphore(0)

    def work() -> None:
        running.release()
        release.wait(LIMIT)

    jobs.scheduler.every("slow", 0.01, work, vital=True)
    jobs.scheduler.start()
    assert acquired(running)
    while not jobs.events("max_instances"):
        assert not running.acquire(timeout=0.01)
    release.set()
    assert acquired(running)


def test_alive_as_long_as_every_vital_job_has_ended_a_run_lately(jobs: Jobs) -> None:
    """Others may take as long as they like."""
    release, done = threading.Event(), threading.Semaphore(0)
    jobs.scheduler.every("other", 1.0, partial(wait_for, release))
    jobs.scheduler.every("vital", 1.0, done.release, vital=True)
    assert jobs.scheduler.alive
    jobs.monotonic += 1.0 + LATE
    assert (jobs.scheduler.alive, jobs.scheduler.late_job) == (False, "vital")
    jobs.scheduler.start()
    assert acquired(done, 2)
    assert jobs.scheduler.alive
    release.set()


def test_jobs_that_hang_do_not_stop_the_vital_ones(jobs: Jobs) -> None:
    """They have threads of their own."""
    release, runs = threading.Event(), threading.Semaphore(0)
    for index in range(20):
        jobs.scheduler.every(f"hangs{index}", 60.0, partial(wait_for, release))
    jobs.scheduler.every("vital", 0.01, runs.release, vital=True)
    jobs.scheduler.start()
    try:
        assert acquired(runs, 5)
    finally:
        release.set()


@pytest.mark.parametrize("back", [timedelta(hours=1), timedelta(days=20_000)])
def test_a_wall_clock_set_back_stops_jobs_until_a_nudge(jobs: Jobs, back: timedelta) -> None:
    runs = threading.Semaphore(0)
    jobs.scheduler.every("some", 0.05, runs.release)
    with time_machine.travel(NOW, tick=True) as machine:
        jobs.scheduler.start()
        assert acquired(runs)
        machine.move_to(NOW - back, tick=True)
        while runs.acquire(timeout=0.5):
            pass
        jobs.scheduler.nudge()
        assert acquired(runs, 2)


def test_a_nudge_hurries_nothing_that_is_in_time(jobs: Jobs) -> None:
    runs, others = threading.Semaphore(0), threading.Semaphore(0)
    jobs.scheduler.every("rare", 600.0, runs.release)
    jobs.scheduler.every("often", 0.01, others.release)
    jobs.scheduler.nudge()
    jobs.scheduler.start()
    assert acquired(runs)
    for _ in range(5):
        jobs.scheduler.nudge()
        assert acquired(others)
    assert not runs.acquire(blocking=False)


def test_a_wall_clock_set_far_ahead_is_one_missed_run(jobs: Jobs) -> None:
    """From 1970 to now in one step."""
    runs = threading.Semaphore(0)
    jobs.scheduler.every("some", 0.05, runs.release)
    with time_machine.travel(datetime(1970, 1, 2, tzinfo=UTC), tick=True) as machine:
        jobs.scheduler.start()
        assert acquired(runs)
        machine.move_to(NOW, tick=True)
        assert acquired(runs, 5)


def test_what_was_missed_is_run_once() -> None:
    """A late job fires now, and then an interval later; one in time keeps its rhythm."""
    every: Callable[[datetime | None, datetime], datetime] = Every(10.0).get_next_fire_time
    later = NOW + timedelta(hours=3)
    assert every(None, NOW) == NOW
    assert every(NOW, NOW + timedelta(seconds=4)) == NOW + timedelta(seconds=10)
    assert every(NOW, later) == later
    assert every(later, later) == later + timedelta(seconds=10)


def test_a_job_that_hangs_is_reported_once(jobs: Jobs, caplog: pytest.LogCaptureFixture) -> None:
    """With its start, in the log and as a metric, until it goes on."""
    caplog.set_level("INFO")
    runs, release = threading.Semaphore(0), threading.Event()

    def hang() -> None:
        runs.release()
        release.wait(LIMIT)

    jobs.scheduler.every("stuck", 0.01, hang)
    jobs.scheduler.start()
    assert acquired(runs)
    jobs.scheduler.watch()
    assert jobs.scheduler.hung_jobs() == {}
    jobs.monotonic += HUNG_AFTER + 1
    for _ in range(2):
        jobs.scheduler.watch()
    assert jobs.scheduler.hung_jobs() == {"stuck": 5.0}
    release.set()
    assert acquired(runs)
    jobs.scheduler.watch()
    assert jobs.scheduler.hung_jobs() == {}
    assert caplog.messages == ["job hangs job=stuck since=5.0", "job goes on job=stuck seconds=6.0"]


def test_a_scheduler_that_sleeps_too_long_is_woken(jobs: Jobs) -> None:
    """A wall clock that was set back and mended between two nudges leaves it asleep over jobs that are due."""
    runs = threading.Semaphore(0)
    jobs.scheduler.every("some", 3600.0, runs.release)
    jobs.scheduler.start()
    assert acquired(runs)
    store = jobs.scheduler._scheduler._lookup_jobstore("default")
    job = store.lookup_job("some")
    wait_until(lambda: job.next_run_time > datetime.now(UTC) + timedelta(minutes=1), "it sleeps")
    job._modify(next_run_time=datetime.now(UTC))
    store.update_job(job)  # it is due, and APScheduler has not looked since
    jobs.scheduler.nudge()
    assert acquired(runs)
