"""Real parts as fixtures: programs found or asked for, started on free loopback ports, waited for with a deadline."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from random import randrange
from secrets import token_hex
from typing import Any, Protocol

import httpx
import pytest
import yaml

from exporter.simulator.server import Simulation
from tests.support import web_client
from tests.support.exposition import Samples, samples_named

ROOT = Path(__file__).parent.parent.parent
CLEAN_ENVIRONMENT = {
    name: value
    for name, value in os.environ.items()
    if not name.startswith("VOLC_") and not name.lower().endswith("_proxy")
}


def real_part(name: str) -> Path:
    """The program `name`. Missing, it is a failure in CI and elsewhere a skip; both say what to do."""
    found = shutil.which(name, path=os.pathsep.join([os.environ["PATH"], str(ROOT / ".real-parts/usr/bin")]))
    if found:
        return Path(found)
    sentence = f"{name} is neither on PATH nor in .real-parts: run make parts"
    if os.environ.get("CI") == "true":
        pytest.fail(sentence, pytrace=False)
    pytest.skip(sentence)


def free_port() -> int:
    """A loopback port without a listener, of those that the kernel gives to no connection meanwhile."""
    while True:
        port = randrange(10_000, 32_000)
        with suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port


def wait_until(holds: Callable[[], object], what: str, seconds: float = 60) -> None:
    """Come back as soon as `holds` is true; fail after `seconds`, saying for `what` it was waited."""
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            pytest.fail(f"not within {seconds:g} s: {what}")
        time.sleep(0.05)


TEMPLATES = Path("/usr/share/prometheus/alertmanager")


@contextmanager
def alertmanager_program(folder: Path) -> Iterator[Path]:
    """The real Alertmanager; Debian gives it another name."""
    found = real_part("alertmanager" if shutil.which("alertmanager") else "prometheus-alertmanager")
    unpacked = found.parent.parent / TEMPLATES.relative_to("/usr")
    if TEMPLATES.exists() or not unpacked.exists():
        yield found
        return
    # Debian's looks for its own templates in /usr/share. One that is only unpacked gets, in a copy, a path of the same
    # length to look in.
    short = Path("/tmp") / token_hex(len(str(TEMPLATES)))[: len(str(TEMPLATES)) - len("/tmp/")]
    copy = folder / "alertmanager"
    copy.write_bytes(found.read_bytes().replace(bytes(TEMPLATES), bytes(short)))
    copy.chmod(0o755)
    short.symlink_to(unpacked)
    yield copy
    short.unlink()


@dataclass(frozen=True)
class Running:
    """A started process that serves HTTP; what it wrote is in `out` and `err`."""

    process: subprocess.Popen[bytes]
    url: str
    out: Path
    err: Path

    def get(self, path: str, **kwargs: Any) -> httpx.Response:
        """GET `path`, never by a proxy."""
        return web_client.get(self.url + path, **kwargs)

    def answers(self, path: str) -> bool:
        """Whether `path` is answered with 200; fails when the process is over."""
        if self.process.poll() is not None:
            pytest.fail(f"{self.process.args!r} ended with {self.process.returncode}:\n{self.written()}")
        try:
            return self.get(path).status_code == httpx.codes.OK
        except httpx.TransportError:
            return False

    def samples(self, name: str) -> Samples:
        """All samples called `name` on /metrics: the label values, in the order of the label names, to the value."""
        return samples_named(self.get("/metrics").text, name)

    def written(self) -> str:
        """Standard output, then standard error, so far."""
        return self.out.read_text() + self.err.read_text()

    def end(self, with_signal: signal.Signals = signal.SIGTERM) -> int:
        """Send a signal; the exit code."""
        self.process.send_signal(with_signal)
        return self.process.wait(timeout=60)

    def kill(self) -> None:
        """End it however it can be ended, if it still runs."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()


def start(command: list[str], directory: Path, url: str, environ: Mapping[str, str] = CLEAN_ENVIRONMENT) -> Running:
    """Start `command` in `directory`, its two outputs in files there."""
    directory.mkdir(parents=True, exist_ok=True)
    out, err = directory / f"out.{time.monotonic_ns()}", directory / f"err.{time.monotonic_ns()}"
    with out.open("wb") as stdout, err.open("wb") as stderr:
        process = subprocess.Popen(
            command, cwd=directory, env=dict(environ), stdin=subprocess.DEVNULL, stdout=stdout, stderr=stderr
        )
    return Running(process, url, out, err)


def account_of(simulation: Simulation, **settings: Any) -> dict[str, Any]:
    """The account of a simulated vendor."""
    credentials = simulation.credentials
    keys = {"access_key_id": credentials.access_key, "secret_access_key": credentials.secret_key}
    return {"name": "default", "endpoint": simulation.url, **keys, **settings}


