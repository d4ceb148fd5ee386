"""Three real processes on one real PostgreSQL: one leads, whatever happens to it, and every run is counted once."""

import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

import httpx
import psycopg
import pytest

from exporter.model.target import TargetId
from exporter.simulator.fleet import stop_counts
from exporter.simulator.lifecycle import STARTED, CallbackEvent, RunPlan, callback_payload
from exporter.simulator.server import CALLBACK_SECRET, Simulation, SimulationOptions
from tests.support import web_client

if TYPE_CHECKING:
    from tests.real.conftest import Running, StartExporter
    from tests.support.postgresql import Postgres

pytestmark = pytest.mark.real

APP = "661e0000000000000000543c"
STOPS, LEADER = "webcast_run_stops_total", "webcast_exporter_leader"
TASKS, REPLICAS, MAX_QPS, VENDOR = 120, 3, 48, 60
TOKEN = "a-token-of-the-replicas"
CUT = "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND granted"


@dataclass
class Replicas:
    """The processes, their vendor and their server."""

    simulation: Simulation
    postgres: "Postgres"
    start: Callable[[int], "Running"]
    database: str
    running: list["Running"] = field(default_factory=list)

    def leaders(self) -> list["Running"]:
        """Those that say that they lead."""
        return [each for each in self.running if says(each, LEADER) == 1]

    def leader(self) -> "Running | None":
        """The one, if there is one that answers."""
        found = self.leaders()
        return found[0] if len(found) == 1 else None

    def standby(self) -> "Running":
        """One that says that it does not lead."""
        return next(each for each in self.running if says(each, LEADER) == 0)

    def stops(self) -> float:
        """The runs that the leader has counted."""
        leader = self.leader()
        return total(leader, STOPS) if leader else -1.0

    def busiest_second(self) -> int:
        """The most calls that all processes sent in one second, by X-Date: a busy machine bunches arrivals."""
        return max(Counter(call.signed for call in self.simulation.calls.log).values())


def says(running: "Running", name: str) -> float | None:
    """A series without labels; None when the process does not answer."""
    try:
        found = running.get(f"/metrics?name[]={name}").text
    except httpx.TransportError:
        return None
    return next((float(line.split()[1]) for line in found.splitlines() if line.startswith(name)), None)


def total(running: "Running", name: str) -> float:
    """The sum of a counter's series."""
    return sum(running.samples(name).values())


@pytest.fixture
def replicas(
    tmp_path: Path,
    postgres: "Postgres",
    start_exporter: "StartExporter",
    unused_port: Callable[[], int],
    wait: Callable[..., None],
) -> Iterator[Replicas]:
    """Three of them; the first one leads."""
    dice, url = Random(8), postgres.database()
    with Simulation(SimulationOptions(tasks=0, speed=1)) as simulation:
        for number in range(TASKS):
            simulation.fleet.begin(TargetId(APP, "Room", f"Task{number}"), RunPlan(ends=dice.uniform(1.0, 20.0)))
        credentials = simulation.credentials
        keys = {"access_key_id": credentials.access_key, "secret_access_key": credentials.secret_key}
        config: dict[str, Any] = {
            "accounts": [{"name": "default", "endpoint": simulation.url, "max_qps": MAX_QPS, **keys}],
            "http_sd_configs": [{"url": f"{simulation.url}/targets", "refresh_interval": "1s"}],
            "polling": {"interval": "1s", "fast_interval": "1s", "reread_stopped": "1s"},
            "push": {"token_file": "tokens"},
            "callbacks": {"secret_file": "secret"},
            "state": {"url": url.whole},
            "ha": {"enabled": True},
        }
        ports = [unused_port() for _ in range(REPLICAS)]

        def start(number: int) -> "Running":
            folder = tmp_path / f"replica{number}"
            folder.mkdir(exist_ok=True)
            for name, text in (("tokens", TOKEN), ("secret", CALLBACK_SECRET)):
                (folder / name).write_text(text)
                (folder / name).chmod(0o600)
            return start_exporter(folder, config, port=ports[number], wait="/-/ready")

        made = Replicas(simulation, postgres, start, url.whole)
        made.running.append(start(0))
        wait(lambda: made.leader() is not None, "the first leads")
        made.running += [start(number) for number in range(1, REPLICAS)]
        yield made
        for each in made.running:
            each.kill()


