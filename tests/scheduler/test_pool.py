import threading
import time
from collections.abc import Iterator
from functools import partial
from queue import SimpleQueue

import pytest

from exporter.scheduler import pool as pool_module
from exporter.scheduler.pool import Pool, Work

PATIENCE = 20.0


def wait_for(holds: object, what: str) -> None:
    """Come back as soon as it is true."""
    assert callable(holds)
    deadline = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < deadline, what
        time.sleep(0.001)


@pytest.fixture
def release() -> Iterator[threading.Event]:
    """Ends all work that waits for it, at the latest with the test."""
    event = threading.Event()
    yield event
    event.set()


def test_work_runs_on_a_daemon_thread_at_once() -> None:
    """So that a process may end while a call is under way."""
    ran: SimpleQueue[threading.Thread] = SimpleQueue()
    Pool("some-name").submit(lambda: ran.put(threading.current_thread()))
    thread = ran.get(timeout=PATIENCE)
    assert thread.daemon is True
    assert thread.name == "some-name"


def test_work_never_waits_for_other_work(release: threading.Event) -> None:
    """Twenty calls that hang keep nobody from the twenty-first."""
    pool, began = Pool(), threading.Barrier(21)

    def work() -> None:
        began.wait(PATIENCE)
        release.wait(PATIENCE)

    for _ in range(20):
        pool.submit(work)
    began.wait(PATIENCE)
    assert pool.threads == 20


def test_what_follows_runs_on_the_same_thread() -> None:
    """A piece of work may give the next one; that is no hand-over, and needs no other thread."""
    pool: Pool = Pool()
    idents: SimpleQueue[int] = SimpleQueue()

    def work(left: int) -> Work | None:
        idents.put(threading.get_ident())
        return partial(work, left - 1) if left else None

    pool.submit(partial(work, 4))
    assert len({idents.get(timeout=PATIENCE) for _ in range(5)}) == 1
    assert pool.threads == 1


def test_an_idle_thread_is_used_again() -> None:
    """One after the other, work needs one thread."""
    pool, idents = Pool(), set()
    for _ in range(50):
        done: SimpleQueue[int] = SimpleQueue()
        pool.submit(lambda done=done: done.put(threading.get_ident()))  # type: ignore[misc]  # a default of a lambda
        idents.add(done.get(timeout=PATIENCE))
        wait_for(lambda: len(pool._idle) == pool.threads, "the thread is idle")
    assert len(idents) == 1


def test_idle_threads_end() -> None:
    """After a while without work."""
    pool, done = Pool(idle=0.01), threading.Event()
    pool.submit(done.set)
    assert done.wait(PATIENCE)
    wait_for(lambda: pool.threads == 0, "the idle thread ends")
    assert pool._idle == []


def test_threads_of_a_past_rush_end_though_there_is_work(release: threading.Event) -> None:
    """Work goes to the thread that was busy last, not round and round to keep all of them alive."""
    pool, began = Pool(idle=0.2), threading.Barrier(31)

    def work() -> None:
        began.wait(PATIENCE)
        release.wait(PATIENCE)

    for _ in range(30):
        pool.submit(work)
    began.wait(PATIENCE)
    release.set()

    def one_left() -> bool:
        done = threading.Event()
        pool.submit(done.set)
        assert done.wait(PATIENCE)
        return pool.threads <= 2

    wait_for(one_left, "the threads that are not needed end")


def test_work_given_to_a_thread_that_just_gives_up_is_done() -> None:
    """Between the end of its patience and its leave a thread may be given work: it looks once more."""
    pool, ran = Pool(idle=0.0), threading.Event()
    inbox: pool_module._Inbox = SimpleQueue()
    pool._idle.append(inbox)
    pool._threads = 1
    pool.submit(ran.set)
    work = pool._last_look(inbox)
    assert work is not None
    work()
    assert ran.is_set()
    assert pool.threads == 1


def test_no_work_is_lost_in_the_race_of_giving_and_leaving() -> None:
    """Thousands of times, with threads that leave as soon as they are idle."""
    pool, done = Pool(idle=0.0), threading.Semaphore(0)
    for _ in range(3000):
        pool.submit(done.release)
    for _ in range(3000):
        assert done.acquire(timeout=PATIENCE)
    wait_for(lambda: pool.threads == 0, "all threads end")


def test_without_a_thread_the_submitter_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is left behind that would run later, and the next work runs as ever."""
    pool, ran = Pool(), threading.Event()

    def start(_self: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", start)
        with pytest.raises(RuntimeError):
            pool.submit(ran.set)
    assert pool.threads == 0
    assert not ran.is_set()
    pool.submit(ran.set)
    assert ran.wait(PATIENCE)
