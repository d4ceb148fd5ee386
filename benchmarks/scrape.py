"""A scrape over HTTP: against prometheus_client's server, a Go Pushgateway, and copying the text in memory.

`python -m benchmarks.scrape [short]`
"""

import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from http import HTTPStatus
from http.client import HTTPConnection

from benchmarks.processes import Scraper, free_port, module, part, running
from benchmarks.result import Result, at_least, at_most, interleaved, table

TASKS, MANY = 3_600, 20_000


def measure(*, short: bool = False) -> list[Result]:
    """Every figure of a scrape."""
    with ExitStack() as stack:
        ours = stack.enter_context(_served("ours", TASKS))
        library = stack.enter_context(_served("library", TASKS))
        body = ours.body()
        results = _against_library(ours, library, 3 if short else 9)
        results += _against_copy(ours, body, 5 if short else 25)
        gateway = stack.enter_context(_pushgateway(body))
        if gateway is not None:
            results += _against_gateway(ours, gateway, 3 if short else 15)
        if not short:
            results += _many(ours, stack.enter_context(_served("ours", MANY)))
    return results


@contextmanager
def _served(kind: str, tasks: int) -> Iterator[Scraper]:
    with module("benchmarks.served", kind, str(tasks)) as (_, url), Scraper(url) as scraper:
        yield scraper


def _against_library(ours: Scraper, library: Scraper, rounds: int) -> list[Result]:
    mine, other = interleaved(rounds, lambda: ours.scrape()[0], lambda: library.scrape()[0])
    what = f"GET /metrics, gzip, {TASKS:,} tasks, against prometheus_client's server"
    return [at_least(what, other / mine, reach=40, hold=20, ours=_ms(mine), other=_ms(other))]


def _against_gateway(ours: Scraper, gateway: Scraper, rounds: int) -> list[Result]:
    mine, other = interleaved(rounds, lambda: ours.scrape()[0], lambda: gateway.scrape()[0])
    what = "the same, against a Go Pushgateway that holds the same series"
    return [at_least(what, other / mine, reach=10, hold=6, ours=_ms(mine), other=_ms(other))]


def _against_copy(ours: Scraper, body: bytes, rounds: int) -> list[Result]:
    def copy() -> float:
        begun = time.perf_counter()
        bytearray(body)
        return time.perf_counter() - begun

    mine, other = interleaved(rounds, lambda: ours.scrape("identity")[0], copy)
    what = "the same, plain, against copying the text once in memory"
    return [at_most(what, mine / other, reach=20, hold=40, ours=_ms(mine), other=_ms(other))]


def _many(few: Scraper, many: Scraper) -> list[Result]:
    mine, other = interleaved(9, lambda: many.scrape()[0] / MANY, lambda: few.scrape()[0] / TASKS)
    what = f"time per task, {MANY:,} tasks against {TASKS:,}"
    figures = {"ours": f"{1e6 * mine:.2f} us", "other": f"{1e6 * other:.2f} us"}
    return [at_most(what, mine / other, reach=1, hold=1.2, **figures)]


@contextmanager
def _pushgateway(body: bytes) -> Iterator[Scraper | None]:
    """One that holds the same series; None where there is no Pushgateway."""
    program = part("prometheus-pushgateway")
    if program is None:
        print("no Pushgateway: run make parts", file=sys.stderr)
        yield None
        return
    address = f"127.0.0.1:{free_port()}"
    with running([str(program), f"--web.listen-address={address}", "--log.level=error"], address):
        with closing(HTTPConnection(address, timeout=60)) as connection:
            connection.request("PUT", "/metrics/job/bench", body)
            answer = connection.getresponse()
            assert answer.status == HTTPStatus.OK, answer.read()
        with Scraper(f"http://{address}") as scraper:
            yield scraper


def _ms(seconds: float) -> str:
    return f"{1e3 * seconds:.1f} ms"


if __name__ == "__main__":
    print(table(measure(short="short" in sys.argv)))
