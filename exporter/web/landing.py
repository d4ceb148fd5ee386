"""`GET /`: what this is, how its tasks and accounts do, from where they come, and where to look."""

from collections import Counter
from typing import NamedTuple

from starlette.requests import Request
from starlette.responses import Response

from exporter.metrics.self_metrics import AccountNumbers
from exporter.model.task_state import DisplayStatus
from exporter.web.house import House
from exporter.web.page import house_of, page

LINKS = (
    ("/tasks", "Tasks", "what is wrong first; each with all that is known of it"),
    ("/tasks?show=stopped", "Stopped runs", "of the last days, for the morning after"),
    ("/metrics", "Metrics", "of every task, of the fleet and of the exporter"),
    ("/metrics?collect[]=fleet", "Fleet metrics", "the same without the per-task series"),
    ("/api/v1/targets", "Targets", "which tasks are read, and from where they come"),
    ("/api/v1/tasks", "Tasks as JSON", "with the filters of the page"),
    ("/api/v1/runs", "Stopped runs as JSON", "and as CSV with ?format=csv"),
    ("/dashboards/", "Dashboards and rules", "for Grafana, Prometheus, Alertmanager and Kubernetes, to download"),
    ("/status", "Status", "versions, flags, and the last callbacks"),
    ("/config", "Configuration", "as it is in force"),
    ("/-/healthy", "Health", "whether tasks are being read"),
    ("/-/ready", "Readiness", "whether it can serve"),
)


class AccountRow(NamedTuple):
    """One account for a person. `late` is for how many seconds its longest waiting target has been due."""

    name: str
    health: str
    numbers: AccountNumbers
    share: float
    late: float


def landing(request: Request) -> Response:
    """The landing page."""
    house = house_of(request)
    insight = house.insight
    now = insight.now
    context = {
        "now": now,
        "statuses": _statuses(house),
        "accounts": [_row(name, numbers, now) for name, numbers in sorted(insight.accounts().items())],
        "sources": [(source, number) for source, number in insight.by_source().items() if number],
        "rejected": [(reason, number) for reason, number in insight.rejected().items() if number],
        "reload": insight.reload,
        "not_ready": house.not_ready,
        "alive": house.alive,
        "links": LINKS,
    }
    return page(request, "landing.html", context)


def _statuses(house: House) -> list[tuple[str, int]]:
    by_status: Counter[str] = Counter()
    for place, number in house.counts().items():
        by_status[place.display_status] += number
    return [(display_status.value, by_status[display_status]) for display_status in DisplayStatus]


def _row(name: str, numbers: AccountNumbers, now: float) -> AccountRow:
    health = {True: "answered", False: "not answered", None: "not called yet"}[numbers.up]
    late = 0.0 if numbers.oldest_due is None else max(0.0, now - numbers.oldest_due)
    return AccountRow(name, health, numbers, numbers.demand / numbers.configured_rate, late)
