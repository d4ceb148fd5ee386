"""The manifests of deploy/kubernetes: a cluster takes them, and they say what the code says."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import click
import kubernetes_validate
import pytest
import yaml

from exporter.bundle.files import bundle
from exporter.cli.group import main
from exporter.cli.serve import serve
from exporter.config.loader import load
from exporter.web.app import OPEN_PATHS
from tests.support.receiver import receiver

ROOT = Path(__file__).parent.parent
RULES, *FOLDERS = [ROOT / "deploy" / "kubernetes" / name for name in ("rules", "single", "standby")]
PROBES = ("startupProbe", "livenessProbe", "readinessProbe")
OPERATOR = "monitoring.coreos.com/v1"
FILES = [path for folder in FOLDERS for path in sorted(folder.glob("*.yaml"))]


class Manifests:
    """The documents of one folder, by their files' names."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.documents: dict[str, Any] = {path.stem: yaml.safe_load(path.read_text()) for path in folder.glob("*.yaml")}
        self.deployment: dict[str, Any] = self.documents["deployment"]["spec"]
        self.pod: dict[str, Any] = self.deployment["template"]["spec"]
        self.container: dict[str, Any] = self.pod["containers"][0]
        self.mounts = {mount["name"]: mount["mountPath"] for mount in self.container["volumeMounts"]}
        self.example: dict[str, str] = self.documents["secret.example"]["stringData"]

    def __getitem__(self, name: str) -> dict[str, Any]:
        document: dict[str, Any] = self.documents[name]
        return document


@pytest.fixture(params=FOLDERS, ids=lambda folder: folder.name)
def manifests(request: pytest.FixtureRequest) -> Manifests:
    """Each way to run it."""
    return Manifests(request.param)


@pytest.mark.parametrize("file", FILES, ids=lambda file: f"{file.parent.name}-{file.stem}")
def test_a_cluster_takes_it(file: Path) -> None:
    """By the schemas of Kubernetes, no key unknown; the operator's and kustomize's own kinds have none here."""
    document = yaml.safe_load(file.read_text())
    if document["apiVersion"].split("/")[0] not in {"monitoring.coreos.com", "kustomize.config.k8s.io"}:
        kubernetes_validate.validate(document, kubernetes_validate.latest_version(), strict=True)


def test_the_kustomization_names_all_but_the_example(manifests: Manifests) -> None:
    """Each file that it names is there, and none is forgotten."""
    listed = {*manifests["kustomization"]["resources"]} - {"../rules"}
    there = {path.name for path in manifests.folder.glob("*.yaml")}
    assert there - listed == {"kustomization.yaml", "secret.example.yaml"}
    assert listed <= there


def test_the_rules_are_the_bundled_ones(manifests: Manifests) -> None:
    """`make dashboards` writes them; both ways to run it have them."""
    assert (RULES / "prometheus-rule.yaml").read_text() == bundle()["kubernetes/prometheus-rule.yaml"]
    assert yaml.safe_load((RULES / "kustomization.yaml").read_text())["resources"] == ["prometheus-rule.yaml"]
    assert "../rules" in manifests["kustomization"]["resources"]


def test_the_flags_are_serve_s(manifests: Manifests) -> None:
    """The command line takes them, and the port is the one that is probed, scraped and let in."""
    command, *flags = manifests.container["args"]
    assert command == serve.name
    with click.Context(serve, **main.context_settings) as context:
        serve.parse_args(context, list(flags))
        (address,) = context.params["addresses"]
    port = int(address.rpartition(":")[2])
    (named,) = manifests.container["ports"]
    (service,), (endpoint,) = (
        manifests["service"]["spec"]["ports"],
        manifests["pod-monitor"]["spec"]["podMetricsEndpoints"],
    )
    assert (named["containerPort"], service["port"]) == (port, port)
    assert manifests["network-policy"]["spec"]["ingress"][0]["ports"] == [{"protocol": "TCP", "port": port}]
    probes = [manifests.container[probe]["httpGet"]["port"] for probe in PROBES]
    assert [service["targetPort"], endpoint["port"], *probes] == [named["name"]] * 5


def test_the_probes_need_no_password(manifests: Manifests) -> None:
    """Whatever a web config file asks of others."""
    assert {manifests.container[probe]["httpGet"]["path"] for probe in PROBES} < OPEN_PATHS


