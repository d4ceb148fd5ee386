"""Expressions and Prometheus's own files in the documents, read by Prometheus's own tools."""

import subprocess
from pathlib import Path

import pytest
import yaml

from tests.docs.reading import ROOT, blocks
from tests.docs.test_blocks import kind_of_yaml
from tests.real.conftest import real_part

pytestmark = pytest.mark.real


def test_expressions_are_promql(tmp_path: Path) -> None:
    """All of them in one file of rules; what is wrong is told with its place."""
    rules = [{"record": f"block:{number}", "expr": block.text} for number, block in enumerate(blocks("promql"))]
    file = tmp_path / "rules.yml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "docs", "rules": rules}]}))
    said = subprocess.run([real_part("promtool"), "check", "rules", file], capture_output=True, text=True, check=False)
    places = {f"block:{number}": block.place for number, block in enumerate(blocks("promql"))}
    assert said.returncode == 0, (said.stderr, places)


@pytest.mark.parametrize("block", blocks("yaml"), ids=lambda block: block.place)
def test_files_of_prometheus_and_alertmanager(block: object, tmp_path: Path) -> None:
    """`promtool check` and `amtool check-config` find no fault; files that they name are those of dashboards/."""
    text: str = getattr(block, "text", "")
    file = tmp_path / "checked.yml"
    file.write_text(text)
    checks = {
        "prometheus": ("promtool", "check", "config", "--syntax-only"),
        "rules": ("promtool", "check", "rules"),
        "alertmanager": ("amtool", "check-config"),
    }
    kind = kind_of_yaml(yaml.safe_load(text))
    if kind not in checks:
        return
    program, *arguments = checks[kind]
    (tmp_path / "webcast.tmpl").write_text((ROOT / "dashboards/alertmanager/webcast.tmpl").read_text())
    said = subprocess.run([real_part(program), *arguments, file], capture_output=True, text=True, check=False)
    assert said.returncode == 0, said.stdout + said.stderr
