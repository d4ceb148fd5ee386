"""The freeze harness: exporters in each role, everything that they depend on, and each of it ceasing to answer.

`Scene` runs the processes; `WAVES` is the table of what is silent when. tests/real/test_freezes.py asserts.
"""

import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
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
from tests.support.waiting import wait_equal

CONFIG, TARGETS, SECRET, KEY = "webcast-exporter.yml", "targets.json", "callback-secret", "far-key"
NEAR, FAR, FEED = "near", "far", "feed"
ACCOUNTS = (NEAR, FAR)
TASKS = 5
PIPE_BYTES = 4096
LONE, LONE_ON_SERVER, LEADER, STANDBY = "lone", "lone-on-server", "leader", "standby"
PROCESSES = (LONE, LONE_ON_SERVER, LEADER, STANDBY)
REPLICAS = (LEADER, STANDBY)
STOPS, REFRESHES = "webcast_run_stops_total", "webcast_page_refreshes_total"
STATUS, LEADS = "webcast_task_status", "webcast_exporter_leader"
EARLIER = 5.0
"""Seconds before a silence: the last answer may be as old when it begins."""


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
            with suppress(ProcessLookupError):  # a session that has ended since, as the server had been woken before
                os.kill(number, signal.SIGCONT)


@dataclass(frozen=True)
class Process:
    """A started exporter, the reader of its log, and its ways to servers."""

    running: Running
    reader: subprocess.Popen[bytes]
    folder: Path
    relays: Mapping[str, Relay] = field(default_factory=dict)

    def samples(self, name: str, **labels: str) -> list[float]:
        """The values of a family's samples with these labels, among others."""
        wanted = [f'{label}="{value}"' for label, value in labels.items()]
        lines = (
            line
            for line in self.running.get(f"/metrics?name[]={name}").text.splitlines()
            if line.startswith((f"{name}{{", f"{name} "))
        )
        return [float(line.rpartition(" ")[2]) for line in lines if all(label in line for label in wanted)]

    def total(self, name: str, **labels: str) -> float:
        """The sum of them."""
        return sum(self.samples(name, **labels))

    @property
    def leads(self) -> bool:
        """Whether it says so."""
        return self.samples(LEADS) == [1.0]

    def has_lease_answer(self, after: float) -> bool:
        """Whether the database has answered about the lease since `after`, if there is one."""
        found = self.samples(ANSWERED)
        return bool(found or DATABASE not in self.relays) and all(moment > after for moment in found)

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

    def fill_log(self) -> Callable[[], None]:
        """From now on the log's pipe is full and nobody reads it, until what is returned is called."""
        self.reader.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, self.reader.pid, os.WSTOPPED)
        pipe = os.open(f"/proc/{self.running.process.pid}/fd/2", os.O_WRONLY | os.O_NONBLOCK)
        for size in (PIPE_BYTES, 64, 1):
            with suppress(BlockingIOError):
                while True:
                    os.write(pipe, b"\n" * size)
        os.close(pipe)
        return lambda: self.reader.send_signal(signal.SIGCONT)

    @property
    def _frozen(self) -> set[str]:
        file = self.folder / FROZEN
        return set(file.read_text().split()) if file.exists() else set()

    def _set_frozen(self, words: set[str]) -> None:
        (self.folder / "frozen.new").write_text("\n".join(words))
        (self.folder / "frozen.new").replace(self.folder / FROZEN)


def start(stack: ExitStack, folder: Path, config: dict[str, Any], relays: Mapping[str, Relay] | None = None) -> Process:
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
    return Process(running, reader, folder, relays or {})


class Scene:
    """The processes of each role over a vendor of two accounts; each has ways of its own to it, its feed and its state.

    The near account's tasks are listed by HTTP, the far one's by a file. Two lone exporters have a state of their own
    each, a file and a database; the replicas share one.
    """

    def __init__(self, folder: Path, postgres: Postgres, stack: ExitStack) -> None:
        self.folder = folder
        self.postgres = postgres
        self.stack = stack
        self.vendors: dict[str, Simulation] = {}
        for name in ACCOUNTS:
            vendor = self.vendors[name] = stack.enter_context(Simulation(SimulationOptions(tasks=0, speed=1)))
            for number in range(TASKS):
                vendor.fleet.begin(self.task(name, number), RunPlan(ends=3600.0))
        alone, shared = (postgres.database().parts["database"] for _ in range(2))
        databases = {LONE: "", LONE_ON_SERVER: alone, LEADER: shared, STANDBY: shared}
        self.processes: dict[str, Process] = {}
        for name in (LONE, LONE_ON_SERVER, LEADER):
            self._start(name, databases[name])
        self._wait_ready()
        wait_until(lambda: self.processes[LEADER].leads, "the leader leads")
        self._start(STANDBY, databases[STANDBY])
        self._wait_ready()
        wait_until(partial(self.processes[STANDBY].has_lease_answer, time.time()), "the standby asks for the lease")
        assert not self.processes[STANDBY].leads
        for name in (LONE, LONE_ON_SERVER, LEADER):
            wait_equal(partial(self.processes[name].total, STATUS, status="running"), 2 * TASKS)

    def _wait_ready(self) -> None:
        for name, process in self.processes.items():
            wait_until(partial(process.running.answers, "/-/ready"), f"{name} is ready")

    def task(self, account: str, number: int) -> TargetId:
        """A task of an account."""
        return TargetId(f"app-{account}", "Room", f"Task{number}")

    def counting(self, name: str) -> Process:
        """The process that counts for the state of this one: of replicas, the one that leads."""
        replicas = [self.processes[each] for each in REPLICAS] if name in REPLICAS else []
        return next((each for each in replicas if each.leads), self.processes[name])

    def counted(self, name: str) -> dict[str, float]:
        """The stopped runs that are counted in the state of this process, by reason."""
        counts: dict[str, float] = {}
        for (_, reason), count in self.counting(name).running.samples(STOPS).items():
            counts[reason] = counts.get(reason, 0) + count
        return {reason: count for reason, count in counts.items() if count}

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

    def _start(self, name: str, database: str) -> None:
        ports = {name: int(vendor.url.rpartition(":")[2]) for name, vendor in self.vendors.items()}
        servers: dict[str, Path | int] = {**ports, FEED: ports[NEAR]}
        if database:
            servers[DATABASE] = self.postgres.folder / ".s.PGSQL.5432"
        relays = {server: Relay(way) for server, way in servers.items()}
        for relay in relays.values():
            self.stack.callback(relay.close)
        folder = self.folder / name
        folder.mkdir()
        (folder / TARGETS).write_text(json.dumps([{"targets": [str(self.task(FAR, n)) for n in range(TASKS)]}]))
        for file, text in ((SECRET, CALLBACK_SECRET), (KEY, self.vendors[FAR].credentials.secret_key)):
            (folder / file).touch(0o600)
            (folder / file).write_text(text)
        config = self._config({server: f"127.0.0.1:{relay.port}" for server, relay in relays.items()}, database)
        config["ha"] = {"enabled": name in REPLICAS}
        self.processes[name] = start(self.stack, folder, config, relays)

    def _config(self, addresses: Mapping[str, str], database: str) -> dict[str, Any]:
        """Everything is read once a second."""
        accounts: list[dict[str, Any]] = []
        for name, vendor in self.vendors.items():
            account = {"name": name, "endpoint": f"http://{addresses[name]}", "timeout": "1s"}
            keys = {"access_key_id": vendor.credentials.access_key, "secret_access_key": vendor.credentials.secret_key}
            accounts.append({**account, **keys, "app_ids": [f"app-{name}"]})
        del accounts[1]["secret_access_key"]
        accounts[1]["secret_access_key_file"] = KEY
        url = f"postgresql+psycopg://exporter@{addresses[DATABASE]}/{database}" if database else "sqlite:///state.db"
        return {
            "accounts": accounts,
            "http_sd_configs": [{"url": f"http://{addresses[FEED]}/targets", "refresh_interval": "1s"}],
            "file_sd_configs": [{"files": [TARGETS], "refresh_interval": "1s"}],
            "polling": {"interval": "1s", "fast_interval": "1s", "max_backoff": "2s", "stale_after": "3s"},
            "callbacks": {"secret_file": SECRET},
            "state": {"url": url},
        }


Begin = Callable[[Scene, Process], Callable[[], object]]
"""Begins a silence for a process; what it returns ends it."""


def _server_stops(scene: Scene, _process: Process) -> Callable[[], object]:
    stack = ExitStack()
    stack.enter_context(stopped(scene.postgres))
    scene.stack.callback(stack.close)
    return stack.close


def _swallows(relay: str) -> Begin:
    def begin(_scene: Scene, process: Process) -> Callable[[], object]:
        process.relays[relay].silent = True
        return lambda: setattr(process.relays[relay], "silent", False)

    return begin


def _answers_break_off(_scene: Scene, process: Process) -> Callable[[], object]:
    process.relays[FAR].most = 100
    return lambda: setattr(process.relays[FAR], "most", None)


def _hangs(word: str) -> Begin:
    return lambda _, process: process.freeze(word)


def _becomes_a_pipe(_scene: Scene, process: Process) -> Callable[[], object]:
    file = process.folder / TARGETS
    file.rename(file.with_name("away"))
    os.mkfifo(file)
    return lambda: file.with_name("away").replace(file)


