"""`serve` of this checkout as a process, with its log as JSON and all that it says kept to be looked through."""

import json
import re
import sys
import time
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

from tests.real.conftest import Running, free_port, start, wait_until

FILE = "webcast-exporter.yml"
PAGES = ("/", "/status", "/tasks", "/config", "/api/v1/targets", "/api/v1/runs", "/metrics")


EVENTS = (
    "circuit open",
    "circuit closed",
    "API throttles calls",
    "API throttles calls no more",
    "answer not usable",
    "answers usable again",
)
"""That an account's calls begin to fail, and that they fare well again."""


SAMPLE = re.compile(r"([a-z_0-9]+)(?:\{(.*)\})? (\S+)")
LABEL = re.compile(r'([a-z_]+)="((?:[^"\\]|\\.)*)"')

Labels = dict[str, str]


@dataclass(frozen=True)
class Scrape:
    """One answer of /metrics, asked for at `at` and there at `until` (Unix seconds)."""

    at: float
    until: float
    text: str

    @cached_property
    def _by_name(self) -> dict[str, list[tuple[Labels, float]]]:
        found: dict[str, list[tuple[Labels, float]]] = {}
        for line in self.text.splitlines():
            if sample := SAMPLE.fullmatch(line):
                name, labels, value = sample.groups()
                found.setdefault(name, []).append((dict(LABEL.findall(labels or "")), float(value)))
        return found

    def samples(self, name: str, **labels: str) -> list[tuple[Labels, float]]:
        """The samples of that name that have these labels, among others."""
        return [sample for sample in self._by_name.get(name, ()) if labels.items() <= sample[0].items()]

    def by(self, label: str, name: str, **labels: str) -> dict[str, float]:
        """The same by the value of one label."""
        return {of[label]: value for of, value in self.samples(name, **labels)}

    def value(self, name: str, **labels: str) -> float | None:
        """Of the only one of its kind; None when it is absent."""
        values = [value for _, value in self.samples(name, **labels)]
        assert len(values) < 2, f"{name} {labels} is ambiguous"
        return values[0] if values else None

    def total(self, name: str, **labels: str) -> float:
        """The sum of all of them."""
        return sum(value for _, value in self.samples(name, **labels))


@dataclass
class Process:
    """A running exporter. `health` holds every answer of /-/ready and /-/healthy, `pages` what its pages said."""

    running: Running
    folder: Path
    health: list[tuple[str, int]] = field(default_factory=list)
    pages: list[str] = field(default_factory=list)

    def scrape(self) -> Scrape:
        """One scrape; its state is looked at on the way."""
        for path in ("/-/ready", "/-/healthy"):
            self.health.append((path, self.running.get(path).status_code))
        at = time.time()
        answer = self.running.get("/metrics")
        assert answer.status_code == 200
        return Scrape(at, time.time(), answer.text)

    def look_at_pages(self) -> None:
        """Keep what every page says now."""
        self.pages += [self.running.get(path).text for path in PAGES]

    def records(self, *levels: str) -> list[dict[str, str]]:
        """The log so far, at these levels."""
        lines = self.running.err.read_text().rpartition("\n")[0].splitlines()  # the last one may be half written
        wanted = tuple(f'"level": "{level}"' for level in levels)
        return [json.loads(line) for line in lines if any(level in line for level in wanted)]

    def log(self, *levels: str) -> list[str]:
        """The messages that were logged so far, of these levels."""
        return [record["msg"] for record in self.records(*levels)]

    def events(self, account: str, *levels: str) -> list[dict[str, str]]:
        """The log's events of an account's calls, at these levels."""
        return [
            record for record in self.records(*levels) if record.get("account") == account and record["msg"] in EVENTS
        ]

    def written(self) -> str:
        """All it has said on any way."""
        return self.running.written() + "".join(self.pages)

    def configure(self, config: Mapping[str, Any]) -> None:
        """Write its configuration file."""
        (self.folder / FILE).write_text(yaml.safe_dump(dict(config)))


def start_process(stack: ExitStack, folder: Path, config: Mapping[str, Any], level: str = "debug") -> Process:
    """Start it, and come back when it is ready; it is killed when the stack is closed."""
    address = f"127.0.0.1:{free_port()}"
    command = [sys.executable, "-m", "exporter", "serve", "--config.file", FILE, "--web.listen-address", address]
    (folder / FILE).write_text(yaml.safe_dump(dict(config)))
    running = start([*command, "--log.level", level, "--log.format", "json"], folder, f"http://{address}")
    stack.callback(running.kill)
    wait_until(lambda: running.answers("/-/ready"), "the exporter is ready")
    return Process(running, folder)
