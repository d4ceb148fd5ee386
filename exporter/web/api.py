"""The JSON API `/api/v1`: targets and pushes, tasks, stopped runs."""

import json
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from enum import StrEnum
from functools import partial
from typing import Any, NamedTuple

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from exporter.config.credentials import TokenFile
from exporter.config.documents import MAX_PROBLEMS
from exporter.discovery.sd_format import SDSourceError, groups_of_json
from exporter.enums import Source, Status, StopReason
from exporter.errors import BadTargets, StartError, StateError
from exporter.model.target import TargetId
from exporter.store.run_table import FoundRuns, RunCursor, RunQuery
from exporter.web.auth import TokenBucket
from exporter.web.endpoints import (
    CHUNK_BYTES,
    RETRY,
    BodyError,
    Busy,
    WorkerPool,
    api_of,
    pools_of,
    read_body,
    require_type,
)
from exporter.web.interfaces import ExporterApi, PushHandler
from exporter.web.serializers import csv_lines, explain, explain_unlisted, run_json, target_json, task_json
from exporter.web.task_query import (
    MAX_PAGE,
    QueryError,
    make_row,
    number_of_pages,
    parse_moment,
    parse_number,
    parse_task_query,
    parse_text,
    parse_word,
    select,
)

MAX_BODY_BYTES = 8 * 1024 * 1024
"""20,000 targets with labels of their own are some 3 MiB."""

TASK_SIZES = (1_000, 50_000)
RUN_SIZES = (1_000, 10_000)
"""The default and the largest size of a page."""

ERROR_TYPES = {400: "bad_data", 401: "unauthorized", 404: "not_found", 413: "bad_data", 415: "bad_data"}
"""By HTTP status; all others are `unavailable`."""

PUSH_OFF = "pushing is off: the configuration has no push.token_file"
TOO_MANY_TOKENS = "too many requests with a token that is not in push.token_file"
WRITE_UNAVAILABLE = "the state cannot be written now; nothing was changed, try again"
READ_UNAVAILABLE = "the state cannot be read now, try again"
TOO_BUSY = "too many requests of this kind at once, try again"
BEARER = 'Bearer realm="webcast-exporter"'
FLAGS = {"true": True, "false": False}

Endpoint = Callable[[Request], Awaitable[Response]]


class RunsFormat(StrEnum):
    """How runs are written."""

    JSON = "json"
    CSV = "csv"


def success(data: Any) -> Response:
    """200 with `data` in the envelope of Prometheus's HTTP API."""
    return Response(dumps({"status": "success", "data": data}), media_type="application/json")


def failure(status: int, sentence: str, headers: Mapping[str, str] | None = None, **more: Any) -> Response:
    """An error in the same envelope."""
    kind = ERROR_TYPES.get(status, "unavailable")
    body = dumps({"status": "error", "errorType": kind, "error": sentence, **more})
    return Response(body, status, headers, media_type="application/json")


