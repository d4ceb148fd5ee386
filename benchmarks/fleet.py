"""A made-up fleet of running tasks: as an exporter that is served, as values, and at a simulated vendor."""

import tempfile
from pathlib import Path
from typing import Any

import yaml

from exporter.cli.plan import READ_AT, TYPICAL_TASK
from exporter.config.loader import load
from exporter.model.clock import Clock
from exporter.model.target import TargetId
from exporter.model.task import ReadResult
from exporter.service.exporter import Exporter
from exporter.simulator.lifecycle import TaskSettings
from exporter.simulator.server import CREDENTIALS
from exporter.store.database import open_sqlite

CHECKED = TaskSettings(freeze_check=5, blank_check=5, crash_check=5, event_notify=True, start_timeout=10)
APP = "661e0000000000000000543c"


def target(number: int) -> TargetId:
    """One task, with ids as long as real ones."""
    return TargetId(APP, f"class-20260115-{number:05d}", f"webcast-20260115-{number:05d}")


def reading(number: int, seconds: float = 0.0) -> ReadResult:
    """A read of it, so many seconds after the first."""
    at = READ_AT + number / 1000 + seconds
    return ReadResult(target(number), at=at, server_time=at, elapsed=0.1, outcome=TYPICAL_TASK)


def exporter(document: dict[str, Any], clock: Clock | None = None) -> Exporter:
    """One over a configuration, its state in memory; it is not started."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "webcast-exporter.yml"
        file.write_text(yaml.safe_dump({"state": {"url": "sqlite://"}, **document}))
        config = load(file, {})
    return Exporter(config, lambda: config, {}, open_sqlite(None), clock or Clock())


def account(endpoint: str = "http://127.0.0.1:1", **changes: Any) -> dict[str, Any]:
    """An account whose key the simulator accepts."""
    keys = {"access_key_id": CREDENTIALS.access_key, "secret_access_key": CREDENTIALS.secret_key}
    return {"name": "bench", "endpoint": endpoint, **keys, **changes}


def read_fleet(tasks: int) -> Exporter:
    """An exporter that has read so many running tasks, all groups, and reads no more."""
    listed = [{"targets": [str(target(number)) for number in range(tasks)], "labels": {"team": "edu"}}]
    sections = {"accounts": [account()], "static_configs": listed, "metrics": {"info_labels": ["team"]}}
    made = exporter(sections, Clock(unix=lambda: READ_AT + 30))
    made._apply(made.config)
    for number in range(tasks):
        made._components.registry.apply_read(reading(number))
    return made
