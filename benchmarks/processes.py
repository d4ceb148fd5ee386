"""Processes that are measured: started over a simulated vendor or alone, asked for CPU time and memory, ended."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import urlsplit

import yaml

from benchmarks.fleet import CHECKED, account, target
from exporter.simulator.lifecycle import RunPlan
from exporter.simulator.server import CALLBACK_SECRET, Simulation, SimulationOptions

ROOT = Path(__file__).parent.parent
TICKS = os.sysconf("SC_CLK_TCK")
KIB = 1024


@contextmanager
def module(*arguments: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """`python -m` these; the process, and the first line that it prints."""
    command = [sys.executable, "-m", *arguments]
    with subprocess.Popen(command, cwd=ROOT, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            yield process, process.stdout.readline().strip()
        finally:
            process.kill()


@contextmanager
def running(command: list[str], address: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run a server of another's until it listens on its address."""
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL)
    try:
        _until_it_listens(address)
        yield process
    finally:
        process.kill()
        process.wait()


def free_port() -> int:
    """A loopback port that no process listens on now."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
    return port


def _until_it_listens(address: str, seconds: float = 20.0) -> None:
    host, _, port = address.rpartition(":")
    deadline = time.monotonic() + seconds
    while True:
        try:
            socket.create_connection((host, int(port)), timeout=1).close()
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
        else:
            return


def part(name: str) -> Path | None:
    """A program of Debian's, on PATH or in .real-parts; None where it is not there."""
    found = shutil.which(name, path=os.pathsep.join([os.environ["PATH"], str(ROOT / ".real-parts/usr/bin")]))
    return Path(found) if found else None


def cpu(pid: int) -> float:
    """Seconds of CPU time that a process has used, in steps of 10 ms."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def rss(pid: int) -> int:
    """Bytes of memory that a process holds."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) * KIB for line in lines if line.startswith("VmRSS:"))


class Scraper(AbstractContextManager["Scraper"]):
    """One kept connection, closed on the way out."""

    def __init__(self, url: str, path: str = "/metrics") -> None:
        self._connection = HTTPConnection(urlsplit(url).netloc, timeout=60)
        self._path = path

    def __exit__(self, *_exception: object) -> None:
        self._connection.close()

    def body(self) -> bytes:
        """The text that is served."""
        self._connection.request("GET", self._path, headers={"Accept-Encoding": "identity"})
        return self._connection.getresponse().read()

    def scrape(self, encoding: str = "gzip") -> tuple[float, int]:
        """Seconds from the request to the end of the answer, and its bytes as they came."""
        begun = time.perf_counter()
        self._connection.request("GET", self._path, headers={"Accept-Encoding": encoding})
        body = self._connection.getresponse().read()
        return time.perf_counter() - begun, len(body)


@dataclass(frozen=True)
class AtWork:
    """One exporter, its vendor, and where to look."""

    simulation: Simulation
    process: subprocess.Popen[bytes]
    address: str

    @property
    def url(self) -> str:
        """The exporter's."""
        return f"http://{self.address}"

    def reload(self) -> None:
        """Have it read its configuration anew."""
        self.process.send_signal(signal.SIGHUP)

    def sent(self, since: float) -> list[float]:
        """When calls arrived at the vendor from `since` on (Unix seconds)."""
        return [call.at for call in self.simulation.calls.log if call.at >= since]


@contextmanager
def at_work(tasks: int, sections: dict[str, Any], **of_account: Any) -> Iterator[AtWork]:
    """So many running tasks, and an exporter that has them in its configuration."""
    with Simulation(SimulationOptions(tasks=0, speed=1)) as simulation, TemporaryDirectory() as folder:
        for number in range(tasks):
            simulation.fleet.begin(target(number), RunPlan(CHECKED), age=600)
        document = {
            "accounts": [account(simulation.url, **of_account)],
            "static_configs": [{"targets": [str(target(number)) for number in range(tasks)]}],
            "callbacks": {"secret_file": "secret"},
            "state": {"url": "sqlite:///state.db"},
            **sections,
        }
        Path(folder, "secret").write_text(CALLBACK_SECRET)
        with serving(folder, document, "/-/ready") as (process, address):
            yield AtWork(simulation, process, address)


@contextmanager
def serving(folder: str, document: dict[str, Any], path: str) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """Run `serve` in a folder over this configuration, from when a path is answered; the process and its address."""
    Path(folder, "webcast-exporter.yml").write_text(yaml.safe_dump(document))
    address = f"127.0.0.1:{free_port()}"
    command = [sys.executable, "-m", "exporter", "serve", "--log.level", "error"]
    command += ["--config.file", "webcast-exporter.yml", "--web.listen-address", address]
    environment = {"PYTHONPATH": str(ROOT), "PATH": os.defpath}
    process = subprocess.Popen(command, cwd=folder, env=environment)
    try:
        wait_for(address, path)
        yield process, address
    finally:
        process.kill()
        process.wait()


def wait_for(address: str, path: str, seconds: float = 30.0) -> None:
    """Come back once a path is answered with 200."""
    deadline = time.monotonic() + seconds
    while not _answers(address, path):
        if time.monotonic() > deadline:
            raise TimeoutError(path)
        time.sleep(0.002)


def _answers(address: str, path: str) -> bool:
    connection = HTTPConnection(address, timeout=5)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        response.read()
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()
    return response.status == 200  # noqa: PLR2004 - 200 is OK