def dumps(document: Any) -> bytes:
    """Compact JSON as UTF-8."""
    return json.dumps(document, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()


class StreamedResponse(Response):
    """A long response made and sent piece by piece, so that neither its memory nor its work comes at once."""

    def __init__(self, pieces: Iterator[bytes], pool: WorkerPool, headers: Mapping[str, str]) -> None:
        super().__init__(headers=headers)
        del self.headers["content-length"]
        self._pieces = pieces
        self._pool = pool

    async def __call__(self, _scope: Scope, _receive: Receive, send: Send) -> None:
        """Make and send one chunk after the other, as fast as the client reads."""
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        while chunk := await self._pool.finish(self._next_chunk):
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
        await send({"type": "http.response.body", "body": b""})

    def _next_chunk(self) -> bytes:
        chunk = bytearray()
        for piece in self._pieces:
            chunk += piece
            if len(chunk) >= CHUNK_BYTES:
                break
        return bytes(chunk)


def streamed(name: str, rows: Iterable[dict[str, Any]], pool: WorkerPool, **more: object) -> Response:
    """`success` with a list of rows under `name`, and what `more` there is beside it."""

    def pieces() -> Iterator[bytes]:
        yield b'{"status":"success","data":{%s:[' % dumps(name)
        for number, row in enumerate(rows):
            yield b"," * bool(number) + dumps(row)
        yield b"]" + b"".join(b",%s:%s" % (dumps(key), dumps(value)) for key, value in more.items()) + b"}}"

    return StreamedResponse(pieces(), pool, {"Content-Type": "application/json"})


def exporter_of(request: Request) -> ExporterApi:
    """The exporter that answers the request."""
    api: ExporterApi = request.app.state.api
    return api


def on_thread(work: Callable[[Request], Response], pool: Callable[[Request], WorkerPool]) -> Endpoint:
    """An endpoint that answers on a thread of a pool; 503 when the pool is full, 400 for a bad query."""

    async def endpoint(request: Request) -> Response:
        try:
            return await pool(request).run(work, request)
        except Busy:
            return failure(503, TOO_BUSY, RETRY)
        except QueryError as error:
            return failure(400, str(error))
        except StateError:
            return failure(503, READ_UNAVAILABLE, RETRY)

    return endpoint


def _fleet(request: Request) -> WorkerPool:
    return pools_of(request).fleet


def _state(request: Request) -> WorkerPool:
    return pools_of(request).state


def _targets(request: Request) -> Response:
    states = exporter_of(request).tracked()
    return streamed("targets", map(target_json, states), _fleet(request))


def _tasks(request: Request) -> Response:
    exporter = exporter_of(request)
    query = parse_task_query(request.query_params, TASK_SIZES)
    now = exporter.queries.now
    found = select(exporter.tracked(), query, now, exporter.queries.lifetimes)
    rows = (task_json(row, now) for row in found.rows)
    return streamed("tasks", rows, _fleet(request), matching=found.matching, page=found.page, pages=found.pages)


def _task(request: Request) -> Response:
    queries = exporter_of(request).queries
    try:
        target = target_of(request)
    except ValueError as error:
        return failure(400, str(error))
    state = queries.task_state(target)
    if state is None:
        return success(explain_unlisted(target, queries))
    return success(explain(make_row(state, queries.now, queries.lifetimes), queries))


def target_of(request: Request) -> TargetId:
    """The target of the path; ValueError when an id is not valid."""
    return TargetId.checked(*(request.path_params[name] for name in TargetId._fields))


class RunPage(NamedTuple):
    """A page of stopped runs: what was asked for, and what was found."""

    wanted: RunQuery
    number: int
    found: FoundRuns

    @property
    def pages(self) -> int:
        """How many pages there are."""
        return number_of_pages(self.found.total, self.wanted.limit)


def find_runs(request: Request, sizes: tuple[int, int]) -> RunPage:
    """The stopped runs that the query asks for; QueryError, StateError."""
    exporter, params = exporter_of(request), request.query_params
    now = exporter.queries.now
    oldest = now - exporter.config.lifecycle.history
    number, size = parse_number(params, "page", 1, MAX_PAGE), parse_number(params, "size", *sizes)
    wanted = RunQuery(
        since=max(oldest, parse_moment(params, "since", now) or oldest),
        until=parse_moment(params, "until", now),
        app_id=params.get("app_id", ""),
        status=parse_word(Status, params["status"], "status") if params.get("status") else None,
        reason=parse_word(StopReason, params["reason"], "reason") if params.get("reason") else None,
        text=parse_text(params),
        limit=size,
        offset=(number - 1) * size,
        after=_parse_cursor(params.get("after", "")),
    )
    return RunPage(wanted, number, exporter.queries.stopped_runs(wanted))


def _parse_cursor(text: str) -> RunCursor | None:
    try:
        return RunCursor.parse(text) if text else None
    except ValueError:
        raise QueryError("after must be the `next` of an earlier answer") from None


def _runs(request: Request) -> Response:
    """JSON or CSV; `pages` says how many pages were found, `next` where to search on (CSV: `X-Pages`, `X-Next`)."""
    queries = exporter_of(request).queries
    form = parse_word(RunsFormat, request.query_params.get("format", "") or RunsFormat.JSON, "format")
    page = find_runs(request, RUN_SIZES)
    rows = (
        run_json(run, queries.account_of(run.target.app_id), labels)
        for run, labels in zip(page.found.runs, page.found.labels, strict=True)
    )
    found, following = page.found, str(page.found.next) if page.found.next else None
    if form is RunsFormat.JSON:
        numbers = {"matching": found.total, "page": page.number, "pages": page.pages}
        return streamed("runs", rows, _state(request), **numbers, next=following, complete=found.complete)
    headers = {
        "Content-Type": "text/csv; charset=utf-8",
        "Content-Disposition": 'attachment; filename="runs.csv"',
        "X-Pages": str(page.pages),
        **({"X-Next": following} if following else {}),
    }
    return StreamedResponse((line.encode() for line in csv_lines(rows)), _state(request), headers)


list_targets = on_thread(_targets, _fleet)
list_tasks = on_thread(_tasks, _fleet)
explain_task = on_thread(_task, _fleet)
list_runs = on_thread(_runs, _state)


def with_push_token(endpoint: Endpoint) -> Endpoint:
    """Require a token of push.token_file: 401 without one, 404 while pushing is off."""

    async def guarded(request: Request) -> Response:
        tokens = api_of(request).secrets.get(Source.PUSH)
        if tokens is None:
            return failure(404, PUSH_OFF)
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token.strip():
            return _unauthorized("a push needs the header Authorization: Bearer TOKEN", BEARER)
        try:
            refusal = await refuse_token(request, tokens, token.strip())
        except Busy:
            return failure(503, TOO_BUSY, RETRY)
        return refusal or await endpoint(request)

    return guarded


async def refuse_token(request: Request, tokens: TokenFile, token: str) -> Response | None:
    """The answer to a wrong token (401, or 429 when there are many); None for a good one."""
    if await pools_of(request).tokens.run(tokens.matches, token):
        return None
    unsigned: TokenBucket = request.app.state.unsigned
    if not unsigned.try_acquire():
        return failure(429, TOO_MANY_TOKENS)
    return _unauthorized("this token is not one of push.token_file", f'{BEARER}, error="invalid_token"')


@with_push_token
async def push_targets(request: Request) -> Response:
    """POST adds and renews targets, PUT replaces the whole list; all of the body or nothing."""
    try:
        require_type(request, "application/json")
        body = await read_body(request, MAX_BODY_BYTES)
    except BodyError as error:
        return failure(error.status, str(error), {"Connection": "close"})  # the rest of the body is not read
    return await _change(request, partial(_push, body=body, replace=request.method == "PUT"))


@with_push_token
async def delete_target(request: Request) -> Response:
    """DELETE ends one target's listing by push and by callback."""
    try:
        target = target_of(request)
    except ValueError as error:
        return _bad([str(error)])
    now = FLAGS.get(request.query_params.get("now", "false"))
    if now is None:
        return _bad(["now must be true or false"])
    return await _change(request, partial(_release, target=target, now=now))


async def _change(request: Request, change: Callable[[PushHandler], Response]) -> Response:
    try:
        return await pools_of(request).pushes.run(change, api_of(request).push)
    except Busy:
        return failure(503, TOO_BUSY, RETRY)
    except (StartError, StateError):
        return failure(503, WRITE_UNAVAILABLE)


def _push(push: PushHandler, *, body: bytes, replace: bool) -> Response:
    try:
        return success({"accepted": push.update(groups_of_json(body.decode("utf-8-sig")), replace=replace)})
    except UnicodeDecodeError as error:
        return _bad([f"the body is not UTF-8 text (at byte {error.start})"])
    except SDSourceError as error:
        # A sentence about the whole begins with its verb, one about a part with its place.
        return _bad([str(error) if str(error).startswith("[") else f"the body {error}"])
    except BadTargets as error:
        return _bad([str(problem) for problem in error.problems])


def _release(push: PushHandler, *, target: TargetId, now: bool) -> Response:
    try:
        if push.release(target, now=now):
            return success({"released": str(target)})
    except BadTargets as error:
        return failure(404, str(error))
    return failure(404, f"{target} is no target by push or callback")


def _bad(problems: list[str]) -> Response:
    first = problems[0] if len(problems) == 1 else f"{problems[0]}; and {len(problems) - 1} more"
    return failure(400, f"nothing was changed: {first}", problems=problems[:MAX_PROBLEMS])


def _unauthorized(sentence: str, challenge: str) -> Response:
    return failure(401, sentence, {"WWW-Authenticate": challenge})
