"""Two replicas over one PostgreSQL, at debug: no secret is in a table, a log line or an answer."""

import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
import pytest
import yaml

from exporter.config.fields import StateUrl
from exporter.simulator.lifecycle import callback_payload
from exporter.simulator.server import Simulation, SimulationOptions
from tests.canary import given
from tests.canary.visit import EVENT, pages
from tests.real.conftest import CLEAN_ENVIRONMENT, Running, free_port, start, wait_until
from tests.support import web_client

if TYPE_CHECKING:
    from tests.support.postgresql import Postgres

pytestmark = pytest.mark.real

STATE_PASSWORD = "canary@in#the?state:%/\u5bc6"
ENCODED = "canary%40in%23the%3Fstate:%25%2F\u5bc6"
PROXY_PASSWORD = "canary-in-a-proxy-of-the-environment"
WORDS = (
    *(given.PUSH_TOKEN, given.CALLBACK_SECRET, given.EVENT_DATA, given.GUESSED, given.FEED_QUERY, given.MISPLACED),
    *(STATE_PASSWORD, ENCODED, PROXY_PASSWORD, "in#the?state", "in%23the"),
)
TABLES = ("meta", "runs", "totals", "pushed_targets", "heard_callbacks", "inbox", "queued")
KEEP_QUEUED = """
CREATE TABLE queued AS SELECT * FROM inbox;
CREATE FUNCTION keep_queued() RETURNS trigger LANGUAGE plpgsql
    AS 'BEGIN INSERT INTO queued SELECT NEW.*; RETURN NEW; END';
CREATE TRIGGER keep_queued BEFORE INSERT ON inbox FOR EACH ROW EXECUTE FUNCTION keep_queued();
"""
"""The leader deletes what it has applied."""


@dataclass
class Replicas:
    """Two exporters, where their state is, and what they answered."""

    leader: Running
    standby: Running
    database: str
    answers: list[str] = field(default_factory=list)
    rows: dict[str, str] = field(default_factory=dict)

    def ask(self, running: Running, method: str, path: str, token: str = "", **how: object) -> int:
        """One request; its status."""
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        answer = web_client.request(method, running.url + path, headers=headers, **how)
        self.answers.append(f"{method} {path} {answer.status_code} {answer.headers} {answer.text}")
        return answer.status_code

    def dump(self) -> None:
        """Keep all rows of all tables."""
        with psycopg.connect(self.database) as connection:
            for table in TABLES:
                rows = connection.execute(f"SELECT * FROM {table}".encode()).fetchall()
                self.rows[table] = "\n".join(map(str, rows))


def config_of(simulation: Simulation, state: StateUrl) -> dict[str, object]:
    """Every section with a secret. The second feed's host is reached by the environment's proxy."""
    credentials = simulation.credentials
    keys = {"access_key_id": credentials.access_key, "secret_access_key": credentials.secret_key}
    query = f"?token={given.FEED_QUERY}"
    return {
        "accounts": [{"name": "default", "endpoint": simulation.url, **keys}],
        "http_sd_configs": [
            {"url": f"{simulation.url}/targets{query}", "refresh_interval": "1s"},
            {"url": f"http://lists.invalid/x{query}", "refresh_interval": "1s"},
        ],
        "polling": {"interval": "1s", "fast_interval": "1s"},
        "push": {"token_file": "tokens"},
        "callbacks": {"secret_file": "secrets", "max_age": "10y"},
        "state": {"url": state.whole.replace("exporter@", f"exporter:{ENCODED}@")},
        "ha": {"enabled": True},
    }


