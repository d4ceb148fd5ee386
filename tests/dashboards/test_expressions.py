import re
from collections.abc import Callable

import pytest

from exporter.metrics.families import Kind
from tests.dashboards.documents import REPLACED, Json, queries, selectors, variables
from tests.support.metric_names import CATALOGUE, GROUPING, NAMES, grouped

BARE = re.compile(r"\b(?:webcast|process|python|scrape)_\w+(?!\w|\{)")
FIRST_FEW = re.compile(r"\b(?:topk|bottomk)\((\d+),")
COUNTED = re.compile(r"\s*count\(")
QUANTILE = re.compile(r"histogram_quantile\(0\.\d+, sum by \(le(?:, \w+)*\) \((?:rate|increase)\(\w+_bucket\{")
STRING = re.compile(r'"[^"]*"')

MOST_DRAWN = 20
RATES = {"rate", "increase"}
WINDOWS = {
    "rate": {"$__rate_interval"},
    "increase": {"$__range", "$__rate_interval"},
    "max_over_time": {"$__range"},
}
OF_ONE_RUN = {"webcast_task_page_refreshes_total", "webcast_task_page_reschedules_total"}
"""Counters that begin at zero with each run: how far they are is what is asked."""
NOT_SHOWN = {
    "webcast_exporter_log_lines_dropped_total": "flat at zero but in a flood",
    "webcast_state_changes_dropped_total": "WebCastStateChangesDropped",
    "webcast_state_oldest_queued_timestamp_seconds": "WebCastStateSilent",
}
"""Metrics that no dashboard shows, and why."""


def names(expression: str) -> list[str]:
    """Every metric's name is in the tables, and has a selector in braces."""
    bare = BARE.findall(GROUPING.sub("", STRING.sub('""', expression)))
    return [*bare, *(each.name for each in selectors(expression) if each.name not in NAMES)]


def labels(expression: str) -> list[str]:
    """A matcher's label is one of its family; a label that is grouped by or replaced is one that is there."""
    found = selectors(expression)
    made = {label for label, _ in REPLACED.findall(expression)}
    read = {label for _, label in REPLACED.findall(expression) if label and not label.startswith("$")}
    anywhere = {label for each in found for label in each.allows.labels} | made
    wrong = [label for each in found for label in each.matchers.keys() - each.allows.labels]
    return [*wrong, *sorted((grouped(expression) | read) - anywhere)]


def values(expression: str) -> list[str]:
    """A word that a matcher names is in the vocabulary of that label."""
    return [
        word
        for each in selectors(expression)
        for label, (_, value) in each.matchers.items()
        if value and not value.startswith("$")
        for word in value.split("|")
        if word not in (each._replace(matchers={}).words(label) or ())
    ]


def windows(expression: str) -> list[str]:
    """A rate is over $__rate_interval, a growth may be over the whole range, and nothing else has a window."""
    return [each.window for each in selectors(expression) if each.window not in WINDOWS.get(each.function, {""})]


def counters(expression: str) -> list[str]:
    """A counter, and a histogram's parts, stand inside rate or increase; a gauge never does."""
    return [
        each.name
        for each in selectors(expression)
        if each.allows.only_grows != (each.function in RATES) and not (each.name in OF_ONE_RUN and not each.window)
    ]


def quantiles(expression: str) -> list[str]:
    """A quantile is taken of sums by `le`, so that apps and accounts are one distribution."""
    return ["histogram_quantile"] * (expression.count("histogram_quantile") - len(QUANTILE.findall(expression)))


def few(expression: str) -> list[str]:
    """What is about single tasks is about one, counts them, or shows the first few: 3,000 tasks draw no 3,000 lines."""
    of_tasks = [each for each in selectors(expression) if each.name.startswith("webcast_task_")]
    shown = [int(number) for number in FIRST_FEW.findall(expression)]
    limited = COUNTED.match(expression) or (shown and max(shown) <= MOST_DRAWN)
    one = all(each.matchers.get("task_id") == ("=", "$task_id") for each in of_tasks)
    return [] if limited or one else ["task_id"]


