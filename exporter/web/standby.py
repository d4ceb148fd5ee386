"""The site of a standby: what it tells of itself, and what it takes in for the leader."""

from collections.abc import Callable
from typing import Protocol

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from exporter.metrics.scrape import Exposition
from exporter.web.allowance import Allowance
from exporter.web.callback import callback
from exporter.web.gatekeeper import Gatekeeper
from exporter.web.guard import Guard
from exporter.web.house import Callbacks, Push
from exporter.web.management import healthy, ready, reload
from exporter.web.metrics import metrics
from exporter.web.policy import PolicyNow
from exporter.web.site import UNSIGNED_AT_ONCE, UNSIGNED_PER_SECOND
from exporter.web.targets_api import name_targets, release_target

STANDS_BY = "This replica stands by: another one reads the tasks and has the pages. /metrics tells of this one.\n"


class WaitingHouse(Protocol):
    """A standby as its pages see it; each as in House."""

    exposition: Exposition

    @property
    def push(self) -> Push:
        """What is pushed."""
        ...

    @property
    def callbacks(self) -> Callbacks:
        """What the vendor calls back."""
        ...

    @property
    def alive(self) -> bool:
        """Whether the election has moved lately."""
        ...

    @property
    def not_ready(self) -> str:
        """Empty."""
        ...

    def reload(self) -> None:
        """Reload the configuration."""
        ...


class Stage:
    """The site of the role that is in force."""

    def __init__(self) -> None:
        self.site: ASGIApp = PlainTextResponse("Not yet.\n", status_code=503)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """As that one does."""
        await self.site(scope, receive, send)


def create_standby_site(
    house: WaitingHouse, failed: Callable[[str, Exception], None], policy: PolicyNow, *, door: bool = False
) -> Starlette:
    """The whole of it, or, as a `door`, what the open internet may see."""
    guard, taking = Middleware(Guard, failed=failed, policy=policy), Route("/callback", callback, methods=["POST"])
    routes: list[BaseRoute] = [
        Route("/metrics", metrics),
        taking,
        Route("/-/healthy", healthy),
        Route("/-/ready", ready),
        Route("/-/reload", reload, methods=["GET", "POST", "PUT"]),
        Route("/api/v1/targets", name_targets, methods=["POST", "PUT"]),
        Route("/api/v1/targets/{app_id}/{room_id}/{task_id}", release_target, methods=["DELETE"]),
        Route("/{path:path}", _stands_by),
    ]
    site = Starlette(
        routes=[taking] if door else routes,
        middleware=[guard] if door else [guard, Middleware(Gatekeeper, policy=policy)],
    )
    site.state.house = house
    site.state.is_door = door
    site.state.unsigned = Allowance(UNSIGNED_PER_SECOND, UNSIGNED_AT_ONCE)
    return site


def _stands_by(_: Request) -> Response:
    return PlainTextResponse(STANDS_BY, status_code=503)
