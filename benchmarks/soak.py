"""A soak: a real exporter under load and faults at random, and whether anything of it wears out.

`python -m benchmarks.soak [minutes] [seed]`; exit code 1 when something does.
"""

import gzip
import json
import re
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from threading import Event, Lock, Thread
from typing import Any

import yaml

from benchmarks.processes import ROOT, free_port, rss, wait_for
from exporter.enums import PageReason
from exporter.model.target import TargetId
from exporter.simulator.callback_sender import DeliveryPolicy
from exporter.simulator.faults import TLS_FAULTS, FaultMode
from exporter.simulator.fleet import page_event_counts, stop_counts
from exporter.simulator.lifecycle import Ending, PageTrouble, RunPlan, SimulatedRun, TaskSettings
from exporter.simulator.server import CALLBACK_SECRET, Simulation, SimulationOptions

COUNTER = re.compile(r"^([a-z_]+_(?:total|count|sum|bucket)(?:\{[^}]*\})?) (\S+)", re.MULTILINE)
OF_ONE_TASK = "webcast_task_"
REQUEST_TIMEOUT = 10.0
MIB = 1024 * 1024

Counters = dict[str, float]


def counters_in(text: str) -> Counters:
    """Every sample of a counter or a histogram."""
    return {sample: float(value) for sample, value in COUNTER.findall(text)}


@dataclass
class CounterScraper:
    """One kept connection. `lower` are samples that fell, `lost` those that vanished, `slowest` is in seconds."""

    address: str
    accept: str
    encoding: str
    seen: int = 0
    failed: list[str] = field(default_factory=list)
    slowest: float = 0.0
    lower: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    latest: Counters = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._connection = HTTPConnection(self.address, timeout=REQUEST_TIMEOUT)

    def scrape(self) -> None:
        """Take one, and hold it against the one before."""
        began = time.perf_counter()
        try:
            text = self._text()
        except OSError as error:
            self.failed.append(type(error).__name__)
            self._connection.close()
            return
        self.slowest = max(self.slowest, time.perf_counter() - began)
        self.seen += 1
        before, self.latest = self.latest, counters_in(text)
        self.lower += [name for name, value in self.latest.items() if value < before.get(name, value)]
        self.lost += [name for name in before.keys() - self.latest.keys() if not name.startswith(OF_ONE_TASK)]

    def by(self, name: str, label: str) -> dict[str, int]:
        """A counter by one label, added up over the others; what is zero is left out."""
        found: dict[str, int] = {}
        for sample, value in self.latest.items():
            if sample.partition("{")[0] == name and value:
                which = sample.partition(f'{label}="')[2].partition('"')[0]
                found[which] = found.get(which, 0) + int(value)
        return found

    def total(self, name: str) -> int:
        """All samples of a counter."""
        return sum(int(value) for sample, value in self.latest.items() if sample.partition("{")[0] == name)

    def _text(self) -> str:
        self._connection.request("GET", "/metrics", headers={"Accept": self.accept, "Accept-Encoding": self.encoding})
        answer = self._connection.getresponse()
        body = answer.read()
        if answer.status != 200:  # noqa: PLR2004 - 200 is OK
            self.failed.append(str(answer.status))
        return (gzip.decompress(body) if answer.headers["Content-Encoding"] == "gzip" else body).decode()


@dataclass
class Vitals:
    """Memory (bytes) and threads of a process over time (monotonic seconds)."""

    pid: int
    samples: list[tuple[float, int, int]] = field(default_factory=list)

    def look(self) -> None:
        """Note them now."""
        self.samples.append((time.monotonic(), rss(self.pid), threads(self.pid)))

    def memory(self, since: float, until: float) -> float:
        """The median in MiB between two moments."""
        return statistics.median(memory for at, memory, _ in self.samples if since <= at <= until) / MIB

    def threads(self, since: float, until: float) -> int:
        """The smallest number of threads between two moments."""
        return min(number for at, _, number in self.samples if since <= at <= until)

    @property
    def most_threads(self) -> int:
        """At any moment."""
        return max(number for _, _, number in self.samples)


def threads(pid: int) -> int:
    """How many threads a process has."""
    return len(list(Path(f"/proc/{pid}/task").iterdir()))


