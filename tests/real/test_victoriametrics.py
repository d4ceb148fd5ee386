"""VictoriaMetrics in Prometheus's place: vmagent scrapes, vmalert evaluates the exported rules, unchanged.

The programs are an optional part: where `.ci/real-parts` could not fetch them, these tests are skipped, in CI too.
"""

import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from exporter.bundle.files import LANGUAGES, ExportOptions, bundle
from exporter.model.target import TargetId
from exporter.simulator.lifecycle import RunPlan
from exporter.simulator.server import Simulation, SimulationOptions
from tests.docs.reading import blocks_of
from tests.real.conftest import ROOT, Running, free_port, wait_until
from tests.support import web_client
from tests.support.receiver import receiver

if TYPE_CHECKING:
    from tests.real.conftest import StartExporter

pytestmark = pytest.mark.real

TASK = TargetId("661e0000000000000000543c", "Room1", "Task1")
RULES = ("recording", "alerts")


def program(name: str) -> str:
    """A program of VictoriaMetrics, or a skip."""
    path = os.pathsep.join([os.environ["PATH"], str(ROOT / ".real-parts/usr/bin")])
    return shutil.which(name, path=path) or pytest.skip(f"{name} could not be fetched by .ci/real-parts")


def files_of_rules() -> dict[str, dict[str, str]]:
    """The rules as they are exported in each language, and those of docs/nightingale.md."""
    filled = {"exporter_url": "https://webcast.example.internal", "timezone": "Asia/Shanghai"}
    bundles = {language: bundle(ExportOptions(language, **filled)) for language in LANGUAGES}
    exported = {
        language: {name: files[f"prometheus/{name}.yml"] for name in RULES} for language, files in bundles.items()
    }
    (passed_on,) = (block.text for block in blocks_of(ROOT / "docs" / "nightingale.md") if block.kind == "yaml")
    return {**exported, "nightingale": {"passed-on": passed_on}}


@pytest.mark.parametrize("files", [pytest.param(files, id=name) for name, files in files_of_rules().items()])
def test_vmalert_takes_the_rules(files: dict[str, str], tmp_path: Path) -> None:
    """Expressions, templates and `keep_firing_for`."""
    for name, text in files.items():
        (tmp_path / f"{name}.yml").write_text(text)
    command = [program("vmalert"), "-dryRun", f"-rule={tmp_path}/*.yml"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def write_rules(folder: Path) -> None:
    """The exported rules, evaluated each second; what is waited for lasts a second."""
    for name in RULES:
        document = yaml.safe_load(bundle()[f"prometheus/{name}.yml"])
        for group in document["groups"]:
            group["interval"] = "1s"
            for rule in group["rules"]:
                rule.update({key: "1s" for key in ("for", "keep_firing_for") if key in rule})
        (folder / f"{name}.yml").write_text(yaml.safe_dump(document))


def test_a_dark_class_is_told_and_ends(
    start_exporter: "StartExporter",
    start_process: Callable[[list[str], Path, str], Running],
    tmp_path: Path,
) -> None:
    """The alert comes with the class, its cause and since when; a new run resolves it."""
    write_rules(tmp_path)

    def started(name: str, *flags: str) -> str:
        address = f"127.0.0.1:{free_port()}"
        command = [program(name), f"-httpListenAddr={address}", *flags]
        running = start_process(command, tmp_path, f"http://{address}")
        wait_until(lambda: running.answers("/health"), f"{name} answers")
        return running.url

    with Simulation(SimulationOptions(tasks=0, speed=1)) as simulation, receiver() as (alertmanager, posts):
        simulation.fleet.begin(TASK, RunPlan())
        account = {
            "name": "default",
            "endpoint": simulation.url,
            "access_key_id": simulation.credentials.access_key,
            "secret_access_key": simulation.credentials.secret_key,
        }
        labels = {"__expected_start__": str(int(time.time()) - 30), "__expected_end__": str(int(time.time()) + 3600)}
        config = {
            "accounts": [account],
            "static_configs": [{"targets": [str(TASK)], "labels": labels}],
            "polling": {"interval": "1s", "fast_interval": "1s", "reread_stopped": "1s"},
        }
        exporter = start_exporter(tmp_path / "exporter", config)
        scraped = {"targets": [exporter.url.removeprefix("http://")]}
        scrape = {
            "global": {"scrape_interval": "1s", "scrape_timeout": "1s"},
            "scrape_configs": [{"job_name": "webcast", "static_configs": [scraped]}],
        }
        (tmp_path / "scrape.yml").write_text(yaml.safe_dump(scrape))
        storage = started("victoria-metrics", "-storageDataPath=data", "-search.latencyOffset=1s")
        write = f"-remoteWrite.url={storage}/api/v1/write"
        started("vmagent", "-promscrape.config=scrape.yml", write, "-remoteWrite.tmpDataPath=queue")
        started(
            "vmalert",
            "-rule=recording.yml",
            "-rule=alerts.yml",
            f"-datasource.url={storage}",
            f"-remoteWrite.url={storage}",
            f"-remoteRead.url={storage}",
            f"-notifier.url={alertmanager}",
            "-rule.evalDelay=1s",
        )

        def latest() -> dict[str, Any]:
            """The alert about the class as it was last sent."""
            sent = [alert for post in list(posts) for alert in json.loads(post.body)]
            found = [alert for alert in sent if alert["labels"]["alertname"] == "WebCastClassDark"]
            return found[-1] if found else {}

        def act(action: str) -> None:
            url = f"{simulation.url}/task/{TASK}"
            web_client.post(url, params={"do": action}).raise_for_status()

        act("fail")
        wait_until(lambda: latest().get("annotations", {}).get("cause"), "the alert names the cause")
        texts = latest()["annotations"]
        assert texts["summary"] == "Class Room1/Task1 is dark"
        assert texts["cause"] == "UnknownStopReason"
        assert texts["since"].endswith(" UTC")
        assert texts["task_url"] == f"{exporter.url}/tasks/{TASK}"
        assert latest()["labels"].keys() >= {"app_id", "room_id", "task_id", "account", "severity"}
        act("start")
        ended = "the alert ends with its class"
        wait_until(lambda: latest()["endsAt"] <= time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), ended)