@dataclass(frozen=True)
class Freeze:
    """One silence of a dependency: how it begins, the log's words and the metrics that say it, and what it stops.

    While it lasts `metric` has a sample with these labels and this `value`; None stands for any but 0. Of the metric
    `since` a sample with these labels is the moment at which the silence began. `stale` are the accounts whose tasks
    are not read any more; with `state` the state cannot be used.
    """

    dependency: str
    begin: Begin
    log: str
    metric: str
    labels: tuple[tuple[str, str], ...] = ()
    value: float | None = None
    since: str = ""
    stale: tuple[str, ...] = ()
    state: bool = False

    def is_shown(self, process: Process, begun: float) -> bool:
        """Whether metrics say what is silent, and since when; it has `begun` at these Unix seconds."""
        values = process.samples(self.metric, **dict(self.labels))
        moments = process.samples(self.since or self.metric, **dict(self.labels))
        shown = any(value if self.value is None else value == self.value for value in values)
        return shown and any(begun - EARLIER <= moment <= time.time() for moment in moments)

    def is_logged(self, process: Process, written: int) -> bool:
        """Whether the log, after so many characters, says what is silent."""
        return self.log in process.running.written()[written:]


QUEUED = "webcast_state_oldest_queued_timestamp_seconds"
ANSWERED = "webcast_exporter_lease_last_answer_timestamp_seconds"
BLOCKED = "webcast_exporter_log_blocked_since_timestamp_seconds"
HUNG = "webcast_exporter_hung_job_start_timestamp_seconds"
FAILED, LISTED = "webcast_discovery_failures_total", "webcast_discovery_last_success_timestamp_seconds"
UP, DUE = "webcast_api_up", "webcast_poll_oldest_due_timestamp_seconds"

SERVER = "the database's server, stopped"
WAY = "the way to the database, which swallows"
DISK = "the disk"
LOG = "the reader of the log"
SECRETS = "a file of secrets"
LIST_FILE = "a list's file"
VENDOR = "the vendor"
FEEDS = "a list's URL"
DEPENDENCIES = (SERVER, WAY, DISK, LOG, SECRETS, LIST_FILE, VENDOR, FEEDS)


def _job(dependency: str, begin: Begin, job: str) -> Freeze:
    return Freeze(dependency, begin, f'msg="job hangs" job={job}', HUNG, (("job_name", job),))


def _vendor(begin: Begin) -> Freeze:
    opened = 'msg="circuit open" account=far'
    return Freeze(VENDOR, begin, opened, UP, (("account", FAR),), 0.0, since=DUE, stale=(FAR,))


server = Freeze(SERVER, _server_stops, 'msg="lease unavailable', ANSWERED, state=True)
way = Freeze(WAY, _swallows(DATABASE), 'msg="lease unavailable', ANSWERED, state=True)
disk = Freeze(DISK, _hangs(DATABASE), 'msg="state silent"', QUEUED, state=True)
log = Freeze(LOG, lambda _, process: process.fill_log(), 'msg="log was blocked"', BLOCKED)
key = _job(SECRETS, _hangs(KEY), "watch-files")
secret = _job(SECRETS, _hangs(SECRET), "watch-files")
list_file = _job(LIST_FILE, _hangs(TARGETS), "refresh:file_sd_configs[0]")
pipe = Freeze(LIST_FILE, _becomes_a_pipe, 'msg="source failed"', FAILED, (("source", "file"),), since=LISTED)
vendor = _vendor(_swallows(FAR))
half_answers = _vendor(_answers_break_off)
feed = _job(FEEDS, _swallows(FEED), "refresh:http_sd_configs[0]")

WAVES: tuple[Mapping[str, tuple[Freeze, ...]], ...] = (
    {LONE: (key, list_file, feed, log), LONE_ON_SERVER: (way,), LEADER: (vendor, pipe, secret), STANDBY: (way,)},
    {LONE: (vendor, pipe, secret), LEADER: (half_answers, key, list_file, feed, log), STANDBY: (secret, log)},
    {LONE: (disk,), LEADER: (way,)},
    {LONE_ON_SERVER: (server,), LEADER: (server,), STANDBY: (server,)},
)
"""What is silent at the same time, by process. In the third wave the standby takes over."""

MEANINGLESS = {
    (LEADER, DISK): "its state is in the database; its files are those of secrets and lists",
    (STANDBY, DISK): "its state is in the database; its files are those of secrets",
    (STANDBY, LIST_FILE): "it reads no list",
    (STANDBY, FEEDS): "it reads no list",
    (STANDBY, VENDOR): "it calls no API",
}
"""By process: the dependencies that it does not have."""
