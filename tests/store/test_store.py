"""A run's end and the counters that it raises are one transaction, and are shown only once it is committed."""

import concurrent.futures
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa

from exporter.enums import PageAction, PageReason, StopReason
from exporter.errors import StateError
from exporter.model.run import EndUnseen, Run, StateChange, abandon
from exporter.model.target import Target, TargetId
from exporter.model.task import Callback, PageEvent
from exporter.model.task_state import TaskState, apply_callback, received
from exporter.store.counters import Series, Total, zeros
from exporter.store.run_table import DELETE_BATCH, LOOKUP_BATCH
from exporter.store.store import Store
from tests.support.state import LIMIT
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from tests.store.conftest import World

Ended = Callable[..., StateChange]
Count = Callable[[Store], float]

only_sqlite = pytest.mark.parametrize("engine", ["sqlite"])
TARGET = TargetId("app", "room", "task")
CRASH = PageEvent(PageAction.RESCHEDULE, PageReason.CRASH, 100.0)
CALLBACK = Callback(TARGET, "evt-1", "0123abcd", 100.0, CRASH)
CRASHES = Series(Total.PAGE_RESCHEDULES, "app", PageReason.CRASH)
STOPS = Series(Total.RUN_STOPS, "app", StopReason.STOP_BY_API)


def called_back(callback: Callback = CALLBACK, at: float = 100.0) -> StateChange:
    """The change of a callback about a target that was never read."""
    return apply_callback(TaskState(Target(callback.target, "default")), callback, at)[1]


def test_a_committed_change_is_shown_and_kept(world: "World", ended: Ended, stop_count: Count) -> None:
    """It is there after a kill, every field of it."""
    store = world.open()
    change = ended()
    store.wait(store.record(change), LIMIT)
    assert stop_count(store) == 1
    shown = store.counters()
    world.kill(store)
    again = world.open()
    assert shown == again.counters()
    assert {TARGET: change.runs[0]} == again.latest_runs([TARGET])


def test_a_kill_before_the_commit_loses_only_what_was_not_shown(
    world: "World", ended: Ended, stop_count: Count
) -> None:
    """Neither the run nor its count is in the state: the end is read and counted again."""
    store = world.open()
    with world.locked():
        store.record(ended())
        assert not store.flush(LIMIT)
        assert stop_count(store) == 0
        world.kill(store)
    again = world.open()
    assert (again.latest_runs([TARGET]), stop_count(again)) == ({}, 0)


def test_a_stop_writes_what_is_queued_also_after_a_failed_write(
    world: "World", ended: Ended, stop_count: Count
) -> None:
    """It does not wait for the next try."""
    store = world.open(retry_seconds=600)
    with world.locked():
        store.record(ended())
        assert not store.flush(LIMIT)
    world.close(store)
    assert stop_count(world.open()) == 1


def test_after_the_close_nothing_is_written(world: "World", ended: Ended, stop_count: Count) -> None:
    """The state may be another process's by then: its counters are not overwritten."""
    late = world.open()
    world.close(late)
    commit = late.record(ended())
    with pytest.raises(StateError, match="closed"):
        late.wait(commit)
    assert stop_count(world.open()) == 0


def test_an_app_opens_at_zero_and_closes_if_it_counted_nothing(world: "World", ended: Ended) -> None:
    """Counters exist before the first event; opening an app again sets none of them back."""
    store = world.open()
    store.open_app("app")
    assert dict.fromkeys(zeros("app"), 0.0) == store.counters()
    store.wait(store.record(ended()), LIMIT)
    for app_id in ("app", "other", "gone"):
        store.open_app(app_id)
    store.close_apps({"other"})
    assert {series.app_id for series in store.counters()} == {"app", "other"}
    assert store.counters()[STOPS] == 1


def test_a_failed_write_is_kept_counted_and_tried_again(world: "World", ended: Ended, stop_count: Count) -> None:
    """Nothing is shown and nothing is lost, who waits gets the error, and the oldest change has its age."""
    store = world.open()
    with world.locked():
        with pytest.raises(StateError, match="cannot be written"):
            store.wait(store.record(ended("one")), LIMIT)
        store.record(ended("two"))
        assert (stop_count(store), world.failures > 0) == (0, True)
        assert store.oldest_queued is not None
    wait_until(store.flush, "what is queued is written")
    assert stop_count(store) == 2
    assert store.oldest_queued is None


