import re
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest

from exporter.exposition.catalog.fleet import FLEET
from exporter.exposition.catalog.self import SELF
from exporter.exposition.catalog.task import task_families
from exporter.exposition.family import Family, Group, Kind
from exporter.model.known import Standing
from exporter.vocabulary import ReadFailure, Status, StopReason

Json = dict[str, Any]

SELECTOR = re.compile(r"(?:(\w+)\()?\b([a-z]\w*)\{([^{}]*)\}(?:\[([^\]]*)\])?")
MATCHER = re.compile(r'(\w+)(?:=~|!~|!=|=)"([^"]*)"')
BARE = re.compile(r"\b(?:webcast|process|python)_\w+(?!\w|\{)")
GROUPING = re.compile(r"\b(?:by|without|on|ignoring|group_left|group_right) ?\(([^)]*)\)")
LEGEND_LABEL = re.compile(r"\{\{(\w+)\}\}")
FIRST_FEW = re.compile(r"\b(?:topk|bottomk)\((\d+),")
QUANTILE = re.compile(r"histogram_quantile\(0\.\d+, sum by \(le(?:, \w+)*\) \((?:rate|increase)\(\w+_bucket\{")

SCRAPED = {"job", "instance"}
"""The labels that every scrape adds."""
MOST_DRAWN = 20
RATES = {"rate", "increase"}
WINDOWS = {"rate": {"$__rate_interval"}, "increase": {"$__range", "$__rate_interval"}, "max_over_time": {"$__range"}}
VALUES: dict[tuple[str, str], set[str]] = {
    ("webcast_tasks", "status"): set(Standing),
    ("webcast_run_transitions_total", "status"): set(Status),
    ("webcast_run_duration_seconds_bucket", "status"): {status for status in Status if status.stopped},
    ("webcast_run_stops_total", "reason"): set(StopReason),
    ("webcast_task_status", "status"): set(Status),
    ("webcast_task_stop_reason", "reason"): set(StopReason),
    ("webcast_task_read_error", "reason"): set(ReadFailure),
    ("webcast_api_request_failures_total", "reason"): {
        failure for failure in ReadFailure if failure is not ReadFailure.NOT_FOUND
    },
    ("webcast_api_rate_limit_requests_per_second", "kind"): {"configured", "effective"},
}
"""The words that a label can have."""


class Name(NamedTuple):
    """What a sample's name allows."""

    labels: frozenset[str]
    only_grows: bool


def names_of(family: Family) -> dict[str, Name]:
    """A family's samples."""
    labels = frozenset({*family.labels, *SCRAPED})
    if family.kind is not Kind.HISTOGRAM:
        return {family.name: Name(labels, family.kind is Kind.COUNTER)}
    of_suffix = {"_bucket": labels | {"le"}, "_sum": labels, "_count": labels}
    return {family.name + suffix: Name(has, only_grows=True) for suffix, has in of_suffix.items()}


UP = Family("up", Kind.GAUGE, "Prometheus's own: 1 if the latest scrape succeeded.")
TABLES = (*FLEET, *SELF, *(row.family for row in task_families(Group)), UP)
NAMES = {name: allows for family in TABLES for name, allows in names_of(family).items()}
NOTHING = Name(frozenset(SCRAPED), only_grows=False)


class Selector(NamedTuple):
    """A selector, and the function that it is the argument of (empty when none)."""

    function: str
    name: str
    matchers: dict[str, str]
    window: str

    @property
    def allows(self) -> Name:
        """By the table; a name that is in none has no labels of its own."""
        return NAMES.get(self.name, NOTHING)


def selectors(expression: str) -> list[Selector]:
    """All selectors of an expression."""
    return [
        Selector(function, name, dict(MATCHER.findall(matchers)), window)
        for function, name, matchers, window in SELECTOR.findall(expression)
    ]


def names(expression: str) -> list[str]:
    """Every metric's name is in the tables, and has a selector in braces."""
    return [*BARE.findall(expression), *(each.name for each in selectors(expression) if each.name not in NAMES)]


def labels(expression: str) -> list[str]:
    """A matcher's label is one of its family; a grouping's label is one of a family in the same expression."""
    found = selectors(expression)
    anywhere = {label for each in found for label in each.allows.labels}
    grouped = {label.strip() for group in GROUPING.findall(expression) for label in group.split(",")} - {""}
    return [*(label for each in found for label in each.matchers.keys() - each.allows.labels), *grouped - anywhere]


def values(expression: str) -> list[str]:
    """A word that a matcher names is in the vocabulary of that label."""
    return [
        word
        for each in selectors(expression)
        for label, value in each.matchers.items()
        if not value.startswith("$")
        for word in value.split("|")
        if word not in VALUES.get((each.name, label), ())
    ]


def filters(expression: str) -> list[str]:
    """Job and instance narrow every selector, App what has an app, Account what has only an account."""
    wrong = []
    for each in selectors(expression):
        own = next((label for label in ("app_id", "account") if label in each.allows.labels), None)
        expected = {label: f"${label}" for label in (*SCRAPED, own) if label}
        found = {label: value for label, value in each.matchers.items() if value.startswith("$")}
        wrong += [each.name] if expected != found else []
    return wrong


