"""A process that is killed again and again while tasks end and pages crash: each is counted once."""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from random import Random
from threading import Event, Thread
from typing import TYPE_CHECKING

import httpx
import pytest

from exporter.enums import PageReason
from exporter.model.target import TargetId
from exporter.simulator.callback_sender import DeliveryCounts, DeliveryPolicy
from exporter.simulator.fleet import stop_counts
from exporter.simulator.lifecycle import Ending, PageTrouble, RunPlan, TaskSettings, callback_events
from exporter.simulator.server import CALLBACK_SECRET, Simulation, SimulationOptions
from tests.real.conftest import config_of
from tests.support import web_client
from tests.support.exposition import Samples, samples_with

if TYPE_CHECKING:
    from tests.real.conftest import StartExporter

pytestmark = pytest.mark.real

APP = "661e0000000000000000543c"
TASKS, KILLS = 200, 10
LONGEST = 3.0
"""Seconds for which a task lives whose MaxRunningTime does not end it."""
SCRAPE_INTERVAL = 0.2
STOPS = "webcast_run_stops_total"
PAGES = {4: "webcast_page_refreshes_total", 5: "webcast_page_reschedules_total"}
MANNER = DeliveryPolicy(doubled=0.2, delayed=0.2, interval=5.0)


def plan_of(number: int, dice: Random) -> RunPlan:
    """A short life, of each ending in its turn, with a page that freezes and crashes."""
    ending = list(Ending)[number % len(Ending)]
    ends = dice.uniform(1.0, LONGEST)
    if ending is Ending.START_FAILED:
        return RunPlan(starts=None, ends=ends, ending=ending)
    limit = 10 if ending is Ending.TIMED_OUT else 3600
    starts = dice.uniform(0.0, ends - 1.0)
    troubles = (PageTrouble(PageReason.FREEZE, starts, lasting=True), PageTrouble(PageReason.CRASH, starts))
    settings = TaskSettings(max_running_time=limit, freeze_check=1, crash_check=1)
    return RunPlan(settings, starts, None if ending is Ending.TIMED_OUT else ends, ending, troubles=troubles)


@dataclass
class Scrapes:
    """What a scraper saw: the counters of runs, and those that were lower than in a scrape before."""

    url: str
    seen: int = 0
    latest: Samples = field(default_factory=dict)
    lower: list[str] = field(default_factory=list)

    def take(self) -> None:
        """One scrape; a process that is just dead or not yet there gives none."""
        try:
            text = web_client.get(f"{self.url}/metrics").raise_for_status().text
        except httpx.TransportError:
            return
        now = counters(text)
        self.lower += [str((sample, value)) for sample, value in self.latest.items() if now.get(sample, 0.0) < value]
        self.latest = now
        self.seen += 1

    def of(self, name: str) -> Samples:
        """One counter of the latest scrape by its own label; what is zero is left out."""
        return {sample[1:]: value for sample, value in self.latest.items() if sample[0] == name and value}

    @property
    def stopped(self) -> float:
        """All runs counted as stopped."""
        return sum(self.of(STOPS).values())


def counters(text: str) -> Samples:
    """Every sample of a `webcast_run_*` or `webcast_page_*` family: its name and labels but the app's, to its value."""
    return {
        (sample.name, *(value for label, value in sorted(sample.labels.items()) if label != "app_id")): sample.value
        for sample in samples_with(text, "webcast_run_", "webcast_page_")
    }


@contextmanager
def scraping(scrapes: Scrapes) -> Iterator[None]:
    """Scrape in the background, as a Prometheus would, only more often."""
    over = Event()

    def scrape() -> None:
        while not over.wait(SCRAPE_INTERVAL):
            scrapes.take()

    thread = Thread(target=scrape)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def page_events(simulation: Simulation, now: int) -> dict[str, tuple[str, str]]:
    """Every page event there was, by its EventId: the counter and the reason under which it belongs."""
    told = [
        notice
        for target, lives in simulation.fleet.runs(now).items()
        for life in lives
        for notice in callback_events(target, life)
        if notice.at <= now and notice.status in PAGES
    ]
    return {notice.event_id: (PAGES[notice.status], notice.reason.strip()) for notice in told}


def settled(counts: DeliveryCounts) -> int:
    """Events that wait for no delivery any more."""
    return counts.delivered + counts.given_up + counts.lost


def test_every_run_is_counted_once_over_ten_kills(
    start_exporter: "StartExporter", tmp_path: Path, unused_port: Callable[[], int], wait: Callable[..., None]
) -> None:
    """Killed with SIGKILL while 200 tasks end, the exporter counts each run once, by its reason; nothing goes back.

    So it does with what their pages meet, delivered late, twice, and again while no process is there to take it. Each
    kill comes just after it has counted a run, or accepted a callback, of tasks that began under its eyes.
    """
    dice, port = Random(20260115), unused_port()
    (tmp_path / "secret").write_text(CALLBACK_SECRET)
    polling = {"interval": "1s", "fast_interval": "1s", "reread_stopped": "1s"}
    scrapes = Scrapes(f"http://127.0.0.1:{port}")
    with Simulation(SimulationOptions(tasks=0, speed=1)) as simulation, scraping(scrapes):
        config = config_of(simulation, polling=polling, callbacks={"secret_file": "secret"})
        caller = simulation.send_callbacks(f"http://127.0.0.1:{port}/callback", policy=MANNER)
        for kill in range(KILLS):
            exporter = start_exporter(tmp_path, config, port=port, wait="/metrics")
            for number in range(kill * TASKS // KILLS, (kill + 1) * TASKS // KILLS):
                simulation.fleet.begin(TargetId(APP, "Room", f"Task{number}"), plan_of(number, dice))
            find = partial(getattr, *((scrapes, "stopped") if kill % 2 else (caller.counts, "delivered")))
            before = find()
            wait(lambda find=find, before=before: find() > before, "something is counted")
            Event().wait(dice.uniform(0.0, 0.5))  # a kill is harmless at any moment
            exporter.kill()

        exporter = start_exporter(tmp_path, config, port=port)
        wait(lambda: scrapes.stopped >= TASKS, "all runs are counted")
        reads = len(simulation.calls.log)
        wait(lambda: len(simulation.calls.log) > reads + 10, "stopped runs are read again, and not counted again")
        wait(lambda: settled(caller.counts) == caller.counts.due, "all callbacks are delivered")
        scrapes.take()
        assert exporter.end() == 0
        now = int(simulation.fleet.clock() * 1000)
        counts = stop_counts(simulation.fleet, now)
        pages = page_events(simulation, now)

    assert {(reason.value,): count for reason, count in counts.items() if count} == scrapes.of(STOPS)
    taken = {receipt.event_id for receipt in caller.log if receipt.http_status == httpx.codes.OK}
    counted = {(name, *sample): value for name in PAGES.values() for sample, value in scrapes.of(name).items()}
    assert Counter(pages[event] for event in taken if event in pages) <= Counter(counted) <= Counter(pages.values())
    assert scrapes.lower == []
