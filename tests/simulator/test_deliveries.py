"""The vendor's manner of delivering, on a clock that a test sets."""

from collections.abc import Callable
from random import Random

import pytest

from exporter.model.target import TargetId
from exporter.simulator.deliveries import Deliveries
from exporter.simulator.fleet import Fleet
from exporter.simulator.lives import Plan
from exporter.simulator.manner import DEMO, EXACT, Counts, Manner

BORN = 1_700_000_000.0


class Way:
    """A fleet whose tasks start when they are put in, and its deliveries to a receiver that a test plays."""

    def __init__(self, manner: Manner, backlog: int = 1000) -> None:
        self.after = 0.0
        self.fleet = Fleet(lambda: BORN + self.after)
        self.deliveries = Deliveries(self.fleet, manner, Random(1), backlog)
        self.fleet.follow()

    def start(self, count: int) -> None:
        """So many tasks that start now and do not end."""
        for number in range(count):
            self.fleet.begin(TargetId("app", f"Room{self.after:g}", f"Task{number}"), Plan())

    def run(self, seconds: float, answer: Callable[[int], int], step: float = 0.25) -> list[tuple[float, int]]:
        """Let time pass, and answer each delivery by its number; when each arrived, and its number."""
        arrived = []
        for _ in range(round(seconds / step)):
            for delivery in self.deliveries.due():
                arrived.append((self.after, delivery.number))
                self.deliveries.settle(delivery, answer(delivery.number))
            self.after += step
        return arrived


def ok(_number: int) -> int:
    """An answer to all."""
    return 200


def test_a_200_is_enough() -> None:
    """An event that is answered with 200 is delivered once, at once."""
    way = Way(EXACT)
    way.start(5)
    assert way.run(60, ok) == [(0.0, 1)] * 5
    assert Counts(due=5, delivered=5) == way.deliveries.counts


@pytest.mark.parametrize("status", [0, 201, 302, 401, 503])
def test_anything_else_is_delivered_again(status: int) -> None:
    """No answer and any other status: again after the interval, three deliveries in all, then it is given up."""
    way = Way(Manner(interval=2.0))
    way.start(1)
    assert way.run(60, lambda _number: status) == [(0.0, 1), (2.0, 2), (4.0, 3)]
    assert Counts(due=1, given_up=1) == way.deliveries.counts
    ids = {receipt.event_id for receipt in way.deliveries.log}
    assert len(ids) == 1
    expected = [(BORN, status, 1), (BORN + 2, status, 2), (BORN + 4, status, 3)]
    assert expected == [(receipt.at, receipt.http_status, receipt.number) for receipt in way.deliveries.log]


def test_the_third_delivery_may_succeed() -> None:
    """Twice 503 and then 200 is delivered, not given up."""
    way = Way(EXACT)
    way.start(1)
    assert way.run(60, lambda number: 200 if number == 3 else 503) == [(0.0, 1), (1.0, 2), (2.0, 3)]
    assert Counts(due=1, delivered=1) == way.deliveries.counts


@pytest.mark.parametrize("second", [200, 500])
def test_doubled(second: int) -> None:
    """It comes once more though it had its 200, counts once, and whatever is answered then is the end of it."""
    way = Way(Manner(doubled=1.0))
    way.start(1)
    assert way.run(60, lambda number: 200 if number == 1 else second) == [(0.0, 1), (1.0, 2)]
    assert Counts(due=1, delivered=1) == way.deliveries.counts


def test_doubled_is_no_fourth_delivery() -> None:
    """An event that is to come twice never comes more than three times."""
    way = Way(Manner(doubled=1.0))
    way.start(1)
    assert way.run(60, lambda number: 200 if number == 3 else 503) == [(0.0, 1), (1.0, 2), (2.0, 3)]


def test_delayed() -> None:
    """Each comes within `delay`, not all at once, hence not in the order of their time."""
    way = Way(Manner(delayed=1.0, delay=10.0))
    way.start(50)
    arrived = way.run(60, ok)
    assert [number for _, number in arrived] == [1] * 50
    assert min(arrived)[0] < 2
    assert 8 < max(arrived)[0] <= 10.25


def test_lost() -> None:
    """A lost event is due and never comes."""
    way = Way(Manner(lost=1.0, doubled=1.0))
    way.start(3)
    assert way.run(60, ok) == []
    assert Counts(due=3, lost=3) == way.deliveries.counts


def test_the_demo_loses_nothing() -> None:
    """A few in a hundred come twice or late, and all of them come."""
    way = Way(DEMO)
    way.start(1000)
    arrived = way.run(60, ok)
    assert Counts(due=1000, delivered=1000) == way.deliveries.counts
    assert 10 < sum(number == 2 for _, number in arrived) < 60
    assert 20 < sum(at > 0 and number == 1 for at, number in arrived) < 100


def test_what_waits_is_bounded() -> None:
    """Events above the backlog are given up at once; those that wait are delivered, and make room."""
    way = Way(EXACT, backlog=10)
    way.start(15)
    assert len(way.deliveries.due()) == 10
    assert Counts(due=15, given_up=5) == way.deliveries.counts
    way = Way(EXACT, backlog=10)
    for _ in range(3):
        way.start(10)
        way.run(1, ok)
    assert Counts(due=30, delivered=30) == way.deliveries.counts


def test_every_delivery_has_four_digits_of_its_own() -> None:
    """The Nonce of a delivery is four digits, and another one when it is delivered again."""
    way = Way(EXACT)
    way.start(300)
    nonces = []
    for way.after in (0, 1):
        for delivery in way.deliveries.due():
            nonces.append(delivery.nonce)
            way.deliveries.settle(delivery, 503)
    assert len(nonces) == 600
    assert all(len(nonce) == 4 and nonce.isdigit() for nonce in nonces)
    assert nonces[:300] != nonces[300:]
