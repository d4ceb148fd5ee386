"""`GET /`: what this is, how many tasks there are, and where to look."""

from collections import Counter

from starlette.requests import Request
from starlette.responses import Response
from starlette.templating import Jinja2Templates

from exporter import __version__
from exporter.model.known import Standing
from exporter.web.house import House

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
    templates: Jinja2Templates = request.app.state.templates
    by_standing: Counter[str] = Counter()
    for place, number in house.counts().items():
        by_standing[place.standing] += number
    context = {
        "version": __version__,
        "standings": [(standing.value, by_standing[standing]) for standing in Standing],
        "links": LINKS,
    }
    return templates.TemplateResponse(request, "landing.html", context)