APP = "661e0000000000000000543c"
BIRTHS = 12.0
"""Tasks that begin in a second; each lives 10 to 40 s, so that some 300 live at any time."""
LISTED = 45.0
"""Seconds for which a task is listed after its end: longer than all that keeps it from being read."""
MAX_LIFE = 40.0
MANNER = DeliveryPolicy(doubled=0.2, delayed=0.2, interval=2.0)
MAX_QPS = 48
RELOAD_EVERY = 15.0
LIES = {FaultMode.ODD_FIELDS, *(mode for mode in FaultMode if mode.startswith("not_found"))}
"""A reply whose StopReason is wrong is counted by what it says; and a task that is not found, and then cannot be asked
about for `stale_after`, as lost."""
FAULTS = sorted(set(FaultMode) - {FaultMode.NONE} - TLS_FAULTS - LIES)
FAULT_SPAN, CALM_SPAN = (1.0, 10.0), (4.0, 8.0)
"""Seconds, at least and at most."""


def plan_of(number: int, dice: Random) -> RunPlan:
    """A life of each ending in its turn, with a page that freezes for good and crashes."""
    ending = list(Ending)[number % len(Ending)]
    ends = dice.uniform(10.0, MAX_LIFE)
    if ending is Ending.START_FAILED:
        return RunPlan(starts=None, ends=ends, ending=ending)
    starts = dice.uniform(0.0, 5.0)
    settings = TaskSettings(
        max_running_time=round(ends) if ending is Ending.TIMED_OUT else 3600, freeze_check=2, crash_check=1
    )
    troubles = (PageTrouble(PageReason.FREEZE, starts, lasting=True), PageTrouble(PageReason.CRASH, starts))
    return RunPlan(settings, starts, None if ending is Ending.TIMED_OUT else ends, ending, troubles=troubles)


@dataclass
class World:
    """One exporter in `folder` over one simulation. `met` are the faults there were, `born` the tasks."""

    simulation: Simulation
    folder: Path
    dice: Random
    address: str = field(default_factory=lambda: f"127.0.0.1:{free_port()}")
    met: list[FaultMode] = field(default_factory=list)
    reloads: int = 0
    born: int = 0
    _listed: dict[TargetId, SimulatedRun] = field(default_factory=dict)
    _lock: Lock = field(default_factory=Lock)

    def write(self) -> None:
        """The configuration file; each time with another interval."""
        credentials = self.simulation.credentials
        keys = {"access_key_id": credentials.access_key, "secret_access_key": credentials.secret_key}
        account = {"name": "soak", "endpoint": self.simulation.url, "max_qps": MAX_QPS, "timeout": "2s", **keys}
        document: dict[str, Any] = {
            "accounts": [account],
            "file_sd_configs": [{"files": ["targets.json"], "refresh_interval": "1s"}],
            "callbacks": {"secret_file": "secret"},
            "polling": {"interval": f"{1 + self.reloads % 2}s", "fast_interval": "1s", "max_backoff": "5s"},
            "lifecycle": {"linger": "20s"},
        }
        (self.folder / "secret").write_text(CALLBACK_SECRET)
        (self.folder / "webcast-exporter.yml").write_text(yaml.safe_dump(document))

    def list_targets(self) -> None:
        """List the tasks that live or have ended lately."""
        now = time.time()
        with self._lock:
            self._listed = {target: life for target, life in self._listed.items() if _listed(life, now)}
            listed = [str(target) for target in self._listed]
        new = self.folder / "targets.json.new"
        new.write_text(json.dumps([{"targets": listed}]))
        new.replace(self.folder / "targets.json")

    def bear(self) -> None:
        """One task begins."""
        target = TargetId(APP, "Room", f"Task{self.born}")
        life = self.simulation.fleet.begin(target, plan_of(self.born, self.dice))
        with self._lock:
            self._listed[target] = life
        self.born += 1

    def trouble(self, over: Event) -> None:
        """One fault, and the calm after it; cut short by the end of all."""
        self.met.append(self.dice.choice(FAULTS))
        faults = self.simulation.faults
        faults.latency = self.dice.choice((0.3, 3.0))
        faults.begin(self.met[-1])
        over.wait(self.dice.uniform(*FAULT_SPAN))
        faults.begin(FaultMode.NONE)
        over.wait(self.dice.uniform(*CALM_SPAN))


