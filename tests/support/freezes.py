"""The freeze harness: an exporter, everything that it depends on, and each of these ceasing to answer without an error.

`Scene` runs the processes; `FREEZES` is the table of what can be silent. tests/real/test_freezes.py asserts.
"""

import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from exporter.enums import PageReason, Status
from exporter.model.target import TargetId
from exporter.simulator.fleet import status_counts, stop_counts
from exporter.simulator.lifecycle import REFRESHED, CallbackEvent, RunPlan, callback_payload
from exporter.simulator.server import CALLBACK_SECRET, Simulation, SimulationOptions
from tests.real.conftest import CLEAN_ENVIRONMENT, ROOT, Running, free_port, wait_until
from tests.support import web_client
from tests.support.freezable import DATABASE, FROZEN
from tests.support.postgresql import Postgres
from tests.support.relay import Relay

CONFIG, TARGETS, SECRET, KEY = "webcast-exporter.yml", "targets.json", "callback-secret", "far-key"
NEAR, FAR = "near", "far"
TASKS = 6
PIPE_BYTES = 4096
LONE, LEADER, STANDBY = "lone", "leader", "standby"
SQLITE, POSTGRESQL = "sqlite", "postgresql"
STOPS, REFRESHES = "webcast_run_stops_total", "webcast_page_refreshes_total"
STATUS, HUNG = "webcast_task_status", "webcast_exporter_hung_job_start_timestamp_seconds"
LEADS = "webcast_exporter_leader"


@contextmanager
def stopped(postgres: Postgres) -> Iterator[None]:
    """All processes of the server are stopped (SIGSTOP) until the block ends."""
    pid = Path(postgres.data, "postmaster.pid").read_text().split()[0]
    children = subprocess.run(["pgrep", "-P", pid], capture_output=True, text=True, check=True).stdout.split()
    numbers = [int(number) for number in (pid, *children)]
    try:
        for number in numbers:
            os.kill(number, signal.SIGSTOP)
        yield
    finally:
        for number in numbers:
            os.kill(number, signal.SIGCONT)


@dataclass(frozen=True)
class Process:
    """A started exporter, and the reader of its log."""

    running: Running
    reader: subprocess.Popen[bytes]
    folder: Path

    def samples(self, name: str, **labels: str) -> list[float]:
        """The values of a family's samples with these labels, among others."""
        wanted = [f'{label}="{value}"' for label, value in labels.items()]
        lines = (
            line
            for line in self.running.get("/metrics").text.splitlines()
            if line.startswith((f"{name}{{", f"{name} "))
        )
        return [float(line.rpartition(" ")[2]) for line in lines if all(label in line for label in wanted)]

    def total(self, name: str, **labels: str) -> float:
        """The sum of them."""
        return sum(self.samples(name, **labels))

    def call_back(self, target: TargetId, number: int) -> int:
        """The status with which the page event of that number is answered."""
        event = CallbackEvent(target, int(1000 * time.time()), REFRESHED, PageReason.FREEZE.value, f"evt-{number}")
        body = callback_payload(event, CALLBACK_SECRET, "4821")
        url = f"{self.running.url}/callback"
        return web_client.post(url, content=body).status_code

    def freeze(self, word: str) -> Callable[[], None]:
        """From now on calls on this hang, until what is returned is called."""
        self._set_frozen(self._frozen | {word})
        return lambda: self._set_frozen(self._frozen - {word})

    @property
    def _frozen(self) -> set[str]:
        file = self.folder / FROZEN
        return set(file.read_text().split()) if file.exists() else set()

    def _set_frozen(self, words: set[str]) -> None:
        (self.folder / "frozen.new").write_text("\n".join(words))
        (self.folder / "frozen.new").replace(self.folder / FROZEN)


def start(stack: ExitStack, folder: Path, config: dict[str, Any]) -> Process:
    """A freezable exporter in its folder, its log read through a pipe; it is killed when the stack is closed."""
    (folder / CONFIG).write_text(yaml.safe_dump(config))
    address = f"127.0.0.1:{free_port()}"
    command = [sys.executable, str(ROOT / "tests/support/freezable.py"), "serve", "--config.file", CONFIG]
    command += ["--web.listen-address", address, "--log.level", "debug"]
    reading, writing = os.pipe()
    fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
    with (folder / "out").open("wb") as out, (folder / "err").open("wb") as err:
        started = subprocess.Popen(command, cwd=folder, env=CLEAN_ENVIRONMENT, stdout=out, stderr=writing)
        reader = subprocess.Popen(["cat"], stdin=reading, stdout=err)
    for end in (reading, writing):
        os.close(end)
    running = Running(started, f"http://{address}", folder / "out", folder / "err")
    stack.callback(reader.wait)
    stack.callback(running.kill)
    stack.callback(reader.send_signal, signal.SIGCONT)
    return Process(running, reader, folder)