@only_sqlite
def test_a_full_disk_is_a_failed_write(world: "World", ended: Ended, stop_count: Count) -> None:
    """Half a change is never written, and all of it is once there is room."""
    store = world.open()
    engine = store._database._writer
    with engine.connect() as connection:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
        connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")
    with store._wake:
        for number in range(100):
            store._queued.add(ended(f"{number}-{'x' * 100}"), store._labels_of)
    assert not store.flush(LIMIT)
    assert world.rows("SELECT count(*) FROM runs UNION ALL SELECT count(*) FROM totals") == [(0,), (0,)]
    with store._database._turns, engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA max_page_count = 100000")
    assert store.flush(LIMIT)
    assert stop_count(store) == 100


def test_the_queue_holds_the_latest_of_each_run(world: "World", ended: Ended, stop_count: Count) -> None:
    """While nothing can be written, a run that changes takes one place; a look-up sees what is queued."""
    store = world.open(max_queued=2)
    with world.locked():
        for end_seen in (210.0, 220.0):
            store.record(ended("one", end_seen=end_seen))
        store.record(ended("two"))
        assert not store.flush(LIMIT)
        with pytest.raises(StateError, match="its queue is full"):
            store.wait(store.record(ended("three")))
        store.record(ended("one", end_seen=230.0))
        found = store.latest_runs([TargetId("app", "room", name) for name in ("one", "two", "three")])
        assert {target.task_id: run.end_seen for target, run in found.items()} == {"one": 230.0, "two": 210.0}
        assert store.dropped == 1
        for at in (1.0, 2.0, 3.0):  # two keys each
            store.record(received(Callback(TargetId("app", "room", "one"), f"evt-{at}", f"sig-{at}", at), at))
        assert store.dropped == 3
    wait_until(store.flush, "what is queued is written")
    assert stop_count(store) == 4


