"""One process to a state file."""

import subprocess
import sys
from pathlib import Path

import pytest

from exporter.store.lock import StateLock

HOLDER = """
import sys
from pathlib import Path
from exporter.store.lock import StateLock
lock = StateLock(Path(sys.argv[1]))
print(lock.acquire(lambda: False), flush=True)
sys.stdin.read()
"""


def never() -> bool:
    """Give up at the first wait."""
    return False


def test_a_second_one_waits_until_the_first_lets_go(tmp_path: Path) -> None:
    """The wait is called between two tries; once the first has released, the second has it."""
    first, second = StateLock(tmp_path / "state.db"), StateLock(tmp_path / "state.db")
    assert first.acquire(never)
    waits: list[int] = []

    def wait() -> bool:
        waits.append(len(waits))
        if len(waits) == 3:
            first.release()
        return True

    assert second.acquire(wait)
    assert waits == [0, 1, 2]
    second.release()


def test_a_wait_that_is_broken_off(tmp_path: Path) -> None:
    """A stop that comes while waiting leaves the lock with its holder."""
    first, second = StateLock(tmp_path / "state.db"), StateLock(tmp_path / "state.db")
    assert first.acquire(never)
    assert not second.acquire(never)
    first.release()
    assert second.acquire(never)
    second.release()


@pytest.mark.parametrize("end", ["kill", "terminate"])
def test_a_dead_process_holds_nothing(tmp_path: Path, end: str) -> None:
    """However a process ends, its state is free for the next one."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, tmp_path / "state.db"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "True\n"
        lock = StateLock(tmp_path / "state.db")
        assert not lock.acquire(never)
        getattr(holder, end)()
        holder.wait()
    assert lock.acquire(never)
    lock.release()


def test_two_names_of_one_file_are_one_lock(tmp_path: Path) -> None:
    """A link to the state is the state."""
    (tmp_path / "link.db").symlink_to(tmp_path / "state.db")
    first, second = StateLock(tmp_path / "state.db"), StateLock(tmp_path / "link.db")
    assert first.acquire(never)
    assert not second.acquire(never)
    for lock in (first, second):
        lock.release()


def test_two_states_are_two_locks(tmp_path: Path) -> None:
    """Two exporters with states of their own do not wait for each other."""
    locks = [StateLock(tmp_path / name) for name in ("one.db", "two.db")]
    assert [lock.acquire(never) for lock in locks] == [True, True]
    for lock in locks:
        lock.release()


def test_memory_needs_no_lock() -> None:
    """A state in memory is nobody else's."""
    lock = StateLock(None)
    assert lock.acquire(never)
    lock.release()


def test_a_second_release_does_no_harm(tmp_path: Path) -> None:
    """It must not close what has meanwhile been opened under the same number."""
    lock = StateLock(tmp_path / "state.db")
    lock.release()
    with (tmp_path / "other").open("wb", buffering=0) as other:
        lock.release()
        assert other.write(b"x") == 1


def test_a_lock_that_cannot_be_had(tmp_path: Path) -> None:
    """Without its folder there is no lock, and the caller says why."""
    with pytest.raises(OSError, match="No such file"):
        StateLock(tmp_path / "none" / "state.db")


def test_the_lock_file_is_ours_alone(tmp_path: Path) -> None:
    """Nobody else can hold the lock of a state that he may not read."""
    StateLock(tmp_path / "state.db").release()
    assert (tmp_path / "state.db.lock").stat().st_mode & 0o777 == 0o600
