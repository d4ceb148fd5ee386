"""Waves of tasks that come, run, end and are let go: resident memory after each of them, which must level off.

`python -m benchmarks.waves [short]`: eight waves of 1,500 tasks, each with ids of its own. An exporter in this process,
over a SQLite file, that is pushed, read, scraped, searched and cleaned up; the benchmark moves its clock.
"""

import gc
import json
import os
import sys
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import yaml
from prometheus_client.parser import text_string_to_metric_families

from benchmarks.fleet import APP, account
from benchmarks.processes import rss
from benchmarks.result import Result, at_most, table
from exporter.cli.plan import READ_AT, TYPICAL_TASK
from exporter.config.loader import load
from exporter.discovery.sd_format import groups_of_json
from exporter.enums import Status, StopReason
from exporter.metrics.exposition import Format
from exporter.model.clock import Clock
from exporter.model.target import TargetId
from exporter.model.task import ReadResult, Task
from exporter.service.exporter import Exporter
from exporter.store.database import open_sqlite
from exporter.store.run_table import RunQuery

WAVES, TASKS = 8, 1_500
READS = 20
"""Of each task while it runs."""
RUNS_FOR = 3_600.0
SETTLED = 3
"""Waves after which caches and the allocator's arenas are filled."""
MAX_GROWTH = 0.02
"""Of the memory after the settled waves, in all waves after them: a tenth of what the runs of one wave would take."""


class Waves:
    """The exporter, its clock, and the ends that it must have counted."""

    def __init__(self, folder: Path) -> None:
        self.now = READ_AT
        (folder / "tokens").write_text("a-token-of-the-benchmark")
        document = {
            "accounts": [account()],
            "state": {"url": f"sqlite:///{folder}/state.db"},
            "push": {"token_file": "tokens"},
        }
        file = folder / "webcast-exporter.yml"
        file.write_text(yaml.safe_dump(document))
        config = load(file, {})
        clock = Clock(lambda: self.now, lambda: self.now)
        self.exporter = Exporter(config, lambda: config, {}, open_sqlite(config.state.url.path), clock)
        self.exporter._apply(self.exporter.config)

    def run(self, wave: int, tasks: int) -> None:
        """One wave from its push until nothing of it is tracked."""
        targets = [
            TargetId(APP, f"class-{wave:03d}-{number:05d}", f"webcast-{wave:03d}-{number:05d}")
            for number in range(tasks)
        ]
        groups = [{"targets": [str(target)], "labels": {"team": f"team-{target.room_id}"}} for target in targets]
        self.exporter.push.update(groups_of_json(json.dumps(groups)), replace=True)
        task = replace(TYPICAL_TASK, start=self.now)
        for _ in range(READS):
            self.now += RUNS_FOR / READS
            self._read(targets, task)
        self._read(targets, replace(task, status=Status.ENDED, end=self.now, stop_reason=StopReason.STOP_BY_API))
        self.exporter.push.update([], replace=True)
        while self.exporter.tracked():
            self.now += 60.0
            self.exporter._expire()
        self.exporter._housekeep()
        self._look()
        assert self.exporter._components.store.flush(60.0)

    def stops(self) -> float:
        """How many ends a scrape shows."""
        text = b"".join(self.exporter.exposition.pieces(Format.TEXT)).decode()
        families = text_string_to_metric_families(text)
        return sum(
            sample.value for family in families for sample in family.samples if sample.name == "webcast_run_stops_total"
        )

    def _read(self, targets: list[TargetId], task: Task) -> None:
        for target in targets:
            result = ReadResult(target, at=self.now, server_time=self.now, elapsed=0.1, outcome=task)
            self.exporter._components.registry.apply_read(result)
        self._look()

    def _look(self) -> None:
        self.exporter._expire()
        for _ in self.exporter.exposition.pieces(Format.TEXT):
            pass
        self.exporter.queries.stopped_runs(RunQuery(self.now - 86_400, text="team"))


def measure(*, short: bool = False) -> list[Result]:
    """Memory after the last wave, against after the third."""
    tasks = TASKS // 5 if short else TASKS
    figures: list[int] = []
    with TemporaryDirectory() as folder:
        waves = Waves(Path(folder))
        for wave in range(WAVES):
            waves.run(wave, tasks)
            gc.collect()
            figures.append(rss(os.getpid()))
            print(f"after wave {wave + 1}: {figures[-1] / 1e6:.1f} MB", file=sys.stderr, flush=True)
        assert waves.stops() == WAVES * tasks
        waves.exporter.stop()
    return [
        at_most(
            f"memory after {WAVES} waves of {tasks:,} tasks that come, run and end, against after {SETTLED}",
            figures[-1] / figures[SETTLED - 1],
            reach=1 + MAX_GROWTH,
            hold=1 + 2 * MAX_GROWTH,
            ours=f"{figures[-1] / 1e6:.0f} MB",
            other=f"{figures[SETTLED - 1] / 1e6:.0f} MB",
        )
    ]


if __name__ == "__main__":
    print(table(measure(short="short" in sys.argv)))
