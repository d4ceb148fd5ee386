import json
import re
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest

from exporter.model.known import Standing
from exporter.vocabulary import ReadFailure, Status, StopReason

Json = dict[str, Any]

COLUMNS = 24
UNITS = {"none", "short", "s", "reqps", "percentunit", "dateTimeFromNow", "dateTimeAsIso", "bytes", "Bps", "bps", "ops"}
"""Ids that Grafana's value formats have (its package @grafana/data)."""
CHINESE = re.compile(r"[\u4e00-\u9fff]")
WORDS = {*Standing, *StopReason, *ReadFailure}
COLORS = {
    "{{status}}": (set(Status) | set(Standing),),
    "{{reason}}": (set(StopReason), set(ReadFailure) - {ReadFailure.NOT_FOUND}),
}
"""By legend: the sets of words of which one has its colours fixed."""


def overlap(one: Json, other: Json) -> bool:
    """Whether two places on the grid share a cell."""
    return all(
        one[start] < other[start] + other[size] and other[start] < one[start] + one[size]
        for start, size in (("x", "w"), ("y", "h"))
    )


def properties(panel: Json, name: str) -> list[Any]:
    """Every value that a panel's field configuration gives the property `name`, overrides included."""
    config = panel["fieldConfig"]
    overridden = [item["value"] for rule in config["overrides"] for item in rule["properties"] if item["id"] == name]
    return [config["defaults"][name], *overridden] if name in config["defaults"] else overridden


def fixed_names(panel: Json) -> set[str]:
    """The names that overrides match."""
    return {
        rule["matcher"]["options"] for rule in panel["fieldConfig"]["overrides"] if rule["matcher"]["id"] == "byName"
    }


def queries(document: Json) -> Iterator[Json]:
    """All that asks the data source: panels, their targets, the variables."""
    for panel in document["panels"]:
        if panel["type"] != "row":
            yield panel
            yield from panel["targets"]
    yield from (variable for variable in document["templating"]["list"] if variable["type"] == "query")


def test_the_file_is_kept_in_one_form(dashboard_file: Path) -> None:
    """Two spaces, keys as they stand, Chinese as it is read: a change of one panel is a small diff."""
    text = dashboard_file.read_text()
    assert json.dumps(json.loads(text), indent=2, ensure_ascii=False) + "\n" == text


def test_it_can_be_imported_and_provisioned_unchanged(dashboard: Json, dashboard_file: Path) -> None:
    """No id of one Grafana, a uid by the file's name, the current classic schema, nothing to fill in."""
    assert (None, f"webcast-{dashboard_file.stem}", 42) == (
        dashboard.get("id"),
        dashboard["uid"],
        dashboard["schemaVersion"],
    )
    assert "__inputs" not in dashboard


def test_the_data_source_is_a_variable(dashboard: Json) -> None:
    """Every panel, query and variable asks the Prometheus that is chosen at the top."""
    variable = dashboard["templating"]["list"][0]
    assert (variable["name"], variable["type"], variable["query"]) == ("datasource", "datasource", "prometheus")
    expected = {"type": "prometheus", "uid": "${datasource}"}
    assert [query for query in queries(dashboard) if query["datasource"] != expected] == []


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
    assert [panel["title"] for panel in dashboard["panels"] if not re.fullmatch(r"[A-Z][ -~]+", panel["title"])] == []
    for item in (dashboard, *panels):
        english, chinese = item["description"].split("\n\n")
        assert (english.isascii(), bool(CHINESE.search(english)), bool(CHINESE.search(chinese))) == (True, False, True)
    spoken = [variable["description"] for variable in dashboard["templating"]["list"]]
    assert [text for text in spoken if not (CHINESE.search(text) and re.search(r"[A-Za-z]", text))] == []


def test_units_are_grafana_s(panels: list[Json]) -> None:
    """Each panel has a unit somewhere, and none that Grafana does not know."""
    units = {panel["title"]: properties(panel, "unit") for panel in panels}
    assert [title for title, found in units.items() if not found or set(found) - UNITS] == []


def test_times_of_day_are_milliseconds(panels: list[Json]) -> None:
    """A column that Grafana shows as a time is multiplied from Prometheus's seconds."""
    dated = [panel for panel in panels if any(str(unit).startswith("dateTime") for unit in properties(panel, "unit"))]
    assert [panel["title"] for panel in dated if not any("1000 * " in each["expr"] for each in panel["targets"])] == []


def test_legends_name(panels: list[Json]) -> None:
    """Where several lines or bars can be drawn, each has a name that is made of words or of labels."""
    drawn = [panel for panel in panels if panel["type"] in {"timeseries", "bargauge"} or len(panel["targets"]) > 1]
    nameless = [
        panel["title"]
        for panel in drawn
        if panel["type"] != "table" and not all(target.get("legendFormat") for target in panel["targets"])
    ]
    assert nameless == []


def test_colours_reach_every_word_and_no_other(panels: list[Json]) -> None:
    """Where the legend is a status or a reason, colours are fixed for its words and only for them."""
    for panel in panels:
        for legend in {target.get("legendFormat") for target in panel["targets"]} & COLORS.keys():
            fixed = fixed_names(panel)
            assert fixed, panel["title"]
            assert any(fixed <= words for words in COLORS[legend]), panel["title"]
            assert legend == "{{status}}" or fixed in COLORS[legend], panel["title"]


def test_value_mappings_know_the_vocabulary(panels: list[Json]) -> None:
    """A mapping of words maps words that exist, or the ones its own query writes."""
    for panel in panels:
        mappings = [mapping for found in properties(panel, "mappings") for mapping in found]
        keys = {key for mapping in mappings for key in mapping["options"] if not key.isdigit()}
        written = {word for target in panel["targets"] for word in re.findall(r'"reason", "(\w+)", ""', target["expr"])}
        assert set() == keys - WORDS - written, panel["title"]


def test_columns_of_tables_exist(panels: list[Json]) -> None:
    """An override of a table's column names a column that is there."""
    for panel in (panel for panel in panels if panel["type"] == "table"):
        renamed = panel["transformations"][-1]["options"]["renameByName"]
        assert set() == fixed_names(panel) - set(renamed.values()), panel["title"]


def test_what_is_true_now_is_asked_now(panels: list[Json]) -> None:
    """Stats, bars and tables ask for one instant: they never show the last value of an exporter that is down."""
    still = [panel for panel in panels if panel["type"] in {"stat", "bargauge", "table"}]
    assert [panel["title"] for panel in still if not all(target["instant"] for target in panel["targets"])] == []


def test_no_data_has_no_colour_of_good(panels: list[Json]) -> None:
    """A stat without data is grey: the first threshold colours what has no value."""
    stats = [panel for panel in panels if panel["type"] == "stat"]
    steps = {panel["title"]: panel["fieldConfig"]["defaults"]["thresholds"]["steps"] for panel in stats}
    assert [title for title, each in steps.items() if each[0] != {"color": "#8e8e8e", "value": None}] == []


@pytest.mark.parametrize(
    ("moved", "expected"), [({"x": 6}, False), ({"x": 5}, True), ({"y": 4}, False), ({"y": 3}, True), ({}, True)]
)
def test_overlap_is_found(moved: Json, expected: bool) -> None:  # noqa: FBT001 - a row of the table above
    """Neighbours may touch, and may not cover each other."""
    place = {"x": 0, "y": 0, "w": 6, "h": 4}
    assert expected == overlap(place, place | moved)
