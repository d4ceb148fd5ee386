"""A state with many kept runs against an empty one: start, first read, reload, a new target, a page of runs, memory.

`python -m benchmarks.big_state [short]`: SQLite with 1,000,000 runs and, where its programs are, PostgreSQL with
150,000; short, a tenth of each. Both exporters have 3,000 live targets over a simulated vendor in this process.
"""

import json
import math
import sqlite3
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from http import HTTPStatus
from http.client import HTTPConnection
from itertools import pairwise
from pathlib import Path
from secrets import token_hex
from statistics import median
from tempfile import TemporaryDirectory
from urllib.parse import urlencode

import psycopg
from sqlalchemy import create_engine

from benchmarks.fleet import CHECKED, account, target
from benchmarks.processes import rss, serving
from benchmarks.result import Result, at_most, table
from exporter.enums import Status, StopReason
from exporter.model.run import Run
from exporter.model.target import TargetId
from exporter.model.task import Task
from exporter.simulator.lifecycle import RunPlan
from exporter.simulator.server import Simulation, SimulationOptions
from exporter.store.database import open_sqlite
from exporter.store.run_table import run_to_row
from exporter.store.schema import prepare
from tests.support.postgresql import Postgres, programs

SQLITE_RUNS, POSTGRESQL_RUNS, LIVE = 1_000_000, 150_000, 3_000
MAX_QPS = 48
HISTORY = 6.5 * 86_400
"""Seconds over which the kept runs ended; the exporter keeps 7 days."""
TEXT = "teacher-4711"
REPEATS = 5
"""Reloads, and new targets: a single one may meet a busy moment of the machine, so that the median counts."""
TOKEN = "t" * 32


@dataclass(frozen=True)
class Figures:
    """Seconds, and bytes of memory; `late` is how much later than its slot the latest read left across the reload."""

    start: float
    first_read: float
    reload: float
    late: float
    new_target: float
    page: float
    memory: int