def test_a_silent_write_holds_back_no_caller(
    world: "World", ended: Ended, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Recording, scraping and look-ups go on; waiting has a deadline; the silence is logged and counted once."""
    monkeypatch.setattr("exporter.store.store.SILENT_AFTER", 0.05)
    store, thaw, frozen = world.open(), threading.Event(), threading.Event()

    def hang(_connection: object) -> None:
        frozen.set()
        assert thaw.wait(LIMIT)

    store.change(hang)
    assert frozen.wait(LIMIT)
    commit = store.record(ended())
    assert (store.counters(), store.live_runs()) == ({}, {})
    with pytest.raises(StateError, match=r"not written within 0\.1 s"):
        store.wait(commit, 0.1)
    for _ in range(3):
        store.watch()
    assert (world.failures, caplog.text.count("state silent")) == (1, 1)
    thaw.set()
    store.wait(commit, LIMIT)


def test_a_long_write_is_not_silent_while_it_is_answered(world: "World") -> None:
    """Neither is it counted as failed; from the last answer on it is."""
    store, thaw, frozen = world.open(), threading.Event(), threading.Event()

    def hang(connection: sa.Connection) -> None:
        connection.exec_driver_sql("SELECT 1")
        store._began -= 100.0
        frozen.set()
        assert thaw.wait(LIMIT)

    commit = store.change(hang)
    assert frozen.wait(LIMIT)
    store._answered_at += 100.0
    store.watch()
    assert world.failures == 0
    store._answered_at -= 200.0
    store.watch()
    assert world.failures == 1
    thaw.set()
    store.wait(commit, LIMIT)


def test_only_a_few_wait_for_a_state_that_fails(world: "World", ended: Ended) -> None:
    """Callbacks must not fill the web's threads: the others are refused at once."""
    store, thaw, frozen = world.open(), threading.Event(), threading.Event()

    def hang(_connection: object) -> None:
        frozen.set()
        assert thaw.wait(LIMIT)
        raise RuntimeError("no")

    with pytest.raises(StateError):
        store.wait(store.change(lambda _connection: 1 / 0), LIMIT)
    store.change(hang)
    commit = store.record(ended())
    with ThreadPoolExecutor(4) as pool:
        waiting = [pool.submit(store.wait, commit, LIMIT) for _ in range(4)]
        assert frozen.wait(LIMIT)
        while store._waiting < 4:
            pass
        with pytest.raises(StateError, match="cannot be written now"):
            store.wait(commit, LIMIT)
        thaw.set()
        assert [type(future.exception(LIMIT)) for future in waiting].count(StateError) <= 4
    assert store.flush(LIMIT)


def test_other_work_is_done_once_or_not_at_all(world: "World") -> None:
    """It is committed with what else is queued; when it fails nothing has changed, and it is not tried again."""
    store, done = world.open(), []
    insert = "INSERT INTO totals (total, app_id, label, bucket, value) VALUES ('x', 'app', '', '', 1)"
    store.wait(store.change(lambda connection: connection.exec_driver_sql(insert), lambda: done.append(1)), LIMIT)
    twice = store.change(lambda connection: connection.exec_driver_sql(insert), lambda: done.append(2))
    with pytest.raises(StateError, match="the state refuses it"):
        store.wait(twice, LIMIT)
    assert (done, world.rows("SELECT count(*) FROM totals"), world.failures) == ([1], [(1,)], 0)


def test_latest_runs_are_found_by_key_in_batches(world: "World", ended: Ended) -> None:
    """The latest of each target that has one; others are not looked at."""
    store = world.open()
    wanted = [TargetId("app", "room", f"t{number}") for number in range(LOOKUP_BATCH + 5)]
    for seen in (10.0, 20.0):
        for target in wanted[:-1]:
            store.record(ended(target.task_id, seen=seen))
    store.record(ended("other"))
    assert store.flush(LIMIT)
    found = store.latest_runs(wanted)
    assert (set(found), {run.first_seen for run in found.values()}) == (set(wanted[:-1]), {20.0})
    assert store.latest_runs([]) == {}


def test_live_runs_are_the_latest_of_their_targets_and_were_read(world: "World", ended: Ended) -> None:
    """An ended run is none, nor is one that only callbacks named."""
    store = world.open()
    live = replace(ended("live").runs[0], end_seen=None, stopped=None, last=None)
    replaced = replace(ended("again", seen=10.0).runs[0], end_seen=None)
    for change in (ended("ended"), StateChange((live, replaced)), ended("again", seen=20.0), called_back()):
        store.record(change)
    assert store.flush(LIMIT)
    assert store.live_runs() == {live.target: live}


def test_old_runs_are_deleted_and_the_counters_stay(world: "World", ended: Ended, stop_count: Count) -> None:
    """Also live ones that began before, for the API knows them no more; also more than one batch."""
    store = world.open()
    (release,) = abandon(Run(TargetId("app", "room", "abandoned"), first_seen=10.0), 90.0).runs
    for change in (
        *(ended(f"old{number}", end_seen=99.9) for number in range(DELETE_BATCH + 1)),
        ended("new", end_seen=100.0),
        StateChange((release,), (EndUnseen("app"),)),
        StateChange((Run(TargetId("app", "room", "live-old"), first_seen=99.0),)),
        StateChange((Run(TargetId("app", "room", "live-started"), first_seen=99.0, start=100.0),)),
    ):
        store.record(change)
    assert store.flush(LIMIT)
    store.forget_before(100.0)
    while store.flush(LIMIT) and world.rows("SELECT count(*) FROM runs") != [(2,)]:
        pass
    assert world.rows("SELECT task_id FROM runs ORDER BY task_id") == [("live-started",), ("new",)]
    assert stop_count(store) == DELETE_BATCH + 2


@only_sqlite
def test_a_state_in_memory(world: "World", ended: Ended, stop_count: Count) -> None:
    """`sqlite://` counts like any other state, shares nothing, and leaves no file."""
    from tests.support.state import open_store  # noqa: PLC0415 - the fixture's world has a file

    store, other = open_store(), open_store()
    store.wait(store.record(ended()), LIMIT)
    assert (stop_count(store), stop_count(other), len(store.latest_runs([TARGET]))) == (1, 0, 1)
    assert not world.file.exists()
    for each in (store, other):
        each.close()


def test_many_threads(world: "World", ended: Ended, stop_count: Count) -> None:
    """Reads, scrapes, look-ups and deletions at once lose no change, count none twice, and show no lower counter."""
    store, threads, changes = world.open(), 8, 40
    start = threading.Barrier(threads)

    def work(thread: int) -> list[float]:
        start.wait()
        shown = []
        for number in range(changes):
            store.wait(store.record(ended(f"{thread}-{number}")), LIMIT)
            shown.append(stop_count(store))
            if number % 10 == thread:
                assert store.latest_runs([TargetId("app", "room", f"{thread}-{number}")])
                store.forget_before(1.0)
        return shown

    with ThreadPoolExecutor(threads) as pool:
        assert all(sorted(shown) == shown for shown in pool.map(work, range(threads)))
    assert (world.failures, stop_count(store)) == (0, threads * changes)
    world.kill(store)
    assert stop_count(world.open()) == threads * changes


def test_a_reader_s_error_does_not_count_as_a_failed_write(world: "World", ended: Ended) -> None:
    """A search that the database refuses is the searcher's."""
    store = world.open()
    with pytest.raises(StateError, match="cannot be read"):
        store.search(lambda connection: connection.exec_driver_sql("SELECT nonsense").all())
    store.wait(store.record(ended()), LIMIT)
    assert world.failures == 0


def test_slow_searches_are_few_and_delay_no_look_up(world: "World") -> None:
    """What does not fit is refused at once; receipts and runs are looked up meanwhile."""
    store, thaw = world.open(), threading.Event()
    with ThreadPoolExecutor(16) as pool:
        slow = [pool.submit(store.search, lambda _connection: thaw.wait(LIMIT), LIMIT) for _ in range(16)]
        while not store._searches._pool._work_queue.qsize() >= 14:
            pass
        with pytest.raises(StateError, match="busy"):
            store.search(lambda _connection: None)
        assert not store.has_receipt(CALLBACK)
        thaw.set()
        assert all(future.result(LIMIT) for future in slow)


def test_while_look_ups_are_not_answered_one_at_a_time_waits(world: "World") -> None:
    """A crowd of callbacks over a silent state is refused at once; once a look-up is answered all are made again."""
    store, thaw = world.open(), threading.Event()

    def hang(_connection: object) -> bool:
        return thaw.wait(LIMIT)

    with ThreadPoolExecutor(1) as pool:
        with pytest.raises(StateError, match="within"):
            store.look_up(hang, 0.01)
        trial = pool.submit(store.look_up, hang, LIMIT)
        wait_until(store._lookups._trial.locked, "one tries again")
        with pytest.raises(StateError, match=r"does not answer$"):
            store.look_up(hang, LIMIT)
        thaw.set()
        assert trial.result(LIMIT)
    assert store.look_up(hang, LIMIT)


def test_a_look_up_that_waits_when_the_store_is_closed_fails(world: "World") -> None:
    """With the error that its callers handle: a stop during a silence of the state logs no traceback."""
    store, thaw = world.open(), threading.Event()
    connections = store._database._readers.pool
    with ThreadPoolExecutor(3) as pool:
        waiting = [pool.submit(store.look_up, lambda _connection: thaw.wait(LIMIT), LIMIT) for _ in range(3)]
        wait_until(store._lookups._pool._work_queue.qsize, "one has no thread")
        store.close()
        done, _ = concurrent.futures.wait(waiting, LIMIT, concurrent.futures.FIRST_COMPLETED)
        assert isinstance(done.pop().exception(), StateError)
        thaw.set()
    store._lookups._pool.shutdown()
    connections.dispose()  # those that were in use when the store was closed


def test_a_callback_is_known_again_with_all_it_counted(world: "World") -> None:
    """Its page event, its run and its keys are one commit, and are there after a kill."""
    store = world.open()
    store.wait(store.record(called_back()), LIMIT)
    world.kill(store)
    again = world.open()
    assert (again.has_receipt(CALLBACK), again.counters()[CRASHES]) == (True, 1.0)
    run = again.latest_runs([TARGET])[TARGET]
    assert (run.pending, run.pages.reschedules, run.pages.latest) == (True, 1, (CRASH,))


@pytest.mark.parametrize(
    ("changes", "has_receipt"),
    [
        ({"event_id": "evt-2"}, True),
        ({"signature": "ffff"}, True),
        ({"event_id": "evt-2", "signature": "ffff"}, False),
        ({"target": TargetId("another", "room", "task"), "signature": "ffff"}, False),
        ({"target": TargetId("app", "room", "other"), "signature": "ffff"}, True),
    ],
    ids=["same signature", "same EventId", "neither", "EventId of another app", "EventId of another task"],
)
def test_either_key_is_enough(world: "World", changes: dict[str, str], has_receipt: bool) -> None:
    """An event that was overheard and sent again with its values exchanged has the signature it had."""
    store = world.open()
    store.wait(store.record(called_back()), LIMIT)
    store._recent.clear()
    assert store.has_receipt(replace(CALLBACK, **changes)) == has_receipt  # type: ignore[arg-type]  # fields of the table


def test_a_callback_that_is_not_written_yet_is_known(world: "World") -> None:
    """Sent again meanwhile it is not counted twice, and it can wait for the same commit."""
    store = world.open()
    with world.locked():
        store.record(called_back())
        assert not store.flush(LIMIT)
        assert (store.has_receipt(CALLBACK), store.counters().get(CRASHES, 0.0)) == (True, 0.0)
    wait_until(store.flush, "what is queued is written")
    assert (store.has_receipt(CALLBACK), store.counters()[CRASHES]) == (True, 1.0)


def test_receipts_of_stale_callbacks_are_deleted(world: "World") -> None:
    """By when they arrived."""
    store = world.open()
    later = replace(CALLBACK, event_id="evt-2", signature="ffff")
    store.record(called_back())
    store.record(called_back(later, at=200.0))
    store.forget_receipts_before(150.0)
    assert store.flush(LIMIT)
    store._recent.clear()
    assert (store.has_receipt(CALLBACK), store.has_receipt(later)) == (False, True)
