"""The bundled dashboards' queries, asked of a real Prometheus that scrapes a real exporter in a scene of everything."""

import json
import math
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from exporter.model.target import TargetId
from tests.dashboards.documents import columns, queries, variables
from tests.dashboards.scene import EVENING_TASKS, lesson, staged

if TYPE_CHECKING:
    from tests.real.conftest import Prometheus, StartExporter, StartPrometheus

pytestmark = pytest.mark.real

FILES = sorted((Path(__file__).parent.parent.parent / "dashboards" / "grafana").glob("*.json"))
RANGE = 600
STEP = 5
ALL = ".*"
MOST_DRAWN = 20
MAY_BE_EMPTY = {"cause", "class"}
"""Labels that Prometheus leaves out where no row has a value."""
LABEL_VALUES = re.compile(r"label_values\((.+), (\w+)\)")
LEGEND_LABEL = re.compile(r"\{\{(\w+)\}\}")
UNEVENTFUL = {"Hung jobs", "Database of the lease: last answer"}
"""Panels of Exporter that have nothing to show of one process whose disk answers."""
ABSENT = {
    "Cut": {"Why it stopped", "Ended", "Task ended"},
    "Broke": {"Time left", "Cut before its class ends", "Latest page event of each kind", "Page events"},
    "Failed": {
        "Started",
        "Task started",
        "Ran for",
        "Running time against its limit",
        "MaxRunningTime used",
        "Time left",
        "Cut before its class ends",
        "Latest page event of each kind",
        "Page events",
    },
}
"""By lesson: the panels and annotations of Task that have nothing to show of it, and say so."""


@pytest.fixture(scope="module")
def prometheus(
    start_exporter: "StartExporter",
    start_prometheus: "StartPrometheus",
    tmp_path_factory: pytest.TempPathFactory,
    wait: Callable[..., None],
) -> "Iterator[Prometheus]":
    """A Prometheus that has scraped all that can happen; what counts happens once its counter was seen at zero."""
    directory = tmp_path_factory.mktemp("dashboards")
    with staged(directory / "exporter") as stage:
        exporter = start_exporter(directory / "exporter", stage.config())
        scrape = {"job_name": "webcast", "static_configs": [{"targets": [exporter.url.removeprefix("http://")]}]}
        prometheus = start_prometheus(directory / "prometheus", [scrape])
        wait(lambda: prometheus.query("webcast_callback_events_total"), "a first scrape")
        stage.play(exporter.url)
        evening = 'sum by (status) (webcast_tasks{account="evening"}) > 0'
        wait(lambda: prometheus.query(evening, "status") == {("running",): EVENING_TASKS}, "the evening's tasks run")
        stage.fail_the_evening()
        wait(
            lambda: prometheus.query(evening, "status") == {("stale",): EVENING_TASKS}, "the evening's tasks are stale"
        )
        yield prometheus


def named(name: str) -> dict[str, Any]:
    """A dashboard's document."""
    document: dict[str, Any] = json.loads(next(path for path in FILES if path.stem == name).read_text())
    return document


def filled(expression: str, chosen: dict[str, str]) -> str:
    """The expression as Grafana would send it, for the last minutes."""
    since = int(time.time() - RANGE) * 1000
    known = {"__rate_interval": "15s", "__range": f"{RANGE}s", "__from": str(since), **chosen}
    return re.sub(r"\$([a-z_]\w*)", lambda found: known[found[1]], expression)


def choices(prometheus: "Prometheus", dashboard: dict[str, Any]) -> dict[str, list[str]]:
    """What each query variable offers, the ones above it at All; names to sorted values."""
    everything = dict.fromkeys(variables(dashboard), ALL)
    asked = {
        name: LABEL_VALUES.fullmatch(each["query"]["query"])
        for name, each in variables(dashboard).items()
        if each["type"] == "query"
    }
    return {
        name: sorted(
            values[0]
            for values in prometheus.query(f"group by ({found[2]}) ({filled(found[1], everything)})", found[2])
        )
        for name, found in asked.items()
        if found
    }


