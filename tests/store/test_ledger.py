"""A fact and the counters it raises are one transaction, and are shown only once it is committed."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from exporter.enums import StopReason
from exporter.errors import StartError
from exporter.model.run import EndUnseen, Run, StateChange, abandon
from exporter.model.target import TargetId
from exporter.store.counters import Series, Total, zeros
from exporter.store.store import RETRY_AFTER, Store

if TYPE_CHECKING:
    from tests.store.conftest import World

Ended = Callable[..., StateChange]
Count = Callable[[Store], float]

only_sqlite = pytest.mark.parametrize("engine", ["sqlite"])

STOPS = Series(Total.RUN_STOPS, "app", StopReason.STOP_BY_API)


def test_what_is_flushed_is_shown_and_kept(world: "World", ended: Ended, stop_count: Count) -> None:
    """A step shows in the totals once it is written, not before, and is there after a restart, every field of it."""
    store = world.open()
    step = ended()
    store.record(step)
    assert stop_count(store) == 0
    store.flush()
    assert stop_count(store) == 1
    shown = store.counters()
    world.kill(store)
    again = world.open()
    assert shown == again.counters()
    assert {step.runs[0].target: step.runs[0]} == again.latest_runs()


def test_a_kill_before_the_flush_loses_only_what_was_not_shown(world: "World", ended: Ended, stop_count: Count) -> None:
    """Killed before the commit, neither the run nor its count is in the state: the end is read and counted again."""
    store = world.open()
    store.record(ended())
    world.kill(store)
    again = world.open()
    assert (again.latest_runs(), stop_count(again)) == ({}, 0)


def test_closing_writes_what_is_left(world: "World", ended: Ended, stop_count: Count) -> None:
    """A clean stop writes, even within the wait after a failed try."""
    store = world.open()
    store.record(ended())
    with world.locked():
        store.flush()
    assert world.failures == [True]
    store.close()
    assert stop_count(world.open()) == 1


def test_whoever_is_late_writes_nothing(world: "World", ended: Ended, stop_count: Count) -> None:
    """After the close the file may be another process's: its totals are not overwritten."""
    late = world.open()
    late.record(ended("one"))
    late.close()
    successor = world.open()
    for name in ("two", "three"):
        successor.record(ended(name))
    successor.flush()
    late.record(ended("four"))
    late.flush()
    world.kill(successor)
    assert stop_count(world.open()) == 3


def test_nothing_recorded_is_nothing_written(world: "World") -> None:
    """An empty step, and a flush without steps, do not touch the file."""
    store = world.open()
    with world.locked():
        store.record(StateChange())
        store.flush()
    assert world.failures == []


def test_an_app_opens_at_zero(world: "World", ended: Ended, stop_count: Count) -> None:
    """Counters exist before the first event; opening again, or late, sets none of them back."""
    store = world.open()
    store.open_app("app")
    assert dict.fromkeys(zeros("app"), 0.0) == store.counters()
    store.record(ended())
    store.flush()
    store.open_app("app")
    store.open_app("other")
    assert {*zeros("app"), *zeros("other")} == set(store.counters())
    assert stop_count(store) == 1


def test_totals_are_a_snapshot(world: "World") -> None:
    """What a scrape holds in its hands does not change under it."""
    store = world.open()
    before = store.counters()
    store.open_app("app")
    assert before == {}


def test_a_failed_write_is_kept_counted_and_tried_again(world: "World", ended: Ended, stop_count: Count) -> None:
    """While another connection holds the file nothing is shown and nothing is lost; tries are RETRY_AFTER apart."""
    store = world.open()
    store.record(ended("one"))
    with world.locked():
        store.flush()
        store.record(ended("two"))
        world.now += RETRY_AFTER - 0.01
        store.flush()
        assert (world.failures, stop_count(store)) == ([True], 0)
        world.now += 0.01
        store.flush()
        assert (world.failures, stop_count(store)) == ([True, False], 0)
    world.now += RETRY_AFTER
    store.flush()
    assert (world.failures, stop_count(store)) == ([True, False], 2)
    with world.locked():
        store.record(ended("three"))
        store.flush()
    assert world.failures == [True, False, True]


@only_sqlite
def test_a_full_disk_is_a_failed_write(world: "World", ended: Ended, stop_count: Count) -> None:
    """No page more to be had: half a step is never written, and all of it is once there is room."""
    store = world.open()
    with store._engine.connect() as connection:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
        connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")
    steps = [ended(f"{number}-{'x' * 100}") for number in range(100)]
    for step in steps:
        store.record(step)
    store.flush()
    assert (world.failures, stop_count(store)) == ([True], 0)
    assert world.rows("SELECT count(*) FROM runs UNION ALL SELECT count(*) FROM totals") == [(0,), (0,)]
    with store._engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA max_page_count = 100000")
    world.now += RETRY_AFTER
    store.flush()
    assert stop_count(store) == 100


@only_sqlite
def test_a_file_that_became_read_only_is_a_failed_write(world: "World", ended: Ended, stop_count: Count) -> None:
    """A state that can no longer be written shows nothing new, and says so, until it can."""
    store = world.open()
    store.record(ended())
    for switch, shown in (("ON", 0), ("OFF", 1)):
        with store._engine.connect() as connection:
            connection.exec_driver_sql(f"PRAGMA query_only = {switch}")
        world.now += RETRY_AFTER
        store.flush()
        assert shown == stop_count(store)
    assert world.failures == [True]


