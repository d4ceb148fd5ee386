"""The same rules and dashboards as objects of a cluster: for the Prometheus operator, and for Grafana's sidecar."""

from collections.abc import Mapping
from textwrap import indent

RULES = ("prometheus/recording.yml", "prometheus/alerts.yml")
GRAFANA = "grafana/"
RULE = """\
# The recording rules and the alerts, for the Prometheus operator. Your Prometheus may ask for a label of its own
# (its ruleSelector), such as `release: kube-prometheus-stack`: add it to metadata.labels.
apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata:
  name: webcast-exporter
  labels:
    app.kubernetes.io/name: webcast-exporter
spec:
  groups:
"""
CONFIG_MAP = """\
# For the sidecar of the chart of Grafana, which takes in every ConfigMap that has this label.
apiVersion: v1
kind: ConfigMap
metadata:
  name: webcast-dashboard-{name}
  labels:
    app.kubernetes.io/name: webcast-exporter
    grafana_dashboard: "1"
  annotations:
    grafana_folder: WebCast
data:
  webcast-{name}.json: |
"""


def manifests(files: Mapping[str, str]) -> dict[str, str]:
    """The manifests of these files, by their path; what they hold is the files' own text, comments and all."""
    dashboards = {path.removeprefix(GRAFANA).removesuffix(".json"): path for path in files if path.startswith(GRAFANA)}
    return {
        "kubernetes/prometheus-rule.yaml": RULE + "".join(_groups(files[path]) for path in RULES),
        **{
            f"kubernetes/dashboard-{name}.yaml": CONFIG_MAP.format(name=name) + indent(files[path], "    ")
            for name, path in dashboards.items()
        },
    }


def _groups(rules: str) -> str:
    """What stands under `groups:` in a file of rules, one level deeper."""
    return indent(rules.partition("\ngroups:\n")[2], "  ")
