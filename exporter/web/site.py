"""The routes, and what holds for all of them."""

import logging
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import FileResponse, PlainTextResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.templating import Jinja2Templates

from exporter.web.house import House
from exporter.web.landing import landing
from exporter.web.management import healthy, ready, reload
from exporter.web.metrics import metrics

log = logging.getLogger(__name__)

HERE = Path(str(files("exporter.web")))


def create_site(house: House, failed: Callable[[str, Exception], None]) -> Starlette:
    """The whole site; `failed` is told of errors that nobody foresaw (the answer is then a bare 500)."""

    def unforeseen(request: Request, error: Exception) -> Response:
        failed(f"{request.method} {request.url.path}", error)
        return PlainTextResponse("Internal error; the log says more.\n", status_code=500)

    def favicon(_: Request) -> Response:
        return FileResponse(HERE / "static" / "favicon.svg", media_type="image/svg+xml")

    site = Starlette(
        routes=[
            Route("/metrics", metrics),
            Route("/", landing),
            Route("/-/healthy", healthy),
            Route("/-/ready", ready),
            Route("/-/reload", reload, methods=["GET", "POST", "PUT"]),
            Route("/favicon.ico", favicon),
            Mount("/static", StaticFiles(directory=HERE / "static")),
        ],
        exception_handlers={Exception: unforeseen},
    )
    site.state.house = house
    site.state.templates = Jinja2Templates(HERE / "templates")
    return site
