"""The Alertmanager example: who is told, what is told once, and in which words."""

import json
import re
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from exporter.model.target import TargetId
from tests.rules.bundle import ALERTMANAGER, RUNBOOK_BASE, alerts, load
from tests.rules.scene import APP, annotations, of_exporter, of_task, task
from tests.rules.tape import Alert

CONFIG, TEMPLATE = ALERTMANAGER / "alertmanager.yml", ALERTMANAGER / "webcast.tmpl"
ADDRESS, GRAFANA = "http://webcast-exporter.example:10960", "https://grafana.example"
FIRST_FEW = 10


@pytest.mark.real
def test_amtool_takes_the_configuration(amtool_bin: Path) -> None:
    """Configuration and template are valid."""
    done = subprocess.run([amtool_bin, "check-config", CONFIG], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 templates" in done.stdout


@pytest.mark.real
@pytest.mark.parametrize(
    ("labels", "receiver"),
    [
        ({"alertname": "WebCastClassDark", "severity": "critical"}, "webcast-page"),
        ({"alertname": "WebCastClassOverrun", "severity": "warning"}, "webcast-chat"),
        ({"alertname": "WebCastPageMonitorsOff", "severity": "info"}, "webcast-quiet"),
        ({"alertname": "KubePodCrashLooping", "severity": "critical"}, "nobody"),
    ],
)
def test_each_severity_has_its_receiver(amtool_bin: Path, labels: dict[str, str], receiver: str) -> None:
    """Critical alerts page, warnings go to the chat, info is quiet; what is not ours is nobody's."""
    told = [f"{name}={value}" for name, value in labels.items()]
    command = [str(amtool_bin), "config", "routes", "test", f"--config.file={CONFIG}", f"--verify.receivers={receiver}"]
    done = subprocess.run([*command, *told], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.strip()) == (0, receiver), done.stderr


def test_a_task_is_no_group() -> None:
    """300 classes of one account are one notification, and so is an account with many apps."""
    routes = load(CONFIG)["route"]["routes"]
    assert [route["group_by"] for route in routes] == [["alertname", "account"]]
    assert [route for route in routes[0]["routes"] if "group_by" in route] == []


def test_inhibition_names_alerts_that_exist() -> None:
    """Each name in a rule is an alert's, and none inhibits itself."""
    names = {rule["alert"] for rule in alerts()}
    for rule in load(CONFIG)["inhibit_rules"]:
        sources, targets = _names(rule["source_matchers"]), _names(rule["target_matchers"])
        assert (sources | targets) - names == set()
        assert sources & targets == set()
        assert rule["equal"]


def _names(matchers: Iterable[str]) -> set[str]:
    return {name for matcher in matchers for name in re.findall(r"WebCast\w+", matcher)}


def rendered(amtool: Path, template: str, folder: Path, firing: Iterable[Alert], resolved: Iterable[Alert] = ()) -> str:
    """A message about these alerts."""
    told = [(alert, "firing") for alert in firing] + [(alert, "resolved") for alert in resolved]
    each: list[dict[str, Any]] = [
        {"status": status, "labels": {"alertname": alert.name, **alert.labels}, "annotations": dict(annotations(alert))}
        for alert, status in told
    ]
    data = {
        "receiver": "x",
        "status": "firing" if any(status == "firing" for _, status in told) else "resolved",
        "alerts": each,
        "groupLabels": {},
        "commonLabels": _common([alert["labels"] for alert in each]),
        "commonAnnotations": _common([alert["annotations"] for alert in each]),
        "externalURL": "http://alertmanager.example",
    }
    (folder / "data.json").write_text(json.dumps(data))
    command = [
        str(amtool),
        "template",
        "render",
        f"--template.glob={TEMPLATE}",
        f"--template.data={folder / 'data.json'}",
    ]
    text = f'--template.text={{{{ template "{template}" . }}}}'
    done = subprocess.run([*command, text], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def _common(maps: list[dict[str, Any]]) -> dict[str, Any]:
    return {key: value for key, value in maps[0].items() if all(each.get(key) == value for each in maps)}


def dark(target: TargetId) -> Alert:
    """One dark class."""
    return of_task("WebCastClassDark", target, "critical", f"Class {target.room_id}/{target.task_id} is dark", "...")


@pytest.mark.real
@pytest.mark.parametrize("template", ["webcast.text", "webcast.markdown", "prom.text", "prom.markdown"])
def test_a_message_has_the_count_and_the_first_ten(amtool_bin: Path, tmp_path: Path, template: str) -> None:
    """Of 300 dark classes: how many, ten of them by name, where the others are, and the runbook."""
    message = rendered(amtool_bin, template, tmp_path, [dark(task(f"Class{number}")) for number in range(300)])
    assert f"[300] WebCastClassDark app {APP} account default" in message
    assert message.count("is dark") == FIRST_FEW
    assert "Room1/Class9 is dark" in message
    assert "and more" in message
    assert f"{ADDRESS}/tasks" in message
    assert "status=failed" not in message
    assert f"{RUNBOOK_BASE}WebCastClassDark.md" in message


@pytest.mark.real
def test_a_message_fits_where_it_is_cut(amtool_bin: Path, tmp_path: Path) -> None:
    """WeCom cuts a text after 2048 bytes: what comes first is there in any case, and with usual ids all of it."""
    message = rendered(amtool_bin, "webcast.text", tmp_path, [dark(task(f"Class{number}")) for number in range(300)])
    assert len(message.encode()) < 2048
    longest = [dark(TargetId("a" * 128, "r" * 128, f"{number:0128d}")) for number in range(300)]
    message = rendered(amtool_bin, "webcast.text", tmp_path, longest)
    assert f"{RUNBOOK_BASE}WebCastClassDark.md" in message.encode()[:2048].decode()


@pytest.mark.real
def test_a_message_about_failures_leads_to_the_failed(amtool_bin: Path, tmp_path: Path) -> None:
    """The exporter's page of tasks, filtered."""
    failed = of_task(
        "WebCastTaskFailed", task("A"), "critical", "Class Room1/A has failed (Other)", "...", reason="Other"
    )
    for template in ("webcast.text", "webcast.markdown"):
        assert f"{ADDRESS}/tasks?status=failed" in rendered(amtool_bin, template, tmp_path, [failed])


@pytest.mark.real
def test_a_message_links_each_task_to_its_dashboard(amtool_bin: Path, tmp_path: Path) -> None:
    """In Markdown a class is a link into Grafana."""
    message = rendered(amtool_bin, "webcast.markdown", tmp_path, [dark(task("A"))])
    page = f"{GRAFANA}/d/webcast-task/webcast-task?var-app_id={APP}&var-room_id=Room1&var-task_id=A"
    assert f"- [Class Room1/A is dark]({page})" in message
    assert "and more" not in message


@pytest.mark.real
def test_a_message_of_the_end(amtool_bin: Path, tmp_path: Path) -> None:
    """When all is over the message says so, and of what."""
    message = rendered(amtool_bin, "webcast.text", tmp_path, [], [dark(task("A")), dark(task("B"))])
    assert message.startswith("[resolved] WebCastClassDark")
    assert "- over: Class Room1/B is dark" in message


@pytest.mark.real
def test_a_message_without_an_app(amtool_bin: Path, tmp_path: Path) -> None:
    """An alert that has no labels but its severity can be told as well."""
    down = of_exporter("WebCastExporterDown", "critical", "No exporter reads anything", "...")
    assert rendered(amtool_bin, "webcast.title", tmp_path, [down]).strip() == "[1] WebCastExporterDown"
