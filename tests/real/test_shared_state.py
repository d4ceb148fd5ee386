"""Two real processes on one real PostgreSQL: one reads, the other waits and takes over."""

import signal
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from sqlalchemy.engine import make_url

from exporter.model.target import TargetId
from exporter.simulator.lifecycle import RunPlan
from exporter.simulator.server import Simulation, SimulationOptions

if TYPE_CHECKING:
    from tests.real.conftest import StartExporter
    from tests.support.postgresql import Postgres

pytestmark = pytest.mark.real

APP = "661e0000000000000000543c"
STOPS = "webcast_run_stops_total"
"""Seconds that a loaded machine may be late."""


def config_of(simulation: Simulation, url: str) -> dict[str, Any]:
    """Its tasks, read once a second."""
    credentials = simulation.credentials
    keys = {"access_key_id": credentials.access_key, "secret_access_key": credentials.secret_key}
    return {
        "accounts": [{"name": "default", "endpoint": simulation.url, **keys}],
        "http_sd_configs": [{"url": f"{simulation.url}/targets", "refresh_interval": "1s"}],
        "polling": {"interval": "1s", "fast_interval": "1s"},
        "state": {"url": url},
    }


def stops(samples: dict[tuple[str, ...], float]) -> float:
    """All runs that were counted as stopped."""
    return sum(samples.values())


def test_the_second_takes_over_from_a_killed_one(
    tmp_path: Path, postgres: "Postgres", start_exporter: "StartExporter", wait: Callable[..., None]
) -> None:
    """Within 5 s, and every counter goes on from where it stood."""
    with Simulation(SimulationOptions(tasks=0, speed=1)) as simulation:
        for number in range(20):
            simulation.fleet.begin(TargetId(APP, "Room", f"Task{number}"), RunPlan(ends=1.0 if number < 10 else 3600.0))
        config = config_of(simulation, postgres.database().whole)
        first = start_exporter(tmp_path / "first", config)
        wait(lambda: stops(first.samples(STOPS)) == 10, "the first has counted ten")
        second = start_exporter(tmp_path / "second", config, wait="")
        wait(lambda: "waiting for another process to release the state" in second.written(), "the second waits")
        first.kill()
        for number in range(10, 15):
            simulation.fleet.stop(TargetId(APP, "Room", f"Task{number}"))
        wait(lambda: second.answers("/metrics"), "the second has taken over")
        assert stops(second.samples(STOPS)) >= 10
        wait(lambda: stops(second.samples(STOPS)) == 15, "it has counted all")
        assert second.end() == 0


def test_one_whose_session_another_has_ends(
    tmp_path: Path, postgres: "Postgres", start_exporter: "StartExporter", wait: Callable[..., None]
) -> None:
    """It says so, with exit code 1, and the other counts on alone; a password is in no line."""
    with Simulation(SimulationOptions(tasks=3, speed=1)) as simulation:
        url = postgres.database().whole.replace("exporter@", "exporter:hunter2@")
        config = config_of(simulation, url)
        first = start_exporter(tmp_path / "first", config)
        second = start_exporter(tmp_path / "second", config, wait="")
        wait(lambda: "waiting for another process to release the state" in second.written(), "the second waits")
        first.process.send_signal(signal.SIGSTOP)
        with psycopg.connect(make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)) as other:
            other.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE application_name = 'webcast-exporter' AND datname = current_database()"
            )
        wait(lambda: second.answers("/metrics"), "the second has taken over")
        first.process.send_signal(signal.SIGCONT)
        assert first.process.wait(timeout=60) == 1
        assert "another process has it by now" in first.written()
        assert second.end() == 0
        assert "hunter2" not in first.written() + second.written()
