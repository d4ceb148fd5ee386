"""What broke real deployments, as processes: connects that hang, odd clocks, large states, apps that come and go."""

import signal
import socket
import sqlite3
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from functools import partial
from pathlib import Path
from threading import Event, Semaphore
from typing import Any

import httpx
import pytest
import yaml

from exporter.model.target import TargetId
from exporter.simulator.lifecycle import RunPlan
from exporter.simulator.replies import Outcome
from exporter.simulator.server import CALLBACK_SECRET, Simulation, SimulationOptions
from exporter.store.database import open_sqlite
from tests.real.conftest import config_of, wait_until
from tests.support import web_client
from tests.support.freezable import CLOCK, FROZEN, HANGS
from tests.support.freezes import CONFIG, Process, start
from tests.support.loopback import LoopbackServer, silence
from tests.support.relay import Relay
from tests.support.waiting import wait_equal

pytestmark = pytest.mark.real

APP, TASKS = "661e0000000000000000543c", 4
STOPS, STATUS, LISTED = "webcast_run_stops_total", "webcast_task_status", "webcast_targets"
TOKEN = "a-token-of-the-tests"
NOWHERE = "silent.example"
PROBES, PAGES = ("/-/healthy", "/-/ready", "/metrics"), ("/tasks", "/status", "/", "/api/v1/tasks", "/api/v1/targets")
SEARCHES = ("/api/v1/runs?", "/tasks?show=stopped&")
MAX_QPS = 20
PEOPLE, MUTE, LOOKS = 60, 400, 5
SYN_SENT = "02"
KEPT_RUNS = """
WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < 150000)
INSERT INTO runs (app_id, room_id, task_id, first_seen, start, entered, stopped, end_seen, last, earlier)
SELECT 'app', 'Kept', 'Task' || n, unixepoch() - n, 1, 'ended running', 'StopByAPI', unixepoch() - n / 10.0,
       printf('%.900c', 'x'), '' FROM numbers
"""


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    """Closed at the end."""
    with ExitStack() as made:
        yield made


@pytest.fixture
def simulation() -> Iterator[Simulation]:
    """A vendor with tasks that run."""
    with Simulation(SimulationOptions(tasks=0, speed=1)) as made:
        for target in tasks():
            made.fleet.begin(target, RunPlan(ends=3600.0))
        yield made


def tasks(number: int = TASKS) -> list[TargetId]:
    """So many tasks."""
    return [TargetId(APP, "Room", f"Task{each}") for each in range(number)]


def config_with(simulation: Simulation, **sections: Any) -> dict[str, Any]:
    """Its tasks by push or by the sections, read once a second."""
    polling = {"interval": "1s", "fast_interval": "1s", "max_backoff": "2s"}
    own = {"http_sd_configs": [], "polling": polling, "push": {"token_file": "tokens"}}
    return config_of(simulation, **own | {"state": {"url": "sqlite:///state.db"}} | sections)


def started(stack: ExitStack, folder: Path, config: dict[str, Any], wait: str = "/-/ready") -> Process:
    """A freezable exporter that answers there."""
    (folder / "tokens").touch(0o600)
    (folder / "tokens").write_text(TOKEN)
    process = start(stack, folder, config)
    wait_until(lambda: process.running.answers(wait), f"{wait} is answered")
    return process


def push(process: Process, targets: list[str]) -> httpx.Response:
    """Push all of these, and none else."""
    return change_targets(process, "PUT", json=[{"targets": targets}])


def change_targets(process: Process, method: str, path: str = "", **body: Any) -> httpx.Response:
    """One request of the push API."""
    url = f"{process.running.url}/api/v1/targets{path}"
    return web_client.request(method, url, headers={"Authorization": f"Bearer {TOKEN}"}, **body)


def has_answered(simulation: Simulation, calls: int) -> bool:
    """Whether it has answered more calls than that."""
    return len(simulation.calls.log) > calls


def wait_running(process: Process, number: int) -> None:
    """Wait until so many tasks are running."""
    wait_equal(partial(process.total, STATUS, status="running"), number)


