"""How tests read dashboards: what panels say of fields, and what PromQL names, without a parser of PromQL."""

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from prometheus_client import CollectorRegistry, ProcessCollector

from exporter.exposition.catalog.fleet import FLEET
from exporter.exposition.catalog.self import SELF
from exporter.exposition.catalog.task import task_families
from exporter.exposition.family import Family, Group, Kind
from exporter.exposition.instruments import CALL_FAILURES, SCHEDULER_EVENTS
from exporter.model.known import Standing
from exporter.vocabulary import CallbackOutcome, PageReason, ReadFailure, Rejection, Source, Status, StopReason

Json = dict[str, Any]

SELECTOR = re.compile(r"(?:(\w+)\()?\b([a-z]\w*)\{([^{}]*)\}(?:\[([^\]]*)\])?")
MATCHER = re.compile(r'(\w+)(=~|!~|!=|=)"([^"]*)"')
GROUPING = re.compile(r"\b(?:by|without|on|ignoring|group_left|group_right) ?\(([^)]*)\)")
REPLACED = re.compile(r', "(\w+)", "[^"]*", "([\w$]*)", "[^"]*"\)')
SCRAPED = frozenset({"job", "instance"})
"""The labels that every scrape adds."""

CATALOGUE = (*FLEET, *SELF, *(row.family for row in task_families(Group)))
PROMETHEUS_S_OWN = (
    Family("up", Kind.GAUGE, "1 if the latest scrape succeeded."),
    Family("scrape_duration_seconds", Kind.GAUGE, "How long the scrape took."),
)
PROCESS = tuple(
    Family(sample.name, Kind(metric.type), metric.documentation)
    for metric in ProcessCollector(registry=CollectorRegistry()).collect()
    for sample in metric.samples
)

VALUES: dict[tuple[str, str], frozenset[str]] = {
    ("webcast_tasks", "status"): frozenset(Standing),
    ("webcast_run_transitions_total", "status"): frozenset(Status),
    ("webcast_run_duration_seconds_bucket", "status"): frozenset(status for status in Status if status.stopped),
    ("webcast_run_stops_total", "reason"): frozenset(StopReason),
    ("webcast_page_refreshes_total", "reason"): frozenset(PageReason),
    ("webcast_page_reschedules_total", "reason"): frozenset(PageReason),
    ("webcast_task_status", "status"): frozenset(Status),
    ("webcast_task_stop_reason", "reason"): frozenset(StopReason),
    ("webcast_task_read_error", "reason"): frozenset(ReadFailure),
    ("webcast_api_request_failures_total", "reason"): frozenset(CALL_FAILURES),
    ("webcast_api_rate_limit_requests_per_second", "kind"): frozenset({"configured", "effective"}),
    ("webcast_targets", "source"): frozenset(Source),
    ("webcast_targets_rejected", "reason"): frozenset(Rejection),
    ("webcast_callback_events_total", "outcome"): frozenset(CallbackOutcome),
    ("webcast_exporter_scheduler_events_total", "event"): frozenset(SCHEDULER_EVENTS),
}
"""The words that a label can have."""


class Name(NamedTuple):
    """What a sample's name allows."""

    labels: frozenset[str]
    only_grows: bool


def _names_of(family: Family) -> dict[str, Name]:
    labels = frozenset({*family.labels, *SCRAPED})
    if family.kind is not Kind.HISTOGRAM:
        return {family.name: Name(labels, family.kind is Kind.COUNTER)}
    of_suffix = {"_bucket": labels | {"le"}, "_sum": labels, "_count": labels}
    return {family.name + suffix: Name(has, only_grows=True) for suffix, has in of_suffix.items()}


NAMES = {
    name: allows for family in (*CATALOGUE, *PROMETHEUS_S_OWN, *PROCESS) for name, allows in _names_of(family).items()
}
NOTHING = Name(SCRAPED, only_grows=False)


class Selector(NamedTuple):
    """A selector, and the function that it is the argument of (empty when none); label to operator and value."""

    function: str
    name: str
    matchers: dict[str, tuple[str, str]]
    window: str

    @property
    def allows(self) -> Name:
        """By the tables; a name that is in none has no labels of its own."""
        return NAMES.get(self.name, NOTHING)

    def words(self, label: str) -> frozenset[str] | None:
        """Which words the label can have here; None when that is not ours to say."""
        operator, value = self.matchers.get(label, ("", ""))
        narrowed = operator in {"=", "=~"} and not value.startswith("$")
        return frozenset(value.split("|")) if narrowed else VALUES.get((self.name, label))


def selectors(expression: str) -> list[Selector]:
    """All selectors of an expression."""
    return [
        Selector(function, name, {label: (how, value) for label, how, value in MATCHER.findall(matchers)}, window)
        for function, name, matchers, window in SELECTOR.findall(expression)
    ]


def grouped(expression: str) -> set[str]:
    """Every label that the expression groups, joins or matches by."""
    return {label.strip() for group in GROUPING.findall(expression) for label in group.split(",")} - {""}


def queries(document: Json) -> Iterator[tuple[str, Json]]:
    """Where a dashboard asks, and what: the targets of its panels, and its annotations."""
    for panel in document["panels"]:
        for target in panel.get("targets", ()):
            yield panel["title"], target
    for annotation in document["annotations"]["list"]:
        if not annotation.get("builtIn"):
            yield annotation["name"], annotation["target"]


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


def columns(panel: Json) -> dict[str, str]:
    """A table's fields and their titles."""
    renamed: dict[str, str] = panel["transformations"][-1]["options"]["renameByName"]
    return renamed


def variables(document: Json) -> dict[str, Json]:
    """What can be chosen at the top, by name."""
    return {variable["name"]: variable for variable in document["templating"]["list"]}
