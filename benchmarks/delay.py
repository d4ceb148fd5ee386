"""How late a change is seen on /metrics while the budget is used up, without a callback and with one.

`python -m benchmarks.delay [short]`
"""

import sys
import time
from collections.abc import Callable
from contextlib import closing
from http.client import HTTPConnection
from random import Random

from benchmarks.at_work import AtWork, at_work
from benchmarks.fleet import target
from benchmarks.processes import Scraper
from benchmarks.result import Result, at_most, percentile, table
from exporter.enums import Status
from exporter.model.target import TargetId
from exporter.simulator.lifecycle import ENDED, CallbackEvent, callback_payload
from exporter.simulator.server import CALLBACK_SECRET

TASKS, MAX_QPS = 480, 48
ROUND = TASKS / MAX_QPS
"""Seconds in which every task is read once."""
LOOK = 0.02
PATH = "/metrics?name[]=webcast_task_stop_reason"

Change = Callable[[AtWork, TargetId], None]


def measure(*, short: bool = False) -> list[Result]:
    """Tasks are stopped at random moments; a scrape every 20 ms tells when each is seen to have ended."""
    changes = 40 if short else 150
    with at_work(TASKS, {"polling": {"interval": "1s", "fast_interval": "1s"}}, max_qps=MAX_QPS) as ours:
        time.sleep(2 * ROUND)
        alone = percentile(_delays(ours, range(changes), _stopped, 0.05), 0.99)
        called = percentile(_delays(ours, range(changes, 2 * changes), _stopped_and_told, 0.1), 0.99)
    round_ = f"a round of {TASKS} tasks at {MAX_QPS} calls a second, {ROUND:.0f} s"
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


def _delays(ours: AtWork, numbers: range, change: Change, pause: float) -> list[float]:
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


if __name__ == "__main__":
    print(table(measure(short="short" in sys.argv)))
