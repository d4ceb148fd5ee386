"""Normalise dashboards/grafana/*.json after an edit in Grafana or by hand: `python -m dashboards.normalise`.

Takes the JSON model that Grafana shows (Settings, JSON Model) or its export for sharing, and removes what belongs to
one Grafana: ids, versions, data sources, chosen values. Keys are sorted, so that a change of one panel is a small diff.
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

Json = dict[str, Any]

FOLDER = Path(__file__).parent / "grafana"
DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}
OF_ONE_GRAFANA = frozenset({"__elements", "__inputs", "__requires", "gnetId", "id", "iteration", "meta"})
"""Keys of a whole dashboard."""
COLUMNS = 24


class DashboardError(Exception):
    """A dashboard that cannot be kept in this repository, and why."""


def normalised(document: Json, name: str) -> Json:
    """The dashboard of the file `name` without what belongs to one Grafana.

    Raises DashboardError for library panels, and for panels outside the grid or on top of each other.
    """
    document = document.get("dashboard", document)
    document = _cleaned({key: value for key, value in document.items() if key not in OF_ONE_GRAFANA})
    document |= {"uid": f"webcast-{name}", "version": 1}
    for variable in document["templating"]["list"]:
        variable.update(_unchosen(variable))
    panels = [*panels_of(document)]
    for panel in panels:
        if "libraryPanel" in panel:
            raise DashboardError(f"{name}.json: panel {panel['title']!r} is a library panel; unlink it in Grafana")
    if fault := _grid_fault(document["panels"]):
        raise DashboardError(f"{name}.json: {fault}")
    _number(panels)
    return document


def text_of(document: Json) -> str:
    """A document as its file holds it."""
    return json.dumps(document, indent=2, ensure_ascii=False, sort_keys=True) + "\n"


def panels_of(document: Json) -> Iterator[Json]:
    """Every panel, rows and the panels of collapsed rows included."""
    for panel in document["panels"]:
        yield panel
        yield from panel.get("panels", ())


def _cleaned(value: Any) -> Any:
    """Any part of a document, its Prometheus data sources replaced by the variable."""
    if isinstance(value, list):
        return [_cleaned(each) for each in value]
    if not isinstance(value, dict):
        return value
    if value.get("type") == "prometheus" and value.keys() <= {"type", "uid"}:
        return DATASOURCE
    return {key: _cleaned(each) for key, each in value.items() if key != "pluginVersion"}


def _unchosen(variable: Json) -> Json:
    """A variable as a new reader finds it: All, the default of a text box, or nothing."""
    if variable["type"] == "textbox":
        chosen = {"selected": True, "text": variable["query"], "value": variable["query"]}
        return {"current": chosen, "options": [chosen]}
    if variable["type"] == "datasource":
        return {"current": {}, "options": []}
    text, value = ("All", "$__all")
    listed = variable.get("multi", False)
    return {
        "current": {"selected": True, "text": [text] if listed else text, "value": [value] if listed else value},
        "options": [],
    }


def _number(panels: list[Json]) -> None:
    """Keep each panel's id unless another panel before it has the same; links to a panel name its id."""
    used: set[int] = set()
    for panel in panels:
        number = panel.get("id") or 0
        if number in used or number == 0:
            number = max(used, default=0) + 1
        panel["id"] = number
        used.add(number)


def _grid_fault(panels: list[Json]) -> str:
    """Empty when no cell of the 24 columns is used twice and none is empty; collapsed rows have grids of their own."""
    cells: dict[tuple[int, int], str] = {}
    for panel in panels:
        place, title = panel["gridPos"], panel["title"]
        if place["x"] < 0 or place["x"] + place["w"] > COLUMNS:
            return f"panel {title!r} is not within {COLUMNS} columns"
        for x in range(place["x"], place["x"] + place["w"]):
            for y in range(place["y"], place["y"] + place["h"]):
                other = cells.setdefault((x, y), title)
                if other != title:
                    return f"panels {other!r} and {title!r} overlap"
    bottom = max(y for _, y in cells) + 1
    if len(cells) != bottom * COLUMNS:
        x, y = next((x, y) for y in range(bottom) for x in range(COLUMNS) if (x, y) not in cells)
        return f"the grid has a hole at column {x}, line {y}"
    nested = (_grid_fault(_from_top(panel["panels"])) for panel in panels if panel.get("panels"))
    return next((fault for fault in nested if fault), "")


def _from_top(panels: list[Json]) -> list[Json]:
    top = min(panel["gridPos"]["y"] for panel in panels)
    return [panel | {"gridPos": panel["gridPos"] | {"y": panel["gridPos"]["y"] - top}} for panel in panels]


def main() -> None:
    """Rewrite every file; exit 1 with the reason when one cannot be kept."""
    for path in sorted(FOLDER.glob("*.json")):
        try:
            text = text_of(normalised(json.loads(path.read_text("utf-8")), path.stem))
        except DashboardError as error:
            sys.exit(str(error))
        path.write_text(text, "utf-8")


if __name__ == "__main__":
    main()
