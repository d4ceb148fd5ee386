"""Reads and scrapes at once: 3,600 tasks read at 48 calls a second, scraped every 5 s by two Prometheus.

`python -m benchmarks.together [short]`
"""

import sys
import time
from itertools import pairwise
from statistics import median
from threading import Thread

from benchmarks.at_work import AtWork, at_work
from benchmarks.processes import Scraper, module
from benchmarks.result import Result, at_most, table

TASKS, MAX_QPS = 3_600, 48
SCRAPERS, INTERVAL = 2, 5.0
LATE = 0.25


def measure(*, short: bool = False) -> list[Result]:
    """The slowest scrape against a quiet exporter's usual one, and the longest time without a call."""
    with module("benchmarks.served", "ours", str(TASKS)) as (_, url), Scraper(url) as quiet:
        usual = median(quiet.scrape()[0] for _ in range(15))
    with at_work(TASKS, {}, max_qps=MAX_QPS) as ours:
        time.sleep(TASKS / MAX_QPS + 5)  # all were read once, and from now on there is always one that is due
        begun = time.time()
        slowest = max(_scrapes(ours, 20.0 if short else 120.0))
        longest = max(later - earlier for earlier, later in pairwise(ours.sent(begun)))
    late = longest - 1 / MAX_QPS
    return [
        at_most(
            f"the slowest of all scrapes while {TASKS:,} tasks are read, against a quiet one",
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


if __name__ == "__main__":
    print(table(measure(short="short" in sys.argv)))
