"""Processes that share a PostgreSQL state, also a large one: one reads, and nothing accepted is lost."""

import signal
import socket
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
import sqlalchemy as sa
import yaml

from exporter.model.target import TargetId
from exporter.simulator.lifecycle import STARTED, CallbackEvent, RunPlan, callback_payload
from exporter.simulator.server import CALLBACK_SECRET, Simulation, SimulationOptions
from exporter.store.schema import prepare
from tests.real.conftest import config_of
from tests.support import web_client
from tests.support.waiting import wait_equal

if TYPE_CHECKING:
    from tests.real.conftest import Running, StartExporter
    from tests.support.postgresql import Postgres

pytestmark = pytest.mark.real

APP = "661e0000000000000000543c"
STOPS, LEADER, FAILURES = "webcast_run_stops_total", "webcast_exporter_leader", "webcast_state_write_failures_total"
TASKS, LIMIT = 20, 120
TOKEN = "a-token-of-the-tests"

Wait = Callable[..., None]
Change = Callable[[], None]


def config_with(simulation: Simulation, url: str, *, ha: bool = True) -> dict[str, Any]:
    """Its tasks, read once a second; pushes and callbacks are taken."""
    sections = {"push": {"token_file": "tokens"}, "callbacks": {"secret_file": "secret"}}
    return config_of(simulation, **sections, state={"url": url}, ha={"enabled": ha})


def write_secrets(folder: Path, secret: str = CALLBACK_SECRET) -> Path:
    """The folder of one process."""
    folder.mkdir()
    for name, text in (("tokens", TOKEN), ("secret", secret)):
        (folder / name).write_text(text)
        (folder / name).chmod(0o600)
    return folder


def says(running: "Running", name: str) -> float:
    """The sum of a family's samples."""
    return sum(running.samples(name).values())


def leaders(replicas: list["Running"]) -> list["Running"]:
    """Those that say that they lead."""
    return [each for each in replicas if says(each, LEADER) == 1]


def call_back(running: "Running", target: TargetId, number: int, secret: str = CALLBACK_SECRET) -> int:
    """The status with which one callback is answered."""
    event = CallbackEvent(target, int(1000 * time.time()), STARTED, "", f"evt-{number}")
    body = callback_payload(event, secret, "4821")
    return web_client.post(f"{running.url}/callback", content=body).status_code


@pytest.fixture
def simulation() -> Iterator[Simulation]:
    """A vendor with tasks that run."""
    with Simulation(SimulationOptions(tasks=0, speed=1)) as made:
        for number in range(TASKS):
            made.fleet.begin(TargetId(APP, "Room", f"Task{number}"), RunPlan(ends=3600.0))
        yield made


def test_a_standby_with_another_secret_file(
    tmp_path: Path, postgres: "Postgres", simulation: Simulation, start_exporter: "StartExporter", wait: Wait
) -> None:
    """A callback that it answered with 200 is applied, whatever the leader's file says; no secret is in the queue.

    What it cannot have ends it at no time: a taken address at a reload, a database that only reads, and at a take-over
    a file of secrets. Each connection of both has the options of the state's URL.
    """
    url = postgres.database()
    config = config_with(simulation, f"{url.whole}&application_name=of-the-url")
    leader = start_exporter(write_secrets(tmp_path / "leader"), config)
    wait(lambda: says(leader, LEADER) == 1, "the first leads", LIMIT)
    standby = start_exporter(write_secrets(tmp_path / "standby", "the-next-secret"), config)
    bodies: list[str] = []
    with psycopg.connect(host=str(postgres.folder), user="exporter", dbname=url.parts["database"]) as other:
        other.execute("BEGIN")
        other.execute("LOCK TABLE heard_callbacks IN ACCESS EXCLUSIVE MODE NOWAIT")
        other.rollback()
        for number in range(3):
            target = TargetId(APP, "Called", f"Task{number}")
            simulation.fleet.begin(target, RunPlan(ends=3600.0))
            assert call_back(standby, target, number, "the-next-secret") == 200
            bodies += [row[0] for row in other.execute("SELECT body FROM inbox").fetchall()]
            other.rollback()
    wait(lambda: leader.samples("webcast_targets")["callback",] == 3, "the leader has them", LIMIT)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        config["callbacks"] = {"secret_file": "secret", "listen_address": address}
        (tmp_path / "standby" / "webcast-exporter.yml").write_text(yaml.safe_dump(config))
        standby.process.send_signal(signal.SIGHUP)
        wait(lambda: "configuration not reloaded" in standby.written(), "the reload is refused", LIMIT)
        assert standby.get("/-/healthy").status_code == 200
    assert not any("EventData" in body or "Signature" in body or "Nonce" in body for body in bodies)

    name = url.parts["database"]
    with psycopg.connect(host=str(postgres.folder), user="exporter", dbname="postgres", autocommit=True) as other:
        sessions = "FROM pg_stat_activity WHERE datname = %s"
        names = {row[0] for row in other.execute(f"SELECT application_name {sessions}", [name])}
        assert names == {"of-the-url"}
        for read_only, number in (("on", 0), ("off", 1)):
            other.execute(f'ALTER DATABASE "{name}" SET default_transaction_read_only = {read_only}'.encode())
            other.execute(f"SELECT pg_terminate_backend(pid) {sessions}", [name])
            wait(lambda number=number: len(leaders([leader, standby])) == number, f"{number} lead", LIMIT)
            wait(lambda: leader.answers("/-/ready") and standby.answers("/-/ready"), "both are ready", LIMIT)

    both = {"leader": leader, "standby": standby}
    last, successor = sorted(both, key=lambda name: says(both[name], LEADER), reverse=True)
    secret = tmp_path / successor / "secret"
    text = secret.read_text()
    secret.write_text("")
    assert both[last].end() == 0
    wait(lambda: "take-over failed" in both[successor].written(), "it cannot lead", LIMIT)
    assert (says(both[successor], LEADER), both[successor].get("/-/ready").status_code) == (0, 200)
    secret.write_text(text)
    wait(lambda: says(both[successor], LEADER) == 1, "it leads", LIMIT)
    assert both[successor].end() == 0