def answer(prometheus: "Prometheus", query: dict[str, Any], chosen: dict[str, str]) -> list[dict[str, Any]]:
    """The series of one query, asked for a moment or over time as its panel does; a refused one fails the test."""
    expression, now = filled(query["expr"], chosen), time.time()
    if query["instant"]:
        data = prometheus.api("query", query=expression)
    else:
        span = {"start": str(now - RANGE), "end": str(now), "step": str(STEP)}
        data = prometheus.api("query_range", query=expression, **span)
    assert data["resultType"] == ("vector" if query["instant"] else "matrix"), expression
    series: list[dict[str, Any]] = data["result"]
    return series


def faults(query: dict[str, Any], series: list[dict[str, Any]]) -> Iterator[str]:
    """What no panel could draw of an answer."""
    points = [float(value) for each in series for _, value in each.get("values", [each.get("value")])]
    if not series:
        yield "empty"
    elif all(math.isnan(point) for point in points):
        yield "all NaN"
    if len(series) > MOST_DRAWN:
        yield f"{len(series)} series"
    wanted = LEGEND_LABEL.findall(query.get("legendFormat", ""))
    yield from (f"no label {label}" for label in wanted if not all(label in each["metric"] for each in series))


def unfit(prometheus: "Prometheus", dashboard: dict[str, Any], chosen: dict[str, str]) -> dict[str, set[str]]:
    """By title: what does not fit the panel, a table's columns without a label included; of annotations likewise."""
    found: dict[str, set[str]] = {}
    labels: dict[str, set[str]] = {}
    for title, query in queries(dashboard):
        series = answer(prometheus, query, chosen)
        found.setdefault(title, set()).update(faults(query, series))
        labels.setdefault(title, set()).update(label for each in series for label in each["metric"])
    for panel in dashboard["panels"]:
        if panel["type"] == "table" and labels[panel["title"]]:
            wanted = {field for field in columns(panel) if not field.startswith("Value")} - MAY_BE_EMPTY
            found[panel["title"]] |= {f"no label {label}" for label in wanted - labels[panel["title"]]}
    return {title: each for title, each in found.items() if each}


def fits(
    prometheus: "Prometheus", dashboard: dict[str, Any], chosen: dict[str, str], empty: set[str], seconds: float = 40
) -> None:
    """Ask again until only the panels that are rightly empty do not fit; say what did not, when time is over."""
    deadline = time.monotonic() + seconds
    expected = {title: {"empty"} for title in empty}
    while (found := unfit(prometheus, dashboard, chosen)) != expected:
        assert time.monotonic() < deadline, found
        time.sleep(0.5)


def test_every_variable_offers_values(prometheus: "Prometheus") -> None:
    """Each variable's query finds what there is: one job, one exporter, three apps, two accounts."""
    for path in FILES:
        offered = choices(prometheus, named(path.stem))
        counts = {name: len(values) for name, values in offered.items()}
        assert counts.items() <= {"job": 1, "instance": 1, "app_id": 3, "account": 2}.items()
        assert len(counts) >= len({"job", "instance", "one of its own"})


@pytest.mark.parametrize("name", ["fleet", "statistics", "exporter"])
@pytest.mark.parametrize("how", ["all", "first"])
def test_every_query_has_data_that_its_panel_can_draw(prometheus: "Prometheus", name: str, how: str) -> None:
    """With all variables at All and with the first value of each; a label that no target has is no error."""
    dashboard = named(name)
    offered = choices(prometheus, dashboard)
    chosen = {variable: ALL if how == "all" else values[0] for variable, values in offered.items()}
    label = "page" if how == "all" else "no_such_label"
    fits(prometheus, dashboard, chosen | {"label": label}, UNEVENTFUL if name == "exporter" else set())


