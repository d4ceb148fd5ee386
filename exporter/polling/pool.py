"""Threads for calls: made when all are busy, let go when idle, and never waited for at exit.

The standard library's pool joins its threads when the process ends, so that one call without an answer would hold a
SIGTERM up for its whole timeout; hence these few lines.
"""

import queue
from collections.abc import Callable
from threading import Lock, Thread

Work = Callable[[], None]

IDLE = 30.0
"""Seconds without work after which a thread ends."""


class Pool:
    """Runs each piece of work on a daemon thread at once; whoever submits bounds how many there are."""

    def __init__(self, name: str = "read") -> None:
        self._name = name
        self._work: queue.SimpleQueue[Work] = queue.SimpleQueue()
        self._lock = Lock()
        self._free = 0
        self.threads = 0

    def submit(self, work: Work) -> None:
        """Have `work` run; it must not raise."""
        with self._lock:
            enough = self._free > 0
            if enough:
                self._free -= 1
            else:
                self.threads += 1
        self._work.put(work)
        if not enough:
            Thread(target=self._run, name=self._name, daemon=True).start()

    def _run(self) -> None:
        while True:
            try:
                work = self._work.get(timeout=IDLE)
            except queue.Empty:
                if self._retire():
                    return
                continue
            work()
            with self._lock:
                self._free += 1

    def _retire(self) -> bool:
        """End this thread, unless work was promised to it in this very moment."""
        with self._lock:
            if self._free == 0:
                return False
            self._free -= 1
            self.threads -= 1
            return True