def test_every_run_is_counted_once_whatever_happens_to_the_leader(
    replicas: Replicas, wait: Callable[..., None]
) -> None:
    """Killed, stopped and woken, cut off, its database started anew: no run is lost or doubled, no budget exceeded."""
    others = replicas.running[1:]
    killed = replicas.running[0]
    killed.kill()
    wait(lambda: any(says(each, LEADER) == 1 for each in others), "one leads after a kill")
    replicas.running[0] = replicas.start(0)

    asleep = replicas.leader()
    assert asleep is not None
    asleep.process.send_signal(signal.SIGSTOP)
    awake = [each for each in replicas.running if each is not asleep]
    wait(lambda: any(says(each, LEADER) == 1 for each in awake), "one leads beside a stopped one")
    asleep.process.send_signal(signal.SIGCONT)
    wait(lambda: says(asleep, LEADER) == 0, "the one that was stopped stands by")

    with psycopg.connect(
        host=str(replicas.postgres.folder), user="exporter", dbname="postgres", autocommit=True
    ) as other:
        other.execute(CUT)
    wait(lambda: replicas.leader() is not None, "one leads after the cut")
    replicas.postgres.stop()
    time.sleep(1.0)  # the server is away; nothing is waited for
    replicas.postgres.start()
    wait(lambda: replicas.leader() is not None, "one leads on the server that started again")

    wait(lambda: replicas.stops() == TASKS, "all runs are counted", 60)
    reads = len(replicas.simulation.calls.log)
    wait(lambda: len(replicas.simulation.calls.log) > reads + 10, "stopped runs are read again")
    leader = replicas.leader()
    assert leader is not None
    fleet = replicas.simulation.fleet
    expected = stop_counts(fleet, int(fleet.clock() * 1000))
    counted = {reason: count for (_, reason), count in leader.samples(STOPS).items() if count}
    assert counted == {reason.value: count for reason, count in expected.items() if count}
    assert replicas.busiest_second() <= VENDOR


def test_a_standby_tells_of_itself_and_takes_in(replicas: Replicas, wait: Callable[..., None]) -> None:
    """A push and a callback that come to a standby are acted on by the leader within moments; no task is shown."""
    standby, leader = replicas.standby(), replicas.leader()
    assert leader is not None
    text = standby.get("/metrics").text
    names = {line.split()[2] for line in text.splitlines() if line.startswith("# TYPE")}
    assert {name for name in names if not name.startswith(("process_", "python_", "webcast_exporter_"))} == {
        "webcast_callback_events_total"
    }
    assert standby.get("/tasks").status_code == httpx.codes.SERVICE_UNAVAILABLE

    pushed, called = TargetId(APP, "Pushed", "Task"), TargetId(APP, "Called", "Task")
    for target in (pushed, called):
        replicas.simulation.fleet.begin(target, RunPlan(ends=3600.0))
    answer = web_client.post(
        f"{standby.url}/api/v1/targets",
        json=[{"targets": [str(pushed)], "labels": {"team": "edu"}}],
        headers={"Authorization": f"Bearer {TOKEN}"},
        timeout=60,
    )
    assert answer.json() == {"status": "success", "data": {"accepted": 1}}
    notice = CallbackEvent(called, int(1000 * time.time()), STARTED, "", "evt-1")
    body = callback_payload(notice, CALLBACK_SECRET, "4821")
    for outcome in ("accepted", "duplicate"):
        assert web_client.post(f"{standby.url}/callback", content=body).text == f"{outcome}\n"
    wait(lambda: {("callback",): 1.0, ("push",): 1.0}.items() <= leader.samples("webcast_targets").items(), "both")
    wait(lambda: f'task_id="{pushed.task_id}"' in leader.get("/metrics").text, "it is read")
    url = f"{standby.url}/api/v1/targets/{pushed}?now=true"
    for status in (httpx.codes.OK, httpx.codes.NOT_FOUND):
        wait(
            lambda status=status: (
                web_client.request("DELETE", url, headers={"Authorization": f"Bearer {TOKEN}"}).status_code == status
            ),
            "it is released, and then no more a target",
        )
    assert says(standby, LEADER) == 0


def test_a_rolling_update_has_no_gap(replicas: Replicas, wait: Callable[..., None]) -> None:
    """One after the other is ended and started anew: no gap in reading is over 10 s, and nothing is counted twice."""
    for number in range(REPLICAS):
        assert replicas.running[number].end() == 0
        wait(lambda: replicas.leader() is not None, "one leads")
        replicas.running[number] = replicas.start(number)
    wait(lambda: replicas.stops() == TASKS, "all runs are counted", 60)
    assert replicas.busiest_second() <= VENDOR
