"""CPU of a whole poll (due, sign, send, parse, apply, render) against a bare call with requests on the same server.

`python -m benchmarks.poll [short]`
"""

import sys
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import Any

import requests

from benchmarks.fleet import account, exporter, target
from benchmarks.processes import module
from benchmarks.result import Result, at_most, interleaved, table
from benchmarks.served import BARE

TASKS = 500
FAST_ENOUGH = 3_000
"""Calls a second that the budget allows: more than one thread can make, so that none of them waits for it."""
PARAMS = {"Action": "GetWebCastTask", "Version": "2020-12-01", **target(0)._asdict()}


class Waiting(Executor):
    """Calls wait here until the benchmark runs them, in its own thread."""

    def __init__(self) -> None:
        self.calls: deque[Callable[[], object]] = deque()

    def submit(self, call: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Keep the call."""
        self.calls.append(partial(call, *args, **kwargs))
        return Future()


def measure(*, short: bool = False) -> list[Result]:
    """One thread makes each kind of call in a row; its CPU time alone counts."""
    with (
        module("benchmarks.served", "vendor", str(TASKS)) as (_, url),
        polls(url) as poll,
        requests.Session() as session,
    ):
        bare = _cpu_of(lambda: session.get(url + BARE, params=PARAMS).json())
        mine, other = interleaved(3 if short else 11, _cpu_of(poll), bare)
    figures = {"ours": f"{1e3 * mine:.2f} ms", "other": f"{1e3 * other:.2f} ms"}
    what = "CPU of a whole poll, against requests.Session().get(url, params=...).json()"
    return [at_most(what, mine / other, reach=1.0, hold=1.15, **figures)]


@contextmanager
def polls(url: str) -> Iterator[Callable[[], object]]:
    """Makes the next poll of an exporter whose targets are due all the time."""
    sections = {
        "accounts": [account(url, max_qps=FAST_ENOUGH)],
        "static_configs": [{"targets": [str(target(number)) for number in range(TASKS)]}],
        "polling": {"interval": "1ms", "fast_interval": "1ms"},
    }
    made = exporter(sections)
    made._apply(made.config)
    poller = made._components.pollers.by_account["bench"]
    waiting = Waiting()
    poller.account = replace(poller.account, executor=waiting)

    def poll() -> None:
        while not waiting.calls:
            poller.send_due()
        waiting.calls.popleft()()

    yield poll
    made._components.pollers.stop()


def _cpu_of(call: Callable[[], object], calls: int = 500) -> Callable[[], float]:
    """Measures the CPU seconds of one of so many calls."""

    def measured() -> float:
        begun = time.process_time()
        for _ in range(calls):
            call()
        return (time.process_time() - begun) / calls

    return measured


if __name__ == "__main__":
    print(table(measure(short="short" in sys.argv)))
