"""How a page for people is made: its template, with what every page shows."""

from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.templating import Jinja2Templates

from exporter import __version__
from exporter.web.envelope import moment
from exporter.web.house import House
from exporter.web.words import ago, clock, span

NAVIGATION = (
    ("/tasks", "Tasks"),
    ("/tasks?show=stopped", "Stopped runs"),
    ("/status", "Status"),
    ("/config", "Configuration"),
    ("/dashboards/", "Dashboards"),
    ("/metrics", "Metrics"),
)


def page(request: Request, template: str, context: dict[str, Any], status: int = 200) -> Response:
    """200 unless said otherwise. A page tells what is now: nobody keeps it."""
    templates: Jinja2Templates = request.app.state.templates
    here = request.url.path + ("?show=stopped" if request.query_params.get("show") == "stopped" else "")
    shared = {"version": __version__, "navigation": NAVIGATION, "here": here}
    headers = {"Cache-Control": "no-store"}
    return templates.TemplateResponse(request, template, shared | context, status_code=status, headers=headers)


def not_there(request: Request, heading: str, sentence: str, status: int = 404) -> Response:
    """A page with one sentence."""
    return page(request, "sentence.html", {"heading": heading, "sentence": sentence}, status)


def house_of(request: Request) -> House:
    """The house whose page it is."""
    house: House = request.app.state.house
    return house


def teach(templates: Jinja2Templates) -> None:
    """Let templates write times."""
    templates.env.filters.update(ago=ago, clock=clock, span=span, moment=moment)
