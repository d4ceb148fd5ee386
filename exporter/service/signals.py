"""SIGTERM, SIGINT and SIGHUP, as what they ask for; and the end of a stop that takes too long."""

import os
import signal
from collections.abc import Callable
from enum import Enum
from queue import Empty, SimpleQueue
from threading import Event, Thread
from time import monotonic

STOP_DEADLINE = 1.7
"""Seconds from the first signal to stop until the process ends, whatever hangs; a clean stop is 2 s at most."""

LOOK_INTERVAL = 0.5
"""Seconds after which the main thread looks again: a signal just before it begins to wait does not wake it."""


class SignalAction(Enum):
    """What a signal asks for."""

    STOP = "stop"
    RELOAD = "reload"


ACTIONS = {signal.SIGTERM: SignalAction.STOP, signal.SIGINT: SignalAction.STOP, signal.SIGHUP: SignalAction.RELOAD}


class Signals:
    """The signals that have arrived. A handler may run inside any lock, and of all queues this one alone allows it."""

    def __init__(self) -> None:
        self._arrived: SimpleQueue[SignalAction] = SimpleQueue()
        self._closed = Event()
        self._wakeup: int | None = None

    def listen(self, end_process: Callable[[], None] | None = None) -> None:
        """Take the signals from now on; on the main thread only.

        `end_process` is called STOP_DEADLINE after a signal to stop, unless `close` was called by then.
        """
        if end_process is not None:
            self._watch_stop(end_process)
        for number in ACTIONS:
            signal.signal(number, lambda number, _frame: self._arrived.put(ACTIONS[signal.Signals(number)]))

    def close(self) -> None:
        """The stop has come to its end: do not end the process any more."""
        self._closed.set()
        if self._wakeup is not None:
            signal.set_wakeup_fd(-1)
            os.close(self._wakeup)
            self._wakeup = None

    def stops_within(self, seconds: float) -> bool:
        """Whether a stop is asked for by then; a reload that is asked for meanwhile is left for the next wait."""
        over, reload = monotonic() + seconds, False
        while (left := over - monotonic()) > 0:
            action = self.wait(left)
            if action is SignalAction.STOP:
                return True
            reload = reload or action is SignalAction.RELOAD
        if reload:
            self._arrived.put(SignalAction.RELOAD)
        return False

    def wait(self, seconds: float | None = None) -> SignalAction | None:
        """The next action, None when there is none in time. Several are one, and a stop comes before all."""
        if seconds is None:
            while (action := self.wait(LOOK_INTERVAL)) is None:
                pass
            return action
        try:
            actions = [self._arrived.get(timeout=seconds)]
        except Empty:
            return None
        while not self._arrived.empty():
            actions.append(self._arrived.get())
        return SignalAction.STOP if SignalAction.STOP in actions else SignalAction.RELOAD

    def _watch_stop(self, end_process: Callable[[], None]) -> None:
        """Have the interpreter itself notify a thread of each signal, even while the main thread hangs in C code."""
        reader, writer = os.pipe()
        os.set_blocking(writer, False)
        signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
        self._wakeup = writer

        def watch() -> None:
            with os.fdopen(reader, "rb", buffering=0) as numbers:
                while number := numbers.read(1):
                    if ACTIONS.get(signal.Signals(number[0])) is SignalAction.STOP:
                        if not self._closed.wait(STOP_DEADLINE):
                            end_process()
                        return

        Thread(target=watch, name="stop-deadline", daemon=True).start()
