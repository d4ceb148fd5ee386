"""The exporter as a process: how it starts, reloads, stops, refuses and remembers."""

import shutil
import signal
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from exporter.model.target import TargetId
from exporter.simulator.fleet import stop_counts
from exporter.simulator.lifecycle import Ending, RunPlan
from exporter.simulator.server import Simulation, SimulationOptions

if TYPE_CHECKING:
    from tests.real.conftest import Running, StartExporter

pytestmark = pytest.mark.real

APP = "661e0000000000000000543c"


@pytest.fixture
def silent_api() -> Iterator[str]:
    """The address of an API that takes every call and answers none."""
    with socket.create_server(("127.0.0.1", 0), backlog=100) as listener:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


def config_of(endpoint: str, *targets: str, **account: Any) -> dict[str, Any]:
    """The smallest configuration that reads `targets` from `endpoint`."""
    keys = {"access_key_id": "AKLTexample", "secret_access_key": "made-up-secret"}
    return {
        "accounts": [{"name": "default", "endpoint": endpoint, **keys, **account}],
        "static_configs": [{"targets": list(targets)}],
    }


def test_sigterm_ends_it_while_calls_hang(silent_api: str, start_exporter: "StartExporter", tmp_path: Path) -> None:
    """With calls pending for ten minutes to come, SIGTERM means exit 0."""
    targets = [f"{APP}/Room/Task{number}" for number in range(20)]
    exporter = start_exporter(tmp_path, config_of(silent_api, *targets, timeout="10m"))
    assert exporter.end() == 0, exporter.written()
    assert "Traceback" not in exporter.written()


def test_sigint_ends_it_too(silent_api: str, start_exporter: "StartExporter", tmp_path: Path) -> None:
    """Ctrl-C is as clean a stop as SIGTERM."""
    exporter = start_exporter(tmp_path, config_of(silent_api))
    assert exporter.end(signal.SIGINT) == 0
    assert "Traceback" not in exporter.written()


def test_a_port_in_use_is_said_and_exits_1(silent_api: str, start_exporter: "StartExporter", tmp_path: Path) -> None:
    """The sentence names the address; there is no traceback."""
    port = int(silent_api.rpartition(":")[2])
    exporter = start_exporter(tmp_path, config_of(silent_api), port=port, wait="")
    assert exporter.process.wait(timeout=60) == 1
    assert f":{port}" in exporter.err.read_text()
    assert "Traceback" not in exporter.written()


def test_a_bad_configuration_lists_all_problems_and_exits_2(start_exporter: "StartExporter", tmp_path: Path) -> None:
    """Every problem is told at once with its path, on standard error, and no secret with them."""
    config = config_of("http://rtc.example", f"{APP}/Room", max_qps=0) | {"polling": {"interval": "0s"}, "pollng": {}}
    exporter = start_exporter(tmp_path, config, wait="")
    assert exporter.process.wait(timeout=60) == 2
    told = exporter.err.read_text()
    paths = ("accounts[0].endpoint", "accounts[0].max_qps", "static_configs[0]", "polling.interval", "pollng")
    assert [path for path in paths if path not in told] == []
    assert "Traceback" not in told
    assert "made-up-secret" not in exporter.written()


def test_sighup_reloads_and_a_bad_file_changes_nothing(
    silent_api: str, start_exporter: "StartExporter", tmp_path: Path, wait: Callable[..., None]
) -> None:
    """A good new file is in force without a restart; a bad one leaves the old one in force and is told."""
    first, second = f"{APP}/Room/Task1", f"{APP}/Room/Task2"
    exporter = start_exporter(tmp_path, config_of(silent_api, first))
    file = tmp_path / "webcast-exporter.yml"
    listed = ("static",)
    assert exporter.samples("webcast_targets")[listed] == 1

    file.write_text(yaml.safe_dump(config_of(silent_api, first, second)))
    exporter.process.send_signal(signal.SIGHUP)
    wait(lambda: exporter.samples("webcast_targets")[listed] == 2, "the second target")

    file.write_text("accounts: nonsense\n")
    exporter.process.send_signal(signal.SIGHUP)
    successful = "webcast_exporter_config_last_reload_successful"
    wait(lambda: exporter.samples(successful) == {(): 0}, "the failed reload")
    assert exporter.samples("webcast_targets")[listed] == 2
    assert exporter.end() == 0


