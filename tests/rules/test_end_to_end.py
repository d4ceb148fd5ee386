"""From a class that fails to the message about it: exporter, Prometheus and Alertmanager, all real and as bundled."""

import json
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
import yaml

from exporter.model.target import TargetId
from exporter.simulator.lifecycle import Ending, RunPlan
from exporter.simulator.server import Simulation, SimulationOptions
from tests.real.conftest import Running, free_port, wait_until
from tests.rules.bundle import ALERTMANAGER, RULE_FILES, load
from tests.rules.scene import RUNNING

pytestmark = pytest.mark.real

APP, OTHER_APP = "661e0000000000000000543c", "661e0000000000000000543d"
SOON, GROUP_WAIT = 4.0, 2
"""Seconds until a dozen classes fail, and until a message is sent, in which they all are seen."""
FAILING = [TargetId(APP, "Room", f"Ill{number}") for number in range(12)]
UNWATCHED = [TargetId(OTHER_APP, "Room", f"Class{number}") for number in range(3)]
ALONE = TargetId(OTHER_APP, "Room", "Alone")


@dataclass
class Inbox:
    """What was posted, by path; it answers as WeCom's API does, which no other sender minds."""

    posted: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    url: str = ""

    def alerts(self, path: str, name: str, status: str) -> set[str]:
        """The tasks (else apps) that webhook messages have told of in this state."""
        return {
            alert["labels"].get("task_id") or alert["labels"]["app_id"]
            for where, body in self.posted
            if where == path
            for alert in body["alerts"]
            if (alert["labels"]["alertname"], alert["status"]) == (name, status)
        }

    def texts(self) -> list[str]:
        """The messages that WeCom was to send."""
        return [body["text"]["content"] for where, body in self.posted if where.startswith("/cgi-bin/message/send")]


@pytest.fixture(scope="module")
def inbox() -> Iterator[Inbox]:
    """All receivers in one."""
    box = Inbox()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            box.posted.append((self.path, body))
            self._answer({"errcode": 0})

        def do_GET(self) -> None:
            self._answer({"access_token": "token"})

        def _answer(self, document: Mapping[str, object]) -> None:
            text = json.dumps(document).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *_args: object) -> None:
            """Nothing is logged."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        box.url = f"http://127.0.0.1:{server.server_port}"
        yield box
        server.shutdown()


def quick_rules(directory: Path) -> list[str]:
    """The bundled rules, evaluated each second and with short waits; conditions and windows are as they are."""
    written = []
    for file in RULE_FILES:
        document = load(file)
        for group in document["groups"]:
            group["interval"] = "1s"
            for rule in group["rules"]:
                rule.update({key: "1s" for key in ("for", "keep_firing_for") if key in rule})
                rule["expr"] = rule["expr"].replace("offset 2m", "offset 2s")
        (directory / file.name).write_text(yaml.safe_dump(document))
        written.append(file.name)
    return written


def quick_alertmanager(inbox: Inbox) -> dict[str, Any]:
    """The bundled configuration, with short waits, and each receiver's messages into the inbox."""
    config: dict[str, Any] = load(ALERTMANAGER / "alertmanager.yml")
    routes = config["route"]["routes"]
    for route in (*routes, *routes[0]["routes"]):
        route |= {"group_wait": f"{GROUP_WAIT}s", "group_interval": "2s"}
    for receiver in config["receivers"]:
        for webhook in receiver.get("webhook_configs", ()):
            webhook["url"] = f"{inbox.url}/{receiver['name']}"
        for wechat in receiver.get("wechat_configs", ()):
            wechat["api_url"] = f"{inbox.url}/cgi-bin/"
    return {**config, "templates": [str(ALERTMANAGER / "webcast.tmpl")]}


@dataclass(frozen=True)
class Chain:
    """All of it, running."""

    simulation: Simulation
    targets: Path
    prometheus: Running

    def list(self, *targets: TargetId) -> None:
        """What the list of targets says now."""
        document = json.dumps([{"targets": [str(target) for target in targets]}])
        new = self.targets.with_suffix(".new")
        new.write_text(document)
        new.rename(self.targets)


Start = Callable[[list[str], Path, str], Running]


@pytest.fixture(scope="module")
def chain(
    inbox: Inbox,
    prometheus_bin: Path,
    alertmanager_bin: Path,
    start_process: Start,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Chain]:
    """A dozen classes that are about to fail, and three that run on without anybody watching their pages."""
    directory = tmp_path_factory.mktemp("chain")
    with Simulation(SimulationOptions(tasks=0, speed=1)) as simulation:
        for target in FAILING:
            simulation.fleet.begin(target, RunPlan(RUNNING.settings, ends=SOON, ending=Ending.BROKE))
        for target in UNWATCHED:
            simulation.fleet.begin(target, RunPlan())
        alertmanager = _start_alertmanager(start_process, alertmanager_bin, directory / "alertmanager", inbox)
        exporter = _start_exporter(start_process, directory, simulation)
        prometheus = _start_prometheus(start_process, prometheus_bin, directory / "prometheus", exporter, alertmanager)
        chain = Chain(simulation, directory / "targets.json", prometheus)
        chain.list(*FAILING, *UNWATCHED)
        yield chain