@pytest.fixture
def full_port() -> Iterator[int]:
    """A port at which a connect hangs: the queue of its listener is full."""
    with ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        for _ in range(4):
            waiting = stack.enter_context(socket.socket())
            waiting.settimeout(0)
            waiting.connect_ex(listener.getsockname())
        yield listener.getsockname()[1]


def connects_to(port: int) -> bool:
    """Whether a connect to this port waits for an answer."""
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return any(row[2].endswith(f":{port:04X}") and row[3] == SYN_SENT for row in rows)


@pytest.mark.parametrize("what", ["connect", "name resolution", "TLS handshake", "proxy"])
def test_a_stop_while_the_network_hangs(
    stack: ExitStack, simulation: Simulation, tmp_path: Path, full_port: int, what: str
) -> None:
    """Of an account and of a list: exit 0, for the process does not wait for threads that hang."""
    silent = LoopbackServer(silence)
    stack.callback(silent.close)
    url, proxy = {
        "connect": (f"http://127.0.0.1:{full_port}", {}),
        "name resolution": (f"https://{NOWHERE}", {}),
        "TLS handshake": (f"https://127.0.0.1:{silent.port}", {}),
        "proxy": ("https://rtc.example", {"proxy_url": silent.url}),
    }[what]
    config = config_with(simulation, http_sd_configs=[{"url": f"{url}/targets", **proxy}])
    config["accounts"][0] |= {"endpoint": url, "timeout": "60s", **proxy}
    config["static_configs"] = [{"targets": [str(target) for target in tasks()]}]
    (tmp_path / FROZEN).write_text(NOWHERE)
    process = started(stack, tmp_path, config, "/-/healthy")
    hangs = {
        "connect": lambda: connects_to(full_port),
        "name resolution": (tmp_path / HANGS).exists,
        "TLS handshake": silent.accepted.is_set,
        "proxy": silent.accepted.is_set,
    }[what]
    wait_until(hangs, f"{what} hangs")
    assert process.running.end() == 0
    assert "Traceback" not in process.running.written()


@pytest.mark.parametrize("hours", [30 * 24, -73])
def test_a_wall_clock_that_is_wrong_for_a_while(
    stack: ExitStack, simulation: Simulation, tmp_path: Path, hours: int
) -> None:
    """The API refuses the calls; no pushed task is dropped or lost, and once the clock is right all is read again.

    So it is after a start with such a clock: nothing is forgotten that would be counted again.
    """
    (tmp_path / CLOCK).write_text("0")
    (tmp_path / "secret").touch(0o600)
    (tmp_path / "secret").write_text(CALLBACK_SECRET)
    config = config_with(simulation, callbacks={"secret_file": "secret"})
    process = started(stack, tmp_path, config)
    assert push(process, [str(target) for target in tasks()]).status_code == 200
    wait_running(process, TASKS)
    (tmp_path / CLOCK).write_text(str(3600 * hours))
    wait_until(lambda: 'msg="circuit open"' in process.running.written(), "the API refuses")
    assert process.running.get("/-/healthy").status_code == 200
    assert process.call_back(tasks()[1], 1) == (503 if hours < 0 else 200), "none is stale by such a clock"
    (tmp_path / CLOCK).write_text("0")
    refused = len(simulation.calls.log)
    wait_until(lambda: len(simulation.calls.log) >= refused + 2 * TASKS, "they are read again")
    wait_running(process, TASKS)
    assert (process.total(STOPS), process.total(LISTED, source="push")) == (0, TASKS)
    assert process.call_back(tasks()[1], 1) == 200
    assert process.total("webcast_page_refreshes_total") == 1
    assert {call.outcome for call in simulation.calls.log[-TASKS:]} == {Outcome.ANSWERED}
    simulation.fleet.stop(tasks()[0])
    wait_equal(partial(process.total, STOPS), 1)
    assert process.running.end() == 0

    (tmp_path / CLOCK).write_text(str(3600 * hours))
    process = started(stack, tmp_path, config)
    wait_until(lambda: 'msg="circuit open"' in process.running.written(), "the API refuses")
    (tmp_path / CLOCK).write_text("0")
    wait_running(process, TASKS - 1)
    assert change_targets(process, "POST", json=[{"targets": [str(tasks()[0])]}]).status_code == 200
    refused = len(simulation.calls.log)
    wait_until(lambda: len(simulation.calls.log) >= refused + 2 * TASKS, "the stopped one is read again too")
    assert (process.total(STOPS), process.total(LISTED, source="push")) == (1, TASKS)
    assert process.running.end() == 0