def config_of(simulation: Simulation, **sections: Any) -> dict[str, Any]:
    """Its tasks, listed by itself, read once a second."""
    return {
        "accounts": [account_of(simulation)],
        "http_sd_configs": [{"url": f"{simulation.url}/targets", "refresh_interval": "1s"}],
        "polling": {"interval": "1s", "fast_interval": "1s"},
        **sections,
    }


@dataclass(frozen=True)
class Prometheus:
    """A real Prometheus that scrapes once a second."""

    running: Running

    def api(self, path: str, **params: str) -> Any:
        """The `data` of one answer of /api/v1/."""
        answer = self.running.get(f"/api/v1/{path}", params=params).json()
        assert answer["status"] == "success", answer
        return answer["data"]

    def query(self, expression: str, *by: str) -> dict[tuple[str, ...], float]:
        """The instant vector of `expression`: the values of the labels `by` to the sample's value."""
        result = self.api("query", query=expression)["result"]
        return {tuple(row["metric"].get(name, "") for name in by): float(row["value"][1]) for row in result}

    def targets(self) -> list[dict[str, Any]]:
        """The active targets: `health`, `lastError`, `lastScrapeDuration`, ..."""
        targets: list[dict[str, Any]] = self.api("targets")["activeTargets"]
        return targets


class StartExporter(Protocol):
    """What the fixture `start_exporter` gives."""

    def __call__(self, directory: Path, config: Mapping[str, Any], *, port: int = 0, wait: str = "/-/ready") -> Running:
        """Start `serve`, and come back when the path `wait` is answered; at once when it is empty."""


StartPrometheus = Callable[[Path, list[dict[str, Any]]], Prometheus]


@pytest.fixture(scope="session")
def find_part() -> Callable[[str], Path]:
    """`real_part`, for the test of its own rule."""
    return real_part


@pytest.fixture(scope="session")
def prometheus_bin() -> Path:
    """The real Prometheus."""
    return real_part("prometheus")


@pytest.fixture(scope="session")
def promtool_bin() -> Path:
    """Its tool."""
    return real_part("promtool")


@pytest.fixture(scope="session")
def wait() -> Callable[..., None]:
    """`wait(holds, what, seconds)`: polling with a deadline."""
    return wait_until


@pytest.fixture(scope="session")
def unused_port() -> Callable[[], int]:
    """Ports without a listener."""
    return free_port


@pytest.fixture(scope="module")
def start_process() -> Iterator[Callable[[list[str], Path, str], Running]]:
    """Start any command that serves HTTP; it is killed when the tests of the file have ended."""
    with ExitStack() as running:

        def started(command: list[str], directory: Path, url: str = "") -> Running:
            process = start(command, directory, url)
            running.callback(process.kill)
            return process

        yield started


@pytest.fixture(scope="module")
def start_exporter(start_process: Callable[[list[str], Path, str], Running]) -> StartExporter:
    """`serve` of this checkout, its state file in `directory`, the configuration beside it."""

    def started(directory: Path, config: Mapping[str, Any], *, port: int = 0, wait: str = "/-/ready") -> Running:
        address = f"127.0.0.1:{port or free_port()}"
        directory.mkdir(parents=True, exist_ok=True)
        (directory / "webcast-exporter.yml").write_text(yaml.safe_dump(dict(config)))
        command = [sys.executable, "-m", "exporter", "serve"]
        command += ["--config.file", "webcast-exporter.yml", "--web.listen-address", address]
        exporter = start_process(command, directory, f"http://{address}")
        if wait:
            wait_until(lambda: exporter.answers(wait), f"{wait} of the exporter")
        return exporter

    return started


@pytest.fixture(scope="module")
def start_prometheus(prometheus_bin: Path, start_process: Callable[[list[str], Path, str], Running]) -> StartPrometheus:
    """A Prometheus with the given scrape configs, ready to be asked."""

    def started(directory: Path, scrape_configs: list[dict[str, Any]]) -> Prometheus:
        address = f"127.0.0.1:{free_port()}"
        directory.mkdir(parents=True, exist_ok=True)
        config = {"global": {"scrape_interval": "1s", "scrape_timeout": "1s"}, "scrape_configs": scrape_configs}
        (directory / "prometheus.yml").write_text(yaml.safe_dump(config))
        command = [str(prometheus_bin), "--config.file=prometheus.yml", "--storage.tsdb.path=data"]
        command += [f"--web.listen-address={address}", "--log.level=debug"]
        prometheus = Prometheus(start_process(command, directory, f"http://{address}"))
        wait_until(lambda: prometheus.running.answers("/-/ready"), "Prometheus is ready")
        return prometheus

    return started
