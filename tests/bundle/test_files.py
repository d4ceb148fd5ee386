"""What is bundled is what lies in dashboards/, as files and as Kubernetes objects."""

import json
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from exporter.bundle import files
from exporter.bundle.files import RULES, bundle

ROOT = Path(__file__).parent.parent.parent
FILES = bundle()
MANIFESTS = sorted(name for name in FILES if name.startswith("kubernetes/"))
SMALL_ENOUGH = 262_144
"""Bytes that `kubectl apply` can keep in the annotation of what was applied last."""


def test_the_files_of_the_bundle() -> None:
    assert list(FILES) == [
        "README.md",
        "alertmanager/alertmanager.yml",
        "alertmanager/webcast.tmpl",
        "grafana/exporter.json",
        "grafana/fleet.json",
        "grafana/statistics.json",
        "grafana/task.json",
        "kubernetes/dashboard-exporter.yaml",
        "kubernetes/dashboard-fleet.yaml",
        "kubernetes/dashboard-statistics.yaml",
        "kubernetes/dashboard-task.yaml",
        "kubernetes/prometheus-rule.yaml",
        "prometheus/alerts.yml",
        "prometheus/recording.yml",
        "provisioning/dashboards/webcast.yml",
        "provisioning/datasources/webcast.yml",
    ]


def test_a_file_is_bundled_as_it_lies_there() -> None:
    lying = {name: text for name, text in FILES.items() if name not in MANIFESTS}
    assert lying == {name: (ROOT / "dashboards" / name).read_text() for name in lying}


def test_a_package_comes_before_a_checkout(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Where the package has the files, those beside it are not looked at."""
    for name in RULES:
        (tmp_path / "dashboards" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "dashboards" / name).write_text("# of the package\ngroups:\n  - name: a\n")
    monkeypatch.setattr(files, "IN_THE_WHEEL", tmp_path)
    assert list(bundle()) == ["kubernetes/prometheus-rule.yaml", "prometheus/alerts.yml", "prometheus/recording.yml"]


def test_the_rule_object_holds_the_groups_of_both_files() -> None:
    """In the order in which they are to be evaluated, comments left in."""
    files = [yaml.safe_load(FILES[f"prometheus/{name}.yml"])["groups"] for name in ("recording", "alerts")]
    text = FILES["kubernetes/prometheus-rule.yaml"]
    assert yaml.safe_load(text)["spec"]["groups"] == [*files[0], *files[1]]
    assert "# Calls, failed calls, and their share." in text


@pytest.mark.parametrize("name", ["fleet", "task", "statistics", "exporter"])
def test_a_config_map_holds_its_dashboard(name: str) -> None:
    """Under a key that no other chart's dashboard has, with the label that Grafana's sidecar looks for."""
    document = yaml.safe_load(FILES[f"kubernetes/dashboard-{name}.yaml"])
    assert document["metadata"]["labels"]["grafana_dashboard"] == "1"
    assert list(document["data"]) == [f"webcast-{name}.json"]
    assert json.loads(document["data"][f"webcast-{name}.json"]) == json.loads(FILES[f"grafana/{name}.json"])


@pytest.mark.parametrize("name", MANIFESTS)
def test_manifests_can_be_applied(name: str) -> None:
    """A cluster takes their form, and kubectl their size; the rule's kind is the operator's, its form is promtool's."""
    document: dict[str, Any] = yaml.safe_load(FILES[name])
    if document["apiVersion"] == "v1":
        kubernetes_validate.validate(document, kubernetes_validate.latest_version(), strict=True)
    else:
        assert (document["apiVersion"], document["kind"]) == ("monitoring.coreos.com/v1", "PrometheusRule")
        assert set(document["spec"]) == {"groups"}
    assert len(FILES[name].encode()) < SMALL_ENOUGH