def measure(*, short: bool = False) -> list[Result]:
    """Each figure of a big state against the same of an empty one."""
    share, rounds = (10, 1) if short else (1, 3)
    results: list[Result] = []
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory()))
        results += _compared("SQLite", SQLITE_RUNS // share, _sqlite(folder), rounds)
        where = programs()
        if where is None:
            print("no PostgreSQL: run make parts", file=sys.stderr)
            return results
        results += _compared("PostgreSQL", POSTGRESQL_RUNS // share, _postgresql(stack, where), rounds)
    return results


def _compared(name: str, runs: int, make: Callable[[int], str], rounds: int) -> list[Result]:
    urls = make(0), make(runs)
    found = [[_figures(url) for url in urls] for _ in range(rounds)]
    empty, big = ([each[number] for each in found] for number in range(2))
    what = f"{name}, {runs:,} kept runs"
    print(name, found, file=sys.stderr, flush=True)
    results = [
        _times(f"start to the first 200 on /metrics; {what}", big, empty, lambda each: each.start),
        _times(f"start to the first read; {what}", big, empty, lambda each: each.first_read),
        _times(f"a reload; {what}", big, empty, lambda each: each.reload),
        _times(f"a new target until it is read; {what}", big, empty, lambda each: each.new_target),
    ]
    late, page = max(each.late for each in big), median(each.page for each in big)
    memory, before = (median(each.memory for each in figures) for figures in (big, empty))
    return [
        *results,
        at_most(
            f"the latest read across a reload; {what}", late / 0.25, reach=1, hold=2, ours=_ms(late), other="250 ms"
        ),
        at_most(f"a page of stopped runs by text; {what}", page / 0.2, reach=1, hold=2, ours=_ms(page), other="200 ms"),
        at_most(
            f"memory; {what}",
            memory / before,
            reach=1.2,
            hold=1.4,
            ours=f"{memory / 1e6:.0f} MB",
            other=f"{before / 1e6:.0f} MB, empty",
        ),
    ]


def _times(what: str, big: list[Figures], empty: list[Figures], of: Callable[[Figures], float]) -> Result:
    ours, other = median(map(of, big)), median(map(of, empty))
    return at_most(what, ours / other, reach=1.5, hold=2, ours=_ms(ours), other=f"{_ms(other)}, empty")


def _ms(seconds: float) -> str:
    return f"{1e3 * seconds:.0f} ms"


def _figures(url: str) -> Figures:
    with Simulation(SimulationOptions(tasks=0, speed=1)) as simulation, TemporaryDirectory() as folder:
        # The state keeps the targets that were pushed in an earlier round: these are none of them.
        new = [TargetId(target(0).app_id, "room", token_hex(8)) for _ in range(REPEATS)]
        for each in (*map(target, range(LIVE)), *new):
            simulation.fleet.begin(each, RunPlan(CHECKED), age=600)
        Path(folder, "tokens").write_text(TOKEN)
        document = {
            "accounts": [account(simulation.url, max_qps=MAX_QPS)],
            "static_configs": [{"targets": [str(target(number)) for number in range(LIVE)]}],
            "push": {"token_file": "tokens"},
            "state": {"url": url},
        }
        begun, begun_at = time.perf_counter(), time.time()
        with serving(folder, document, "/metrics") as (process, address):
            start = time.perf_counter() - begun
            _until(lambda: bool(simulation.calls.log))
            first_read = simulation.calls.log[0].at - begun_at
            time.sleep(5)
            reloaded = time.time()
            reload = median(_request(address, "POST", "/-/reload") for _ in new)
            time.sleep(2)
            calls = [call.at for call in simulation.calls.log if call.at >= reloaded - 1]
            late = max(later - earlier for earlier, later in pairwise(calls)) - 1 / MAX_QPS
            new_target = median(_push(address, simulation, each) for each in new)
            query = urlencode({"show": "stopped", "q": TEXT})
            page = median(_request(address, "GET", f"/tasks?{query}", must=False) for _ in range(5))
            return Figures(start, first_read, reload, late, new_target, page, rss(process.pid))


def _push(address: str, simulation: Simulation, new: TargetId) -> float:
    """Seconds until a target that is pushed is read."""
    pushed = time.time()
    _request(address, "POST", "/api/v1/targets", json.dumps([{"targets": [str(new)]}]))
    _until(lambda: bool(simulation.calls.reads_of(new)))
    return simulation.calls.reads_of(new)[0] - pushed


def _request(address: str, method: str, path: str, body: str | None = None, *, must: bool = True) -> float:
    """Seconds until the whole answer; infinite when it is not 200 and need not be."""
    headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"} if body else {}
    with closing(HTTPConnection(address, timeout=60)) as connection:
        begun = time.perf_counter()
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        text = answer.read()
        good = answer.status == HTTPStatus.OK
        assert good or not must, text
        return time.perf_counter() - begun if good else math.inf


def _until(holds: Callable[[], bool], seconds: float = 120.0) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            raise TimeoutError
        time.sleep(0.005)


def _rows(runs: int) -> Iterator[tuple[object, ...]]:
    """Kept runs of an hour, shaped like the exporter's own: of another app's rooms, with a teacher's label."""
    now = time.time()
    app = TargetId("661e0000000000000000543d", "", "")
    for number in range(runs):
        end = now - HISTORY * (1 - number / runs)
        task = Task(Status.ENDED, end - 3600, end, StopReason.STOP_BY_API, "bot", "class.example.com", 7200)
        if number % 1000 == 0:
            row = run_to_row(Run(app, 0.0, entered=frozenset(Status), stopped=StopReason.STOP_BY_API, last=task))
        names = f"class-{number // 3:08d}", f"webcast-{number:08d}"
        times = end - 3600, end - 3600, row["entered"], row["stopped"], end + 2, row["last"]
        labels = json.dumps({"teacher": f"teacher-{number % 9999}", "team": "edu"})
        yield app.app_id, *names, *times, "", 0, 0, None, labels


COLUMNS = (
    "app_id, room_id, task_id, first_seen, start, entered, stopped, end_seen, last, earlier, page_refreshes, "
    "page_reschedules, page_latest, labels"
)


def _sqlite(folder: Path) -> Callable[[int], str]:
    def make(runs: int) -> str:
        file = folder / f"{runs}.db"
        open_sqlite(file).close()
        with closing(sqlite3.connect(file)) as connection, connection:
            connection.executemany(f"INSERT INTO runs ({COLUMNS}) VALUES ({','.join('?' * 14)})", _rows(runs))
        return f"sqlite:///{file}"

    return make


def _postgresql(stack: ExitStack, where: Path) -> Callable[[int], str]:
    folder = Path(stack.enter_context(TemporaryDirectory()))
    folder.chmod(0o777)
    server = Postgres(folder, where)
    server.make()
    server.start()
    stack.callback(server.stop)

    def make(runs: int) -> str:
        url = server.database()
        engine = create_engine(url.whole)
        with engine.begin() as connection:
            prepare(connection, "state", lambda: None)
        engine.dispose()
        with psycopg.connect(url.whole.replace("+psycopg", "")) as connection:
            with connection.cursor().copy(f"COPY runs ({COLUMNS}) FROM STDIN".encode()) as copy:
                for row in _rows(runs):
                    copy.write_row(row)
            connection.commit()
        with psycopg.connect(url.whole.replace("+psycopg", ""), autocommit=True) as connection:
            connection.execute("ANALYZE")
        return url.whole

    return make


if __name__ == "__main__":
    print(table(measure(short="short" in sys.argv)))
