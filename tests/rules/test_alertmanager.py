"""The Alertmanager example: who is told, what is told once, and in which words."""

import json
import re
import subprocess
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from exporter.bundle.files import ExportOptions, bundle
from exporter.model.target import TargetId
from tests.rules.bundle import ALERTMANAGER, alerts, load
from tests.rules.scene import APP, task

CONFIG = ALERTMANAGER / "alertmanager.yml"
FIRST_FEW = 10

Alert = dict[str, Any]


@pytest.mark.real
def test_amtool_takes_the_configuration(amtool_bin: Path) -> None:
    done = subprocess.run([amtool_bin, "check-config", CONFIG], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 templates" in done.stdout


@pytest.mark.real
@pytest.mark.parametrize(
    ("labels", "receiver"),
    [
        ({"alertname": "WebCastClassDark", "severity": "critical", "task_id": "a"}, "webcast-page"),
        ({"alertname": "WebCastClassOverrun", "severity": "warning", "task_id": "a"}, "webcast-chat"),
        ({"alertname": "WebCastPageMonitorsOff", "severity": "info", "task_id": "a"}, "webcast-quiet"),
        ({"alertname": "WebCastExporterDown", "severity": "critical", "account": "a"}, "webcast-page"),
        ({"alertname": "KubePodCrashLooping", "severity": "critical"}, "none"),
    ],
)
def test_each_severity_has_its_receiver(amtool_bin: Path, labels: dict[str, str], receiver: str) -> None:
    """Critical alerts page, warnings go to the chat, info is quiet; other alerts have no receiver."""
    told = [f"{name}={value}" for name, value in labels.items()]
    command = [str(amtool_bin), "config", "routes", "test", f"--config.file={CONFIG}", f"--verify.receivers={receiver}"]
    done = subprocess.run([*command, *told], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.strip()) == (0, receiver), done.stderr


def test_groups_of_messages() -> None:
    """Classes of one account are one list; one dead process with many accounts is one message."""
    (ours,) = load(CONFIG)["route"]["routes"]
    assert ours["group_by"] == ["alertname"]
    of_classes = [route for route in ours["routes"] if 'task_id!=""' in route["matchers"]]
    assert [route["group_by"] for route in of_classes] == [["account"], ["account"]]


def test_recoveries_are_sent() -> None:
    """WeCom's default is to send none."""
    receivers = [
        each for receiver in load(CONFIG)["receivers"] for key in receiver if key != "name" for each in receiver[key]
    ]
    assert [each["send_resolved"] for each in receivers] == [True] * 3


def test_inhibition_names_alerts_that_exist() -> None:
    """Each name in a rule is an alert's, and none inhibits itself."""
    names = {rule["alert"] for rule in alerts()}
    for rule in load(CONFIG)["inhibit_rules"]:
        sources, targets = _names(rule["source_matchers"]), _names(rule["target_matchers"])
        assert (sources | targets) - names == set()
        assert sources & targets == set()
        assert rule["equal"]


def _names(matchers: Iterable[str]) -> set[str]:
    patterns = [matcher.partition('"')[2].rstrip('"') for matcher in matchers]
    return {rule["alert"] for rule in alerts() for pattern in patterns if re.fullmatch(pattern, rule["alert"])}


def told(name: str, target: TargetId, severity: str, problem: str, *, cause: str = "", status: str = "firing") -> Alert:
    exporter = "http://webcast.example.internal:10960"
    return {
        "status": status,
        "labels": {"alertname": name, **target._asdict(), "severity": severity, "account": "a", "teacher": 'Li "Lei"'},
        "annotations": {
            "problem": problem,
            "cause": cause,
            "since": "2026-11-29 14:05 UTC",
            "summary": "A summary",
            "task_url": f"{exporter}/tasks/{target}",
            "runbook_url": f"{exporter}/runbooks/{name}",
        },
    }


DARK = told("WebCastClassDark", task("Dark"), "critical", "class dark", cause="StartTaskFailed")
FAILED = told("WebCastTaskFailed", task("Failed"), "critical", "task failed", cause="UnknownStopReason")
OVERRUN = told("WebCastClassOverrun", task("Long"), "warning", "still running after its class")
OVER = told("WebCastClassDark", task("Over"), "critical", "class dark", status="resolved")
DOWN: Alert = {
    "status": "firing",
    "labels": {"alertname": "WebCastExporterDown", "severity": "critical", "account": "a"},
    "annotations": {
        "summary": "No exporter reads account a",
        "description": "Start it again.",
        "runbook_url": "http://r",
    },
}


@cache
def template_file(language: str) -> str:
    return bundle(ExportOptions(language))["alertmanager/webcast.tmpl"]


def rendered(amtool: Path, template: str, folder: Path, *told: Alert, language: str = "en", text: str = "") -> str:
    """A message about these alerts, or another text with this template, by Alertmanager's own template engine."""
    (folder / "webcast.tmpl").write_text(template_file(language))
    data = {
        "receiver": "x",
        "status": "firing",
        "alerts": told,
        "groupLabels": {},
        "commonLabels": {},
        "commonAnnotations": {},
        "externalURL": "http://alertmanager.example",
    }
    (folder / "data.json").write_text(json.dumps(data))
    files = [f"--template.glob={folder / 'webcast.tmpl'}", f"--template.data={folder / 'data.json'}"]
    text = text or f'{{{{ template "{template}" . }}}}'
    command = [str(amtool), "template", "render", *files, f"--template.text={text}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


FIRST_LINES = {
    "en": (
        "[CRITICAL] teacher=Li 'Lei' Room1/Dark: class dark, the task could not start",
        "[OVER] teacher=Li 'Lei' Room1/Over: class dark, it has not started",
        "[CRITICAL] No exporter reads account a",
        "(in all 3)",
    ),
    "zh": (
        "[严重] teacher=Li 'Lei' Room1/Dark: class dark, 任务启动失败",
        "[已结束] teacher=Li 'Lei' Room1/Over: class dark, 尚未启动",
        "[严重] No exporter reads account a",
        "(共 3)",
    ),
}
TEMPLATES = ("webcast.text", "webcast.markdown", "prom.text", "prom.markdown")


@pytest.mark.real
@pytest.mark.parametrize("language", FIRST_LINES)
@pytest.mark.parametrize("template", TEMPLATES)
def test_the_first_line_says_how_bad_which_class_and_why(
    amtool_bin: Path, tmp_path: Path, template: str, language: str
) -> None:
    """In every format, of one alert and of several, the worst first; annotations come translated from Prometheus."""

    def first_line(*alerts: Alert) -> str:
        text = rendered(amtool_bin, template, tmp_path, *alerts, language=language)
        return text.splitlines()[0].strip("*")

    dark, over, down, in_all = FIRST_LINES[language]
    assert first_line(DARK) == dark
    assert first_line(OVER) == over
    assert first_line(DOWN) == down
    assert first_line(OVERRUN, FAILED, DARK, OVER) == f"{dark} {in_all}"


@pytest.mark.real
def test_a_message_about_one_class(amtool_bin: Path, tmp_path: Path) -> None:
    """Then since when, the task's page and the runbook."""
    assert rendered(amtool_bin, "webcast.text", tmp_path, DARK).splitlines()[1:] == [
        "Since: 2026-11-29 14:05 UTC",
        f"Task: http://webcast.example.internal:10960/tasks/{APP}/Room1/Dark",
        "Runbook: http://webcast.example.internal:10960/runbooks/WebCastClassDark",
    ]
    alone = rendered(amtool_bin, "webcast.text", tmp_path, DOWN)
    assert alone.splitlines()[1:] == ["Runbook: http://r", "Start it again."]


@pytest.mark.real
@pytest.mark.parametrize("template", TEMPLATES)
def test_a_message_about_many_classes(amtool_bin: Path, tmp_path: Path, template: str) -> None:
    """Worst first, ten at most, each with its page; what is over stands last."""
    message = rendered(amtool_bin, template, tmp_path, OVERRUN, OVER, FAILED, DARK)
    first, second, third, last = (message.rindex(f"Room1/{name}:") for name in ("Dark", "Failed", "Long", "Over"))
    assert first < second < third < last
    assert message.count("/tasks/") == len(("Dark", "Failed", "Long"))
    many = [told("WebCastClassDark", task(f"Class{number}"), "critical", "class dark") for number in range(300)]
    message = rendered(amtool_bin, template, tmp_path, *many)
    assert message.count("/tasks/") == FIRST_FEW
    assert "(in all 300)" in message.splitlines()[0]
    assert "Only the first ten are listed" in message


@pytest.mark.real
def test_feishu_gets_json(amtool_bin: Path, tmp_path: Path) -> None:
    """Whatever a label holds; the title is the first line."""
    body = json.loads(rendered(amtool_bin, "webcast.feishu", tmp_path, OVERRUN, DARK, OVER, DOWN))
    post = body["content"]["post"]["zh_cn"]
    assert post["title"] == f"{FIRST_LINES['en'][0]} (in all 3)"
    assert post["content"][1][1] == {
        "tag": "a",
        "text": "Task",
        "href": f"http://webcast.example.internal:10960/tasks/{APP}/Room1/Dark",
    }
    assert len(post["content"]) == 1 + 4
    body = json.loads(rendered(amtool_bin, "webcast.feishu", tmp_path, *[OVERRUN] * (FIRST_FEW + 1)))
    assert "Only the first ten" in body["content"]["post"]["zh_cn"]["content"][-1][0]["text"]


ODD_NAMES = {
    'Li "Lei" \\': "Li 'Lei' '",
    "<at user_id=all> & <b>": "\uff1cat user_id=all\uff1e & \uff1cb\uff1e",
    "[here](http://other.example) *bold* `code`": "\uff3bhere\uff3d(http://other.example) \uff0abold\uff0a 'code'",
    "two\nlines\r\n\tand\x00 \u2028more": "two lines and more",
    "turned \u202eround\u2066": "turned round ",
    "\N{WOMAN}\u200d\N{SCHOOL} \u4e09\u5e74\u7ea7": "\N{WOMAN}\u200d\N{SCHOOL} \u4e09\u5e74\u7ea7",
    "\u957f" * 3000: "\u957f" * 60 + "\u2026",
    "$1 ${name} {{ .Labels }} %s": "$1 ${name} {{ .Labels }} %s",
}
"""What a backend calls a class, and what a message makes of it."""


def named(teacher: str) -> Alert:
    return DARK | {"labels": DARK["labels"] | {"teacher": teacher}}


@pytest.mark.real
@pytest.mark.parametrize("language", FIRST_LINES)
def test_odd_names_of_classes_break_no_message(amtool_bin: Path, tmp_path: Path, language: str) -> None:
    """Neither JSON nor Markdown, and they cannot call all members of a chat; they stay on their line, and are cut."""
    odd = [named(name) for name in ODD_NAMES]
    line = '{{ range .Alerts }}{{ template "webcast.line" . }}\n{{ end }}'
    lines = rendered(amtool_bin, "", tmp_path, *odd, language=language, text=line)
    cause = FIRST_LINES[language][0].partition("class dark")[2]
    expected = [f"teacher={shown} Room1/Dark: class dark{cause}" for shown in ODD_NAMES.values()]
    assert lines.splitlines() == expected
    for template in TEMPLATES:
        message = rendered(amtool_bin, template, tmp_path, *odd, language=language)
        assert all(line in message for line in expected)
    body = json.loads(rendered(amtool_bin, "webcast.feishu", tmp_path, *odd, language=language))
    told = [row[0]["text"] for row in body["content"]["post"]["zh_cn"]["content"][1:]]
    assert all(line in text for line, text in zip(expected, told, strict=True))


BARE: dict[str, tuple[Alert, str]] = {
    "no info labels": (
        DARK | {"labels": {key: value for key, value in DARK["labels"].items() if key != "teacher"}},
        "[CRITICAL] Room1/Dark: class dark, the task could not start",
    ),
    "no severity": (
        DARK | {"labels": {key: value for key, value in DARK["labels"].items() if key not in {"severity", "teacher"}}},
        "[INFO] Room1/Dark: class dark, the task could not start",
    ),
    "no task": (
        DARK | {"labels": {"alertname": "WebCastClassDark", "severity": "critical"}},
        "[CRITICAL] A summary",
    ),
    "no words": (
        {"status": "firing", "labels": {"alertname": "WebCastApiDown", "severity": "page"}, "annotations": {}},
        "[INFO] WebCastApiDown",
    ),
}


@pytest.mark.real
@pytest.mark.parametrize(("alert", "first"), BARE.values(), ids=BARE)
def test_an_alert_without_all_its_labels_is_told(amtool_bin: Path, tmp_path: Path, alert: Alert, first: str) -> None:
    """Your Alertmanager or Prometheus may drop or rename labels; also in a list nothing is left out."""
    assert rendered(amtool_bin, "webcast.text", tmp_path, alert).splitlines()[0] == first
    for template in ("webcast.text", "webcast.markdown", "webcast.feishu"):
        message = rendered(amtool_bin, template, tmp_path, OVERRUN, alert)
        assert message.count(first.partition(" ")[2]) >= 1 + (first[1] == "C")