@dataclass
class Scene:
    """A vendor of two accounts (the far one behind a relay), a feed behind a relay, and a database behind a third."""

    folder: Path
    role: str
    postgres: Postgres | None
    stack: ExitStack
    vendors: dict[str, Simulation] = field(default_factory=dict)
    relays: dict[str, Relay] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in (NEAR, FAR):
            vendor = self.vendors[name] = self.stack.enter_context(Simulation(SimulationOptions(tasks=0, speed=1)))
            for number in range(TASKS):
                vendor.fleet.begin(self.task(name, number), RunPlan(ends=3600.0))
            self.relay(name, int(vendor.url.rpartition(":")[2]))
        if self.postgres:
            self.relay(DATABASE, self.postgres.folder / ".s.PGSQL.5432")
            self.database = self.postgres.database().parts["database"]
        else:
            self.database = ""
        self.leader = self.start(LEADER, self.url(direct=True)) if self.role == STANDBY else None
        self.subject = self.start("subject", self.url(direct=False))
        counter = self.leader or self.subject
        wait_until(lambda: len(counter.samples(STATUS, status="running")) == 2 * TASKS, "all tasks are read")
        if self.leader:
            wait_until(lambda: self.subject.samples("webcast_exporter_leader") == [0.0], "it stands by")

    def relay(self, name: str, server: Path | int) -> None:
        """Open the way to a server."""
        self.relays[name] = Relay(server)
        self.stack.callback(self.relays[name].close)

    def task(self, account: str, number: int) -> TargetId:
        """A task of an account."""
        return TargetId(f"app-{account}", "Room", f"Task{number}")

    def url(self, *, direct: bool) -> str:
        """The state's."""
        if self.postgres is None:
            return "sqlite:///state.db"
        if direct:
            return f"postgresql+psycopg://exporter@localhost/{self.database}?host={self.postgres.folder}"
        return f"postgresql+psycopg://exporter@127.0.0.1:{self.relays[DATABASE].port}/{self.database}"

    def config(self, state: str) -> dict[str, Any]:
        """Both accounts' tasks, those of the near one by HTTP and the others by file, read once a second."""
        accounts: list[dict[str, Any]] = []
        for name, vendor in self.vendors.items():
            keys = {"access_key_id": vendor.credentials.access_key, "secret_access_key": vendor.credentials.secret_key}
            port = self.relays[name].port if name == FAR else int(vendor.url.rpartition(":")[2])
            accounts.append({"name": name, "endpoint": f"http://127.0.0.1:{port}", "timeout": "1s", **keys})
            accounts[-1] |= {"app_ids": [f"app-{name}"]}
        del accounts[1]["secret_access_key"]
        accounts[1]["secret_access_key_file"] = KEY
        return {
            "accounts": accounts,
            "http_sd_configs": [
                {"url": f"http://127.0.0.1:{self.relays[NEAR].port}/targets", "refresh_interval": "1s"}
            ],
            "file_sd_configs": [{"files": [TARGETS], "refresh_interval": "1s"}],
            "polling": {"interval": "1s", "fast_interval": "1s", "max_backoff": "2s", "stale_after": "3s"},
            "callbacks": {"secret_file": SECRET},
            "state": {"url": state},
            "ha": {"enabled": self.role != LONE},
        }

    def start(self, name: str, state: str) -> Process:
        """An exporter in a folder of its own, ready."""
        folder = self.folder / name
        folder.mkdir()
        (folder / TARGETS).write_text(json.dumps([{"targets": [str(self.task(FAR, n)) for n in range(TASKS)]}]))
        for file, text in ((SECRET, CALLBACK_SECRET), (KEY, self.vendors[FAR].credentials.secret_key)):
            (folder / file).touch(0o600)
            (folder / file).write_text(text)
        process = start(self.stack, folder, self.config(state))
        wait_until(lambda: process.running.answers("/-/ready"), f"{name} is ready")
        return process

    @property
    def counting(self) -> Process:
        """The process that reads and counts: of two the one that leads, which a database that comes back may change."""
        both = (self.leader, self.subject) if self.leader else ()
        return next((each for each in both if each.samples(LEADS) == [1.0]), self.leader or self.subject)

    def truth(self) -> dict[str, float]:
        """The runs that have really stopped, by reason."""
        counts: dict[str, float] = {}
        for vendor in self.vendors.values():
            for reason, count in stop_counts(vendor.fleet, int(1000 * time.time())).items():
                counts[reason.value] = counts.get(reason.value, 0) + count
        return {reason: count for reason, count in counts.items() if count}

    def running(self) -> int:
        """How many tasks really run."""
        now = int(1000 * time.time())
        return sum(status_counts(vendor.fleet, now)[Status.RUNNING] for vendor in self.vendors.values())

    def counted(self) -> dict[str, float]:
        """Those that are counted."""
        found = self.counting.running.samples(STOPS)
        counts: dict[str, float] = {}
        for (_, reason), count in found.items():
            counts[reason] = counts.get(reason, 0) + count
        return {reason: count for reason, count in counts.items() if count}


Begin = Callable[[Scene], Callable[[], object]]
"""Begins a silence; what it returns ends it."""


