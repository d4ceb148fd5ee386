"""When which event is delivered, and again: the vendor's manner, without threads, sockets or a clock of its own."""

from collections import deque
from dataclasses import replace
from heapq import heappop, heappush
from random import Random
from threading import Lock

from exporter.simulator.fleet import Fleet
from exporter.simulator.manner import Counts, Delivery, Manner, Receipt
from exporter.simulator.notices import Notice

DELIVERIES = 3
"""Of one event at most, the first among them (docs 6348/69820)."""
SUCCESS = 200
LOG_KEPT = 100_000
BACKLOG = 100_000
"""Events that may wait at once; more are given up, or a receiver that hangs would fill the memory."""


class Deliveries:
    """A fleet's events on their way to one receiver, safe to use from several threads.

    All times are those of the fleet's clock. Whoever drives it asks for what is `due`, sends that, and `settle`s it.
    """

    def __init__(self, fleet: Fleet, manner: Manner, dice: Random, backlog: int = BACKLOG) -> None:
        self._fleet = fleet
        self._manner = manner
        self._dice = dice
        self._backlog = backlog
        self._counts = Counts()
        self._log: deque[Receipt] = deque(maxlen=LOG_KEPT)
        self._later: list[tuple[float, int, Delivery]] = []
        self._pushed = 0
        self._unsettled = 0
        self._lock = Lock()

    @property
    def counts(self) -> Counts:
        """Until now."""
        with self._lock:
            return self._counts

    @property
    def log(self) -> tuple[Receipt, ...]:
        """The last 100,000 deliveries, in the order in which they were settled."""
        with self._lock:
            return tuple(self._log)

    def due(self) -> list[Delivery]:
        """The deliveries whose time has come; each must be settled."""
        told = self._fleet.due()
        now = self._fleet.clock()
        with self._lock:
            for notice in told:
                self._take_on(notice, now)
            found = []
            while self._later and self._later[0][0] <= now:
                found.append(heappop(self._later)[2])
            return found

    def settle(self, delivery: Delivery, http_status: int) -> None:
        """Say how a delivery was answered, 0 for not at all."""
        now = self._fleet.clock()
        first = http_status == SUCCESS and not delivery.delivered
        delivered = first or delivery.delivered
        again = (first and delivery.doubled) or not delivered
        with self._lock:
            self._log.append(Receipt(now, delivery.notice.event_id, http_status, delivery.number))
            if first:
                self._counts = replace(self._counts, delivered=self._counts.delivered + 1)
            if again and delivery.number < DELIVERIES:
                following = replace(delivery, nonce=self._nonce(), number=delivery.number + 1, delivered=delivered)
                self._push(now + self._manner.interval, following)
                return
            self._unsettled -= 1
            if not delivered:
                self._counts = replace(self._counts, given_up=self._counts.given_up + 1)

    def _take_on(self, notice: Notice, now: float) -> None:
        counts = replace(self._counts, due=self._counts.due + 1)
        lost, doubled, delayed = (
            self._dice.random() < share for share in (self._manner.lost, self._manner.doubled, self._manner.delayed)
        )
        if lost:
            counts = replace(counts, lost=counts.lost + 1)
        elif self._unsettled >= self._backlog:
            counts = replace(counts, given_up=counts.given_up + 1)
        else:
            self._unsettled += 1
            wait = self._dice.uniform(0, self._manner.delay) if delayed else 0.0
            self._push(now + wait, Delivery(notice, self._nonce(), doubled))
        self._counts = counts

    def _push(self, at: float, delivery: Delivery) -> None:
        self._pushed += 1  # decides between two of one time, which have no order
        heappush(self._later, (at, self._pushed, delivery))

    def _nonce(self) -> str:
        return f"{self._dice.randrange(10_000):04d}"
