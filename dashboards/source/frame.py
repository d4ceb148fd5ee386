"""The document around the panels: the grid, what is said of each, links to the other dashboards."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from dashboards.source.fields import Json
from dashboards.source.texts import texts_of
from dashboards.source.variables import INSTANCE, JOB, SOURCE

COLUMNS = 24
TITLES = {"fleet": "Fleet", "task": "Task", "exporter": "Exporter and API"}
GRAFANAS_OWN = {
    "builtIn": 1,
    "datasource": {"type": "grafana", "uid": "-- Grafana --"},
    "enable": True,
    "hide": True,
    "iconColor": "rgba(0, 211, 255, 1)",
    "name": "Annotations & Alerts",
    "type": "dashboard",
}


class Row(NamedTuple):
    """A title, and the panels under it, from the left to the right and line by line."""

    title: str
    panels: Sequence[Json]


def dashboard(
    name: str, rows: Iterable[Row], *, variables: Sequence[Json], annotations: Sequence[Json], since: str
) -> Json:
    """The whole document; `name` is its file's. ValueError when texts/ says something of what is not there."""
    said = {**texts_of("common"), **texts_of(name)}
    said.pop("All dashboards")
    title = f"WebCast / {TITLES[name]}"
    document = {
        "uid": f"webcast-{name}",
        "title": title,
        "description": said.pop(title),
        "tags": ["webcast", "prometheus"],
        "schemaVersion": 42,
        "version": 1,
        "editable": True,
        "graphTooltip": 1,
        "fiscalYearStartMonth": 0,
        "liveNow": False,
        "preload": False,
        "timezone": "browser",
        "weekStart": "",
        "refresh": "30s",
        "time": {"from": since, "to": "now"},
        "timepicker": {},
        "links": [_link(other) for other in TITLES if other != name],
        "annotations": {"list": [GRAFANAS_OWN, *annotations]},
        "templating": {
            "list": [
                variable | {"description": said.pop(f"${variable['name']}").replace("\n\n", " ")}
                for variable in (SOURCE, JOB, INSTANCE, *variables)
            ]
        },
        "panels": [
            {"id": number, **panel, **({} if panel["type"] == "row" else {"description": said.pop(panel["title"])})}
            for number, panel in enumerate(_grid(rows), 1)
        ],
    }
    if said:
        raise ValueError(f"texts/{name}.md speaks of {', '.join(said)}")
    return document


def _grid(rows: Iterable[Row]) -> Iterable[Json]:
    """All panels in their places; ValueError when a line is not filled from edge to edge."""
    y = 0
    for row in rows:
        place = {"x": 0, "y": y, "w": COLUMNS, "h": 1}
        yield {"type": "row", "title": row.title, "collapsed": False, "panels": [], "gridPos": place}
        x, y = 0, y + 1
        for panel in row.panels:
            size = panel["gridPos"]
            yield panel | {"gridPos": {"x": x, "y": y, **size}}
            x += size["w"]
            if x == COLUMNS:
                x, y = 0, y + size["h"]
        if x:
            raise ValueError(f"the last line under {row.title!r} ends at column {x}")


def _link(name: str) -> Json:
    return {
        "title": TITLES[name],
        "type": "link",
        "url": f"/d/webcast-{name}/webcast-{name}",
        "icon": "dashboard",
        "includeVars": True,
        "keepTime": True,
        "targetBlank": False,
        "asDropdown": False,
        "tags": [],
        "tooltip": f"WebCast / {TITLES[name]}",
    }