def test_it_runs_as_the_image_does(manifests: Manifests) -> None:
    """Its user, a root that is not written, and room for what is."""
    dockerfile = (ROOT / "Dockerfile").read_text()
    security = manifests.pod["securityContext"]
    assert f"USER {security['runAsUser']}:{security['runAsGroup']}" in dockerfile
    assert security["fsGroup"] == security["runAsGroup"]
    assert manifests.container["securityContext"]["readOnlyRootFilesystem"]
    assert {volume["name"] for volume in manifests.pod["volumes"]} == manifests.mounts.keys()
    assert {each["tolerationSeconds"] for each in manifests.pod["tolerations"]} == {30}


def test_everything_selects_the_same_pods(manifests: Manifests) -> None:
    """By the one label."""
    label = manifests.deployment["template"]["metadata"]["labels"]
    specs = [manifests[name]["spec"] for name in manifests.documents if "spec" in manifests[name]]
    selectors = [spec["podSelector"] if "podSelector" in spec else spec.get("selector") for spec in specs]
    found = [selector.get("matchLabels", selector) for selector in selectors if selector]
    assert found == [label] * len(found)
    assert len(found) >= len(("deployment", "service", "network-policy", "pod-monitor"))


def test_the_configuration_is_good(manifests: Manifests, tmp_path: Path) -> None:
    """It reads only files that the Secret of the example has, from where the Secret is mounted."""
    text = (manifests.folder / "webcast-exporter.yml").read_text()
    assert manifests["kustomization"]["configMapGenerator"][0]["files"] == ["webcast-exporter.yml"]
    assert f"--config.file={manifests.mounts['config']}/webcast-exporter.yml" in manifests.container["args"]
    for name, value in manifests.example.items():
        (tmp_path / name).write_text(value)
    (tmp_path / "webcast-exporter.yml").write_text(text.replace(manifests.mounts["secrets"], str(tmp_path)))
    config = load(tmp_path / "webcast-exporter.yml", {})
    of_environment = [each["valueFrom"]["secretKeyRef"]["key"] for each in manifests.container.get("env", ())]
    assert {*of_environment} | {name for name in manifests.example if f"/{name}\n" in text} == manifests.example.keys()
    assert config.ha.enabled == (manifests.deployment["replicas"] > 1)


def test_a_single_one_has_its_state_to_itself() -> None:
    """The old pod ends before the new one begins."""
    manifests = Manifests(FOLDERS[0])
    assert (manifests.deployment["replicas"], manifests.deployment["strategy"]) == (1, {"type": "Recreate"})
    assert manifests["volume"]["spec"]["accessModes"] == ["ReadWriteOncePod"]
    assert f"WORKDIR {manifests.mounts['state']}" in (ROOT / "Dockerfile").read_text()


def test_a_pod_stays_a_label_of_its_series(manifests: Manifests) -> None:
    """Two leaders that read one account are two series, so that WebCastNotOneLeader sees both."""
    monitor = manifests["pod-monitor"]
    assert monitor["apiVersion"] == OPERATOR
    (endpoint,) = monitor["spec"]["podMetricsEndpoints"]
    assert {"relabelings", "metricRelabelings"} & endpoint.keys() == set()


@pytest.mark.parametrize(("status", "code"), [(200, 0), (503, 1)])
def test_the_image_s_health_check_asks_loopback_directly(status: int, code: int) -> None:
    """Whatever HTTP_PROXY says: no proxy knows of the container's own port."""
    (line,) = (line for line in (ROOT / "Dockerfile").read_text().splitlines() if line.startswith("    CMD ["))
    _, *arguments = json.loads(line.strip().removeprefix("CMD "))
    with receiver(status) as (url, _requests):
        proxies = dict.fromkeys(("http_proxy", "HTTP_PROXY", "https_proxy", "ALL_PROXY"), "http://127.0.0.1:1")
        environ = {**os.environ, **proxies, "HEALTH_URL": f"{url}/-/healthy"}
        ended = subprocess.run([sys.executable, *arguments], env=environ, capture_output=True, timeout=60, check=False)
    assert ended.returncode == code, ended.stderr
