"""`serve --web.config.file` as a process: TLS, a password and a listener for callbacks, before a real Prometheus."""

import socket
import ssl
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest
import yaml

from exporter.simulator.server import Simulation, SimulationOptions
from tests.support import web_client
from tests.support.certificates import HASH, PASSWORD, client_context

if TYPE_CHECKING:
    from exporter.simulator.server import Certificates
    from tests.real.conftest import Running, StartPrometheus

pytestmark = pytest.mark.real

ALICE = ("alice", PASSWORD)
BOB = ("bob", PASSWORD)
MUTE, IDLE, SCRAPES = 250, 250, 100


@dataclass(frozen=True)
class ProtectedExporter:
    """A running exporter behind its web config file, and how to speak to it."""

    running: "Running"
    callbacks: str
    folder: Path
    certificates: "Certificates"

    @property
    def context(self) -> ssl.SSLContext:
        """What a client needs that trusts it."""
        return client_context(self.certificates.authority)

    def ask(self, path: str, auth: tuple[str, str] | None = None) -> httpx.Response:
        """GET on a connection of its own."""
        return self.running.get(path, verify=self.context, auth=auth)

    def answers(self, path: str, auth: tuple[str, str] | None = None) -> bool:
        """Whether it is answered with 200."""
        try:
            return self.ask(path, auth).status_code == httpx.codes.OK
        except httpx.TransportError:
            return False

    def connect(self) -> socket.socket:
        """A bare connection to the main listener."""
        host, port = self.running.url.removeprefix("https://").split(":")
        return socket.create_connection((host, int(port)), 10)

    def log(self, words: str) -> list[str]:
        """The lines of the log with these words."""
        return [line for line in self.running.err.read_text().splitlines() if words in line]


def write(folder: Path, text: str) -> None:
    """Replace the web config file whole, as an editor does."""
    (folder / "web.new").touch(0o600)
    (folder / "web.new").write_text(text)
    (folder / "web.new").replace(folder / "web.yml")


def web_config(certificates: "Certificates", *users: str) -> str:
    """TLS, and who may look; all have one password."""
    pair = {"cert_file": str(certificates.trusted), "key_file": str(certificates.trusted)}
    return yaml.safe_dump({"tls_server_config": pair, "basic_auth_users": dict.fromkeys(users, HASH)})


def command(folder: Path, config: dict[str, Any], address: str) -> list[str]:
    """`serve` over a written configuration, with `web.yml` beside it."""
    (folder / "webcast-exporter.yml").write_text(yaml.safe_dump(config))
    flags = ["--config.file", "webcast-exporter.yml", "--web.config.file", "web.yml", "--web.listen-address", address]
    return [sys.executable, "-m", "exporter", "serve", *flags]


@pytest.fixture(scope="module")
def protected(
    start_process: Callable[..., "Running"],
    unused_port: Callable[[], int],
    certificates: "Certificates",
    tmp_path_factory: pytest.TempPathFactory,
    wait: Callable[..., None],
) -> Iterator[ProtectedExporter]:
    """One that is ready; a probe needs no password to see that."""
    folder = tmp_path_factory.mktemp("protected")
    (folder / "secret").write_text("made-up-secret-of-callbacks")
    address, own = (f"127.0.0.1:{unused_port()}" for _ in range(2))
    with Simulation(SimulationOptions(tasks=2, speed=1)) as simulation:
        keys = simulation.credentials
        account = {"endpoint": simulation.url, "access_key_id": keys.access_key, "secret_access_key": keys.secret_key}
        config = {
            "accounts": [{"name": "default", **account}],
            "static_configs": [{"targets": [str(target) for target in simulation.fleet.targets()]}],
            "callbacks": {"secret_file": "secret", "listen_address": own},
        }
        write(folder, web_config(certificates, "alice"))
        running = start_process(command(folder, config, address), folder, f"https://{address}")
        found = ProtectedExporter(running, f"https://{own}/callback", folder, certificates)
        wait(lambda: found.answers("/-/ready"), "the exporter is ready")
        yield found


