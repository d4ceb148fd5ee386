"""The ASGI applications of the exporter, of a standby and of the callback listener, and the rules for every answer."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import structlog
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import FileResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from exporter.errors import lacks_thread
from exporter.web import pages
from exporter.web.api import delete_target, explain_task, list_runs, list_targets, list_tasks, push_targets
from exporter.web.auth import CurrentPolicy, TokenBucket, refusal
from exporter.web.endpoints import (
    CHUNK_BYTES,
    CLOSE,
    RETRY,
    UNSIGNED_BURST,
    UNSIGNED_PER_SECOND,
    Pools,
    callback,
    healthy,
    metrics,
    ready,
    reload,
)
from exporter.web.i18n import N_
from exporter.web.interfaces import ExporterApi, ReplicaApi, ReportError

log = structlog.stdlib.get_logger(__name__)

STATIC = Path(__file__).parent / "static"

SECURITY_HEADERS: Mapping[bytes, bytes] = {
    b"content-security-policy": (
        b"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        b"form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    b"x-content-type-options": b"nosniff",
    b"x-frame-options": b"deny",
    b"referrer-policy": b"no-referrer",
}
INTERNAL_ERROR = "Internal error; the log says more.\n"
TWO_LENGTHS = PlainTextResponse(
    "Content-Length and Transfer-Encoding must not be sent together.\n", status_code=400, headers=CLOSE
)
NO_THREAD = PlainTextResponse("No thread can be started in this process.\n", status_code=503, headers=RETRY)
STANDBY = "This replica stands by: another one reads the tasks and has the pages. /metrics shows this one.\n"
MAX_REPORTED_PATH = 200
OPEN_PATHS = frozenset({"/-/healthy", "/-/ready", "/callback", "/callback/"})
"""Probes have no password, and the vendor signs what it sends."""

CALLBACK_ROUTES = [Route(path, callback, methods=["POST"]) for path in ("/callback", "/callback/")]
OPERATION_ROUTES = [
    *CALLBACK_ROUTES,
    Route("/-/healthy", healthy),
    Route("/-/ready", ready),
    Route("/-/reload", reload, methods=["GET", "POST", "PUT"]),
    Route("/api/v1/targets", push_targets, methods=["POST", "PUT"]),
    Route("/api/v1/targets/{app_id}/{room_id}/{task_id}", delete_target, methods=["DELETE"]),
]


@dataclass(frozen=True)
class WebOptions:
    """The flags of `serve` that change addresses: `--web.telemetry-path` and `--web.external-url`."""

    telemetry_path: str = "/metrics"
    external_url: str = ""

    @property
    def prefix(self) -> str:
        """The path of the external URL, which pages put before their links; empty or `/path`."""
        return urlsplit(self.external_url).path.rstrip("/")


DEFAULT_OPTIONS = WebOptions()


def create_app(
    exporter: ExporterApi,
    failed: ReportError,
    policy: CurrentPolicy | None = None,
    options: WebOptions = DEFAULT_OPTIONS,
) -> Starlette:
    """Every page and endpoint. `failed` is called for unexpected errors, which are answered with a bare 500."""
    routes: list[BaseRoute] = [
        Route(options.telemetry_path, metrics),
        Route("/", pages.landing),
        Route("/tasks", pages.tasks),
        Route("/tasks/{app_id}/{room_id}/{task_id}", pages.task),
        Route("/tasks/{app_id}/{room_id}/{task_id}/dismiss", pages.dismiss, methods=["POST"]),
        Route("/status", pages.status),
        Route("/config", pages.configuration),
        Route("/dashboards/", pages.downloads),
        Route("/dashboards/{name:path}", pages.download),
        Route("/runbooks/", pages.runbook_index),
        Route("/runbooks/{name}", pages.runbook),
        *OPERATION_ROUTES,
        Route("/api/v1/targets", list_targets),
        Route("/api/v1/tasks", list_tasks),
        Route("/api/v1/tasks/{app_id}/{room_id}/{task_id}", explain_task),
        Route("/api/v1/runs", list_runs),
        Route("/favicon.ico", _favicon),
        Mount("/static", StaticFiles(directory=STATIC)),
    ]
    return _application(exporter, routes, failed, policy, options)


def create_standby_app(
    standby: ReplicaApi, failed: ReportError, policy: CurrentPolicy, options: WebOptions = DEFAULT_OPTIONS
) -> Starlette:
    """What a standby serves: its own metrics, probes, and what it accepts for the leader."""
    routes = [Route(options.telemetry_path, metrics), *OPERATION_ROUTES, Route("/{path:path}", _standby)]
    return _application(standby, routes, failed, policy, options)


def create_callback_app(replica: ReplicaApi, failed: ReportError, policy: CurrentPolicy | None = None) -> Starlette:
    """What `callbacks.listen_address` serves: callbacks, without a password."""
    app = _application(replica, CALLBACK_ROUTES, failed, policy, DEFAULT_OPTIONS, auth=False)
    app.state.is_callback_listener = True
    return app


def _application(
    api: ReplicaApi,
    routes: list[BaseRoute] | list[Route],
    failed: ReportError,
    policy: CurrentPolicy | None,
    options: WebOptions,
    *,
    auth: bool = True,
) -> Starlette:
    app = Starlette(
        routes=routes,
        middleware=[
            Middleware(RequestGuard, failed=failed, policy=policy or CurrentPolicy(), prefix=options.prefix, auth=auth)
        ],
        exception_handlers={404: _not_found} if auth else {},
    )
    app.state.api = api
    app.state.is_callback_listener = False
    app.state.unsigned = TokenBucket(UNSIGNED_PER_SECOND, UNSIGNED_BURST)
    app.state.pools = Pools()
    app.state.prefix = options.prefix
    app.state.external_url = options.external_url
    app.state.telemetry_path = options.telemetry_path
    return app


class RoleSwitch:
    """Serves the application of the role in force; `app` may be replaced at any time."""

    def __init__(self) -> None:
        self.app: ASGIApp = PlainTextResponse("Starting.\n", status_code=503)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on."""
        await self.app(scope, receive, send)