def _start_alertmanager(start: Start, program: Path, directory: Path, inbox: Inbox) -> Running:
    directory.mkdir()
    (directory / "alertmanager.yml").write_text(yaml.safe_dump(quick_alertmanager(inbox)))
    address = f"127.0.0.1:{free_port()}"
    command = [str(program), "--config.file=alertmanager.yml", "--storage.path=data", "--cluster.listen-address="]
    return start([*command, f"--web.listen-address={address}"], directory, f"http://{address}")


def _start_exporter(start: Start, directory: Path, simulation: Simulation) -> Running:
    account = {
        "name": "default",
        "endpoint": simulation.url,
        "access_key_id": simulation.credentials.access_key,
        "secret_access_key": simulation.credentials.secret_key,
    }
    config = {
        "accounts": [account],
        "file_sd_configs": [{"files": [str(directory / "targets.json")], "refresh_interval": "1s"}],
        "polling": {"interval": "1s", "fast_interval": "1s"},
    }
    (directory / "webcast-exporter.yml").write_text(yaml.safe_dump(config))
    address = f"127.0.0.1:{free_port()}"
    command = [sys.executable, "-m", "exporter", "serve", "--config.file", "webcast-exporter.yml"]
    return start([*command, "--web.listen-address", address], directory, f"http://{address}")


def _start_prometheus(
    start: Start, program: Path, directory: Path, exporter: Running, alertmanager: Running
) -> Running:
    directory.mkdir()
    config = {
        "global": {"scrape_interval": "1s", "scrape_timeout": "1s"},
        "rule_files": quick_rules(directory),
        "scrape_configs": [{"job_name": "webcast", "static_configs": [_target(exporter)]}],
        "alerting": {"alertmanagers": [{"static_configs": [_target(alertmanager)]}]},
    }
    (directory / "prometheus.yml").write_text(yaml.safe_dump(config))
    address = f"127.0.0.1:{free_port()}"
    command = [str(program), "--config.file=prometheus.yml", "--storage.tsdb.path=data"]
    return start([*command, f"--web.listen-address={address}"], directory, f"http://{address}")


def _target(running: Running) -> dict[str, list[str]]:
    return {"targets": [running.url.removeprefix("http://")]}


def test_from_failures_to_messages(chain: Chain, inbox: Inbox) -> None:
    """A dozen failures are one page, one failure in another app is a page of its own, and its end is told."""
    wait_until(
        lambda: inbox.alerts("/webcast-page", "WebCastManyRunsFailed", "firing") == {APP}, "the fleet's alert", 40
    )
    assert _firing(chain, "WebCastTaskFailed") == {target.task_id for target in FAILING}

    chain.simulation.fleet.begin(ALONE, RunPlan(RUNNING.settings, ends=1.0, ending=Ending.BROKE))
    chain.list(*FAILING, *UNWATCHED, ALONE)
    wait_until(lambda: inbox.alerts("/webcast-page", "WebCastTaskFailed", "firing"), "the single failure", 20)
    assert inbox.alerts("/webcast-page", "WebCastTaskFailed", "firing") == {"Alone"}

    chain.list(*FAILING, *UNWATCHED)
    wait_until(lambda: inbox.alerts("/webcast-page", "WebCastTaskFailed", "resolved") == {"Alone"}, "its end", 20)
    assert {path for path, _ in inbox.posted if not path.startswith("/cgi-bin")} == {"/webcast-page"}


def test_wecom_gets_the_template_s_words(inbox: Inbox, chain: Chain) -> None:
    """Alertmanager renders the bundled template for the pages that nobody watches: one message about three classes."""
    assert _firing(chain, "WebCastPageMonitorsOff") == {target.task_id for target in UNWATCHED}
    wait_until(inbox.texts, "the message by WeCom", 20)
    assert inbox.texts()[0].startswith("[INFO] Room/Class0: page not checked (in all 3)")
    assert "[INFO] Room/Class2: page not checked" in inbox.texts()[0]


def test_each_rule_is_healthy(chain: Chain) -> None:
    """No rule fails in a real Prometheus on real data, and each was evaluated."""
    groups = chain.prometheus.get("/api/v1/rules").json()["data"]["groups"]
    bad = {rule["name"]: rule.get("lastError") for group in groups for rule in group["rules"] if rule["health"] != "ok"}
    assert bad == {}


def _firing(chain: Chain, name: str) -> set[str]:
    query = f'ALERTS{{alertname="{name}", alertstate="firing"}}'
    result = chain.prometheus.get("/api/v1/query", params={"query": query}).json()["data"]["result"]
    return {row["metric"]["task_id"] for row in result}
