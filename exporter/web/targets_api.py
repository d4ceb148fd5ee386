"""`/api/v1/targets`: all targets for whoever looks, and the pushed ones for whoever has a token to change them."""

from collections.abc import Awaitable, Callable
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from exporter.discovery.merge import WEAKEST_FIRST
from exporter.discovery.sd_format import SDSourceError, groups_of_json
from exporter.errors import BadTargets, StartError, StateError
from exporter.model.target import TargetId
from exporter.model.task_state import TaskState
from exporter.web.bodies import BodyFault, read_body, require_type
from exporter.web.envelope import failure, moment, success
from exporter.web.house import House

LARGEST_BODY = 8 * 1024 * 1024
"""Bytes; 20,000 targets with labels of their own are some 3 MiB."""

MOST_PROBLEMS = 100
"""Problems of one body that are told."""

PUSH_IS_OFF = "pushing is off: the configuration has no push.token_file"
TOO_MANY = "too many requests with a token that is not one of push.token_file"
UNAVAILABLE = "the state cannot be written now; nothing was changed, try again"
CHALLENGE = 'Bearer realm="webcast-exporter"'
FLAGS = {"true": True, "false": False}

Endpoint = Callable[[Request], Awaitable[Response]]


def targets(request: Request) -> Response:
    """Every target that is read, in the order in which they came."""
    house: House = request.app.state.house
    return success({"targets": [_shown(known) for known in house.tracked()]})


def for_token_holders(endpoint: Endpoint) -> Endpoint:
    """Only with one of the tokens of `push.token_file`; else 401, or 404 while there are none."""

    async def guarded(request: Request) -> Response:
        house: House = request.app.state.house
        if not house.push.on:
            return failure(404, PUSH_IS_OFF)
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token.strip():
            return _unauthorized("a push needs the header Authorization: Bearer TOKEN", CHALLENGE)
        if not await run_in_threadpool(house.push.admits, token.strip()):
            if not request.app.state.unsigned.admits():
                return failure(429, TOO_MANY)
            return _unauthorized("this token is not one of push.token_file", f'{CHALLENGE}, error="invalid_token"')
        return await endpoint(request)

    return guarded


@for_token_holders
async def name_targets(request: Request) -> Response:
    """POST adds and renews, PUT replaces the whole list; all of the body or nothing."""
    try:
        require_type(request, "application/json")
        body = await read_body(request, LARGEST_BODY)
    except BodyFault as fault:
        # What is left of the body will not be read, so that the connection is of no more use.
        return failure(fault.status, str(fault), {"Connection": "close"})
    return await run_in_threadpool(_name, request, body)


@for_token_holders
async def release_target(request: Request) -> Response:
    """DELETE ends one target's listing by push."""
    return await run_in_threadpool(_release, request)


def _name(request: Request, body: bytes) -> Response:
    house: House = request.app.state.house
    try:
        groups = groups_of_json(body.decode("utf-8-sig"))
        return success({"accepted": house.push.name(groups, whole=request.method == "PUT")})
    except UnicodeDecodeError as error:
        return _bad([f"the body is not UTF-8 text (at byte {error.start})"])
    except SDSourceError as fault:
        # A sentence about the whole begins with its verb, one about a part with its place.
        return _bad([str(fault) if str(fault).startswith("[") else f"the body {fault}"])
    except BadTargets as error:
        return _bad([str(problem) for problem in error.problems])
    except (StartError, StateError):
        return failure(503, UNAVAILABLE)


def _release(request: Request) -> Response:
    house: House = request.app.state.house
    try:
        target = TargetId.checked(*(request.path_params[name] for name in ("app_id", "room_id", "task_id")))
    except ValueError as error:
        return _bad([str(error)])
    now = FLAGS.get(request.query_params.get("now", "false"))
    if now is None:
        return _bad(["now must be true or false"])
    try:
        if house.push.release(target, now=now):
            return success({"released": str(target)})
    except (StartError, StateError):
        return failure(503, UNAVAILABLE)
    return failure(404, f"{target} is no target by push or callback")


def _bad(problems: list[str]) -> Response:
    told = problems[0] if len(problems) == 1 else f"{problems[0]}; and {len(problems) - 1} more"
    return failure(400, f"nothing was changed: {told}", problems=problems[:MOST_PROBLEMS])


def _unauthorized(sentence: str, challenge: str) -> Response:
    return failure(401, sentence, {"WWW-Authenticate": challenge})


def _shown(known: TaskState) -> dict[str, Any]:
    """One target; times are RFC 3339, null where there is none. While it is drained no source lists it."""
    target = known.target
    return {
        "target": str(target.id),
        "labels": dict(target.labels),
        "sources": sorted(target.sources, key=WEAKEST_FIRST.__getitem__) if known.drain_until is None else [],
        "account": target.account,
        "status": known.display_status,
        "last_read": moment(known.last_read),
        "last_successful_read": moment(known.last_success),
        "read_error": known.failure,
        "expected_start": moment(target.expected_start),
        "expected_end": moment(target.expected_end),
        "drained_until": moment(known.drain_until),
    }
