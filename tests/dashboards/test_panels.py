import re
from pathlib import Path

from exporter.enums import PageAction, PageReason, ReadFailure, Severity, StopReason, TaskProblem
from exporter.model.problem import PROBLEMS
from exporter.model.task_state import DisplayStatus
from tests.dashboards.documents import Json, columns, fixed_names, properties, selectors

UNITS = set((Path(__file__).parent / "units.txt").read_text().split())
"""Ids of all value formats of Grafana 13.2 (its package @grafana/data)."""
MOMENT = {"stat", "bargauge", "gauge", "table"}
WORDS = {*TaskProblem, *DisplayStatus, *StopReason, *ReadFailure, *PageReason, *PageAction, ""}
LEGEND_LABEL = re.compile(r"\{\{(\w+)\}\}")
GREY = {"color": "#8e8e8e", "value": None}
COLOR = re.compile(
    r"#[0-9a-f]{6}|transparent|text|(?:(?:super-|semi-)?(?:light|dark)-)?(?:red|orange|yellow|green|blue|purple)"
)
"""A hexadecimal one, or a name of Grafana's palette."""


def units(panel: Json) -> list[str]:
    """All that a panel uses; a heatmap's stands with its axis."""
    axis = panel["options"].get("yAxis", {})
    return [*properties(panel, "unit"), *([axis["unit"]] if "unit" in axis else [])]


def column_properties(panel: Json, title: str) -> dict[str, object]:
    """What overrides say of a table's column."""
    return {
        item["id"]: item["value"]
        for rule in panel["fieldConfig"]["overrides"]
        if rule["matcher"]["options"] == title
        for item in rule["properties"]
    }


def test_units_are_grafana_s(panels: list[Json]) -> None:
    """No unit that Grafana does not know; every panel has one, but a table has one per column of numbers."""
    assert {panel["title"]: set(units(panel)) - UNITS for panel in panels if set(units(panel)) - UNITS} == {}
    assert [panel["title"] for panel in panels if panel["type"] != "table" and not units(panel)] == []


def test_columns_of_numbers_have_a_unit_or_words(panels: list[Json]) -> None:
    bare = {
        (panel["title"], title)
        for panel in panels
        if panel["type"] == "table"
        for field, title in columns(panel).items()
        if field.startswith("Value") and not {"unit", "mappings", "decimals"} & column_properties(panel, title).keys()
    }
    assert bare == set()


def test_times_of_day_are_milliseconds(panels: list[Json]) -> None:
    """What Grafana shows as a time is multiplied from Prometheus's seconds."""
    dated = [panel for panel in panels if any(str(unit).startswith("dateTime") for unit in units(panel))]
    assert [panel["title"] for panel in dated if not any("1000 * " in each["expr"] for each in panel["targets"])] == []


def test_legends_name(panels: list[Json]) -> None:
    """Where several lines, bars or numbers can be drawn, each has a name that is made of words or of labels."""
    drawn = [panel for panel in panels if panel["type"] not in {"table", "stat", "gauge"} or len(panel["targets"]) > 1]
    nameless = [
        panel["title"]
        for panel in drawn
        if panel["type"] != "table" and not all(target.get("legendFormat") for target in panel["targets"])
    ]
    assert nameless == []


def test_legends_name_labels_that_the_result_has(panels: list[Json]) -> None:
    for target in (target for panel in panels for target in panel["targets"]):
        wanted = set(LEGEND_LABEL.findall(target.get("legendFormat", "")))
        by = {label.strip() for group in re.findall(r" by \(([^)]*)\)", target["expr"]) for label in group.split(",")}
        assert set() == wanted - by, target["expr"]


def test_colours_reach_every_word_and_no_other(panels: list[Json]) -> None:
    """Where a line or a bar is a word of ours, colours are fixed for all that can be drawn, and only for them."""
    for panel in (panel for panel in panels if panel["type"] != "stat"):
        for target in panel["targets"]:
            for label in LEGEND_LABEL.findall(target.get("legendFormat", "")):
                possible = {word for each in selectors(target["expr"]) for word in each.words(label) or ()}
                fixed = fixed_names(panel) if possible else set()
                assert possible == fixed, panel["title"]


def test_overrides_match_something(panels: list[Json]) -> None:
    """An override names a column that is there, a legend that is drawn, or a word that a legend's label can have."""
    for panel in panels:
        legends = {target.get("legendFormat", "") for target in panel["targets"]}
        words = {
            word
            for target in panel["targets"]
            for label in LEGEND_LABEL.findall(target.get("legendFormat", ""))
            for each in selectors(target["expr"])
            for word in each.words(label) or ()
        }
        there = set(columns(panel).values()) if panel["type"] == "table" else legends | words | {"+Inf"}
        assert set() == fixed_names(panel) - there, panel["title"]


def test_value_mappings_know_the_vocabulary(panels: list[Json]) -> None:
    for panel in panels:
        mappings = [mapping for found in properties(panel, "mappings") for mapping in found]
        keys = {key for mapping in mappings for key in mapping["options"] if not key.isdigit()}
        assert set() == keys - WORDS, panel["title"]


def test_colours_are_grafana_s(dashboard_file: Path) -> None:
    """No colour that Grafana does not know: it would be drawn as grey."""
    found = set(re.findall(r'"(?:color|fixedColor)": "([^"]*)"', dashboard_file.read_text()))
    assert found
    assert [color for color in found if not COLOR.fullmatch(color)] == []


def test_what_is_true_now_is_asked_now(panels: list[Json]) -> None:
    """Stats, bars, dials and tables ask for one instant: they never show the last value of an exporter that is down."""
    asked = {panel["title"]: [target["instant"] for target in panel["targets"]] for panel in panels}
    kinds = {panel["title"]: panel["type"] in MOMENT for panel in panels}
    assert [title for title, each in asked.items() if set(each) != {kinds[title]}] == []


def test_no_data_has_no_colour_of_good(panels: list[Json]) -> None:
    """A stat without data is grey: the first threshold colours what has no value."""
    stats = [panel for panel in panels if panel["type"] == "stat"]
    first = {panel["title"]: panel["fieldConfig"]["defaults"]["thresholds"]["steps"][0] for panel in stats}
    assert [title for title, step in first.items() if step != GREY] == []


def test_tables_say_what_it_means_that_they_are_empty(panels: list[Json]) -> None:
    """An empty table has a sentence, and text columns are no numbers: no unit stands for the whole table."""
    tables = [panel for panel in panels if panel["type"] == "table"]
    said = {panel["title"]: panel["fieldConfig"]["defaults"] for panel in tables}
    assert [title for title, each in said.items() if len(each["noValue"].split()) < 3 or "unit" in each] == []


def test_the_reason_of_a_stop_is_coloured_by_what_is_wrong(everyone: dict[str, Json]) -> None:
    """StopByAPI is no good news while its class is dark: the words have no colour of their own."""
    panel = next(each for each in everyone["webcast-task"]["panels"] if each["title"] == "Why it stopped")
    words = panel["fieldConfig"]["defaults"]["mappings"][0]["options"].values()
    assert [word for word in words if "color" in word] == []
    assert {word["text"] for word in words} == {*StopReason}
    critical = {row.problem for row in PROBLEMS if row.severity is Severity.CRITICAL}
    asked = next(each for each in selectors(panel["targets"][0]["expr"]) if "problem" in each.matchers)
    assert {*asked.matchers["problem"][1].split("|")} == critical


def test_the_table_of_problems_is_graded_as_the_exporter_grades_them(everyone: dict[str, Json]) -> None:
    """The dashboard and the page /tasks say the same; a failure after its class is a warning."""
    panel = next(each for each in everyone["webcast-fleet"]["panels"] if each["title"].startswith("What is wrong"))
    words = {"4": Severity.CRITICAL, "3": Severity.CRITICAL, "2": Severity.WARNING, "1": Severity.INFO}
    for target in panel["targets"]:
        graded: dict[str, Severity] = {}
        for grade, asked in re.findall(r"(\d) \* max by(.*?)(?=\n  or|\n\))", target["expr"], re.DOTALL):
            for problems in re.findall(r'problem=~?"([^"]+)"', asked):
                for problem in problems.split("|"):
                    graded.setdefault(problem, words[grade])
        assert graded == {row.problem: row.severity for row in PROBLEMS}
        assert 'failed"} unless on (app_id, room_id, task_id) webcast_task_expected_end_' in target["expr"]