def test_a_real_prometheus_comes_in_with_the_password_alone(
    protected: ProtectedExporter, start_prometheus: "StartPrometheus", tmp_path: Path, wait: Callable[..., None]
) -> None:
    """Over TLS; one without a password, one with another and one that speaks plain HTTP learn nothing."""
    address = protected.running.url.removeprefix("https://")
    tls = {"scheme": "https", "tls_config": {"ca_file": str(protected.certificates.authority)}}
    ways = {
        "good": tls | {"basic_auth": {"username": "alice", "password": PASSWORD}},
        "wrong": tls | {"basic_auth": {"username": "alice", "password": "guessed"}},
        "none": tls,
        "plain": {},
    }
    jobs = [{"job_name": name, "static_configs": [{"targets": [address]}], **way} for name, way in ways.items()]
    prometheus = start_prometheus(tmp_path, jobs)
    up = {("good",): 1, ("wrong",): 0, ("none",): 0, ("plain",): 0}
    wait(lambda: prometheus.query("up", "job") == up, "each job has been scraped")
    assert prometheus.query("count by (job) (webcast_tasks)", "job").keys() == {("good",)}
    errors = {target["labels"]["job"]: target["lastError"] for target in prometheus.targets()}
    told = "server returned HTTP status 401 Unauthorized"
    assert (errors["good"], errors["wrong"], errors["none"]) == ("", told, told)


def test_what_stays_open(protected: ProtectedExporter) -> None:
    """The probes, and the vendor's listener, which asks for a signature, never for a password."""
    assert [protected.ask(path).status_code for path in ("/metrics", "/", "/status", "/api/v1/targets")] == [401] * 4
    assert [protected.ask(path).status_code for path in ("/-/healthy", "/-/ready")] == [200, 200]
    with web_client.client(verify=protected.context) as client:
        assert client.post(protected.callbacks, json={}).status_code in (400, 401)
        assert client.post(f"{protected.running.url}/callback", json={}).status_code == 404
        assert client.get(protected.callbacks.replace("/callback", "/metrics"), auth=ALICE).status_code == 404


def test_a_crowd_keeps_no_scrape_waiting(protected: ProtectedExporter, wait: Callable[..., None]) -> None:
    """Hundreds who say nothing, a slow client, and a hundred scrapes at once: each scrape is answered."""
    with ExitStack() as stack, ThreadPoolExecutor(SCRAPES) as pool:
        context = protected.context
        for _ in range(MUTE):
            stack.enter_context(protected.connect())
        for _ in range(IDLE):
            slow = stack.enter_context(context.wrap_socket(protected.connect(), server_hostname="127.0.0.1"))
        slow.sendall(b"GET /metrics HTTP/1.1\r\nX-Slow: never")
        scrapes = [pool.submit(scrape, protected, context) for _ in range(SCRAPES)]
        answers = [scrape(protected, context), *(each.result() for each in scrapes)]
    assert [(each.status_code, each.text[-1:]) for each in answers] == [(httpx.codes.OK, "\n")] * (SCRAPES + 1)
    wait(lambda: protected.answers("/metrics", ALICE), "it answers when they have gone")
    assert protected.log("Traceback") == []


def scrape(protected: ProtectedExporter, context: ssl.SSLContext) -> httpx.Response:
    """One scrape on a connection of its own, while those of the others hang."""
    return protected.running.get("/metrics", verify=context, auth=ALICE)


def test_a_bad_change_is_told_once_and_a_good_one_is_taken(
    protected: ProtectedExporter, wait: Callable[..., None]
) -> None:
    """Without a restart; whom the file no longer names is sent away."""
    write(protected.folder, "basic_auth_users: {alice: not-a-hash}")
    wait(lambda: protected.log("web config file not reloaded"), "the bad file is told")
    looked = len(protected.log("web config file not reloaded"))
    assert protected.answers("/metrics", ALICE)
    write(protected.folder, web_config(protected.certificates, "bob"))
    wait(lambda: protected.answers("/metrics", BOB), "the new file is in force")
    assert protected.ask("/metrics", ALICE).status_code == httpx.codes.UNAUTHORIZED
    assert looked == len(protected.log("web config file not reloaded")) == 1
    assert "not-a-hash" not in protected.running.written()


def test_a_bad_file_at_the_start(start_process: Callable[..., "Running"], tmp_path: Path) -> None:
    """Exit 2, with all problems of both files."""
    write(tmp_path, "rate_limit: {interval: 1s}\nbasic_auth_users: {alice: not-a-hash}")
    refused = start_process(command(tmp_path, {"pollng": {}}, "127.0.0.1:0"), tmp_path)
    assert refused.process.wait(timeout=60) == 2
    told = refused.err.read_text()
    places = ("pollng: ", "web.yml: rate_limit: ", "web.yml: basic_auth_users.alice: ")
    assert [place for place in places if f"webcast-exporter: {place}" not in told] == []
    assert "not-a-hash" not in refused.written()
