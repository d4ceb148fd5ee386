"""The Helm chart, rendered by a real helm: a cluster takes what comes out, and the exporter takes its configuration."""

import subprocess
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from exporter import __version__
from exporter.config.loader import parse_config
from tests.real.conftest import ROOT, real_part

CHART = ROOT / "deploy" / "helm" / "webcast-exporter"
URL = "postgresql+psycopg://webcast@postgresql/webcast"
ALL = {
    "existingSecret": "keys",
    "state": {"kind": "postgresql", "postgresql": {"url": URL, "passwordSecret": {"name": "database"}}},
    "standby": {"enabled": True},
    "podMonitor": {"enabled": True, "labels": {"release": "prometheus"}, "endpoint": {"scheme": "https"}},
    "networkPolicy": {"egress": [{"ports": [{"protocol": "TCP", "port": 6432}]}]},
    "prometheusRule": {"enabled": True, "labels": {"release": "prometheus"}},
    "dashboards": {"enabled": True},
    "callbackIngress": {"enabled": True, "host": "callback.example.com", "tlsSecret": "callback-tls"},
    "webConfig": {"tls_server_config": {"cert_file": "/run/secrets/webcast/tls.crt", "key_file": "/k"}},
}
CASES: dict[str, dict[str, Any]] = {
    "defaults": {},
    "secret": {"secret": {"access_key_id": "AKLT", "secret_access_key": "made-up"}},
    "service-monitor": {"serviceMonitor": {"enabled": True, "interval": "30s"}},
    "claim": {"state": {"sqlite": {"existingClaim": "mine"}}, "networkPolicy": {"enabled": False}},
    "all": ALL,
}
REFUSED = {
    "standby.enabled: needs state.kind postgresql": {"standby": {"enabled": True}},
    "state.postgresql.url: is required": {"state": {"kind": "postgresql"}},
    "state.kind: must be sqlite or postgresql": {"state": {"kind": "mysql"}},
    "podMonitor.enabled: switch serviceMonitor.enabled off": {
        "podMonitor": {"enabled": True},
        "serviceMonitor": {"enabled": True},
    },
    "secret: is not used together with existingSecret": {"existingSecret": "keys", "secret": {"a": "b"}},
    "config.state: is set by the values below state": {"config": {"state": {"url": "sqlite://"}}},
    "callbackIngress.enabled: needs config without callbacks.listen_address": {
        "config": {"callbacks": {"listen_address": ":10961"}},
        "callbackIngress": {"enabled": True},
    },
    "additional properties 'podMonitr' not allowed": {"podMonitr": {"enabled": True}},
    "at '/secret/access_key_id': got number, want string": {"secret": {"access_key_id": 12345678901234567890}},
}


def helm(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run helm; it needs no cluster for this."""
    return subprocess.run([real_part("helm"), *arguments], capture_output=True, text=True, check=False, timeout=60)


def rendered(folder: Path, values: dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """The documents that the chart makes of these values, by kind."""
    file = folder / "values.yaml"
    file.write_text(yaml.safe_dump(values))
    done = helm("template", "test", str(CHART), "--namespace", "webcast", "--values", str(file))
    assert done.returncode == 0, done.stderr
    found: dict[str, list[dict[str, Any]]] = {}
    for document in filter(None, yaml.safe_load_all(done.stdout)):
        found.setdefault(document["kind"], []).append(document)
    return found


@pytest.fixture(params=list(CASES.values()), ids=list(CASES))
def documents(request: pytest.FixtureRequest, tmp_path: Path) -> dict[str, list[dict[str, Any]]]:
    """Each case, rendered."""
    return rendered(tmp_path, request.param)


def test_the_chart_lints() -> None:
    """Without a warning; its version is the exporter's."""
    done = helm("lint", "--strict", str(CHART))
    assert done.returncode == 0, done.stdout
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    assert chart["appVersion"] == __version__


def test_the_image_is_the_one_of_the_release(documents: dict[str, list[dict[str, Any]]]) -> None:
    """Its tag is that of the release workflow and of `make image`."""
    (container,) = documents["Deployment"][0]["spec"]["template"]["spec"]["containers"]
    assert container["image"] == f"webcast-exporter:v{__version__}"


def test_a_cluster_takes_each_document(documents: dict[str, list[dict[str, Any]]]) -> None:
    """By the schemas of Kubernetes, no key unknown; the operator's own kinds have none here."""
    for document in (each for kind in documents.values() for each in kind):
        if not document["apiVersion"].startswith("monitoring.coreos.com/"):
            kubernetes_validate.validate(document, kubernetes_validate.latest_version(), strict=True)


def test_the_exporter_takes_the_configuration(documents: dict[str, list[dict[str, Any]]]) -> None:
    """The ConfigMap holds a good file."""
    text = next(each["data"] for each in documents["ConfigMap"] if "webcast-exporter.yml" in each["data"])
    assert parse_config(text["webcast-exporter.yml"], Path("/etc/webcast-exporter")).accounts[0].name == "default"


def test_mounts_volumes_and_probes_fit(documents: dict[str, list[dict[str, Any]]]) -> None:
    """Each mounted volume is defined; each probe allows the exporter five seconds."""
    (deployment,) = documents["Deployment"]
    pod = deployment["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert {each["name"] for each in container["volumeMounts"]} == {each["name"] for each in pod["volumes"]}
    probes = [container[f"{kind}Probe"] for kind in ("startup", "liveness", "readiness")]
    assert {probe["timeoutSeconds"] for probe in probes} == {5}
    assert {probe["httpGet"]["path"] for probe in probes} == {"/-/healthy", "/-/ready"}


def test_all_of_it(tmp_path: Path) -> None:
    """A standby over PostgreSQL with monitoring: two replicas, the password, every rule and dashboard."""
    found = rendered(tmp_path, ALL)
    spec = found["Deployment"][0]["spec"]
    assert (spec["replicas"], spec["strategy"]["type"]) == (2, "RollingUpdate")
    (container,) = spec["template"]["spec"]["containers"]
    assert container["env"][0]["valueFrom"]["secretKeyRef"] == {"name": "database", "key": "postgresql_password"}
    assert container["readinessProbe"]["httpGet"]["scheme"] == "HTTPS"
    assert "PersistentVolumeClaim" not in found
    dashboards = {name for each in found["ConfigMap"] for name in each["data"] if name.endswith(".json")}
    assert dashboards == {path.name for path in (ROOT / "dashboards" / "grafana").glob("*.json")}
    bundled = yaml.safe_load((ROOT / "deploy/kubernetes/rules/prometheus-rule.yaml").read_text())
    assert found["PrometheusRule"][0]["spec"] == bundled["spec"]
    assert found["PodMonitor"][0]["metadata"]["labels"]["release"] == "prometheus"
    (endpoint,) = found["PodMonitor"][0]["spec"]["podMetricsEndpoints"]
    assert endpoint == {"port": "http", "path": "/metrics", "interval": "15s", "scheme": "https"}
    ports = [port["port"] for each in found["NetworkPolicy"][0]["spec"]["egress"] for port in each["ports"]]
    assert {5432, 6432} <= set(ports)


@pytest.mark.parametrize(("sentence", "values"), REFUSED.items())
def test_what_cannot_work_is_refused(tmp_path: Path, sentence: str, values: dict[str, Any]) -> None:
    """When the chart is rendered, with the value's name."""
    file = tmp_path / "values.yaml"
    file.write_text(yaml.safe_dump(values))
    done = helm("template", "test", str(CHART), "--values", str(file))
    assert done.returncode != 0
    assert sentence in done.stderr
