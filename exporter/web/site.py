"""The routes, and what holds for all of them."""

from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from threading import Lock

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.templating import Jinja2Templates

from exporter.web.allowance import Allowance
from exporter.web.callback import callback
from exporter.web.configuration import configuration
from exporter.web.downloads import download, downloads
from exporter.web.gatekeeper import Gatekeeper
from exporter.web.guard import Guard
from exporter.web.house import House
from exporter.web.landing import landing
from exporter.web.management import healthy, ready, reload
from exporter.web.metrics import metrics
from exporter.web.page import teach
from exporter.web.policy import PolicyNow, wide_open
from exporter.web.runs import runs_api
from exporter.web.status import status
from exporter.web.targets_api import name_targets, release_target, targets
from exporter.web.task import task, task_api
from exporter.web.tasks import tasks, tasks_api

HERE = Path(str(files("exporter.web")))

UNSIGNED_PER_SECOND, UNSIGNED_AT_ONCE = 10.0, 100.0
"""Callbacks without a good signature that are answered as such; more are sent away. Signed ones are never too many."""


def create_site(house: House, failed: Callable[[str, Exception], None], policy: PolicyNow = wide_open) -> Starlette:
    """The whole site, for whom the policy lets in.

    `failed` is told of errors that nobody foresaw (the answer is then a bare 500).
    """
    return _made(
        house,
        [Middleware(Guard, failed=failed, policy=policy), Middleware(Gatekeeper, policy=policy)],
        [
            Route("/metrics", metrics),
            Route("/", landing),
            Route("/tasks", tasks),
            Route("/tasks/{app_id}/{room_id}/{task_id}", task),
            Route("/status", status),
            Route("/config", configuration),
            Route("/dashboards/", downloads),
            Route("/dashboards/{name:path}", download),
            Route("/callback", callback, methods=["POST"]),
            Route("/-/healthy", healthy),
            Route("/-/ready", ready),
            Route("/-/reload", reload, methods=["GET", "POST", "PUT"]),
            Route("/api/v1/targets", targets),
            Route("/api/v1/targets", name_targets, methods=["POST", "PUT"]),
            Route("/api/v1/targets/{app_id}/{room_id}/{task_id}", release_target, methods=["DELETE"]),
            Route("/api/v1/tasks", tasks_api),
            Route("/api/v1/tasks/{app_id}/{room_id}/{task_id}", task_api),
            Route("/api/v1/runs", runs_api),
            Route("/favicon.ico", _favicon),
            Mount("/static", StaticFiles(directory=HERE / "static")),
        ],
    )


def create_door_site(
    house: House, failed: Callable[[str, Exception], None], policy: PolicyNow = wide_open
) -> Starlette:
    """What the open internet may see: callbacks, and nothing else. Nobody is asked for a password."""
    guard = Middleware(Guard, failed=failed, policy=policy)
    site = _made(house, [guard], [Route("/callback", callback, methods=["POST"])])
    site.state.is_door = True
    return site


def _made(house: House, middleware: list[Middleware], routes: list[BaseRoute]) -> Starlette:
    site = Starlette(routes=routes, middleware=middleware)
    site.state.house = house
    site.state.is_door = False
    site.state.unsigned = Allowance(UNSIGNED_PER_SECOND, UNSIGNED_AT_ONCE)
    site.state.one_at_a_time = Lock()
    site.state.templates = Jinja2Templates(HERE / "templates")
    teach(site.state.templates)
    return site


def _favicon(_: Request) -> Response:
    return FileResponse(HERE / "static" / "favicon.svg", media_type="image/svg+xml")
