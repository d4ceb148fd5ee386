"""A real `serve` process over a simulated vendor that lives in this one."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import yaml

from benchmarks.fleet import CHECKED, account, target
from benchmarks.processes import ROOT, free_port
from exporter.simulator.lifecycle import RunPlan
from exporter.simulator.server import CALLBACK_SECRET, Simulation, SimulationOptions


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
    return response.status == 200  # noqa: PLR2004 - OK
