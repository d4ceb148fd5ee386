"""`dashboards export`: addresses, language and time zone are filled in."""

import json
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import yaml

from exporter.bundle.files import (
    ExportOptions,
    bundle,
    offset_expression,
    runbooks,
    translate_dashboard,
    translate_rules,
    translate_template,
    translations,
)

ROOT = Path(__file__).parent.parent.parent
DASHBOARDS = sorted((ROOT / "dashboards" / "grafana").glob("*.json"))
RULES = (ROOT / "dashboards/prometheus/alerts.yml").read_text()
TEMPLATE = (ROOT / "dashboards/alertmanager/webcast.tmpl").read_text()
CHINESE = re.compile(r"[\u4e00-\u9fff]")
ACTION = re.compile(r"\{\{.*?\}\}")
WORDS = re.compile(r"[A-Za-z]{2}")
PLACEHOLDER = re.compile(r"\{\{\w+\}\}|\$\w+|\$\{[^}]*\}")


@cache
def chinese() -> dict[str, str]:
    """The files of a Chinese export."""
    return bundle(ExportOptions("zh", timezone="Asia/Shanghai"))


class Asked(dict[str, str]):
    """A table of translations that is empty, and keeps as keys what was asked for."""

    def get(self, text: str, default: Any = None) -> Any:
        """The default; a placeholder alone is no word for a reader."""
        if WORDS.search(PLACEHOLDER.sub("", text)):
            self[text] = text
        return default


def texts(translate: Callable[[str, Mapping[str, str]], str], text: str) -> set[str]:
    asked = Asked()
    translate(text, asked)
    return set(asked)


TEXTS = {
    **{path.stem: texts(translate_dashboard, path.read_text()) for path in DASHBOARDS},
    "alerts": texts(translate_rules, RULES),
    "messages": {each for each in texts(translate_template, TEMPLATE) if '"' not in each},
}
SAME_IN_BOTH = re.compile(r"API|CPU|Exporters?|Job|MaxRunningTime|Python|[A-Z][a-z]+(?:[A-Z]\w+)*")
"""Names, and the vendor's own words."""
ZONE_NAMES = {"Asia/Shanghai"}


def annotations(files: dict[str, str]) -> list[dict[str, str]]:
    groups = yaml.safe_load(files["prometheus/alerts.yml"])["groups"]
    return [rule["annotations"] for group in groups for rule in group["rules"] if "alert" in rule]


@pytest.mark.parametrize("place", TEXTS)
def test_no_translation_is_missing(place: str) -> None:
    """Every text of dashboards, alerts and messages has its Chinese, with the same placeholders."""
    table = translations("zh")
    assert sorted(TEXTS[place] - table.keys()) == []
    of_place = {english: table[english] for english in TEXTS[place]}
    assert [text for text in of_place.values() if not (CHINESE.search(text) or SAME_IN_BOTH.fullmatch(text))] == []
    assert [
        text for text, zh in of_place.items() if sorted(set(ACTION.findall(text))) != sorted(set(ACTION.findall(zh)))
    ] == []


def test_no_translation_is_left_over() -> None:
    """A text that was changed or removed leaves nothing in the table, and the terms are those of the glossary."""
    assert translations("zh").keys() - {text for texts in TEXTS.values() for text in texts} == ZONE_NAMES
    wrong = re.compile("导出器|课堂|重新调度")
    assert [text for text in translations("zh").values() if wrong.search(text)] == []


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.stem)
def test_a_translated_dashboard_works_as_before(path: Path) -> None:
    """Queries, ids and units stay; what overrides and sorting name is renamed with it."""
    original, translated = (json.loads(files[f"grafana/{path.name}"]) for files in (bundle(), chinese()))
    assert translated["timezone"] == "Asia/Shanghai"
    for before, after in zip(original["panels"], translated["panels"], strict=True):
        assert CHINESE.search(after["title"]) or after["title"] in {"CPU", "Exporter", "MaxRunningTime"}
        expressions = [[each["expr"] for each in panel.get("targets", ())] for panel in (before, after)]
        assert expressions[0] == expressions[1]
        if "transformations" in after:
            titles = set(after["transformations"][-1]["options"]["renameByName"].values())
            assert {each["matcher"]["options"] for each in after["fieldConfig"]["overrides"]} <= titles
            assert {each["displayName"] for each in after["options"]["sortBy"]} <= titles


def test_links_lead_to_the_address_that_was_given() -> None:
    """To the exporter for tasks and runbooks, or to one's own copy of the runbooks."""
    for texts in annotations(bundle(ExportOptions(exporter_url="https://webcast.example.internal/"))):
        assert texts["runbook_url"].startswith("https://webcast.example.internal/runbooks/WebCast")
        assert texts.get("task_url", "https://webcast.example.internal/tasks/{{ $labels.app_id }}/").startswith(
            "https://webcast.example.internal/tasks/{{ $labels.app_id }}/"
        )
    for texts in annotations(bundle(ExportOptions(runbook_url="https://wiki.example.internal/webcast"))):
        assert re.fullmatch(r"https://wiki\.example\.internal/webcast/WebCast\w+", texts["runbook_url"])


def test_times_are_told_in_the_zone_that_was_given() -> None:
    """By name; in Chinese Asia/Shanghai has its common name."""
    since = [texts["since"] for texts in annotations(chinese()) if "since" in texts]
    assert since
    assert [text for text in since if not text.endswith(" 北京时间{{ end }}")] == []
    rules = yaml.safe_load(chinese()["prometheus/alerts.yml"])["groups"][0]["rules"]
    assert rules[0] == {"record": "webcast:utc_offset:seconds", "expr": "vector(28800)"}


@pytest.mark.parametrize("zone", ["UTC", "Asia/Shanghai", "America/New_York", "Europe/Berlin", "Australia/Lord_Howe"])
def test_the_offset_follows_summer_time(zone: str) -> None:
    """For years to come, at each change of the clocks."""
    now = datetime(2026, 11, 29, 12, tzinfo=UTC)
    expression = offset_expression(zone, now).removeprefix("vector(").removesuffix(")").replace(">= bool", ">=")
    offset_at = eval(f"lambda now: {expression.replace('time()', 'now')}")
    for hours in range(0, 24 * 365 * 3, 7):
        moment = now + timedelta(hours=hours)
        offset = moment.astimezone(ZoneInfo(zone)).utcoffset()
        assert offset is not None
        assert offset_at(int(moment.timestamp())) == offset.total_seconds(), moment


def test_runbooks_are_bundled() -> None:
    """One for each alert, and their index."""
    alerts = set(re.findall(r"- alert: (\w+)", RULES))
    assert runbooks().keys() == alerts | {"README"}
    assert runbooks()["WebCastClassDark"].startswith("# WebCastClassDark\n")
