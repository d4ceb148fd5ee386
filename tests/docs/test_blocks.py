"""Every fenced block of the documents is what it says: read by the code that is to read it, or listed here."""

import json
import subprocess
from collections.abc import Mapping
from operator import attrgetter
from pathlib import Path
from typing import Any

import pytest
import yaml

from exporter.config.loader import parse_config
from exporter.config.schema import Config
from exporter.config.web_config import WebConfig, parse_web_config
from exporter.discovery.sd_format import groups_of_json
from tests.docs.reading import ROOT, Block, blocks, blocks_of, documents
from tests.real.conftest import real_part
from tests.rules.promql import faults

CHECKED = {"yaml", "json", "promql", "console", "text", "java", "bash"}
"""Kinds for which there is a test: here, in test_console.py and test_programs.py."""

PLACE = attrgetter("place")
PROMETHEUS = {"global", "rule_files", "scrape_configs", "alerting", "storage"}
ALERTMANAGER = {"route", "receivers", "inhibit_rules", "templates"}
ADAPTER_S = {"templates", "targets"}
"""The file of an adapter for messages, whose form is not ours to know: it must be YAML."""


def kind_of_yaml(document: object) -> str:
    """Which program's file it is, by its keys."""
    keys = set(document) if isinstance(document, Mapping) else set()
    owners: Mapping[str, set[str]] = {
        "ours": set(Config.model_fields),
        "web": set(WebConfig.model_fields),
        "prometheus": PROMETHEUS,
        "rules": {"groups"},
        "alertmanager": ALERTMANAGER,
        "adapter": ADAPTER_S,
        "kubernetes": {"apiVersion", "kind", "metadata", "spec", "data", "stringData"},
        "compose": {"name", "services", "volumes"},
        "chart": set(yaml.safe_load((ROOT / "deploy/helm/webcast-exporter/values.yaml").read_text())),
    }
    return next((owner for owner, known in owners.items() if keys and keys <= known), "unknown")


def test_every_block_says_what_it_is() -> None:
    unchecked = [f"{block.place}: {block.kind}" for path in documents() for block in blocks_of(path)]
    assert [told for told in unchecked if told.partition(": ")[2] not in CHECKED] == []


@pytest.mark.parametrize("block", blocks("yaml"), ids=PLACE)
def test_yaml(block: Block) -> None:
    """The exporter's own files are accepted by its code; those of others by their tools, below."""
    document = yaml.safe_load(block.text)
    match kind_of_yaml(document):
        case "ours":
            parse_config(block.text, Path("/etc/webcast"))
        case "web":
            parse_web_config(block.text, Path("/etc/webcast"))
        case "unknown":
            pytest.fail(f"{block.place} belongs to no known file: {sorted(document)}")


@pytest.mark.parametrize("block", blocks("json"), ids=PLACE)
def test_json(block: Block) -> None:
    """It parses; a list is a list of targets."""
    document = json.loads(block.text)
    if isinstance(document, list):
        assert groups_of_json(block.text)


@pytest.mark.parametrize("block", blocks("promql"), ids=PLACE)
def test_promql(block: Block) -> None:
    """Names, labels and words are those of the tables; its grammar is promtool's to check."""
    assert faults(block.text) == []


def test_the_rules_themselves(tmp_path: Path) -> None:
    """Each kind of file is recognised by its keys, and a block is found inside a list too."""
    keys: dict[str, Any] = {"ours": "accounts", "web": "basic_auth_users", "prometheus": "scrape_configs"}
    assert {kind: kind_of_yaml({key: []}) for kind, key in keys.items()} == {kind: kind for kind in keys}
    assert kind_of_yaml({"acounts": []}) == "unknown"
    document = tmp_path / "a.md"
    document.write_text("- one\n\n  ```json\n  {}\n  ```\n\n```\nplain\n```\n")
    assert [(block.line, block.kind, block.text) for block in blocks_of(document)] == [
        (3, "json", "{}\n"),
        (7, "", "plain\n"),
    ]
    assert ROOT.joinpath("README.md") in documents()


@pytest.mark.parametrize("block", blocks("bash"), ids=PLACE)
def test_bash(block: Block) -> None:
    """A shell can read it; what it does to a host is not tried here."""
    done = subprocess.run(["bash", "-n"], input=block.text, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.real
def test_expressions_are_promql(tmp_path: Path) -> None:
    """All of them are one file of rules; what is wrong is told with its place."""
    rules = [{"record": f"block:{number}", "expr": block.text} for number, block in enumerate(blocks("promql"))]
    file = tmp_path / "rules.yml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "docs", "rules": rules}]}))
    said = subprocess.run([real_part("promtool"), "check", "rules", file], capture_output=True, text=True, check=False)
    places = {f"block:{number}": block.place for number, block in enumerate(blocks("promql"))}
    assert said.returncode == 0, (said.stderr, places)


TOOLS = {
    "prometheus": ("promtool", "check", "config", "--syntax-only"),
    "rules": ("promtool", "check", "rules"),
    "alertmanager": ("amtool", "check-config"),
}
OF_OTHERS = [block for block in blocks("yaml") if kind_of_yaml(yaml.safe_load(block.text)) in TOOLS]


@pytest.mark.real
@pytest.mark.parametrize("block", OF_OTHERS, ids=PLACE)
def test_files_of_prometheus_and_alertmanager(block: Block, tmp_path: Path) -> None:
    """Their own tools find no fault; the template that a file names is that of dashboards/."""
    (tmp_path / "checked.yml").write_text(block.text)
    (tmp_path / "webcast.tmpl").write_text((ROOT / "dashboards/alertmanager/webcast.tmpl").read_text())
    program, *arguments = TOOLS[kind_of_yaml(yaml.safe_load(block.text))]
    command = [str(real_part(program)), *arguments, str(tmp_path / "checked.yml")]
    said = subprocess.run(command, capture_output=True, text=True, check=False)
    assert said.returncode == 0, said.stdout + said.stderr
