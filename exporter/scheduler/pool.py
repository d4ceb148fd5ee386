"""Threads for calls: made when all are busy, let go when idle, and never waited for at exit.

The standard library's pool joins its threads when the process ends, so that one call without an answer would hold a
SIGTERM up for its whole timeout; hence these few lines.
"""

import queue
from collections.abc import Callable
from threading import Lock, Thread

Work = Callable[[], "Work | None"]
"""One piece of work; it gives what is to follow on the same thread, which spares it a hand-over."""

_Inbox = queue.SimpleQueue[Work]

IDLE = 30.0
"""Seconds without work after which a thread ends."""


class Pool:
    """Runs each piece of work on a daemon thread at once; whoever submits bounds how many there are.

    Work goes to the thread that was busy last, so that those of a past rush stay idle and end, after `idle` seconds.
    """

    def __init__(self, name: str = "read", idle: float = IDLE) -> None:
        self._name = name
        self._idle_for = idle
        self._lock = Lock()
        self._idle: list[_Inbox] = []
        self._threads = 0

    @property
    def threads(self) -> int:
        """How many there are now."""
        return self._threads

    def submit(self, work: Work) -> None:
        """Have `work` run; it must not raise. RuntimeError when the system has no thread left; nothing runs then."""
        with self._lock:
            if self._idle:
                self._idle.pop().put(work)
                return
            Thread(target=self._run, args=(work,), name=self._name, daemon=True).start()
            self._threads += 1

    def _run(self, work: Work | None) -> None:
        inbox: _Inbox = queue.SimpleQueue()
        while work is not None:
            work = work()
            if work is None:  # an idle thread keeps nothing alive
                work = self._next(inbox)

    def _next(self, inbox: _Inbox) -> Work | None:
        with self._lock:
            self._idle.append(inbox)
        try:
            return inbox.get(timeout=self._idle_for)
        except queue.Empty:
            return self._last_look(inbox)

    def _last_look(self, inbox: _Inbox) -> Work | None:
        """End this thread, unless work was given to it in this very moment."""
        with self._lock:
            if inbox in self._idle:
                self._idle.remove(inbox)
                self._threads -= 1
                return None
        return inbox.get()
