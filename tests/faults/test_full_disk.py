"""A disk that is full for a while, through the real process: its files may not grow, as under `ulimit -f`."""

import resource
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.faults.places import Place, open_place
from tests.faults.process import Process, start_process
from tests.real.conftest import wait_until

pytestmark = pytest.mark.real

ROOM_FOR_THE_LOG = 4096
"""Bytes; the state's files are larger, so that whatever is added to them is too much."""
TASKS = 6


@pytest.fixture
def place() -> Iterator[Place]:
    with ExitStack() as stack:
        opened = open_place(stack, "default")
        opened.run_tasks("app", TASKS)
        yield opened


def config_of(place: Place) -> dict[str, object]:
    return {
        "accounts": [place.account()],
        "static_configs": [{"targets": [str(task) for task in place.tasks]}],
        "polling": {"interval": "1s", "fast_interval": "1s"},
    }


def limit(process: Process, size: int) -> None:
    """Bytes that a file of the process may have; it fails to write more, as on a full disk."""
    pid = process.running.process.pid
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))


def stop(place: Place, *numbers: int) -> None:
    for number in numbers:
        assert place.simulation.fleet.stop(place.tasks[number])


def test_a_full_disk_loses_and_stops_nothing(place: Place, tmp_path: Path) -> None:
    """Counted, said once; reads and scrapes go on, and when there is space all is counted once, over a restart too."""
    with ExitStack() as stack:
        process = start_process(stack, tmp_path, config_of(place), level="info")
        wait_until(lambda: process.scrape().total("webcast_tasks", status="running") == TASKS, "all are running")
        stop(place, 0)
        wait_until(lambda: process.scrape().total("webcast_run_stops_total") == 1, "one has stopped")

        limit(process, process.running.err.stat().st_size + ROOM_FOR_THE_LOG)
        stop(place, 1, 2)
        wait_until(lambda: process.scrape().total("webcast_state_write_failures_total") >= 2, "two failed writes")
        full = process.scrape()
        assert full.total("webcast_run_stops_total") == 1, "what is not in the state is not shown"
        assert full.by("status", "webcast_tasks")["ended"] == 3
        assert full.total("webcast_task_status", status="ended") == 3
        reads = full.value("webcast_api_requests_total")
        wait_until(
            lambda: (process.scrape().value("webcast_api_requests_total") or 0) > (reads or 0) + 3, "reads go on"
        )
        said = [line for line in process.log("error") if "state write failed" in line]
        assert len(said) == 1

        limit(process, resource.RLIM_INFINITY)
        wait_until(lambda: process.scrape().total("webcast_run_stops_total") == 3, "all is counted")
        stop(place, 3)
        wait_until(lambda: process.scrape().total("webcast_run_stops_total") == 4, "and what comes after it")
        after = process.scrape()
        assert after.total("webcast_exporter_internal_errors_total") == 0
        assert {status for _, status in process.health} == {200}
        assert len([line for line in process.log("error") if "state write failed" in line]) == 1
        assert process.running.end() == 0

        again = start_process(stack, tmp_path, config_of(place))
        assert again.scrape().by("reason", "webcast_run_stops_total", app_id="app")["StopByAPI"] == 4
        assert again.running.end() == 0