def _server_stops(scene: Scene) -> Callable[[], object]:
    assert scene.postgres is not None
    stack = ExitStack()
    stack.enter_context(stopped(scene.postgres))
    scene.stack.callback(stack.close)
    return stack.close


def _swallows(relay: str) -> Begin:
    def begin(scene: Scene) -> Callable[[], object]:
        scene.relays[relay].silent = True
        return lambda: setattr(scene.relays[relay], "silent", False)

    return begin


def _answers_break_off(scene: Scene) -> Callable[[], object]:
    scene.relays[FAR].most = 100
    return lambda: setattr(scene.relays[FAR], "most", None)


def _hangs(word: str) -> Begin:
    return lambda scene: scene.subject.freeze(word)


def _is_a_pipe(name: str) -> Begin:
    def begin(scene: Scene) -> Callable[[], object]:
        file = scene.subject.folder / name
        file.rename(file.with_name("away"))
        os.mkfifo(file)
        return lambda: file.with_name("away").replace(file)

    return begin


def _log_is_not_read(scene: Scene) -> Callable[[], object]:
    """The pipe is full: a list of bad targets is a line each."""
    scene.subject.reader.send_signal(signal.SIGSTOP)
    file = scene.subject.folder / TARGETS
    groups = json.loads(file.read_text())
    bad = [f"{time.time_ns()}-{number}/{'x' * 200}" for number in range(20)]
    file.write_text(json.dumps([*groups, {"targets": bad}]))
    return lambda: scene.subject.reader.send_signal(signal.SIGCONT)


@dataclass(frozen=True)
class Freeze:
    """One silence: how it begins, the log's words and the metric that say it, and what it stops.

    While it lasts `metric` has a sample with these labels and this `value`; None stands for any but 0. `stale` are the
    accounts whose tasks are not read any more; callbacks are answered with the status `callbacks`.
    """

    name: str
    begin: Begin
    log: str
    metric: str
    labels: tuple[tuple[str, str], ...] = ()
    value: float | None = None
    stale: tuple[str, ...] = ()
    callbacks: int = 200

    def is_said(self, process: Process, before: int) -> bool:
        """Whether metric and log, after so many characters, say what is silent, and since when."""
        values = process.samples(self.metric, **dict(self.labels))
        shown = any(value if self.value is None else value == self.value for value in values)
        return shown and self.log in process.running.written()[before:]


QUEUED = "webcast_state_oldest_queued_timestamp_seconds"
ANSWERED = "webcast_exporter_lease_last_answer_timestamp_seconds"
BLOCKED = "webcast_exporter_log_blocked_since_timestamp_seconds"
FAILED = "webcast_discovery_failures_total"


def _databases(log: str, metric: str) -> tuple[Freeze, ...]:
    ways = {"the database's server is stopped": _server_stops, "the way to the database swallows": _swallows(DATABASE)}
    return tuple(Freeze(name, begin, log, metric, callbacks=503) for name, begin in ways.items())


def _job(name: str, begin: Begin, job: str) -> Freeze:
    return Freeze(name, begin, f'msg="job hangs" job={job}', HUNG, (("job_name", job),))


def _vendor(name: str, begin: Begin) -> Freeze:
    opened = 'msg="circuit open" account=far'
    return Freeze(name, begin, opened, "webcast_api_up", (("account", FAR),), 0.0, stale=(FAR,))


FEED = _job("the list of a URL", _swallows(NEAR), "refresh:http_sd_configs[0]")


@dataclass(frozen=True)
class Group:
    """Silences that one exporter lives through, one after the other and then all at once."""

    name: str
    role: str
    state: str
    freezes: tuple[Freeze, ...]


GROUPS = (
    Group(
        "disk, log and vendor",
        LONE,
        SQLITE,
        (
            Freeze("the state's disk", _hangs(DATABASE), 'msg="state silent"', QUEUED, callbacks=503),
            _vendor("the vendor", _swallows(FAR)),
            _vendor("the vendor in the middle of an answer", _answers_break_off),
            Freeze("the log's reader", _log_is_not_read, "", BLOCKED),
        ),
    ),
    Group(
        "files and lists",
        LONE,
        SQLITE,
        (
            _job("an account's secret file", _hangs(KEY), "watch-files"),
            _job("a list's file", _hangs(TARGETS), "refresh:file_sd_configs[0]"),
            Freeze("a pipe in place of a list's file", _is_a_pipe(TARGETS), 'msg="source failed"', FAILED),
            FEED,
        ),
    ),
    Group("lone over PostgreSQL", LONE, POSTGRESQL, _databases('msg="state ', QUEUED)),
    Group("leader", LEADER, POSTGRESQL, (*_databases('msg="lease unavailable', ANSWERED), FEED)),
    Group(
        "standby",
        STANDBY,
        POSTGRESQL,
        (
            _job("the callbacks' secret file", _hangs(SECRET), "watch-files"),
            # The server last: the standby may lead once it goes on.
            *reversed(_databases('msg="lease unavailable', ANSWERED)),
        ),
    ),
)
