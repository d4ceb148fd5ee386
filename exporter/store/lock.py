"""One process to a state file: a second one waits, so that nothing is counted by two."""

import fcntl
import os
from collections.abc import Callable
from pathlib import Path


class StateLock:
    """An advisory lock on FILE.lock beside a SQLite state; the kernel frees it when the process dies.

    `path` None (a state in memory) needs no lock; two names of one file are one. OSError when the lock cannot be had.
    """

    def __init__(self, path: Path | None) -> None:
        self._descriptor: int | None = None
        if path is not None:
            self._descriptor = os.open(f"{path.resolve()}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def acquire(self, wait: Callable[[], bool]) -> bool:
        """Try until it is ours; `wait` is called between two tries and says whether to go on."""
        while not self.try_it():
            if not wait():
                return False
        return True

    def release(self) -> None:
        """Let the next process in."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def try_it(self) -> bool:
        """Whether it is ours by now."""
        if self._descriptor is None:
            return True
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True
