"""SIGTERM, SIGINT and SIGHUP, as what they wish for."""

import signal
from enum import Enum
from queue import Empty, SimpleQueue
from time import monotonic


class SignalAction(Enum):
    """What a signal asks for."""

    STOP = "stop"
    RELOAD = "reload"


WISHES = {signal.SIGTERM: SignalAction.STOP, signal.SIGINT: SignalAction.STOP, signal.SIGHUP: SignalAction.RELOAD}


class Signals:
    """The signals that have arrived. A handler may run inside any lock, and of all queues this one alone allows it."""

    def __init__(self) -> None:
        self._arrived: SimpleQueue[SignalAction] = SimpleQueue()

    def listen(self) -> None:
        """Take the signals from now on; on the main thread only."""
        for number in WISHES:
            signal.signal(number, lambda number, _frame: self._arrived.put(WISHES[signal.Signals(number)]))

    def stops_within(self, seconds: float) -> bool:
        """Whether a stop is wished for by then; a reload that is wished for meanwhile is left for the next wait."""
        over, reload = monotonic() + seconds, False
        while (left := over - monotonic()) > 0:
            wish = self.wait(left)
            if wish is SignalAction.STOP:
                return True
            reload = reload or wish is SignalAction.RELOAD
        if reload:
            self._arrived.put(SignalAction.RELOAD)
        return False

    def wait(self, seconds: float | None = None) -> SignalAction | None:
        """The next wish, None when there is none in time. Several are one, and a stop comes before all."""
        try:
            wishes = [self._arrived.get(timeout=seconds)]
        except Empty:
            return None
        while not self._arrived.empty():
            wishes.append(self._arrived.get())
        return SignalAction.STOP if SignalAction.STOP in wishes else SignalAction.RELOAD