def start_replica(stack: ExitStack, folder: Path, config: dict[str, object]) -> Running:
    """One process at debug, behind a proxy that cannot be reached."""
    folder.mkdir()
    secrets = {"tokens": given.PUSH_TOKEN, "secrets": given.CALLBACK_SECRET}
    for name, text in {**secrets, "webcast-exporter.yml": yaml.safe_dump(config)}.items():
        (folder / name).touch(0o600)
        (folder / name).write_text(text)
    proxy = f"http://user:{PROXY_PASSWORD}@127.0.0.1:{free_port()}"
    address = f"127.0.0.1:{free_port()}"
    command = [sys.executable, "-m", "exporter", "serve", "--web.listen-address", address, "--log.level", "debug"]
    running = start(command, folder, f"http://{address}", {**CLEAN_ENVIRONMENT, "HTTP_PROXY": proxy})
    stack.callback(running.kill)
    wait_until(lambda: running.answers("/-/ready"), "the replica is ready")
    return running


@pytest.fixture(scope="module")
def replicas(postgres: "Postgres", tmp_path_factory: pytest.TempPathFactory) -> Iterator[Replicas]:
    """They are asked for everything, lose their server for a moment, and are stopped."""
    folder, state = tmp_path_factory.mktemp("replicas"), postgres.database()
    name = str(state.parts["database"])
    database = f"host={postgres.folder} user=exporter dbname={name}"
    with ExitStack() as stack:
        simulation = stack.enter_context(Simulation(SimulationOptions(tasks=8, speed=60)))
        config = config_of(simulation, state)
        leader = start_replica(stack, folder / "leader", config)
        standby = start_replica(stack, folder / "standby", config)
        made = Replicas(leader, standby, database)
        with psycopg.connect(database, autocommit=True) as connection:
            connection.execute(KEEP_QUEUED.encode())
        for running in (leader, standby):
            visit(made, running)
        wait_until(
            lambda: "lists.invalid" not in leader.written() and "proxy" in leader.written(), "the proxy is named"
        )
        postgres.stop()
        try:
            for running in (leader, standby):
                made.ask(running, "POST", "/api/v1/targets", given.PUSH_TOKEN, json=[{"targets": ["a/b/c"]}])
                made.ask(running, "GET", "/status")
        finally:
            postgres.start()
        wait_until(lambda: leader.answers("/-/healthy") and standby.answers("/-/healthy"), "both are well again")
        made.dump()
        assert [standby.end(), leader.end()] == [0, 0]
        yield made


def visit(replicas: Replicas, running: Running) -> None:
    """Pushes and callbacks, good ones and guesses, and every page."""
    app = "661e0000000000000000543c"
    for token in (given.PUSH_TOKEN, given.GUESSED):
        for targets in ([f"{app}/Room/Pushed", f"{app}/Room/Gone"], [f"https://a.example/?token={given.MISPLACED}"]):
            replicas.ask(running, "POST", "/api/v1/targets", token, json=[{"targets": targets}])
    for secret in (given.CALLBACK_SECRET, given.GUESSED):
        event = replace(EVENT, target=EVENT.target._replace(app_id=app))
        replicas.ask(running, "POST", "/callback", content=callback_payload(event, secret, "4821"))
    replicas.ask(running, "DELETE", f"/api/v1/targets/{app}/Room/Gone", given.PUSH_TOKEN)
    for page in dict.fromkeys(pages()):
        replicas.ask(running, "GET", page)


def test_no_secret_of_replicas_is_told(replicas: Replicas) -> None:
    """Not in the log of either, not in an answer, and not in a row."""
    said = {"leader": replicas.leader.written(), "standby": replicas.standby.written()}
    said |= {f"table {name}": rows for name, rows in replicas.rows.items()}
    said |= {answer[:60]: answer for answer in replicas.answers}
    assert {place: word for place, text in said.items() for word in WORDS if word in text} == {}


def test_the_replicas_had_something_to_tell(replicas: Replicas) -> None:
    """What is searched is not empty."""
    assert {name for name, rows in replicas.rows.items() if not rows} <= {"inbox"}
    assert "level=debug" in replicas.leader.written()
    assert "Pushed" in replicas.rows["queued"]
    assert sum(" 200 " in answer[:90] for answer in replicas.answers) > 20
