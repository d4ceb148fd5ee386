"""compose.yaml brings up what it says: its form, what it mounts, who finds whom. No container is run here."""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

import pytest
import yaml

from exporter.cli.demo import demo
from tests.real.conftest import real_part

ROOT = Path(__file__).parent.parent.parent
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
PORTS = {"exporter": 10960, "prometheus": 9090, "alertmanager": 9093, "grafana": 3000}


class Mount(NamedTuple):
    """A folder or file of the checkout, and where a container sees it."""

    service: str
    source: Path
    inside: PurePosixPath


def mounts() -> Iterator[Mount]:
    """All that are of the checkout."""
    for name, service in SERVICES.items():
        for volume in service.get("volumes", []):
            source, inside, *_ = volume.split(":")
            if source.startswith("./"):
                yield Mount(name, ROOT / source, PurePosixPath(inside))


@pytest.fixture
def inside(tmp_path: Path) -> Path:
    """The containers' file systems, as far as they are the checkout's: service/path."""
    for mount in mounts():
        place = tmp_path / mount.service / mount.inside.relative_to("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        copy = shutil.copytree if mount.source.is_dir() else shutil.copyfile
        copy(mount.source, place)
    return tmp_path


def test_it_is_a_compose_file() -> None:
    """By the published schema."""
    check = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec"]
    done = subprocess.run([*check, ROOT / "compose.yaml"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_everything_it_mounts_is_there_and_cannot_be_written() -> None:
    """A missing source would be made by the engine, as an empty folder."""
    assert [mount.source for mount in mounts() if not mount.source.exists()] == []
    volumes = [volume for service in SERVICES.values() for volume in service.get("volumes", [])]
    assert [volume for volume in volumes if volume.startswith("./") and not volume.endswith(":ro")] == []
    assert {volume.split(":")[0] for volume in volumes if not volume.startswith("./")} == set(COMPOSE["volumes"])


def test_each_service_can_be_looked_at_from_this_machine_alone() -> None:
    """By its usual port, on the loopback interface."""
    assert {name: service["ports"] for name, service in SERVICES.items()} == {
        name: [f"127.0.0.1:{port}:{port}"] for name, port in PORTS.items()
    }


def test_images_are_of_one_version() -> None:
    """No `latest`: what was looked at is what is run."""
    tags = {name: service["image"].partition(":")[2] for name, service in SERVICES.items()}
    assert tags.pop("exporter") == "demo"
    assert [tag for tag in tags.values() if not tag.lstrip("v").replace(".", "").isdigit()] == []


def test_the_exporter_is_the_demo_where_others_reach_it() -> None:
    """Its command line is one that the program takes."""
    command, *arguments = SERVICES["exporter"]["command"]
    assert command == "demo"
    assert demo.make_context(command, arguments).params["addresses"] == (f"0.0.0.0:{PORTS['exporter']}",)


def test_who_finds_whom() -> None:
    """Prometheus scrapes the exporter and tells Alertmanager; Grafana asks Prometheus."""
    prometheus = yaml.safe_load((ROOT / "deploy/compose/prometheus.yml").read_text())
    source = yaml.safe_load((ROOT / "dashboards/provisioning/datasources/webcast.yml").read_text())
    scraped = {job["job_name"]: job["static_configs"][0]["targets"] for job in prometheus["scrape_configs"]}
    assert scraped["webcast"] == [f"exporter:{PORTS['exporter']}"]
    assert prometheus["alerting"]["alertmanagers"][0]["static_configs"] == [
        {"targets": [f"alertmanager:{PORTS['alertmanager']}"]}
    ]
    assert source["datasources"][0]["url"] == f"http://prometheus:{PORTS['prometheus']}"


def test_grafana_finds_the_dashboards_where_they_are_mounted(inside: Path) -> None:
    """The provider's path holds the three, and the first page is one of them."""
    grafana = inside / "grafana"
    provider = yaml.safe_load((grafana / "etc/grafana/provisioning/dashboards/webcast.yml").read_text())["providers"][0]
    folder = grafana / PurePosixPath(provider["options"]["path"]).relative_to("/")
    assert sorted(path.name for path in folder.iterdir()) == [
        "exporter.json",
        "fleet.json",
        "statistics.json",
        "task.json",
    ]
    home = SERVICES["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    assert (grafana / PurePosixPath(home).relative_to("/")).is_file()


@pytest.mark.real
def test_prometheus_and_alertmanager_take_what_is_mounted(inside: Path) -> None:
    """Their own tools read the configurations where the containers see them, rules and templates with them."""
    configuration = inside / "prometheus/etc/prometheus/prometheus.yml"
    said = told([real_part("promtool"), "check", "config", configuration])
    assert "2 rule files found" in said
    assert said.count("rules found") == len(("recording", "alerts"))
    said = told([real_part("amtool"), "check-config", inside / "alertmanager/etc/alertmanager/alertmanager.yml"])
    assert "1 templates" in said


def told(command: list[Path | str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr
