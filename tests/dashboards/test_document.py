import json
import re
from pathlib import Path

import pytest

from dashboards.normalise import DashboardError, normalised, text_of
from tests.dashboards.documents import SCRAPED, Json, variables
from tests.support.metric_names import NAMES

LABEL_VALUES = re.compile(r"label_values\((\w+)(\{.*\})?, (\w+)\)")
EXPECTED_VARIABLES = {
    "fleet": ["datasource", "job", "instance", "app_id", "label"],
    "statistics": ["datasource", "job", "instance", "app_id", "label"],
    "task": ["datasource", "job", "instance", "app_id", "room_id", "task_id"],
    "exporter": ["datasource", "job", "instance", "account"],
}


def test_the_files_are_normalised(dashboard: Json, dashboard_file: Path) -> None:
    """`make dashboards` was run after the latest edit."""
    assert dashboard_file.read_text() == text_of(normalised(dashboard, dashboard_file.stem))


def test_an_export_of_grafana_becomes_the_file_again(dashboard: Json, dashboard_file: Path) -> None:
    """What one Grafana adds is removed: its ids, versions, data sources, inputs and the values chosen by the editor."""
    text = json.dumps(dashboard).replace("${datasource}", "b7Xz1-foreign").replace('"text": "All"', '"text": "job-a"')
    exported: Json = json.loads(text)
    exported |= {"id": 17, "version": 9, "__requires": [], "__inputs": [], "iteration": 1, "uid": "other"}
    for panel in exported["panels"]:
        panel["pluginVersion"] = "12.1.0"
    exported["panels"][1]["id"] = exported["panels"][0]["id"]
    for variable in exported["templating"]["list"]:
        variable |= {"current": {"text": "x", "value": "x"}, "options": [{"text": "x", "value": "x"}]}
    found = normalised({"meta": {}, "dashboard": exported}, dashboard_file.stem)
    found["panels"][1]["id"] = dashboard["panels"][1]["id"]
    assert found == dashboard


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"gridPos": {"x": 20, "y": 0, "w": 12, "h": 1}}, "is not within 24 columns"),
        ({"gridPos": {"x": 0, "y": 1, "w": 24, "h": 1}}, "overlap"),
        ({"gridPos": {"x": 0, "y": 0, "w": 23, "h": 1}}, "has a hole at column 23, line 0"),
        ({"libraryPanel": {"uid": "x"}}, "is a library panel"),
    ],
)
def test_a_dashboard_that_cannot_be_kept_is_refused(dashboard: Json, change: Json, fault: str) -> None:
    """Panels fill the grid without overlap, and nothing is stored in one Grafana only."""
    dashboard["panels"][0] |= change
    with pytest.raises(DashboardError, match=fault):
        normalised(dashboard, "fleet")


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


def test_titles_and_descriptions_are_english(dashboard: Json, panels: list[Json]) -> None:
    """Each panel says what it shows, and titles are unique; Chinese is added by `dashboards export --language zh`."""
    titles = [panel["title"] for panel in dashboard["panels"]]
    assert [title for title in titles if not re.fullmatch(r"[A-Z0-9][ -~]+", title)] == []
    assert len(titles) == len(set(titles))
    described = [dashboard, *panels, *dashboard["templating"]["list"]]
    assert [each for each in described if not re.fullmatch(r"[ -~]*[A-Za-z][ -~]*", each["description"])] == []


def test_annotations_are_asked_alike_by_old_and_new_grafana(dashboard: Json) -> None:
    """Grafana moved an annotation's query into `target`; both places say the same, and what it is called."""
    own = [each for each in dashboard["annotations"]["list"] if not each.get("builtIn")]
    assert "Exporter restarts" in {each["name"] for each in own}
    assert [each["name"] for each in own if each["expr"] != each["target"]["expr"] or not each["titleFormat"]] == []
    assert [each["name"] for each in own if each["useValueForTime"] != ("1000 * " in each["expr"])] == []
