"""The exporter as a process: how it starts, reloads, stops, refuses and remembers."""

import signal
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

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


def samples(exporter: "Running", name: str) -> dict[frozenset[str], float]:
    """All samples called `name` on /metrics: the set of label values to the value."""
    text = exporter.get("/metrics").text
    found = [s for family in text_string_to_metric_families(text) for s in family.samples if s.name == name]
    return {frozenset(sample.labels.values()): sample.value for sample in found}


def test_sigterm_ends_it_while_calls_hang(silent_api: str, start_exporter: "StartExporter", tmp_path: Path) -> None:
    """With calls pending for a minute to come, SIGTERM means exit 0 within 2 s."""
    targets = [f"{APP}/Room/Task{number}" for number in range(20)]
    exporter = start_exporter(tmp_path, config_of(silent_api, *targets, timeout="60s"))
    code, seconds = exporter.end()
    assert code == 0, exporter.written()
    assert seconds < 2
    assert "Traceback" not in exporter.written()


def test_sigint_ends_it_too(silent_api: str, start_exporter: "StartExporter", tmp_path: Path) -> None:
    """Ctrl-C is as clean a stop as SIGTERM."""
    exporter = start_exporter(tmp_path, config_of(silent_api))
    assert exporter.end(signal.SIGINT)[0] == 0
    assert "Traceback" not in exporter.written()


def test_a_port_in_use_is_said_and_exits_1(silent_api: str, start_exporter: "StartExporter", tmp_path: Path) -> None:
    """The sentence names the address; there is no traceback."""
    port = int(silent_api.rpartition(":")[2])
    exporter = start_exporter(tmp_path, config_of(silent_api), port=port, wait="")
    assert exporter.process.wait(timeout=20) == 1
    assert f":{port}" in exporter.err.read_text()
    assert "Traceback" not in exporter.written()


def test_a_bad_configuration_lists_all_problems_and_exits_2(start_exporter: "StartExporter", tmp_path: Path) -> None:
    """Every problem is told at once with its path, on standard error, and no secret with them."""
    config = config_of("http://rtc.example", f"{APP}/Room", max_qps=0) | {"polling": {"interval": "0s"}, "pollng": {}}
    exporter = start_exporter(tmp_path, config, wait="")
    assert exporter.process.wait(timeout=20) == 2
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
    listed = frozenset({"static"})
    assert samples(exporter, "webcast_targets")[listed] == 1

    file.write_text(yaml.safe_dump(config_of(silent_api, first, second)))
    exporter.process.send_signal(signal.SIGHUP)
    wait(lambda: samples(exporter, "webcast_targets")[listed] == 2, "the second target")

    file.write_text("accounts: nonsense\n")
    exporter.process.send_signal(signal.SIGHUP)
    successful = "webcast_exporter_config_last_reload_successful"
    wait(lambda: samples(exporter, successful) == {frozenset(): 0}, "the failed reload")
    assert samples(exporter, "webcast_targets")[listed] == 2
    assert exporter.end()[0] == 0
