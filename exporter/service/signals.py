"""SIGTERM, SIGINT and SIGHUP, as what they ask for; and the end of a stop that takes too long."""

import os
import signal
from collections.abc import Callable
from enum import Enum
from queue import Empty, SimpleQueue
from threading import Thread
from time import monotonic, sleep

STOP_DEADLINE = 1.7
"""Seconds from the first signal to stop until the process ends, whatever hangs; a clean stop is 2 s at most."""


class SignalAction(Enum):
    """What a signal asks for."""

    STOP = "stop"
    RELOAD = "reload"


ACTIONS = {signal.SIGTERM: SignalAction.STOP, signal.SIGINT: SignalAction.STOP, signal.SIGHUP: SignalAction.RELOAD}


class Signals:
    """The signals that have arrived. A handler may run inside any lock, and of all queues this one alone allows it."""

    def __init__(self) -> None:
        self._arrived: SimpleQueue[SignalAction] = SimpleQueue()

    def listen(self, end_process: Callable[[], None] | None = None) -> None:
        """Take the signals from now on; on the main thread only.

        `end_process` is called STOP_DEADLINE after a signal to stop if the process is still there then.
        """
        if end_process is not None:
            self._watch_stop(end_process)
        for number in ACTIONS:
            signal.signal(number, lambda number, _frame: self._arrived.put(ACTIONS[signal.Signals(number)]))

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
        try:
            actions = [self._arrived.get(timeout=seconds)]
        except Empty:
            return None
        while not self._arrived.empty():
            actions.append(self._arrived.get())
        return SignalAction.STOP if SignalAction.STOP in actions else SignalAction.RELOAD

    def _watch_stop(self, end_process: Callable[[], None]) -> None:
        """Have a thread told of each signal by the interpreter itself, even while the main thread hangs in C code."""
        reader, writer = os.pipe()
        os.set_blocking(writer, False)
        signal.set_wakeup_fd(writer, warn_on_full_buffer=False)

        def watch() -> None:
            while ACTIONS.get(os.read(reader, 1)[0]) is not SignalAction.STOP:  # type: ignore[call-overload]  # a number equals its Signals member
                pass
            sleep(STOP_DEADLINE)
            end_process()

        Thread(target=watch, name="stop-deadline", daemon=True).start()
