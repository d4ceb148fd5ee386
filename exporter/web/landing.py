"""`GET /`: what this is, how many tasks there are, and where to look."""

from collections import Counter

from starlette.requests import Request
from starlette.responses import Response

from exporter.model.known import Standing
from exporter.web.house import House
from exporter.web.page import page

LINKS = (
    ("/metrics", "Metrics", "of every task, of the fleet and of the exporter"),
    ("/metrics?collect[]=fleet", "Fleet metrics", "the same without the per-task series"),
    ("/api/v1/targets", "Targets", "which tasks are read, and from where they come"),
    ("/dashboards/", "Dashboards and rules", "for Grafana, Prometheus, Alertmanager and Kubernetes, to download"),
    ("/status", "Status", "versions, flags, and the last callbacks"),
    ("/-/healthy", "Health", "whether tasks are being read"),
    ("/-/ready", "Readiness", "whether it can serve"),
)


def landing(request: Request) -> Response:
    """The landing page."""
    house: House = request.app.state.house
    by_standing: Counter[str] = Counter()
    for place, number in house.counts().items():
        by_standing[place.standing] += number
    context = {
        "standings": [(standing.value, by_standing[standing]) for standing in Standing],
        "links": LINKS,
    }
    return page(request, "landing.html", context)
