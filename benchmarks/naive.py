"""CPU and memory of ours against an exporter as people write it, both whole processes over the same simulated vendor.

`python -m benchmarks.naive [short]`; the other one is benchmarks/naive_exporter.py.
"""

import re
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from tempfile import TemporaryDirectory

from benchmarks.fleet import account, target
from benchmarks.processes import Scraper, cpu, free_port, module, rss, running, serving
from benchmarks.result import Result, at_most, table

TASKS, INTERVAL = 1_400, 30
WARM_UP = 2 * INTERVAL
SCRAPE_INTERVAL = 15.0


def measure(*, short: bool = False) -> list[Result]:
    """1,400 tasks at 47 reads a second, a gzip scrape every 15 s."""
    seconds = 45.0 if short else 180.0
    with ExitStack() as stack:
        _, vendor = stack.enter_context(module("benchmarks.served", "vendor", str(TASKS)))
        processes = [stack.enter_context(_ours(vendor)), stack.enter_context(_naive(vendor))]
        scrapers = [stack.enter_context(Scraper(f"http://{address}")) for _, address in processes]
        time.sleep(WARM_UP)
        before = [cpu(pid) for pid, _ in processes]
        reads = [_reads(scraper) for scraper in scrapers]
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            for scraper in scrapers:
                assert scraper.scrape()[1]
            time.sleep(SCRAPE_INTERVAL)
        used = [cpu(pid) - start for (pid, _), start in zip(processes, before, strict=True)]
        calls = [_reads(scraper) - start for scraper, start in zip(scrapers, reads, strict=True)]
        memory = [rss(pid) for pid, _ in processes]
    what = f"of the whole process, {TASKS:,} tasks at {TASKS / INTERVAL:.0f} reads a second, against a naive exporter"
    each = [share / number for share, number in zip(used, calls, strict=True)]
    shares = [f"{1e3 * cost:.2f} ms a read, {number / seconds:.0f}/s" for cost, number in zip(each, calls, strict=True)]
    sizes = [f"{size / 1e6:.0f} MB" for size in memory]
    return [
        at_most(f"CPU {what}", each[0] / each[1], reach=0.5, hold=0.7, ours=shares[0], other=shares[1]),
        at_most(f"memory {what}", memory[0] / memory[1], reach=1, hold=1.5, ours=sizes[0], other=sizes[1]),
    ]


def _reads(scraper: Scraper) -> float:
    """Calls so far; a busy machine makes the naive exporter miss some."""
    found = re.findall(r"^webcast_(?:api_requests|reads)_total(?:{.*})? (\S+)$", scraper.body().decode(), re.MULTILINE)
    return sum(map(float, found))


@contextmanager
def _ours(vendor: str) -> Iterator[tuple[int, str]]:
    """Process id and address."""
    document = {
        "accounts": [account(vendor)],
        "static_configs": [{"targets": [str(target(number)) for number in range(TASKS)]}],
        "polling": {"interval": f"{INTERVAL}s"},
        "state": {"url": "sqlite:///state.db"},
    }
    with TemporaryDirectory() as folder, serving(folder, document, "/-/ready") as (process, address):
        yield process.pid, address


@contextmanager
def _naive(vendor: str) -> Iterator[tuple[int, str]]:
    port = free_port()
    address = f"127.0.0.1:{port}"
    command = [sys.executable, "-m", "benchmarks.naive_exporter", vendor, str(TASKS), str(port)]
    with running(command, address) as process:
        yield process.pid, address


if __name__ == "__main__":
    print(table(measure(short="short" in sys.argv)))
