"""`POST /callback`: the vendor's signed events."""

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from exporter.enums import CallbackOutcome
from exporter.errors import StartError, StateError
from exporter.web.bodies import BodyFault, read_body
from exporter.web.house import House

LARGEST_BODY = 64 * 1024

STATUS_OF_OUTCOME = {CallbackOutcome.BAD_SIGNATURE: 401, CallbackOutcome.MALFORMED: 400}
"""All else is 200: the vendor need not send it again."""

OFF = "There are no callbacks here: the configuration has no callbacks.secret_file.\n"
APART = "Callbacks have a listener of their own, callbacks.listen_address.\n"
UNAVAILABLE = "The state cannot be written now; nothing is lost if this is sent again.\n"
TOO_MANY = "Too many callbacks that nobody signed.\n"
CLOSE = {"Connection": "close"}


async def callback(request: Request) -> Response:
    """Take one event in; 200 once what it says is in the state."""
    house: House = request.app.state.house
    if not house.callbacks.on:
        return PlainTextResponse(OFF, status_code=404)
    if house.callbacks.apart and not request.app.state.is_door:
        return PlainTextResponse(APART, status_code=404)
    try:
        body = await read_body(request, LARGEST_BODY)
    except BodyFault as fault:
        return PlainTextResponse(f"{fault}\n", status_code=fault.status, headers=CLOSE)
    return await run_in_threadpool(_take, request, body)


def _take(request: Request, body: bytes) -> Response:
    house: House = request.app.state.house
    try:
        outcome = house.callbacks.take(body)
    except (StartError, StateError):
        return PlainTextResponse(UNAVAILABLE, status_code=503)
    if outcome in STATUS_OF_OUTCOME and not request.app.state.unsigned.admits():
        return PlainTextResponse(TOO_MANY, status_code=429, headers=CLOSE)
    return PlainTextResponse(f"{outcome}\n", status_code=STATUS_OF_OUTCOME.get(outcome, 200))
