"""The bundled rules, as the tests read them."""

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parent.parent.parent
PROMETHEUS = ROOT / "dashboards" / "prometheus"
ALERTMANAGER = ROOT / "dashboards" / "alertmanager"
RUNBOOKS = ROOT / "docs" / "runbooks"
RECORDING, ALERTS = PROMETHEUS / "recording.yml", PROMETHEUS / "alerts.yml"
RULE_FILES = (RECORDING, ALERTS)

METRIC = re.compile(r"\bwebcast_\w+(?![\w:])")
BLOCK = re.compile(r"^```promql\n(.*?)^```$", re.MULTILINE | re.DOTALL)
"""A query in a runbook."""
PAGES = sorted(path for path in RUNBOOKS.glob("*.md") if path.stem != "README")
RECORDED = re.compile(r"\b\w+:\w+:\w+")

Rule = dict[str, Any]


def load(file: Path) -> Any:
    return yaml.safe_load(file.read_text())


@cache
def rules() -> tuple[Rule, ...]:
    return tuple(rule for file in RULE_FILES for group in load(file)["groups"] for rule in group["rules"])


def alerts() -> Iterator[Rule]:
    return (rule for rule in rules() if "alert" in rule)


def scraped_names() -> frozenset[str]:
    """Every metric of the exporter that a rule asks for."""
    recorded = {name for rule in rules() for name in RECORDED.findall(rule["expr"])}
    texts = [RECORDED.sub("", rule["expr"]) for rule in rules()]
    assert recorded
    return frozenset(name for text in texts for name in METRIC.findall(text))
