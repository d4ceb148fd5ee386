"""What is chosen at the top of a dashboard; how each is described stands in texts/."""

from typing import Any

from dashboards.source.fields import Json
from dashboards.source.panels import DATASOURCE

BUILD = "webcast_exporter_build_info"
EXPORTERS = 'job=~"$job", instance=~"$instance"'


def _variable(name: str, label: str, kind: str, **more: Any) -> Json:
    return {"name": name, "label": label, "description": "", "type": kind, "hide": 0, "skipUrlSync": False, **more}


def of_label(name: str, label: str, metric: str, *, multi: bool = True) -> Json:
    """Offers the values that a label of the metric has."""
    asked = f"label_values({metric}, {name})"
    everything = {"selected": True, "text": ["All"], "value": ["$__all"]}
    return _variable(
        name,
        label,
        "query",
        datasource=DATASOURCE,
        definition=asked,
        query={"query": asked, "refId": f"variable-{name}", "qryType": 1},
        refresh=2,
        sort=1,
        multi=multi,
        includeAll=True,
        current=everything if multi else {"selected": True, "text": "All", "value": "$__all"},
        options=[],
        regex="",
    )


def anything(variable: Json) -> Json:
    """All means any value at all, also one that the list does not know (yet)."""
    return variable | {"allValue": ".*"}


def text_box(name: str, label: str, value: str = "") -> Json:
    """A box to type in."""
    current = {"selected": True, "text": value, "value": value}
    return _variable(name, label, "textbox", query=value, current=current, options=[current])


SOURCE = _variable(
    "datasource",
    "Data source",
    "datasource",
    query="prometheus",
    refresh=1,
    current={},
    options=[],
    multi=False,
    includeAll=False,
    regex="",
)
JOB = of_label("job", "Job", BUILD)
INSTANCE = of_label("instance", "Instance", f'{BUILD}{{job=~"$job"}}')
APPS = anything(of_label("app_id", "App", f"webcast_tasks{{{EXPORTERS}}}"))
APP = anything(of_label("app_id", "App", f"webcast_tasks{{{EXPORTERS}}}", multi=False))
ACCOUNTS = anything(of_label("account", "Account", f"webcast_api_requests_total{{{EXPORTERS}}}"))