def _listed(life: SimulatedRun, now: float) -> bool:
    return life.end is None or life.end / 1000 + LISTED > now


@contextmanager
def again_and_again(work: Callable[[Event], None], pause: float) -> Iterator[None]:
    """Have it done on a thread, with so many seconds from one to the next; an event ends it.

    What it raises ends it, and the block with the same.
    """
    over = Event()
    errors: list[Exception] = []

    def run() -> None:
        due = time.monotonic()
        while not over.wait(max(0.0, due - time.monotonic())):
            try:
                work(over)
            except Exception as error:  # noqa: BLE001 - carried over to the block's own thread
                errors.append(error)
                return
            due = max(due + pause, time.monotonic() - 1.0)  # what is long past is not made up for

    thread = Thread(target=run, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
    for error in errors:
        raise error


@contextmanager
def soaked(world: World) -> Iterator[subprocess.Popen[bytes]]:
    """The exporter's process; its log lies beside its configuration."""
    command = [sys.executable, "-m", "exporter", "serve", "--config.file", "webcast-exporter.yml"]
    environment = {"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"}
    with (world.folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [*command, "--web.listen-address", world.address], cwd=world.folder, env=environment, stderr=log
        )
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


MINUTES = 3.0
CALM = 15.0
"""Seconds before the first fault."""
WARM = 90.0
"""Seconds until as many tasks are listed as ever will be."""
WINDOW = 25.0
SETTLE = 45.0
"""Seconds of calm at the end, after the last life: threads that have nothing to do are gone after 30."""
MAX_SETTLE = 180.0
TEXT = ("text/plain;version=0.0.4", "identity")
OPEN_METRICS = ("application/openmetrics-text;version=1.0.0", "gzip")
GROWTH, SPARE_MIB, SPARE_THREADS = 1.1, 5.0, 8
PAGES = {4: "webcast_page_refreshes_total", 5: "webcast_page_reschedules_total"}


@dataclass(frozen=True)
class Row:
    """One thing that was looked at: what it should be, what it was."""

    what: str
    expected: str
    found: str
    held: bool = True


@dataclass
class Soak:
    """What is under way."""

    world: World
    scrapers: tuple[CounterScraper, CounterScraper]
    vitals: Vitals
    process_ended: Callable[[], object]
    began: float
    storm_over: float = 0.0
    settled: float = 0.0

    def rows(self) -> list[Row]:
        """Everything, held against the simulator's truth."""
        return [*self._load(), *self._truth(), *self._wear(), *self._order()]

    def _load(self) -> list[Row]:
        minutes = (self.storm_over - self.began) / 60
        calls = self.world.simulation.calls
        scrapes = f"{sum(scraper.seen for scraper in self.scrapers)}, slowest {self._slowest():.2f} s"
        return [
            Row("minutes under load", "", f"{minutes:.1f}"),
            Row("tasks that lived", "", str(self.world.born)),
            Row("calls at the vendor", "", str(sum(calls.counts.values()))),
            Row("faults, of how many modes", "", f"{len(self.world.met)}, {len(set(self.world.met))}"),
            Row("reloads", "", str(self.world.reloads)),
            Row("scrapes", "", scrapes),
        ]

    def _truth(self) -> list[Row]:
        fleet, scraper = self.world.simulation.fleet, self.scrapers[0]
        now = int(fleet.clock() * 1000)
        stops = {reason.value: count for reason, count in stop_counts(fleet, now).items() if count}
        rows = [_same("stops by reason", stops, scraper.by("webcast_run_stops_total", "reason"))]
        for status, name in PAGES.items():
            events = page_event_counts(fleet, now)
            happened = {reason: count for (of, reason), count in events.items() if of == status and count}
            rows.append(_same(name.removeprefix("webcast_"), happened, scraper.by(name, "reason")))
        caller = self.world.simulation.callback_sender
        assert caller is not None
        return [*rows, _same("callbacks given up", 0, caller.counts.given_up)]

    def _wear(self) -> list[Row]:
        warm = self.vitals.memory(self.began + WARM, self.began + WARM + WINDOW)
        last = self.vitals.memory(self.storm_over - WINDOW, self.storm_over)
        calm = self.vitals.threads(self.began, self.began + CALM)
        end = self.vitals.threads(self.settled - WINDOW / 2, self.settled)
        most = warm * GROWTH + SPARE_MIB
        return [
            Row("memory, MiB: warm, at the end", f"{warm:.1f}, at most {most:.1f}", f"{last:.1f}", last <= most),
            Row(
                "threads: calm, at the end (most)",
                f"{calm}, at most {calm + SPARE_THREADS}",
                f"{end} ({self.vitals.most_threads})",
                end <= calm + SPARE_THREADS,
            ),
        ]

    def _order(self) -> list[Row]:
        scraper = self.scrapers[0]
        lower = [name for each in self.scrapers for name in (*each.lower, *each.lost)]
        failed = [name for each in self.scrapers for name in each.failed]
        log = (self.world.folder / "log").read_text()
        most = self.world.simulation.calls.max_calls_in_a_second()
        zeros = ("exporter_internal_errors", "state_write_failures", "run_ends_unseen")
        return [
            Row("counters lower or gone", "[]", str(lower[:3]), not lower),
            Row("scrapes that failed", "[]", str(failed[:3]), not failed),
            *(_same(name, 0, scraper.total(f"webcast_{name}_total")) for name in zeros),
            _same("tracebacks in the log", 0, log.count("Traceback")),
            Row("log lines", "", str(log.count("\n"))),
            Row("most calls in a second, as this busy process took them in", "", f"{most}, {MAX_QPS} configured"),
            _same("the process ended by itself", None, self.process_ended()),
        ]

    def _slowest(self) -> float:
        return max(scraper.slowest for scraper in self.scrapers)


def _same(what: str, expected: object, found: object) -> Row:
    return Row(what, str(expected), str(found), expected == found)


def soak(minutes: float, seed: int) -> list[Row]:
    """Live through it."""
    with ExitStack() as stack:
        simulation = stack.enter_context(Simulation(SimulationOptions(tasks=0, speed=1)))
        world = World(simulation, Path(stack.enter_context(TemporaryDirectory())), Random(seed))
        world.list_targets()
        world.write()
        process = stack.enter_context(soaked(world))
        wait_for(world.address, "/-/ready")
        simulation.send_callbacks(f"http://{world.address}/callback", policy=MANNER)
        scrapers = (CounterScraper(world.address, *TEXT), CounterScraper(world.address, *OPEN_METRICS))
        run = Soak(world, scrapers, Vitals(process.pid), process.poll, began=time.monotonic())

        def reload(_over: Event) -> None:
            world.reloads += 1
            world.write()
            process.send_signal(signal.SIGHUP)

        for work in (*(scraper.scrape for scraper in scrapers), run.vitals.look, world.list_targets):
            stack.enter_context(again_and_again(_alone(work), 1.0))
        with again_and_again(_alone(world.bear), 1 / BIRTHS):
            time.sleep(CALM)
            with again_and_again(reload, RELOAD_EVERY), again_and_again(world.trouble, 0.0):
                time.sleep(max(WARM + 2 * WINDOW, minutes * 60) - CALM)
        run.storm_over = time.monotonic()
        time.sleep(MAX_LIFE + SETTLE)
        _until(lambda: scrapers[0].total("webcast_run_stops_total") >= world.born and _settled(simulation))
        time.sleep(2)
        run.settled = time.monotonic()
        return run.rows()


def _alone(work: Callable[[], None]) -> Callable[[Event], None]:
    return lambda _over: work()


def _settled(simulation: Simulation) -> bool:
    counts = simulation.callback_sender.counts if simulation.callback_sender else None
    return counts is not None and counts.delivered + counts.given_up + counts.lost == counts.due


def _until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + MAX_SETTLE
    while not holds() and time.monotonic() < deadline:
        time.sleep(0.5)


def main() -> int:
    """Say how it was."""
    minutes, seed = (*(float(word) for word in sys.argv[1:]), *(MINUTES, 1.0)[len(sys.argv) - 1 :])
    rows = soak(minutes, int(seed))
    print("| what | expected | found | |\n| --- | --- | --- | --- |")
    for row in rows:
        print(f"| {row.what} | {row.expected} | {row.found} | {'' if row.held else 'VIOLATED'} |")
    return 0 if all(row.held for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
