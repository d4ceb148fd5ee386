"""The vendor's callbacks on their way: one thread that looks for what is due, and a few that send."""

import time
from queue import SimpleQueue
from random import Random
from threading import Event, Thread

from exporter.simulator.deliveries import Deliveries
from exporter.simulator.fleet import Fleet
from exporter.simulator.line import NO_ANSWER, Line
from exporter.simulator.manner import EXACT, Counts, Delivery, Manner, Receipt
from exporter.simulator.notices import envelope

SENDERS = 8
"""Each keeps one connection. Few, so that a receiver that hangs costs few threads; each event takes milliseconds."""
POLL_INTERVAL = 0.05
STOP_TIMEOUT = 1.0


class Caller:
    """Calls a URL back with what happens in a fleet while it runs; ValueError when that is no URL.

    A fleet has one caller at a time. One that was stopped is not started again.
    """

    def __init__(
        self, fleet: Fleet, url: str, secret: str, *, manner: Manner = EXACT, dice: Random | None = None
    ) -> None:
        self.url = url
        self.secret = secret
        self._fleet = fleet
        self._deliveries = Deliveries(fleet, manner, dice or Random())
        self._queue: SimpleQueue[Delivery | None] = SimpleQueue()
        self._stopping = Event()
        self._lines = [Line(url, manner.patience) for _ in range(SENDERS)]
        self._looker = Thread(target=self._look_on, name="callbacks", daemon=True)
        self._senders = [
            Thread(target=self._send_on, args=(line,), name="callback", daemon=True) for line in self._lines
        ]

    @property
    def counts(self) -> Counts:
        """How many events there were, and what became of them."""
        return self._deliveries.counts

    @property
    def log(self) -> tuple[Receipt, ...]:
        """The deliveries there were."""
        return self._deliveries.log

    def start(self) -> None:
        """Call back what happens from now on."""
        self._fleet.follow()
        for thread in (self._looker, *self._senders):
            thread.start()

    def stop(self) -> None:
        """Send nothing more, within about a second; what waits is not counted as given up."""
        if self._stopping.is_set() or self._looker.ident is None:
            return
        self._stopping.set()
        self._looker.join()
        self._fleet.unfollow()
        for line in self._lines:
            line.hang_up()
            self._queue.put(None)
        deadline = time.monotonic() + STOP_TIMEOUT
        for sender in self._senders:  # one that is still connecting is left behind: nothing can wake it
            sender.join(max(0.0, deadline - time.monotonic()))

    def _look_on(self) -> None:
        while not self._stopping.wait(POLL_INTERVAL):
            for delivery in self._deliveries.due():
                self._queue.put(delivery)
            for line in self._lines:
                line.look_after()

    def _send_on(self, line: Line) -> None:
        while not self._stopping.is_set() and (delivery := self._queue.get()) is not None:
            http_status = line.post(envelope(delivery.notice, self.secret, delivery.nonce))
            if http_status != NO_ANSWER or not self._stopping.is_set():
                self._deliveries.settle(delivery, http_status)
        line.close()