def test_a_state_of_150_000_runs(stack: ExitStack, simulation: Simulation, tmp_path: Path) -> None:
    """A start, reloads, a list of 600 new targets and searches look none of them through: it is healthy meanwhile.

    A restart without a drain counts no run as unseen of a list that is read again, or of one that does not answer yet.
    """
    open_sqlite(tmp_path / "state.db").close()
    with closing(sqlite3.connect(tmp_path / "state.db")) as state:
        state.execute(KEPT_RUNS)
        state.commit()
    targets = tmp_path / "targets.yml"
    targets.write_text(yaml.safe_dump([{"targets": [str(target) for target in tasks()]}]))
    files = [{"files": ["targets.yml"], "refresh_interval": "1s"}]
    feed = Relay(int(simulation.url.rpartition(":")[2]))
    stack.callback(feed.close)
    urls = [{"url": f"http://127.0.0.1:{feed.port}/targets", "refresh_interval": "1s"}]
    config = config_with(simulation, file_sd_configs=files, http_sd_configs=urls, lifecycle={"drain": "0s"})
    simulation.fleet.begin(TargetId(APP, "Feed", "Task"), RunPlan(ends=3600.0))
    process = started(stack, tmp_path, config)
    wait_running(process, TASKS + 1)
    targets.write_text(yaml.safe_dump([{"targets": [str(target) for target in tasks(600)]}]))
    for number in range(3):
        reads = len(simulation.calls.log)
        assert process.running.get("/-/reload").status_code == 405
        reloaded = web_client.post(f"{process.running.url}/-/reload")
        found = [process.running.get(f"{path}q=Task{number}").status_code for path in SEARCHES]
        assert [reloaded.status_code, process.running.get("/-/healthy").status_code] == [200, 200]
        assert set(found) <= {200, 503}
        wait_until(partial(has_answered, simulation, reads + 10), "reads go on")
    wait_until(lambda: process.total(LISTED, source="file") == 600, "all are listed")
    assert process.running.get("/api/v1/runs?q=%00").status_code in {200, 400}
    assert process.total("webcast_state_write_failures_total") == 0
    process.running.kill()
    feed.silent = True
    process = started(stack, tmp_path, config, "/metrics")
    wait_running(process, TASKS + 1)
    assert (process.total("webcast_run_ends_unseen_total"), process.total(STOPS)) == (0, 0)
    assert process.running.end() == 0


def test_kills_and_reloads_in_turn(stack: ExitStack, simulation: Simulation, tmp_path: Path) -> None:
    """Nothing is lost or doubled, whatever each process was just doing."""
    process = started(stack, tmp_path, config_with(simulation), "/metrics")
    assert push(process, [str(target) for target in tasks()]).status_code == 200
    for number in range(TASKS):
        wait_running(process, TASKS - number)
        for seconds in range(3):
            (tmp_path / CONFIG).write_text(
                yaml.safe_dump(config_with(simulation, lifecycle={"linger": f"1{seconds}m"}))
            )
            process.running.process.send_signal(signal.SIGHUP)
        simulation.fleet.stop(tasks()[number])
        process.running.kill()
        process = started(stack, tmp_path, config_with(simulation), "/metrics")
    wait_equal(partial(process.total, STOPS), TASKS)
    reads = len(simulation.calls.log)
    wait_until(lambda: process.total("webcast_tasks", status="ended") == TASKS, "all are shown")
    assert process.total(STOPS) == TASKS
    assert len(simulation.calls.log) >= reads
    assert process.running.end() == 0