KEPT_RUNS = """
INSERT INTO runs (app_id, room_id, task_id, first_seen, start, entered, stopped, end_seen, last, earlier)
SELECT 'app', 'Kept', 'Task' || number, extract(epoch from now()) - number, 1, 'ended running', 'StopByAPI',
       extract(epoch from now()) - number / 10.0, repeat('x', 900), ''
FROM generate_series(1, 150000) AS number
"""


def test_20_000_targets_by_one_push(
    tmp_path: Path, postgres: "Postgres", simulation: Simulation, start_exporter: "StartExporter", wait: Wait
) -> None:
    """To each replica, beside 150,000 kept runs: the leader keeps its lease, over a reload too, and has them all.

    A search that the database refuses is no failed write, and a callback after it is accepted.
    """
    url = postgres.database()
    config = config_with(simulation, url.whole)
    engine = sa.create_engine(url.whole)
    with engine.begin() as connection:
        prepare(connection, "", lambda: None)
        connection.execute(sa.text(KEPT_RUNS))
    engine.dispose()
    leader = start_exporter(write_secrets(tmp_path / "leader"), config)
    wait(lambda: says(leader, LEADER) == 1, "the first leads", LIMIT)
    standby = start_exporter(write_secrets(tmp_path / "standby"), config)
    for replica, number in ((leader, 20_000), (standby, 19_999)):
        answer = web_client.request(
            "PUT",
            f"{replica.url}/api/v1/targets",
            json=[{"targets": [f"{APP}/Pushed{number}/Task{each}" for each in range(number)]}],
            headers={"Authorization": f"Bearer {TOKEN}"},
        )
        assert answer.json() == {"status": "success", "data": {"accepted": number}}
        wait_equal(lambda: leader.samples("webcast_targets").get(("push",)), number, LIMIT)
        reads = len(simulation.calls.log)
        wait(lambda reads=reads: len(simulation.calls.log) > reads + 50, "reading goes on", LIMIT)
    assert web_client.post(f"{leader.url}/-/reload").status_code == 200
    assert (leaders([leader, standby]), "lease lost" in leader.written()) == ([leader], False)
    failures = says(leader, FAILURES)
    assert leader.get("/api/v1/runs?since=0&q=%00").status_code in {200, 400}
    assert says(leader, FAILURES) == failures
    for replica in (leader, standby):
        wait_equal(partial(call_back, replica, TargetId(APP, "Room", "Task0"), 0), 200)
    assert [each.end() for each in (standby, leader)] == [0, 0]


def test_the_second_takes_over_from_a_killed_one(
    tmp_path: Path, postgres: "Postgres", start_exporter: "StartExporter", wait: Callable[..., None]
) -> None:
    """Within 5 s, and every counter goes on from where it stood."""
    with Simulation(SimulationOptions(tasks=0, speed=1)) as simulation:
        for number in range(20):
            simulation.fleet.begin(TargetId(APP, "Room", f"Task{number}"), RunPlan(ends=1.0 if number < 10 else 3600.0))
        config = config_of(simulation, state={"url": postgres.database().whole})
        first = start_exporter(tmp_path / "first", config)
        wait(lambda: says(first, STOPS) == 10, "the first has counted ten")
        second = start_exporter(tmp_path / "second", config, wait="")
        wait(lambda: "waiting for another process to release the state" in second.written(), "the second waits")
        first.kill()
        for number in range(10, 15):
            simulation.fleet.stop(TargetId(APP, "Room", f"Task{number}"))
        wait(lambda: second.answers("/metrics"), "the second has taken over")
        assert says(second, STOPS) >= 10
        wait(lambda: says(second, STOPS) == 15, "it has counted all")
        assert second.end() == 0


def test_one_whose_session_another_has_ends(
    tmp_path: Path, postgres: "Postgres", start_exporter: "StartExporter", wait: Callable[..., None]
) -> None:
    """It says so, with exit code 1, and the other counts on alone; a password is in no line."""
    with Simulation(SimulationOptions(tasks=3, speed=1)) as simulation:
        url = postgres.database().whole.replace("exporter@", "exporter:hunter2@")
        config = config_of(simulation, state={"url": url})
        first = start_exporter(tmp_path / "first", config)
        second = start_exporter(tmp_path / "second", config, wait="")
        wait(lambda: "waiting for another process to release the state" in second.written(), "the second waits")
        first.process.send_signal(signal.SIGSTOP)
        with psycopg.connect(
            sa.make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
        ) as other:
            other.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE application_name = 'webcast-exporter' AND datname = current_database()"
            )
        wait(lambda: second.answers("/metrics"), "the second has taken over")
        first.process.send_signal(signal.SIGCONT)
        assert first.process.wait(timeout=60) == 1
        assert "another process has it by now" in first.written()
        assert second.end() == 0
        assert "hunter2" not in first.written() + second.written()