def test_runs_not_yet_written_are_known_all_the_same(world: "World", ended: Ended) -> None:
    """A target that is listed again while the disk is full finds its run, or its end would be counted twice."""
    store = world.open()
    store.record(ended(end_seen=210.0))
    store.flush()
    newer = ended(seen=60.0, end_seen=500.0)
    store.record(newer)
    assert [newer.runs[0]] == list(store.latest_runs().values())


def test_runs_that_cannot_be_read_are_told_in_a_sentence(world: "World") -> None:
    """A state that fails under the start or a reload is a StartError, without the statement that failed."""
    store = world.open()
    world.change("DROP TABLE runs")
    with pytest.raises(StartError, match=r"^the runs in the state cannot be read: (Operational|Programming)Error$"):
        store.latest_runs()


def test_the_latest_run_is_the_one_first_seen_last(world: "World", ended: Ended) -> None:
    """Of a TaskId that was used again the latest run counts; runs of other targets are their own."""
    store = world.open()
    for name, seen in (("a", 1.0), ("a", 3.0), ("a", 2.0), ("b", 1.0)):
        store.record(ended(name, seen=seen))
        store.flush()
    expected = {TargetId("app", "room", "a"): 3.0, TargetId("app", "room", "b"): 1.0}
    assert expected == {target: run.first_seen for target, run in store.latest_runs().items()}


def test_a_run_is_one_row(world: "World", ended: Ended) -> None:
    """A run that changes twice between two flushes, or after one, is kept as it last was."""
    store = world.open()
    for end_seen in (1.0, 2.0, 3.0):
        store.record(ended(end_seen=end_seen))
        if end_seen != 2.0:
            store.flush()
    assert world.rows("SELECT end_seen FROM runs") == [(3.0,)]


def test_old_runs_are_forgotten_and_their_counts_are_not(world: "World", ended: Ended, stop_count: Count) -> None:
    """Runs that were over before the moment go: stopped, let go, or live in a process that never came back."""
    target = TargetId("app", "room", "task")
    (release,) = abandon(Run(TargetId("app", "room", "let-go"), first_seen=10.0), 90.0).runs
    store = world.open()
    for step in (
        ended("old", end_seen=99.9),
        ended("new", end_seen=100.0),
        StateChange((release,), (EndUnseen("app"),)),
        StateChange((Run(target._replace(task_id="live-old"), first_seen=99.0),)),
        StateChange((Run(target._replace(task_id="live-started"), first_seen=99.0, start=100.0),)),
        StateChange((Run(target._replace(task_id="live-new"), first_seen=100.0),)),
    ):
        store.record(step)
    store.flush()
    store.forget_before(100.0)
    assert {"new", "live-started", "live-new"} == {target.task_id for target in store.latest_runs()}
    assert stop_count(store) == 2


def test_forgetting_that_fails_is_a_failed_write(world: "World") -> None:
    """It is counted like any other, and the next one succeeds."""
    store = world.open()
    with world.locked():
        store.forget_before(1e9)
    store.forget_before(1e9)
    assert world.failures == [True]


@only_sqlite
def test_a_state_in_memory(world: "World", ended: Ended, stop_count: Count) -> None:
    """`sqlite://` counts like any other state, shares nothing, and leaves no file."""
    store, other = world.open("sqlite://"), world.open("sqlite://")
    store.record(ended())
    store.flush()
    assert (stop_count(store), stop_count(other)) == (1, 0)
    assert len(store.latest_runs()) == 1
    assert not world.file.exists()


def test_many_threads_share_one_connection(world: "World", ended: Ended, stop_count: Count) -> None:
    """Reads, scrapes, reloads and housekeeping at once lose no step, count none twice, and show no lower total."""
    store = world.open()
    threads, steps = 8, 40
    start = threading.Barrier(threads)

    def work(thread: int) -> list[float]:
        start.wait()
        shown = []
        for number in range(steps):
            store.record(ended(f"{thread}-{number}"))
            store.flush()
            shown.append(stop_count(store))
            store.open_app(f"app{thread}-{number % 3}")
            if number % 10 == thread:
                assert len(store.latest_runs()) > number
                store.forget_before(1.0)
        return shown

    with ThreadPoolExecutor(threads) as pool:
        for shown in pool.map(work, range(threads)):
            assert sorted(shown) == shown
    assert ([], threads * steps, threads * steps) == (world.failures, stop_count(store), len(store.latest_runs()))
    world.kill(store)
    assert stop_count(world.open()) == threads * steps


def test_totals_do_not_wait_for_the_disk(world: "World", ended: Ended) -> None:
    """A scrape is answered while a write hangs."""
    store = world.open()
    store.record(ended())
    with store._writing:
        assert store.counters() == {}
        store.open_app("app")
        assert STOPS in store.counters()


@only_sqlite
def test_thirty_thousand_runs_are_read_fast(world: "World", ended: Ended) -> None:
    """A start over a week of classes takes moments; the bound is far above what it needs, and far below a minute."""
    store = world.open()
    for number in range(30_000):
        store.record(ended(f"task{number % 20_000}", seen=float(number)))
    store.flush()
    started = time.process_time()
    assert len(store.latest_runs()) == 20_000
    assert time.process_time() - started < 10