def test_what_comes_and_goes_leaves_no_series(stack: ExitStack, simulation: Simulation, tmp_path: Path) -> None:
    """Wrong app ids that are pushed and withdrawn, an account that gets another name, and no second budget with it.

    A task that is drained can be removed, and a shorter linger reaches one that has stopped.
    """
    config = config_with(simulation)
    config["accounts"][0]["max_qps"] = MAX_QPS
    process = started(stack, tmp_path, config)
    assert push(process, [str(target) for target in tasks()]).status_code == 200
    wait_running(process, TASKS)
    wrong = [f"wrong-{number}/Room/Task" for number in range(100)]
    assert push(process, [*wrong, *(str(target) for target in tasks())]).status_code == 200
    wait_until(lambda: process.running.get("/metrics").text.count("wrong-") > 1000, "they have series")
    unknown = [f"{APP}/Room/Unknown{number}" for number in range(2 * MAX_QPS)]
    assert push(process, [*unknown, *(str(target) for target in tasks())]).status_code == 200
    wait_until(lambda: "wrong-" not in process.running.get("/metrics").text, "their series are gone")
    config["accounts"][0]["name"] = "renamed"
    config["lifecycle"] = {"linger": "1s"}
    (tmp_path / CONFIG).write_text(yaml.safe_dump(config))
    simulation.fleet.stop(tasks()[0])
    wait_equal(partial(process.total, STATUS, status="ended"), 1)
    process.running.process.send_signal(signal.SIGHUP)
    wait_until(lambda: process.samples("webcast_api_up", account="renamed") == [1.0], "the new name reads")
    assert 'account="default"' not in process.running.get("/metrics").text
    wait_until(lambda: process.samples(STATUS, task_id=tasks()[0].task_id) == [], "what had stopped lingers no more")
    assert push(process, [str(target) for target in tasks()[2:]]).status_code == 200
    wait_running(process, TASKS - 1)
    assert change_targets(process, "DELETE", f"/{tasks()[1]}?now=true").status_code == 200
    wait_running(process, TASKS - 2)
    assert max(Counter(call.signed for call in simulation.calls.log).values()) < 1.5 * MAX_QPS
    assert process.running.end() == 0


def test_a_crowd_keeps_no_probe_and_no_scrape_waiting(stack: ExitStack, simulation: Simulation, tmp_path: Path) -> None:
    """60 people who look at pages again and again, half with gzip, and 400 clients who read no answer."""
    targets = [TargetId(APP, "Room", f"Task{number}") for number in range(1000)]
    process = started(stack, tmp_path, config_with(simulation))
    assert push(process, [str(target) for target in targets]).status_code == 200
    host, port = process.running.url.removeprefix("http://").split(":")
    over, seen = Event(), Semaphore(0)

    def look(headers: dict[str, str]) -> None:
        with web_client.client(process.running.url, headers=headers) as client:
            while not over.is_set():
                assert {client.get(path).status_code for path in PAGES} <= {200, 503}
                seen.release()

    for _ in range(MUTE):
        mute = stack.enter_context(socket.create_connection((host, int(port)), 60))
        mute.sendall(b"GET /metrics HTTP/1.1\r\nHost: mute\r\n\r\n" * 3)
    with ThreadPoolExecutor(PEOPLE) as pool:
        encodings: tuple[dict[str, str], ...] = ({}, {"Accept-Encoding": "identity"})
        people = [pool.submit(look, encodings[number % 2]) for number in range(PEOPLE)]
        try:
            for _ in range(LOOKS):
                assert [process.running.get(path).status_code for path in PROBES] == [200] * len(PROBES)
            assert all(seen.acquire(timeout=60) for _ in people), "they look meanwhile"
        finally:
            over.set()
        assert [each.exception() for each in people] == [None] * PEOPLE
    assert process.running.end() == 0
