"""The manifests of deploy/kubernetes: a cluster takes them, and they say what the code says."""

from pathlib import Path
from typing import Any

import click
import kubernetes_validate
import pytest
import yaml

from exporter.cli.serve import serve
from exporter.config.load import load
from exporter.config.schema import Config

ROOT = Path(__file__).parent.parent
SINGLE = ROOT / "deploy" / "kubernetes" / "single"
KUSTOMIZATION = yaml.safe_load((SINGLE / "kustomization.yaml").read_text())
DOCUMENTS = {path.stem: yaml.safe_load(path.read_text()) for path in SINGLE.glob("*.yaml")}
POD: dict[str, Any] = DOCUMENTS["deployment"]["spec"]["template"]["spec"]
CONTAINER: dict[str, Any] = POD["containers"][0]
OPERATOR = "monitoring.coreos.com/v1"


@pytest.mark.parametrize("name", sorted(DOCUMENTS.keys() - {"kustomization", "pod-monitor"}))
def test_a_cluster_takes_it(name: str) -> None:
    """By the schemas of Kubernetes, no key unknown."""
    kubernetes_validate.validate(DOCUMENTS[name], kubernetes_validate.latest_version(), strict=True)


def test_the_kustomization_names_all_but_the_example() -> None:
    """Each file that it names is there, and none is forgotten."""
    listed = {*KUSTOMIZATION["resources"]}
    there = {path.name for path in SINGLE.glob("*.yaml")}
    assert there - listed == {"kustomization.yaml", "secret.example.yaml"}
    assert listed <= there


def test_the_flags_are_serve_s() -> None:
    """The command line takes them, and the port is the one that is probed, scraped and let in."""
    command, *flags = CONTAINER["args"]
    assert command == serve.name
    with click.Context(serve) as context:
        serve.parse_args(context, list(flags))
        address = context.params["address"]
    port = int(address.rpartition(":")[2])
    (named,) = CONTAINER["ports"]
    assert (named["containerPort"], DOCUMENTS["service"]["spec"]["ports"][0]["port"]) == (port, port)
    assert DOCUMENTS["network-policy"]["spec"]["ingress"][0]["ports"] == [{"protocol": "TCP", "port": port}]
    users = [
        DOCUMENTS["service"]["spec"]["ports"][0]["targetPort"],
        DOCUMENTS["pod-monitor"]["spec"]["podMetricsEndpoints"][0]["port"],
    ]
    users += [CONTAINER[probe]["httpGet"]["port"] for probe in ("livenessProbe", "readinessProbe")]
    assert users == [named["name"]] * 4


def test_it_runs_as_the_image_does() -> None:
    """Its user, its state folder, a root that is not written, and room for what is."""
    dockerfile = (ROOT / "Dockerfile").read_text()
    mounts = {mount["name"]: mount["mountPath"] for mount in CONTAINER["volumeMounts"]}
    security = POD["securityContext"]
    assert f"USER {security['runAsUser']}:{security['runAsGroup']}" in dockerfile
    assert security["fsGroup"] == security["runAsGroup"]
    assert f"WORKDIR {mounts['state']}" in dockerfile
    assert CONTAINER["securityContext"]["readOnlyRootFilesystem"]
    assert {volume["name"] for volume in POD["volumes"]} == mounts.keys()


def test_one_process_has_the_state() -> None:
    """The old pod ends before the new one begins."""
    spec = DOCUMENTS["deployment"]["spec"]
    assert (spec["replicas"], spec["strategy"]) == (1, {"type": "Recreate"})
    assert DOCUMENTS["volume"]["spec"]["accessModes"] == ["ReadWriteOncePod"]
    assert {each["tolerationSeconds"] for each in POD["tolerations"]} == {30}


def test_everything_selects_the_same_pods() -> None:
    """By the one label."""
    label = DOCUMENTS["deployment"]["spec"]["template"]["metadata"]["labels"]
    selectors = [
        DOCUMENTS["deployment"]["spec"]["selector"]["matchLabels"],
        DOCUMENTS["service"]["spec"]["selector"],
        DOCUMENTS["network-policy"]["spec"]["podSelector"]["matchLabels"],
        DOCUMENTS["pod-monitor"]["spec"]["selector"]["matchLabels"],
    ]
    assert selectors == [label] * 4


def test_the_configuration_is_good(tmp_path: Path) -> None:
    """It reads only files that the Secret of the example has."""
    mounts = {mount["name"]: mount["mountPath"] for mount in CONTAINER["volumeMounts"]}
    text = (SINGLE / "webcast-exporter.yml").read_text()
    assert KUSTOMIZATION["configMapGenerator"][0]["files"] == ["webcast-exporter.yml"]
    config_file = f"{mounts['config']}/webcast-exporter.yml"
    assert f"--config.file={config_file}" in CONTAINER["args"]
    for name, value in DOCUMENTS["secret.example"]["stringData"].items():
        (tmp_path / name).write_text(value)
    file = tmp_path / "webcast-exporter.yml"
    file.write_text(text.replace(mounts["secrets"], str(tmp_path)))
    config = load(file, {})
    assert isinstance(config, Config)
    assert text.count(mounts["secrets"]) == len(DOCUMENTS["secret.example"]["stringData"])


def test_a_new_pod_goes_on_with_the_series_of_the_old_one() -> None:
    """One instance whatever the pod's name; nothing of the pod becomes a label."""
    monitor = DOCUMENTS["pod-monitor"]
    assert monitor["apiVersion"] == OPERATOR
    (endpoint,) = monitor["spec"]["podMetricsEndpoints"]
    relabelled = {each.get("targetLabel", each.get("regex")): each["action"] for each in endpoint["relabelings"]}
    assert relabelled == {"instance": "replace", "pod|container|endpoint": "labeldrop"}
