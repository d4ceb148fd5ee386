"""The rule files and the runbooks, as they lie there: complete, alike, and about metrics that exist."""

import json
import re
import subprocess
from pathlib import Path

import pytest

from exporter.enums import TaskProblem
from exporter.model.problem import PROBLEMS
from exporter.web.pages import PROBLEM_RUNBOOKS
from tests.rules.bundle import (
    ALERTS,
    BLOCK,
    PAGES,
    RECORDED,
    ROOT,
    RULE_FILES,
    RUNBOOKS,
    Rule,
    alerts,
    load,
    rules,
)
from tests.rules.promql import faults, level_of, metric_of, scraped

SEVERITIES = {"critical", "warning", "info"}
DASHBOARDS = re.compile(r"/d/(webcast-(?:task|fleet|exporter))/\1(?:\?|\{\{ with \$labels\.account \}\}\?|$)")
SECTIONS = ["Meaning", "Impact", "See more", "What to do", "False alarm", "含义", "影响", "查看", "处理", "误报"]


def titled(rule: Rule) -> str:
    """A name for a test's report."""
    return f"{rule.get('alert') or rule['record']}-{rule.get('labels', {}).get('severity', 'recorded')}"


@pytest.mark.real
def test_promtool_takes_the_rules(promtool_bin: Path) -> None:
    done = subprocess.run([promtool_bin, "check", "rules", *RULE_FILES], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("rule", list(alerts()), ids=titled)
def test_an_alert_has_all_that_an_engineer_needs(rule: Rule) -> None:
    """Severity as its only label; summary, description, runbook and dashboard, and what messages say of a class."""
    assert rule["labels"].keys() == {"severity"}
    assert rule["labels"]["severity"] in SEVERITIES
    assert re.fullmatch(r"WebCast(?:[A-Z][a-z]+)+", rule["alert"])
    texts = rule["annotations"]
    of_class = {"problem", "task_url"} | ({"cause", "since"} if ":held" in rule["expr"] else set())
    expected = {"summary", "description", "runbook_url", "dashboard"}
    assert texts.keys() == expected | (of_class if is_of_class(rule) else set())
    assert texts["runbook_url"].endswith(f"/runbooks/{rule['alert']}")
    assert DASHBOARDS.match(texts["dashboard"])
    assert texts["description"].endswith((".", "{{ end }}"))
    assert not texts["summary"].endswith(".")


@pytest.mark.parametrize("rule", list(alerts()), ids=titled)
def test_an_alert_links_to_a_dashboard_that_exists(rule: Rule) -> None:
    """One of the bundled ones, with variables that it has."""
    link = rule["annotations"]["dashboard"]
    uid = link.split("/")[2]
    document = json.loads((ROOT / "dashboards" / "grafana" / f"{uid.removeprefix('webcast-')}.json").read_text())
    assert document["uid"] == uid
    variables = {variable["name"] for variable in document["templating"]["list"]}
    assert set(re.findall(r"var-(\w+)=", link)) <= variables


def is_of_class(rule: Rule) -> bool:
    """Whether it is about one task."""
    return "var-task_id" in rule["annotations"]["dashboard"]


@pytest.mark.parametrize("rule", [rule for rule in alerts() if is_of_class(rule)], ids=titled)
def test_an_alert_of_a_class_names_it_and_keeps_its_labels(rule: Rule) -> None:
    """By room and task, app and account; no cause and no pod is a label; its page is linked."""
    texts = rule["annotations"]
    assert "{{ $labels.room_id }}/{{ $labels.task_id }}" in texts["summary"]
    for label in ("app_id", "room_id", "task_id", "account"):
        assert re.search(rf"\$labels\.{label}\b", texts["description"]), label
    assert texts["task_url"].endswith("/tasks/{{ $labels.app_id }}/{{ $labels.room_id }}/{{ $labels.task_id }}")
    assert "group_left ()" in rule["expr"] or "max without (instance, pod," in rule["expr"]


def test_every_problem_of_a_class_has_an_alert() -> None:
    """Those of reading are told by app and account; a class that ended early is dark."""
    told = {
        word
        for rule in alerts()
        for words in re.findall(r'problem=~?"([^"]+)"', rule["expr"])
        for word in words.split("|")
    }
    assert set(TaskProblem) - told == {TaskProblem.STALE, TaskProblem.READ_FAILING, TaskProblem.ENDED_EARLY}


def test_an_alert_is_as_severe_as_its_problem() -> None:
    """The page and the phone say the same of it; a class that ended early is dark, and failing reads have no alert."""
    severities: dict[str, set[str]] = {}
    for rule in alerts():
        severities.setdefault(rule["alert"], set()).add(rule["labels"]["severity"])
    other = {row.problem for row in PROBLEMS if row.severity not in severities[PROBLEM_RUNBOOKS[row.problem]]}
    assert other == {TaskProblem.ENDED_EARLY, TaskProblem.READ_FAILING}


def test_no_link_leads_to_an_address_of_others() -> None:
    """Links are made of the address that Prometheus scrapes, or of those given to `dashboards export`."""
    addresses = re.findall(r"https?://([^\s/'\"{]+)", ALERTS.read_text())
    assert addresses == []


def test_what_inhibits_stale_data_outlives_it() -> None:
    """When an account is read again, its tasks are fresh a moment later: its alert must not go before theirs."""
    causes = {"WebCastCredentialsRefused", "WebCastApiDown", "WebCastAppRefused"}
    assert {rule["alert"]: rule["keep_firing_for"] for rule in alerts() if rule["alert"] in causes} == dict.fromkeys(
        causes, "5m"
    )


@pytest.mark.parametrize("rule", rules(), ids=titled)
def test_rules_ask_for_what_exists(rule: Rule) -> None:
    """Names, labels and label values are in the exporter's tables, or recorded."""
    assert faults(rule["expr"]) == []


def test_recorded_names_say_what_they_hold() -> None:
    """level:metric:operations, the level being labels and the metric one of the exporter's."""
    every = {label for labels in scraped().values() for label in labels}
    for rule in (rule for rule in rules() if "record" in rule):
        level, _, operations = rule["record"].split(":")
        if rule["record"] == "webcast:utc_offset:seconds":
            continue
        assert level == "task" or level_of(rule["record"], every), rule["record"]
        assert operations
        known = metric_of(rule["record"])
        assert known in scraped() or f"{known.removesuffix('_total')}_bucket" in scraped() or "webcast_task_" in known


def test_each_recorded_series_is_used() -> None:
    """What is recorded is used by an alert, by another recording rule or by a runbook."""
    texts = [rule["expr"] + str(rule.get("annotations")) for rule in rules()]
    texts += [query for page in PAGES for query in BLOCK.findall(page.read_text())]
    used = {name for text in texts for name in RECORDED.findall(text)}
    assert {rule["record"] for rule in rules() if "record" in rule} == used


def test_every_alert_says_why_it_is_as_it_is() -> None:
    lines = ALERTS.read_text().splitlines()
    above = [lines[number - 1].strip() for number, line in enumerate(lines) if line.strip().startswith("- alert:")]
    assert [line for line in above if not line.startswith("#")] == []


def test_groups_are_evaluated_often_enough() -> None:
    """Each group has its own interval, whatever Prometheus's global one is."""
    groups = [group for file in RULE_FILES for group in load(file)["groups"]]
    assert {group["interval"] for group in groups} <= {"30s", "1m"}
    assert len({group["name"] for group in groups}) == len(groups)


def test_alerts_and_runbooks_are_one_set() -> None:
    """Each alert has its page, and no page is without an alert; the two tables list them all."""
    names = {rule["alert"] for rule in alerts()}
    assert {page.stem for page in PAGES} == names
    for table in (RUNBOOKS / "README.md", ROOT / "docs" / "alerting.md"):
        listed = re.findall(r"^\| \[(WebCast\w+)\]\((?:runbooks/)?(WebCast\w+)\.md\)", table.read_text(), re.MULTILINE)
        assert [pair for pair in listed if pair[0] != pair[1]] == []
        assert sorted(name for name, _ in listed) == sorted(names)


def test_the_tables_tell_the_severities() -> None:
    """In the index of runbooks each alert has the severities of its rules."""
    rows = re.findall(r"^\| \[(\w+)\]\(\w+\.md\) \| ([\w, ]+) \|", (RUNBOOKS / "README.md").read_text(), re.MULTILINE)
    told = {name: set(severities.split(", ")) for name, severities in rows}
    true: dict[str, set[str]] = {}
    for rule in alerts():
        true.setdefault(rule["alert"], set()).add(rule["labels"]["severity"])
    assert told == true


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_runbook_is_whole(page: Path) -> None:
    """Its name, all parts in both languages, the same queries in both, the terms of the glossary."""
    text = page.read_text()
    assert text.startswith(f"# {page.stem}\n")
    assert re.findall(r"^## (.+)$", text, re.MULTILINE) == SECTIONS
    english, chinese = text.split("\n# 中文\n")
    assert not re.search(r"[\u4e00-\u9fff]", english.replace("[中文](#中文)", ""))
    assert BLOCK.findall(english)
    assert BLOCK.findall(english) == BLOCK.findall(chinese)
    assert len(BLOCK.findall(text)) == text.count("```") // 2
    assert not re.search(r"导出器|课堂|重新调度", chinese)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_queries_of_a_runbook_ask_for_what_exists(page: Path) -> None:
    queries = BLOCK.findall(page.read_text())
    assert queries
    assert [faults(query) for query in queries if faults(query)] == []


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ('webcast_task_status{status="runing"} == 1', ["status=runing"]),
        ('webcast_task_status{state="running"}', ["webcast_task_status{state}"]),
        ("sum by (acount) (webcast_api_up)", ["acount"]),
        ("webcast_task_statuz == 1", ["webcast_task_statuz"]),
        ('webcast_tasks{status=~"running|gone"}', ["status=gone"]),
        ('app_id_reason:webcast_run_stops_total:max{reason="Lst"}', ["reason=Lst"]),
        ("app_id:webcast_nothing:max", ["app_id:webcast_nothing:max"]),
        ('ALERTS{alertname="WebCastNothing"}', ["alertname=WebCastNothing"]),
        ('webcast_task_status{app_id="661e"}', ["app_id=661e"]),
        ('max by (app_id) (webcast_task_status{app_id="APP", status!="running"})', []),
    ],
)
def test_faults_are_found(expression: str, expected: list[str]) -> None:
    assert faults(expression) == expected