def windows(expression: str) -> list[str]:
    """A rate is over $__rate_interval, a growth may be over the whole range, and nothing else has a window."""
    return [each.window for each in selectors(expression) if each.window not in WINDOWS.get(each.function, {""})]


def counters(expression: str) -> list[str]:
    """A counter, and a histogram's parts, stand inside rate or increase; a gauge never does."""
    return [each.name for each in selectors(expression) if each.allows.only_grows != (each.function in RATES)]


def quantiles(expression: str) -> list[str]:
    """A quantile is taken of sums by `le`, so that apps and accounts are one distribution."""
    return ["histogram_quantile"] * (expression.count("histogram_quantile") - len(QUANTILE.findall(expression)))


def few(expression: str) -> list[str]:
    """What is about single tasks shows the first few: 3,000 tasks do not draw 3,000 lines."""
    shown = [int(number) for number in FIRST_FEW.findall(expression)]
    many = not shown or max(shown) > MOST_DRAWN
    return ["task_id"] if "webcast_task_" in expression and many else []


Rule = Callable[[str], list[str]]
RULES: tuple[Rule, ...] = (names, labels, values, filters, windows, counters, quantiles, few)


@pytest.mark.parametrize("rule", RULES)
def test_every_expression_keeps_the_rule(rule: Rule, panels: list[Json]) -> None:
    """What the rule's own docstring says."""
    expressions = {(panel["title"], target["expr"]) for panel in panels for target in panel["targets"]}
    assert {(title, text): rule(text) for title, text in expressions if rule(text)} == {}


def test_variables_ask_for_labels_that_exist(dashboard: Json) -> None:
    """A variable's query names a metric and a label of its own, narrowed by the variables above it."""
    queried = [each for each in dashboard["templating"]["list"] if each["type"] == "query"]
    assert [each["name"] for each in queried] == ["job", "instance", "app_id", "account"]
    for each in queried:
        metric, matchers, label = re.fullmatch(
            r"label_values\((\w+)(\{.*\})?, (\w+)\)", each["query"]["query"]
        ).groups()  # type: ignore[union-attr]  # None fails the test as well
        assert each["name"] == label
        assert {label, *dict(MATCHER.findall(matchers or ""))} <= NAMES[metric].labels


def test_legends_name_labels_that_the_result_has(panels: list[Json]) -> None:
    """A label in a legend is one that the expression groups by."""
    for target in (target for panel in panels for target in panel["targets"]):
        wanted = set(LEGEND_LABEL.findall(target.get("legendFormat", "")))
        grouped = {
            label.strip() for group in re.findall(r" by \(([^)]*)\)", target["expr"]) for label in group.split(",")
        }
        assert set() == wanted - grouped, target["expr"]


def test_a_growth_over_the_range_is_asked_once(panels: list[Json]) -> None:
    """`increase(...[$__range])` is asked for one instant: drawn over time it would be a sliding sum."""
    targets = [target for panel in panels for target in panel["targets"]]
    over_range = {each["expr"]: each["instant"] for each in targets if "increase" in each["expr"]}
    assert set() == {expression for expression, instant in over_range.items() if not instant}


JI = 'job=~"$job", instance=~"$instance"'
APP = f'{JI}, app_id=~"$app_id"'


@pytest.mark.parametrize(
    ("rule", "expression", "expected"),
    [
        (names, "webcast_tasks", ["webcast_tasks"]),
        (names, "sum(webcast_taskz{})", ["webcast_taskz"]),
        (names, "webcast_run_duration_seconds{}", ["webcast_run_duration_seconds"]),
        (labels, 'webcast_api_up{app_id="x"}', ["app_id"]),
        (labels, "sum by (le) (webcast_tasks{})", ["le"]),
        (values, 'webcast_tasks{status=~"running|runing"}', ["runing"]),
        (values, 'webcast_run_transitions_total{status="stale"}', ["stale"]),
        (filters, 'up{job=~"$job"}', ["up"]),
        (filters, f"webcast_tasks{{{JI}}}", ["webcast_tasks"]),
        (filters, f"webcast_api_up{{{APP}}}", ["webcast_api_up"]),
        (windows, "rate(webcast_run_stops_total{}[5m])", ["5m"]),
        (windows, "rate(webcast_run_stops_total{}[$__range])", ["$__range"]),
        (windows, "webcast_run_stops_total{}[$__rate_interval]", ["$__rate_interval"]),
        (counters, "sum(webcast_run_stops_total{})", ["webcast_run_stops_total"]),
        (counters, "rate(webcast_tasks{}[$__rate_interval])", ["webcast_tasks"]),
        (counters, "webcast_run_duration_seconds_count{}", ["webcast_run_duration_seconds_count"]),
        (quantiles, "histogram_quantile(0.9, rate(a_bucket{}[1m]))", ["histogram_quantile"]),
        (few, "webcast_task_status{}", ["task_id"]),
        (few, "topk(50, webcast_task_status{})", ["task_id"]),
    ],
)
def test_the_rules_find_what_they_are_for(rule: Rule, expression: str, expected: list[str]) -> None:
    """No rule above can pass by finding nothing at all."""
    assert expected == rule(expression)
