"""Calls a second under overload, counted at the vendor's server, also across reloads and a burst of callbacks.

`python -m benchmarks.pace [short]`
"""

import sys
import time
from contextlib import closing
from http.client import HTTPConnection

from benchmarks.at_work import AtWork, at_work
from benchmarks.fleet import target
from benchmarks.result import Result, at_least, at_most, table
from exporter.simulator.faults import FaultMode
from exporter.simulator.gateway import busiest_second
from exporter.simulator.lifecycle import STARTED, CallbackEvent, callback_payload
from exporter.simulator.server import CALLBACK_SECRET

TASKS, MAX_QPS, LATENCY = 600, 48, 0.2
CALLBACKS = 200
STAMP_JITTER = 0.04
"""Seconds by which the simulated server, a busy Python process, may see one call later than another."""


def measure(*, short: bool = False) -> list[Result]:
    """At least 98 % of `max_qps` used, and never more calls in any second [t, t+1)."""
    polling = {"polling": {"interval": "1s", "fast_interval": "1s"}}
    with at_work(TASKS, polling, max_qps=MAX_QPS) as ours:
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


if __name__ == "__main__":
    print(table(measure(short="short" in sys.argv)))
