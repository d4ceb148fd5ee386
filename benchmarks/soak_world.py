"""What a soak goes through: tasks that begin and end all the time, faults at random, reloads; all on threads."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from threading import Event, Lock, Thread
from typing import Any

import yaml

from benchmarks.processes import ROOT, free_port
from exporter.enums import PageReason
from exporter.model.target import TargetId
from exporter.simulator.callback_sender import DeliveryPolicy
from exporter.simulator.faults import TLS_FAULTS, FaultMode
from exporter.simulator.lifecycle import Ending, PageTrouble, RunPlan, SimulatedRun, TaskSettings
from exporter.simulator.server import CALLBACK_SECRET, Simulation

APP = "661e0000000000000000543c"
BIRTHS = 12.0
"""Tasks that begin in a second; each lives 10 to 40 s, so that some 300 live at any time."""
LISTED = 45.0
"""Seconds for which a task is listed after its end: longer than all that keeps it from being read."""
LONGEST_LIFE = 40.0
MANNER = DeliveryPolicy(doubled=0.2, delayed=0.2, interval=2.0)
MAX_QPS = 48
RELOAD_EVERY = 15.0
LIES = {FaultMode.ODD_FIELDS, *(mode for mode in FaultMode if mode.startswith("not_found"))}
"""A reply whose StopReason is wrong is counted by what it says; and a task that is not found, and then cannot be asked
about for `stale_after`, as lost."""
FAULTS = sorted(set(FaultMode) - {FaultMode.NONE} - TLS_FAULTS - LIES)
FAULT, CALM = (1.0, 10.0), (4.0, 8.0)
"""Seconds, at least and at most."""


def plan_of(number: int, dice: Random) -> RunPlan:
    """A life of each ending in its turn, with a page that freezes for good and crashes."""
    ending = list(Ending)[number % len(Ending)]
    ends = dice.uniform(10.0, LONGEST_LIFE)
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
        over.wait(self.dice.uniform(*FAULT))
        faults.begin(FaultMode.NONE)
        over.wait(self.dice.uniform(*CALM))


def _listed(life: SimulatedRun, now: float) -> bool:
    return life.end is None or life.end / 1000 + LISTED > now


@contextmanager
def again_and_again(work: Callable[[Event], None], pause: float) -> Iterator[None]:
    """Have it done on a thread, with so many seconds from one to the next; it is told of its end by an event.

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
def serving(world: World) -> Iterator[subprocess.Popen[bytes]]:
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
