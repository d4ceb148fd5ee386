"""A soak: a real exporter under load and faults at random, and whether anything of it wears out.

`python -m benchmarks.soak [minutes] [seed]`; exit code 1 when something does.
"""

import signal
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from threading import Event

from benchmarks.at_work import wait_for
from benchmarks.soak_eyes import Scraper, Vitals
from benchmarks.soak_world import BIRTHS, LONGEST_LIFE, MANNER, MAX_QPS, RELOAD_EVERY, World, again_and_again, serving
from exporter.simulator.fleet import page_event_counts, stop_counts
from exporter.simulator.server import Simulation, SimulationOptions

MINUTES = 3.0
CALM = 15.0
"""Seconds before the first fault."""
WARM = 90.0
"""Seconds until as many tasks are listed as ever will be."""
WINDOW = 25.0
SETTLE = 45.0
"""Seconds of calm at the end, after the last life: threads that have nothing to do are gone after 30."""
LONGEST_SETTLE = 180.0
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
    scrapers: tuple[Scraper, Scraper]
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
        process = stack.enter_context(serving(world))
        wait_for(world.address, "/-/ready")
        simulation.send_callbacks(f"http://{world.address}/callback", policy=MANNER)
        scrapers = (Scraper(world.address, *TEXT), Scraper(world.address, *OPEN_METRICS))
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
        time.sleep(LONGEST_LIFE + SETTLE)
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
    deadline = time.monotonic() + LONGEST_SETTLE
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