@pytest.mark.parametrize("lesson_name", ABSENT)
def test_every_query_of_a_task_has_data_or_says_why_not(prometheus: "Prometheus", lesson_name: str) -> None:
    """A running task, one that broke, and one that never started; what is absent has words of its own."""
    dashboard = named("task")
    target = lesson(lesson_name)
    chosen = dict.fromkeys(("job", "instance"), ALL) | dict(zip(TargetId._fields, target, strict=True))
    fits(prometheus, dashboard, chosen, ABSENT[lesson_name])
    said = {
        panel["title"]: panel["fieldConfig"]["defaults"].get("noValue")
        for panel in dashboard["panels"][1:]
        if "targets" in panel
    }
    assert [title for title in ABSENT[lesson_name] & said.keys() if not said[title]] == []


def test_trouble_is_summed_up_by_the_label_that_is_chosen(prometheus: "Prometheus", wait: Callable[..., None]) -> None:
    """By `page` where targets have it, by the host of the page where they have not."""
    panel = next(panel for panel in named("statistics")["panels"] if panel["title"].startswith("Trouble by page"))
    chosen = dict.fromkeys(("job", "instance", "app_id"), ALL)

    def groups(label: str) -> set[str]:
        series = answer(prometheus, panel["targets"][1], {**chosen, "label": label})
        return {each["metric"]["group"] for each in series}

    wait(lambda: {"whiteboard"} < groups("page"), "trouble of two pages")
    assert groups("no_such_label") == {"classroom.example.com"}


def test_the_first_table_says_what_is_wrong(prometheus: "Prometheus", wait: Callable[..., None]) -> None:
    """Dark classes, each with its cause, account and class; then what else is wrong, one row a task."""
    panel = next(panel for panel in named("fleet")["panels"] if panel["title"].startswith("What is wrong"))
    chosen = {**dict.fromkeys(("job", "instance", "app_id"), ALL), "label": "team"}

    def rows() -> dict[str, tuple[str, str]]:
        series = answer(prometheus, panel["targets"][0], chosen)
        assert {each["metric"]["account"] for each in series} <= {"day", "evening"}
        ours = [each["metric"] for each in series if each["metric"].get("class") == "lessons"]
        assert len({each["room_id"] for each in ours}) == len(ours)
        return {
            each["room_id"]: (each["problem"], each.get("cause", ""))
            for each in ours
            if each["problem"] == "class_dark"
        }

    dark = {
        "ClassWaits": "not_started",
        "ClassFailed": "StartTaskFailed",
        "ClassBroke": "UnknownStopReason",
        "ClassEndedEarly": "StopByAPI",
        "ClassNowhere": "not_found",
    }
    wait(lambda: rows() == {room: ("class_dark", cause) for room, cause in dark.items()}, "five dark classes")


def test_a_stop_that_leaves_a_class_dark_is_red(prometheus: "Prometheus", wait: Callable[..., None]) -> None:
    """Whatever the reason is, and whether it is a usual one."""
    panel = next(panel for panel in named("task")["panels"] if panel["title"] == "Why it stopped")
    steps = panel["fieldConfig"]["defaults"]["thresholds"]["steps"]
    words = panel["fieldConfig"]["defaults"]["mappings"][0]["options"]

    def drawn(name: str) -> list[tuple[str, str]]:
        chosen = dict.fromkeys(("job", "instance"), ALL) | dict(zip(TargetId._fields, lesson(name), strict=True))
        values = [float(each["value"][1]) for each in answer(prometheus, panel["targets"][0], chosen)]
        color = [[step["color"] for step in steps if (step["value"] or 0) <= value][-1] for value in values]
        return [(words[str(int(value))]["text"], each) for value, each in zip(values, color, strict=True)]

    wait(lambda: drawn("EndedEarly") == [("StopByAPI", "red")], "a class that ended early is red")
    assert drawn("Broke") == [("UnknownStopReason", "red")]
    assert drawn("Well") == []
