"""`GET /config`: the configuration in force, secrets as `<secret>`."""

from starlette.requests import Request
from starlette.responses import Response

from exporter.config.shown import shown
from exporter.web.page import house_of, page


def configuration(request: Request) -> Response:
    """The page."""
    insight = house_of(request).insight
    return page(request, "config.html", {"now": insight.now, "text": shown(insight.config), "reload": insight.reload})