class RequestGuard:
    """The middleware of all requests: targets, authentication, security headers, internal errors.

    - An absolute-form target (`GET http://host/path`) is served as its path, and so is one behind `prefix`.
    - Content-Length beside Transfer-Encoding, which proxies may read differently, is refused.
    - With `auth`, what the policy protects is refused without a good password, or above its rate.
    - Headers of the policy replace ours; a redirect names no host, since that is what the client claimed.
    - A long body is passed on in chunks, so that the server never copies all of it for a slow client.
    - Without a thread to be had, the answer is 503.
    - An unexpected error is reported to `failed` and answered with a bare 500.
    """

    def __init__(
        self, app: ASGIApp, failed: ReportError, policy: CurrentPolicy, prefix: str = "", *, auth: bool = False
    ) -> None:
        self._app = app
        self._failed = failed
        self._policy = policy
        self._prefix = prefix
        self._auth = auth

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on."""
        scope["path"], prefix = self._split(scope["path"])
        begun = False

        async def send_guarded(message: Message) -> None:
            nonlocal begun
            if message["type"] == "http.response.start":
                begun = True
                headers = {**SECURITY_HEADERS, **self._policy.now.headers}
                own = [(k, prefix.encode() + _path(v) if k == b"location" else v) for k, v in message["headers"]]
                message["headers"] = [*own, *(pair for pair in headers.items() if pair[1])]
            body = message.get("body", b"")
            while len(body) > 2 * CHUNK_BYTES:
                await send({"type": "http.response.body", "body": body[:CHUNK_BYTES], "more_body": True})
                body = message["body"] = memoryview(body)[CHUNK_BYTES:]
            await send(message)

        try:
            await (await self._refusal(scope) or self._app)(scope, receive, send_guarded)
        except Exception as error:  # the edge of a request: it is reported and answered with 500
            if lacks_thread(error) and not begun:
                await self._without_thread(scope, receive, send_guarded)
                return
            self._failed(f"{scope['method']} {scope['path'][:MAX_REPORTED_PATH]}", error)
            if begun:
                raise  # too late for another answer: the connection closes, so that half an answer is not taken for all
            await PlainTextResponse(INTERNAL_ERROR, status_code=500)(scope, receive, send_guarded)

    async def _without_thread(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer 503; logged once, until a thread could be started again."""
        pools: Pools = scope["app"].state.pools
        if not pools.no_thread:
            pools.no_thread = True
            log.error("no thread for requests", path=scope["path"][:MAX_REPORTED_PATH])
        await NO_THREAD(scope, receive, send)

    async def _refusal(self, scope: Scope) -> ASGIApp | None:
        """The answer to a request that goes no further."""
        if {b"content-length", b"transfer-encoding"} <= {name for name, _ in scope["headers"]}:
            return TWO_LENGTHS
        is_open = not self._auth or scope["path"] in OPEN_PATHS
        return None if is_open else await refusal(scope, self._policy.now)

    def _split(self, target: str) -> tuple[str, str]:
        """The path without host and prefix, and the prefix if it was there."""
        path = target if target.startswith("/") else _path_of_absolute(target)
        if self._prefix and (path == self._prefix or path.startswith(f"{self._prefix}/")):
            return path.removeprefix(self._prefix) or "/", self._prefix
        return path, ""


def _path_of_absolute(target: str) -> str:
    scheme, found, rest = target.partition("://")
    return f"/{rest.partition('/')[2]}" if found and scheme.lower() in ("http", "https") else target


def _path(location: bytes) -> bytes:
    """A redirect's location without its host."""
    _, found, rest = location.partition(b"://")
    return b"/" + rest.partition(b"/")[2].lstrip(b"/") if found else location


async def _favicon(_: Request) -> Response:
    return FileResponse(STATIC / "favicon.svg", media_type="image/svg+xml")


async def _standby(_: Request) -> Response:
    return PlainTextResponse(STANDBY, status_code=503)


async def _not_found(request: Request, _: Exception) -> Response:
    if "text/html" not in request.headers.get("accept", "") or request.url.path.startswith("/api/"):
        return PlainTextResponse("Not Found", status_code=404)
    return pages.message_page(request, N_("Not found"), N_("There is no such page."), 404)
