"""One exporter with every secret there is, looked at from all sides; what it said is kept."""

import re
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import httpx
import yaml
from starlette.routing import Route

from exporter.model.target import TargetId
from exporter.simulator.lifecycle import CallbackEvent, callback_payload
from exporter.simulator.server import Certificates, make_certificates
from exporter.web.app import create_app
from exporter.web.interfaces import ExporterApi
from tests.canary import given
from tests.real.conftest import Running, free_port, start, wait_until
from tests.support import web_client
from tests.support.certificates import client_context

CONFIG, WEB = "webcast-exporter.yml", "web.yml"
EVENT = CallbackEvent(TargetId("app-html", "Room", "Task0"), 1_768_465_805_000, 4, given.EVENT_DATA, "an-event")


@dataclass
class Visit:
    """A running exporter, where its files are, and what its answers were by what was asked."""

    running: Running
    folder: Path
    certificates: Certificates
    config: dict[str, Any]
    answers: dict[str, str] = field(default_factory=dict)

    def ask(self, method: str, path: str, token: str = "", **how: Any) -> httpx.Response:
        """One request, as alice unless a token is shown; head and body of its answer are kept."""
        shows: dict[str, Any] = {"auth": given.ALICE}
        if token:
            shows = {"headers": {"Authorization": f"Bearer {token}"}}
        context = client_context(self.certificates.authority)
        with web_client.client(verify=context) as client:
            answer = client.request(method, self.running.url + path, **(shows | how))
        self.answers[f"{method} {path} {len(self.answers)}"] = f"{answer.status_code} {answer.headers} {answer.text}"
        return answer

    def answered(self, path: str) -> bool:
        """Whether it is answered with 200."""
        try:
            return self.ask("GET", path).status_code == httpx.codes.OK
        except httpx.TransportError:
            return False

    def written(self) -> str:
        """All that it wrote, its state included."""
        states = b"".join(file.read_bytes() for file in self.folder.glob("*.db*"))
        return self.running.written() + states.decode(errors="replace")


def start_visit(stack: ExitStack, folder: Path, *program: str) -> Visit:
    """Write all files, start `program` as `serve` over them, and come back when it is ready."""
    certificates = make_certificates(folder)
    address = f"127.0.0.1:{free_port()}"
    config = given.config_of(given.open_places(stack, certificates), folder)
    for name, text in {CONFIG: yaml.safe_dump(config), WEB: given.web_config(certificates)}.items():
        (folder / name).touch(0o600)
        (folder / name).write_text(text)
    flags = ["--config.file", CONFIG, "--web.config.file", WEB, "--web.listen-address", address, "--log.level", "debug"]
    running = start([sys.executable, *program, "serve", *flags], folder, f"https://{address}")
    stack.callback(running.kill)
    visit = Visit(running, folder, certificates, config)
    wait_until(lambda: visit.answered("/-/ready"), "the exporter is ready")
    return visit


def knock(visit: Visit) -> None:
    """Callbacks and pushes, good ones and bad ones, and somebody who guesses."""
    for secret in (given.CALLBACK_SECRET, given.GUESSED):
        body = callback_payload(EVENT, secret, "4821")
        visit.ask("POST", "/callback", content=body)
        visit.ask("POST", "/callback", content=body[:-20])
    for token in (given.PUSH_TOKEN, given.GUESSED):
        for targets in (["app-well/Room/Pushed"], [f"https://classroom.example.com/live?token={given.MISPLACED}"]):
            visit.ask("POST", "/api/v1/targets", token, json=[{"targets": targets}])
    visit.ask("GET", "/metrics", auth=("alice", given.GUESSED))
    visit.ask("GET", "/metrics", given.PUSH_TOKEN)


def pages() -> Iterator[str]:
    """The path of every page, for a task that fails and one that is well where it is a task's."""
    for route in create_app(cast("ExporterApi", None), _never).routes:
        if isinstance(route, Route) and "GET" in (route.methods or ()):
            for app in ("app-well", "app-html"):
                ids = {
                    "{app_id}": app,
                    "{room_id}": "Room",
                    "{task_id}": "Task0",
                    "{name:path}": "grafana/fleet.json",
                    "{name}": "WebCastCallbacksUnused",
                }
                path = route.path
                for part, word in ids.items():
                    path = path.replace(part, word)
                yield path


def _never(_what: str, _error: Exception) -> None:
    """Nothing is asked of this site."""


def look(visit: Visit) -> None:
    for page in dict.fromkeys(pages()):
        visit.ask("GET", page)
    visit.ask("GET", "/metrics", headers={"Accept": "application/openmetrics-text"})
    visit.ask("GET", "/tasks?show=stopped")
    visit.ask("GET", "/api/v1/runs?format=csv")


def spoil(visit: Visit) -> None:
    """Both files become bad, with secrets where they do not belong."""
    (visit.folder / CONFIG).write_text(yaml.safe_dump(given.bad(visit.config)))
    visit.ask("POST", "/-/reload")
    (visit.folder / WEB).write_text(
        f"basic_auth_users: {{alice: {given.MISPLACED}, {given.HASH}: alice, bob:{given.MISPLACED}}}"
    )
    wait_until(lambda: "web config file not reloaded" in visit.running.written(), "the bad web config file is told")


def reasons(visit: Visit) -> set[str]:
    return set(re.findall(r'webcast_task_read_error{.*reason="(\w+)"', visit.ask("GET", "/metrics").text))
