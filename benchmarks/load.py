"""An exporter under load: calls a second, delay until a change is seen, reads and scrapes at once.

`python -m benchmarks.load [short]`
"""

import sys
import time
from collections.abc import Callable
from contextlib import closing
from http.client import HTTPConnection
from itertools import pairwise
from random import Random
from statistics import median
from threading import Thread

from benchmarks.fleet import target
from benchmarks.processes import AtWork, Scraper, at_work, module
from benchmarks.result import Result, at_least, at_most, percentile, table
from exporter.enums import Status
from exporter.model.target import TargetId
from exporter.simulator.faults import FaultMode
from exporter.simulator.gateway import busiest_second
from exporter.simulator.lifecycle import ENDED, STARTED, CallbackEvent, callback_payload
from exporter.simulator.server import CALLBACK_SECRET

PACE_TASKS, MAX_QPS, LATENCY = 600, 48, 0.2
CALLBACKS = 200
STAMP_JITTER = 0.04
"""Seconds by which the simulated server, a busy Python process, may see one call later than another."""


def pace(*, short: bool = False) -> list[Result]:
    """At least 98 % of `max_qps` used, and never more calls in any second [t, t+1)."""
    polling = {"polling": {"interval": "1s", "fast_interval": "1s"}}
    with at_work(PACE_TASKS, polling, max_qps=MAX_QPS) as ours:
        ours.simulation.faults.latency, ours.simulation.faults.mode = LATENCY, FaultMode.LATENCY
        time.sleep(5)
        begun = time.time()
        _disturb(ours, 8.0 if short else 30.0)
        seconds = time.time() - begun
        calls = [at for at in ours.sent(begun) if at < begun + seconds]
    used, most = len(calls) / (MAX_QPS * seconds), busiest_second(calls)
    sure = busiest_second(at / (1 - STAMP_JITTER) for at in calls)
    limit = f"max_qps {MAX_QPS}"
    return [
        at_least(
            f"calls a second under overload, API latency {1e3 * LATENCY:.0f} ms, across reloads and callbacks",
            used,
            reach=0.98,
            hold=0.98,
            ours=f"{len(calls) / seconds:.2f}/s",
            other=limit,
        ),
        at_most(
            "most of these calls in any second, at the vendor's server",
            sure / MAX_QPS,
            reach=1,
            hold=1,
            ours=f"{sure} ({most} with the jitter of its stamps)",
            other=limit,
        ),
    ]


def _disturb(ours: AtWork, seconds: float) -> None:
    """Reload and call back while the time passes."""
    time.sleep(seconds / 4)
    ours.reload()
    time.sleep(seconds / 4)
    with closing(HTTPConnection(ours.address, timeout=10)) as connection:
        for number in range(CALLBACKS):
            notice = CallbackEvent(target(number), int(1000 * time.time()), STARTED, "", f"evt-{number}")
            connection.request("POST", "/callback", callback_payload(notice, CALLBACK_SECRET, "4821"))
            assert connection.getresponse().read() == b"accepted\n"
    ours.reload()
    time.sleep(seconds / 2)


DELAY_TASKS = 480
ROUND = DELAY_TASKS / MAX_QPS
"""Seconds in which every task is read once."""
LOOK = 0.02
PATH = "/metrics?name[]=webcast_task_stop_reason"

ListChange = Callable[[AtWork, TargetId], None]


def delay(*, short: bool = False) -> list[Result]:
    """Tasks are stopped at random moments; a scrape every 20 ms shows when each is seen to have ended."""
    changes = 40 if short else 150
    with at_work(DELAY_TASKS, {"polling": {"interval": "1s", "fast_interval": "1s"}}, max_qps=MAX_QPS) as ours:
        time.sleep(2 * ROUND)
        alone = percentile(_delays(ours, range(changes), _stopped, 0.05), 0.99)
        called = percentile(_delays(ours, range(changes, 2 * changes), _stopped_and_told, 0.1), 0.99)
    round_ = f"a round of {DELAY_TASKS} tasks at {MAX_QPS} calls a second, {ROUND:.0f} s"
    return [
        at_most(
            "p99 until a change is on /metrics, budget used up",
            alone / ROUND,
            reach=1.1,
            hold=1.3,
            ours=f"{alone:.2f} s",
            other=round_,
        ),
        at_most("the same with a callback", called, reach=1.0, hold=2.0, ours=f"{called:.2f} s", other="1 s"),
    ]


