"""README's way from nothing to an alert, walked: its own blocks in their order, with a simulated vendor."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from exporter.simulator.server import CREDENTIALS, Simulation, SimulationOptions
from tests.docs.reading import ROOT, blocks_of
from tests.real.conftest import CLEAN_ENVIRONMENT, Running, free_port, real_part, start, wait_until

pytestmark = pytest.mark.real

README = ROOT / "README.md"
BLOCKS = {block.text: block for block in blocks_of(README)}
SERVED = "127.0.0.1:10960"
ENVIRONMENT = {
    **CLEAN_ENVIRONMENT,
    "PATH": os.pathsep.join([str(Path(sys.executable).parent), CLEAN_ENVIRONMENT["PATH"]]),
    "VOLC_ACCESSKEY": CREDENTIALS.access_key,
    "VOLC_SECRETKEY": CREDENTIALS.secret_key,
}


def block_with(words: str) -> str:
    """The text of the one block that has these words in it."""
    (found,) = [text for text in BLOCKS if words in text]
    return found


class Reader:
    """Follows README in a folder, with a simulated vendor and a port of the test's own."""

    def __init__(self, folder: Path, endpoint: str) -> None:
        self.folder = folder
        self._endpoint = endpoint
        self.address = f"127.0.0.1:{free_port()}"

    def write(self, words: str) -> None:
        """The configuration that has these words in it; the endpoint alone is another."""
        document = yaml.safe_load(block_with(words))
        document["accounts"][0]["endpoint"] = self._endpoint
        (self.folder / "webcast-exporter.yml").write_text(yaml.safe_dump(document))

    def type(self, words: str) -> str:
        """The commands of the block with these words, but for the key, which is in the environment; what they print."""
        lines = [line.removeprefix("$ ") for line in block_with(words).splitlines() if not line.startswith("$ export")]
        script = "\n".join(["set -euo pipefail", *lines]).replace(SERVED, self.address)
        done = subprocess.run(
            ["bash", "-c", script], cwd=self.folder, env=ENVIRONMENT, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def serve(self) -> Running:
        """The command of the block, on the test's own port, until it is ready."""
        words = block_with("webcast-exporter serve").removeprefix("$ ").split()[1:]
        keys = [f"{name}={ENVIRONMENT[name]}" for name in ("VOLC_ACCESSKEY", "VOLC_SECRETKEY")]
        command = ["env", *keys, sys.executable, "-m", "exporter", *words, "--web.listen-address", self.address]
        return start(command, self.folder, f"http://{self.address}")


@pytest.fixture
def reader(tmp_path: Path) -> Iterator[Reader]:
    """Beside a simulated vendor."""
    with Simulation(SimulationOptions(tasks=5, speed=1)) as simulation:
        yield Reader(tmp_path, simulation.url)


def test_the_ten_minutes(reader: Reader) -> None:
    """Each step does what README says of it; the last is a Prometheus that would take it all."""
    reader.write("accounts:\n  - name: default\n    app_ids: [661e0000000000000000543c]\ncallbacks")
    reader.type("openssl rand")
    printed = reader.type("check --config.file")
    assert "key, signature, clock and right are good" in printed
    assert re.search(r"^status +\w+$", printed, re.MULTILINE)
    running = reader.serve()
    try:
        wait_until(lambda: running.answers("/-/ready"), "the exporter is ready")
        assert '"accepted":1' in reader.type("curl -X POST")
        wait_until(lambda: running.samples("webcast_task_status"), "the task has series")
        reader.type("dashboards export webcast")
    finally:
        running.kill()
    (reader.folder / "prometheus.yml").write_text(block_with("scrape_configs"))
    command = [str(real_part("promtool")), "check", "config", "prometheus.yml"]
    said = subprocess.run(command, cwd=reader.folder, capture_output=True, text=True, check=False)
    assert said.returncode == 0, said.stderr
    assert "2 rule files found" in said.stdout