def sliding(expression: str) -> list[str]:
    """A growth over the whole range is asked for one moment: drawn over time it would be a sliding sum."""
    return ["$__range"] if "increase" in expression and "$__range" in expression else []


Rule = Callable[[str], list[str]]
RULES: tuple[Rule, ...] = (names, labels, values, windows, counters, quantiles, few)


@pytest.mark.parametrize("rule", RULES)
def test_every_expression_keeps_the_rule(rule: Rule, dashboard: Json) -> None:
    expressions = {(name, query["expr"]) for name, query in queries(dashboard)}
    assert {(name, text): rule(text) for name, text in expressions if rule(text)} == {}


def test_over_time_nothing_slides(dashboard: Json) -> None:
    """What the rule's own docstring says, of all that is drawn over time."""
    over_time = {(name, query["expr"]) for name, query in queries(dashboard) if not query["instant"]}
    assert {name: sliding(text) for name, text in over_time if sliding(text)} == {}


def test_variables_narrow_every_selector(dashboard: Json) -> None:
    """Job and instance stand in each selector, and so does every other variable whose label the metric has."""
    operators = {
        name: "=" if each["type"] == "textbox" else "=~"
        for name, each in variables(dashboard).items()
        if name not in {"datasource", "label"}
    }
    for name, query in queries(dashboard):
        for each in selectors(query["expr"]):
            expected = {
                label: (operator, f"${label}") for label, operator in operators.items() if label in each.allows.labels
            }
            found = {label: rest for label, rest in each.matchers.items() if rest[1].startswith("$")}
            assert expected == found, (name, each.name)


def test_every_metric_is_on_a_dashboard(everyone: dict[str, Json]) -> None:
    """Each row of the catalogue is used by a panel, or stands in the list of those that are not, with a reason."""
    used = {
        each.name
        for document in everyone.values()
        for _, query in queries(document)
        for each in selectors(query["expr"])
    }
    wanted = {row.name + ("_bucket" if row.kind is Kind.HISTOGRAM else "") for row in CATALOGUE}
    assert wanted - used <= NOT_SHOWN.keys()


@pytest.mark.parametrize(
    ("rule", "expression", "expected"),
    [
        (names, "webcast_tasks", ["webcast_tasks"]),
        (names, "sum(webcast_taskz{})", ["webcast_taskz"]),
        (names, "webcast_run_duration_seconds{}", ["webcast_run_duration_seconds"]),
        (labels, 'webcast_api_up{app_id="x"}', ["app_id"]),
        (labels, "sum by (le) (webcast_tasks{})", ["le"]),
        (labels, 'label_replace(webcast_tasks{}, "now", "$1", "state", "(.+)")', ["state"]),
        (values, 'webcast_tasks{status=~"running|runing"}', ["runing"]),
        (values, 'webcast_run_transitions_total{status="stale"}', ["stale"]),
        (windows, "rate(webcast_run_stops_total{}[5m])", ["5m"]),
        (windows, "rate(webcast_run_stops_total{}[$__range])", ["$__range"]),
        (windows, "webcast_run_stops_total{}[$__rate_interval]", ["$__rate_interval"]),
        (counters, "sum(webcast_run_stops_total{})", ["webcast_run_stops_total"]),
        (counters, "rate(webcast_tasks{}[$__rate_interval])", ["webcast_tasks"]),
        (counters, "webcast_run_duration_seconds_count{}", ["webcast_run_duration_seconds_count"]),
        (quantiles, "histogram_quantile(0.9, rate(a_bucket{}[1m]))", ["histogram_quantile"]),
        (few, "webcast_task_status{}", ["task_id"]),
        (few, "topk(50, webcast_task_status{})", ["task_id"]),
        (few, 'webcast_task_status{room_id="$room_id"}', ["task_id"]),
        (sliding, "increase(webcast_run_stops_total{}[$__range])", ["$__range"]),
    ],
)
def test_the_rules_find_what_they_are_for(rule: Rule, expression: str, expected: list[str]) -> None:
    """No rule above can pass by finding nothing at all."""
    assert expected == rule(expression)
