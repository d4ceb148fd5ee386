"""Locks are taken in the order of the table in docs/architecture.md: a thread that holds one takes only later ones."""

import re
import threading
from typing import Any

import pytest

from exporter.metrics.exposition import Format
from exporter.simulator.lifecycle import STARTED, CallbackEvent, callback_payload
from tests.docs.reading import ROOT
from tests.support.small_world import APP, Served, World, samples
from tests.support.waiting import wait_until

SECRET, TOKEN = "secret-of-the-callbacks", "a-token-of-the-tests"
MADE_BY = {
    "TargetManager.changing": "exporter.service.target_manager.RLock",
    "AccountPollers._following": "exporter.service.accounts.Lock",
    "TaskRegistry._lock": "exporter.scheduler.registry.Lock",
    "Poller._lock": "exporter.scheduler.poller.Lock",
    "SeriesCache._lock": "exporter.metrics.series_cache.Lock",
    "HistoryLog._lock": "exporter.metrics.task_history.Lock",
    "Store._wake": "exporter.store.store.Lock",
}
"""What makes each lock of the table."""


class Order:
    """What each thread holds, and the pairs that were taken against the table."""

    def __init__(self) -> None:
        table = (ROOT / "docs" / "architecture.md").read_text().partition("## Locks\n")[2]
        rows = re.findall(r"^\| (\d) \| (.*?) \|", table, re.MULTILINE)
        self.ranks = {name: int(rank) for rank, names in rows for name in re.findall(r"`(\w+\.\w+)`", names)}
        self.wrong: set[tuple[str, str]] = set()
        self.nested: set[tuple[str, str]] = set()
        self._held = threading.local()

    @property
    def held(self) -> list[str]:
        """The locks of this thread, in the order in which it took them."""
        if not hasattr(self._held, "names"):
            self._held.names = []
        names: list[str] = self._held.names
        return names


class Recorded:
    """A lock that notes what its thread holds already."""

    def __init__(self, lock: Any, name: str, order: Order) -> None:
        self._lock, self._name, self._order = lock, name, order

    def acquire(self, *args: Any, **keys: Any) -> bool:
        """Take it."""
        taken: bool = self._lock.acquire(*args, **keys)
        if taken:
            pairs = {(held, self._name) for held in self._order.held if held != self._name}
            self._order.nested |= pairs
            self._order.wrong |= {pair for pair in pairs if self._order.ranks[pair[0]] > self._order.ranks[pair[1]]}
            self._order.held.append(self._name)
        return taken

    def release(self) -> None:
        """Give it back."""
        self._order.held.remove(self._name)
        self._lock.release()

    __enter__ = acquire

    def __exit__(self, *_: object) -> None:
        self.release()


def test_a_thread_takes_locks_in_the_order_of_the_table(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Reads, a push, a callback, a reload, a search and scrapes, all at once."""
    order = Order()
    for name, maker in MADE_BY.items():
        make = threading.RLock if maker.endswith("RLock") else threading.Lock
        monkeypatch.setattr(maker, lambda make=make, name=name: Recorded(make(), name, order))
    for name, text in (("tokens", TOKEN), ("secret", SECRET)):
        (world.folder / name).write_text(text)
    task, pushed = world.task("listed"), world.task("pushed")
    sections = {"push": {"token_file": "tokens"}, "callbacks": {"secret_file": "secret"}}
    world.write(static_configs=world.lists(task), **sections)
    served = Served(world)
    body = [{"targets": [str(pushed)], "labels": {}}]
    headers = {"Authorization": f"Bearer {TOKEN}"}
    assert served.client.post("/api/v1/targets", json=body, headers=headers).status_code == 200
    event = CallbackEvent(pushed, round(world.shift.unix() * 1000), STARTED, "", "event")
    assert served.client.post("/callback", content=callback_payload(event, SECRET, "4821")).status_code == 200
    served.exporter.reload()
    assert served.client.get("/api/v1/runs").status_code == 200
    wait_until(lambda: samples(served.exporter, "webcast_tasks").get(("default", APP, "running")) == 2, "two reads")
    served.exporter.exposition.scrape(Format.TEXT)
    served.stop()
    assert order.wrong == set()
    assert {("TargetManager.changing", "TaskRegistry._lock"), ("TaskRegistry._lock", "Store._wake")} <= order.nested