def _delays(ours: AtWork, numbers: range, change: ListChange, pause: float) -> list[float]:
    """Seconds from each change to the first scrape that shows it."""
    dice = Random(1)
    changed: dict[str, float] = {}
    seen: dict[str, float] = {}
    waiting = list(numbers)
    next_at = time.monotonic()
    with Scraper(ours.url, PATH) as scraper:
        while len(seen) < len(numbers):
            if waiting and time.monotonic() >= next_at:
                task = target(waiting.pop())
                changed[task.task_id] = time.monotonic()
                change(ours, task)
                next_at += dice.uniform(0, 2 * pause)
            text = scraper.body().decode()
            now = time.monotonic()
            for task_id in changed.keys() - seen.keys():
                if f'task_id="{task_id}"' in text:
                    seen[task_id] = now - changed[task_id]
            time.sleep(LOOK)
    return list(seen.values())


def _stopped(ours: AtWork, task: TargetId) -> None:
    ours.simulation.fleet.stop(task)


def _stopped_and_told(ours: AtWork, task: TargetId) -> None:
    ours.simulation.fleet.stop(task)
    notice = CallbackEvent(task, int(1000 * time.time()), ENDED[Status.ENDED], "", f"end-{task.task_id}")
    with closing(HTTPConnection(ours.address, timeout=10)) as connection:
        connection.request("POST", "/callback", callback_payload(notice, CALLBACK_SECRET, "4821"))
        connection.getresponse().read()


TOGETHER_TASKS = 3_600
SCRAPERS, INTERVAL = 2, 5.0
LATE = 0.25


def together(*, short: bool = False) -> list[Result]:
    """The slowest scrape against a quiet exporter's usual one, and the longest time without a call."""
    with module("benchmarks.served", "ours", str(TOGETHER_TASKS)) as (_, url), Scraper(url) as quiet:
        usual = median(quiet.scrape()[0] for _ in range(15))
    with at_work(TOGETHER_TASKS, {}, max_qps=MAX_QPS) as ours:
        time.sleep(TOGETHER_TASKS / MAX_QPS + 5)  # all were read once, and from now on there is always one that is due
        begun = time.time()
        slowest = max(_scrapes(ours, 20.0 if short else 120.0))
        longest = max(later - earlier for earlier, later in pairwise(ours.sent(begun)))
    late = longest - 1 / MAX_QPS
    return [
        at_most(
            f"the slowest of all scrapes while {TOGETHER_TASKS:,} tasks are read, against a quiet one",
            slowest / usual,
            reach=3,
            hold=10,
            ours=f"{1e3 * slowest:.0f} ms",
            other=f"{1e3 * usual:.0f} ms",
        ),
        at_most(
            "the latest poll", late / LATE, reach=1, hold=2, ours=f"{1e3 * late:.0f} ms", other=f"{1e3 * LATE:.0f} ms"
        ),
    ]


def _scrapes(ours: AtWork, seconds: float) -> list[float]:
    """How long each scrape took, of two scrapers."""
    took: list[float] = []

    def scrape(end: float) -> None:
        with Scraper(ours.url) as scraper:
            while time.monotonic() < end:
                took.append(scraper.scrape()[0])
                time.sleep(INTERVAL)

    end = time.monotonic() + seconds
    threads = [Thread(target=scrape, args=(end,)) for _ in range(SCRAPERS)]
    for number, thread in enumerate(threads):
        time.sleep(number)
        thread.start()
    for thread in threads:
        thread.join()
    return took


def measure(*, short: bool = False) -> list[Result]:
    """Every figure of load."""
    return [*pace(short=short), *delay(short=short), *together(short=short)]


if __name__ == "__main__":
    print(table(measure(short="short" in sys.argv)))
