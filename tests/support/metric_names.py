"""What the exporter's tables allow a query to name: samples, their labels, and the words that a label can have."""

import re
from typing import NamedTuple

from prometheus_client import CollectorRegistry, ProcessCollector

from exporter.enums import (
    STOPPED_STATUSES,
    CallbackOutcome,
    PageAction,
    PageReason,
    ReadFailure,
    Rejection,
    Source,
    Status,
    StopReason,
    TaskProblem,
)
from exporter.metrics.families import Family, Group, Kind, task_families
from exporter.metrics.fleet import FLEET
from exporter.metrics.self_metrics import CALL_FAILURES, EXPORTER, SCHEDULER_EVENTS
from exporter.model.task_state import DisplayStatus

MATCHER = re.compile(r'(\w+)(=~|!~|!=|=)"([^"]*)"')
GROUPING = re.compile(r"\b(?:by|without|on|ignoring|group_left|group_right) ?\(([^)]*)\)")

CATALOGUE = (*FLEET, *EXPORTER, *(row.family for row in task_families(Group)))
PROMETHEUS_S_OWN = (
    Family("up", Kind.GAUGE, "1 if the latest scrape succeeded."),
    Family("scrape_duration_seconds", Kind.GAUGE, "How long the scrape took."),
)
PROCESS = tuple(
    Family(sample.name, Kind(metric.type), metric.documentation)
    for metric in ProcessCollector(registry=CollectorRegistry()).collect()
    for sample in metric.samples
)

WORDS: dict[tuple[str, str], frozenset[str]] = {
    ("webcast_tasks", "status"): frozenset(DisplayStatus),
    ("webcast_task_status", "status"): frozenset(Status),
    ("webcast_task_read_error", "reason"): frozenset(ReadFailure),
    ("webcast_task_stop_reason", "reason"): frozenset(StopReason),
    ("webcast_task_last_page_event_timestamp_seconds", "event"): frozenset(PageAction),
    ("webcast_task_monitor_interval_seconds", "check"): frozenset({"freeze", "blank", "crash"}),
    ("webcast_task_problem", "problem"): frozenset(TaskProblem),
    ("webcast_task_problem", "cause"): frozenset({*StopReason, *PageReason, *ReadFailure}),
    ("webcast_task_problem_since_timestamp_seconds", "problem"): frozenset(TaskProblem),
    ("webcast_problem_tasks", "problem"): frozenset(TaskProblem),
    ("webcast_run_transitions_total", "status"): frozenset(Status),
    ("webcast_run_duration_seconds_bucket", "status"): frozenset(STOPPED_STATUSES),
    ("webcast_run_stops_total", "reason"): frozenset(StopReason),
    ("webcast_page_refreshes_total", "reason"): frozenset(PageReason),
    ("webcast_page_reschedules_total", "reason"): frozenset(PageReason),
    ("webcast_api_request_failures_total", "reason"): frozenset(CALL_FAILURES),
    ("webcast_api_rate_limit_requests_per_second", "kind"): frozenset({"configured", "effective"}),
    ("webcast_targets", "source"): frozenset(Source),
    ("webcast_targets_rejected", "reason"): frozenset(Rejection),
    ("webcast_callback_events_total", "outcome"): frozenset(CallbackOutcome),
    ("webcast_exporter_scheduler_events_total", "event"): frozenset(SCHEDULER_EVENTS),
}
"""By sample and label: the words that it can be. A label that is not here is anybody's, an id say."""


class Name(NamedTuple):
    """What a sample's name allows."""

    labels: frozenset[str]
    only_grows: bool


def _names_of(family: Family) -> dict[str, Name]:
    labels = frozenset(family.labels)
    if family.kind is not Kind.HISTOGRAM:
        return {family.name: Name(labels, family.kind is Kind.COUNTER)}
    of_suffix = {"_bucket": labels | {"le"}, "_sum": labels, "_count": labels}
    return {family.name + suffix: Name(has, only_grows=True) for suffix, has in of_suffix.items()}


NAMES = {
    name: allows for family in (*CATALOGUE, *PROMETHEUS_S_OWN, *PROCESS) for name, allows in _names_of(family).items()
}
"""Every sample that can be asked for, less the labels that a scrape adds."""


def grouped(expression: str) -> set[str]:
    """Every label that the expression groups, joins or matches by."""
    return {label.strip() for group in GROUPING.findall(expression) for label in group.split(",")} - {""}