@pytest.mark.parametrize("gone", ["state.db", "state.db.lock", ""], ids=["the state", "its lock file", "its folder"])
def test_what_is_removed_under_the_process_is_not_lost_and_two_never_poll(
    start_exporter: "StartExporter", tmp_path: Path, wait: Callable[..., None], gone: str
) -> None:
    """It says what is gone and ends; the next process goes on with its counters, and calls only after its last call."""
    ended = TargetId(APP, "Room", "Ended")
    with Simulation(SimulationOptions(tasks=0, speed=1)) as simulation:
        simulation.fleet.begin(ended, RunPlan(ends=30, ending=Ending.STOPPED_BY_API), age=60)
        keys = {
            "access_key_id": simulation.credentials.access_key,
            "secret_access_key": simulation.credentials.secret_key,
        }
        (tmp_path / "state").mkdir()
        others = [TargetId(APP, "Room", f"Unknown{number}") for number in range(2)]
        settings = {"polling": {"interval": "1s"}, "state": {"url": f"sqlite:///{tmp_path}/state/state.db"}}
        first, second = (
            config_of(simulation.url, str(ended), str(other), max_qps=20, **keys) | settings for other in others
        )
        exporter = start_exporter(tmp_path / "first", first)
        wait(lambda: stops(exporter) == 1, "the stopped run")
        wait(lambda: simulation.calls.reads_of(others[0]), "a read of the first")
        if gone:
            (tmp_path / "state" / gone).unlink()
        else:
            shutil.rmtree(tmp_path / "state")
            assert exporter.process.wait(timeout=60) == 1
        follower = start_exporter(tmp_path / "second", second)
        assert exporter.process.wait(timeout=60) == 1
        assert "state lost" in exporter.written()
        assert f"{gone or 'state.db'} was removed or replaced while in use" in exporter.err.read_text()
        wait(lambda: simulation.calls.reads_of(others[1]), "a read of the second")
        assert stops(follower) == 1
        assert simulation.calls.reads_of(others[0])[-1] < simulation.calls.reads_of(others[1])[0]
        assert follower.end() == 0


COUNTED = (
    "webcast_run_stops_total",
    "webcast_run_transitions_total",
    "webcast_run_duration_seconds_count",
    "webcast_run_duration_seconds_sum",
)


def stops(exporter: "Running") -> float:
    """All runs that the exporter has counted as stopped."""
    return sum(exporter.samples("webcast_run_stops_total").values())


def test_counters_go_on_after_a_kill(
    start_exporter: "StartExporter", tmp_path: Path, wait: Callable[..., None]
) -> None:
    """Killed and started again: the first scrape shows the old totals; what stopped meanwhile is counted, once."""
    running = TargetId(APP, "Room", "Running")
    ended = [TargetId(APP, "Room", f"Ended{number}") for number in range(3)]
    with Simulation(SimulationOptions(tasks=0, speed=1)) as simulation:
        simulation.fleet.begin(running, RunPlan(), age=60)
        for target in ended:
            simulation.fleet.begin(target, RunPlan(ends=30, ending=Ending.STOPPED_BY_API), age=60)
        keys = {
            "access_key_id": simulation.credentials.access_key,
            "secret_access_key": simulation.credentials.secret_key,
        }
        config = config_of(simulation.url, *map(str, [running, *ended]), **keys) | {"polling": {"interval": "1s"}}

        exporter = start_exporter(tmp_path, config)
        wait(lambda: stops(exporter) == 3, "three stopped runs")
        wait(lambda: exporter.samples("webcast_run_transitions_total")[APP, "running"] == 1, "the running one")
        before = {name: exporter.samples(name) for name in COUNTED}
        exporter.kill()
        simulation.fleet.stop(running)

        exporter = start_exporter(tmp_path, config, wait="/metrics")
        after = {name: exporter.samples(name) for name in COUNTED}
        assert [
            name for name in COUNTED if any(after[name][labels] < value for labels, value in before[name].items())
        ] == []
        wait(lambda: stops(exporter) == 4, "the run that stopped meanwhile")
        counts = stop_counts(simulation.fleet, int(simulation.fleet.clock() * 1000))
        assert {reason.value: count for reason, count in counts.items() if count} == {
            reason: count for (_, reason), count in exporter.samples("webcast_run_stops_total").items() if count
        }
        assert exporter.end() == 0
