"""The routes, and what holds for all of them."""

from collections.abc import Callable
from importlib.resources import files
from pathlib import Path

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.templating import Jinja2Templates

from exporter.web.guard import Guard
from exporter.web.house import House
from exporter.web.landing import landing
from exporter.web.management import healthy, ready, reload
from exporter.web.metrics import metrics
from exporter.web.targets_api import name_targets, release_target, targets

HERE = Path(str(files("exporter.web")))


def create_site(house: House, failed: Callable[[str, Exception], None]) -> Starlette:
    """The whole site; `failed` is told of errors that nobody foresaw (the answer is then a bare 500)."""
    site = Starlette(
        routes=[
            Route("/metrics", metrics),
            Route("/", landing),
            Route("/-/healthy", healthy),
            Route("/-/ready", ready),
            Route("/-/reload", reload, methods=["GET", "POST", "PUT"]),
            Route("/api/v1/targets", targets),
            Route("/api/v1/targets", name_targets, methods=["POST", "PUT"]),
            Route("/api/v1/targets/{app_id}/{room_id}/{task_id}", release_target, methods=["DELETE"]),
            Route("/favicon.ico", _favicon),
            Mount("/static", StaticFiles(directory=HERE / "static")),
        ],
        middleware=[Middleware(Guard, failed=failed)],
    )
    site.state.house = house
    site.state.templates = Jinja2Templates(HERE / "templates")
    return site


def _favicon(_: Request) -> Response:
    return FileResponse(HERE / "static" / "favicon.svg", media_type="image/svg+xml")
