"""Memory at rest and of each further task, and the time of a start.

`python -m benchmarks.footprint [short]`
"""

import subprocess
import sys
import time
from tempfile import TemporaryDirectory

from benchmarks.fleet import account
from benchmarks.processes import at_work, module, rss, serving
from benchmarks.result import Result, at_most, interleaved, table

FEW, MANY = 3_600, 20_000
FEW_IN_SHORT, MANY_IN_SHORT = 1_000, 5_000
AT_REST = 80e6
A_TASK = 8 * 1024


def memory(*, short: bool = False) -> list[Result]:
    """Resident memory of processes that hold so many tasks, and of one that has nothing to do."""
    few, many = (FEW_IN_SHORT, MANY_IN_SHORT) if short else (FEW, MANY)
    task = (_size(many) - _size(few)) / (many - few)
    with at_work(0, {}) as ours:
        time.sleep(2 if short else 10)
        rest = rss(ours.process.pid)
    return [
        at_most(
            f"memory of a further task, from {few:,} to {many:,} running ones",
            task / A_TASK,
            reach=1,
            hold=1.1,
            ours=f"{task / 1024:.1f} KiB",
            other=f"{A_TASK / 1024:.0f} KiB",
        ),
        at_most(
            "memory at rest",
            rest / AT_REST,
            reach=1,
            hold=1.1,
            ours=f"{rest / 1e6:.0f} MB",
            other=f"{AT_REST / 1e6:.0f} MB",
        ),
    ]


def _size(tasks: int) -> int:
    with module("benchmarks.served", "ours", str(tasks)) as (process, _):
        return rss(process.pid)


DEPENDENCIES = (
    "apscheduler.schedulers.background, click, isal.isal_zlib, jinja2, prometheus_client, pydantic, requests, "
    "sqlalchemy, starlette.applications, structlog, uvicorn, yaml"
)


def start(*, short: bool = False) -> list[Result]:
    """Whole processes, in turn."""
    mine, other = interleaved(2 if short else 7, _start, _imports)
    what = "start of serve to the first 200 on /metrics, against importing its dependencies"
    figures = {"ours": f"{mine:.2f} s", "other": f"{other:.2f} s"}
    return [at_most(what, mine / other, reach=2, hold=2.5, **figures)]


def _start() -> float:
    with TemporaryDirectory() as folder:
        begun = time.perf_counter()
        with serving(folder, {"accounts": [account()]}, "/metrics"):
            return time.perf_counter() - begun


def _imports() -> float:
    begun = time.perf_counter()
    subprocess.run([sys.executable, "-c", f"import {DEPENDENCIES}"], check=True)
    return time.perf_counter() - begun


def measure(*, short: bool = False) -> list[Result]:
    """Memory and start."""
    return [*memory(short=short), *start(short=short)]


if __name__ == "__main__":
    print(table(measure(short="short" in sys.argv)))
