"""From the start of `serve` to the first 200 on /metrics, against importing the same dependencies alone.

`python -m benchmarks.start [short]`
"""

import subprocess
import sys
import time
from tempfile import TemporaryDirectory

from benchmarks.at_work import serving
from benchmarks.fleet import account
from benchmarks.result import Result, at_most, interleaved, table

DEPENDENCIES = (
    "apscheduler.schedulers.background, click, isal.isal_zlib, jinja2, prometheus_client, pydantic, requests, "
    "sqlalchemy, starlette.applications, structlog, uvicorn, yaml"
)


def measure(*, short: bool = False) -> list[Result]:
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


if __name__ == "__main__":
    print(table(measure(short="short" in sys.argv)))
