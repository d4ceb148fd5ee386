import json
import re
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest

from dashboards.source.__main__ import DASHBOARDS, FOLDER, text
from dashboards.source.frame import Row
from dashboards.source.frame import dashboard as made
from dashboards.source.panels import Query, Size, stat
from tests.dashboards.reading import SCRAPED, Json, variables
from tests.names import NAMES

COLUMNS = 24
CHINESE = re.compile(r"[\u4e00-\u9fff]")
LABEL_VALUES = re.compile(r"label_values\((\w+)(\{.*\})?, (\w+)\)")
EXPECTED_VARIABLES = {
    "fleet": ["datasource", "job", "instance", "app_id", "label"],
    "task": ["datasource", "job", "instance", "app_id", "room_id", "task_id"],
    "exporter": ["datasource", "job", "instance", "account"],
}


def overlap(one: Json, other: Json) -> bool:
    """Whether two places on the grid share a cell."""
    return all(
        one[start] < other[start] + other[size] and other[start] < one[start] + one[size]
        for start, size in (("x", "w"), ("y", "h"))
    )


def test_the_files_are_what_the_source_makes() -> None:
    """Nobody edits a file by hand: `make dashboards` would undo it."""
    assert {path.stem: path.read_text() for path in FOLDER.glob("*.json")} == {
        name: text(document) for name, document in DASHBOARDS.items()
    }


def test_a_line_that_is_not_filled_is_refused() -> None:
    """The grid has no holes."""
    half = stat("Stale", Size(12, 4), Query("1"), steps=())
    with pytest.raises(ValueError, match="ends at column 12"):
        made("fleet", [Row("Row", [half])], variables=[], annotations=[], since="now-1h")


def test_it_can_be_imported_and_provisioned_unchanged(dashboard: Json, dashboard_file: Path) -> None:
    """No id of one Grafana, a uid by the file's name, the current classic schema, nothing to fill in."""
    assert (None, f"webcast-{dashboard_file.stem}", 42) == (
        dashboard.get("id"),
        dashboard["uid"],
        dashboard["schemaVersion"],
    )
    assert "__inputs" not in dashboard


def test_the_data_source_is_a_variable(dashboard: Json, panels: list[Json]) -> None:
    """Every panel, query, annotation and variable asks the Prometheus that is chosen at the top."""
    variable = dashboard["templating"]["list"][0]
    assert (variable["name"], variable["type"], variable["query"]) == ("datasource", "datasource", "prometheus")
    annotations = [each for each in dashboard["annotations"]["list"] if not each.get("builtIn")]
    asked = [target for panel in panels for target in panel["targets"]]
    asking = [*panels, *asked, *annotations, *(each for each in variables(dashboard).values() if "definition" in each)]
    assert {json.dumps(each["datasource"]) for each in asking} == {'{"type": "prometheus", "uid": "${datasource}"}'}


def test_variables_ask_for_labels_that_exist(dashboard: Json, dashboard_file: Path) -> None:
    """A variable's query names a metric and a label of its own, narrowed by the variables above it."""
    assert EXPECTED_VARIABLES[dashboard_file.stem] == list(variables(dashboard))
    above: set[str] = set()
    for name, each in variables(dashboard).items():
        if each["type"] == "query":
            found = LABEL_VALUES.fullmatch(each["query"]["query"])
            assert found, name
            metric, matchers, label = found.groups("")
            assert name == label
            assert label in NAMES[metric].labels | SCRAPED
            assert set(re.findall(r"\$(\w+)", matchers)) == above & {"job", "instance"}
            above.add(name)


def test_ids_of_tasks_are_typed_or_linked_never_queried(dashboard: Json) -> None:
    """No variable lists rooms or tasks, of which there are thousands a day."""
    ids = [each for name, each in variables(dashboard).items() if name in {"room_id", "task_id"}]
    assert [each["name"] for each in ids if each["type"] != "textbox"] == []


def test_ids_are_unique(dashboard: Json) -> None:
    """No two panels share an id, and none has 0; no two targets of a panel share a refId."""
    ids = [panel["id"] for panel in dashboard["panels"]]
    assert len(ids) == len(set(ids) - {0})
    letters = [[target["refId"] for target in panel.get("targets", ())] for panel in dashboard["panels"]]
    assert [each for each in letters if len(each) != len(set(each))] == []


def test_panels_lie_on_the_grid_without_overlap(dashboard: Json) -> None:
    """24 columns, none of them used twice, each row of panels under a title of its own."""
    assert dashboard["panels"][0]["type"] == "row"
    places = {panel["title"]: panel["gridPos"] for panel in dashboard["panels"]}
    assert len(places) == len(dashboard["panels"])
    assert [title for title, at in places.items() if at["x"] < 0 or at["w"] < 1 or at["x"] + at["w"] > COLUMNS] == []
    assert [(one, other) for one, other in combinations(places, 2) if overlap(places[one], places[other])] == []


def test_the_grid_has_no_holes(dashboard: Json) -> None:
    """Every line of the grid is filled from edge to edge."""
    places = [panel["gridPos"] for panel in dashboard["panels"]]
    bottom = max(at["y"] + at["h"] for at in places)
    assert bottom * COLUMNS == sum(at["w"] * at["h"] for at in places)


def test_titles_are_english_and_descriptions_are_both(dashboard: Json, panels: list[Json]) -> None:
    """Each panel says what it shows: English, a blank line, Chinese; so do the dashboard and its variables."""
    assert [
        panel["title"] for panel in dashboard["panels"] if not re.fullmatch(r"[A-Z0-9][ -~]+", panel["title"])
    ] == []
    for item in (dashboard, *panels):
        english, chinese = item["description"].split("\n\n")
        assert (english.isascii(), bool(CHINESE.search(english)), bool(CHINESE.search(chinese))) == (True, False, True)
    spoken = [variable["description"] for variable in dashboard["templating"]["list"]]
    assert [said for said in spoken if not (CHINESE.search(said) and re.search(r"[A-Za-z]", said))] == []


def test_annotations_are_asked_alike_by_old_and_new_grafana(dashboard: Json) -> None:
    """Grafana moved an annotation's query into `target`; both places say the same, and what it is called."""
    own = [each for each in dashboard["annotations"]["list"] if not each.get("builtIn")]
    assert "Exporter restarts" in {each["name"] for each in own}
    assert [each["name"] for each in own if each["expr"] != each["target"]["expr"] or not each["titleFormat"]] == []
    assert [each["name"] for each in own if each["useValueForTime"] != ("1000 * " in each["expr"])] == []


@pytest.mark.parametrize(
    ("moved", "expected"), [({"x": 6}, False), ({"x": 5}, True), ({"y": 4}, False), ({"y": 3}, True), ({}, True)]
)
def test_overlap_is_found(moved: dict[str, Any], expected: bool) -> None:  # noqa: FBT001 - a row of the table above
    """Neighbours may touch, and may not cover each other."""
    place = {"x": 0, "y": 0, "w": 6, "h": 4}
    assert expected == overlap(place, place | moved)
