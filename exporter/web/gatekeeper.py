"""Who is answered: passwords and the rate of the web config file."""

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from exporter.web.passwords import TooMany, read_login
from exporter.web.policy import Policy, PolicyNow

OPEN = frozenset({"/-/healthy", "/-/ready", "/callback"})
"""For everybody and at any rate: probes have no password, and the vendor signs what it sends."""

PUSH = "/api/v1/targets"
PUSHING = frozenset({"POST", "PUT", "DELETE"})

CHALLENGE = {"WWW-Authenticate": 'Basic realm="webcast-exporter", charset="UTF-8"'}
UNAUTHORIZED = PlainTextResponse("Unauthorized\n", status_code=401, headers=CHALLENGE)
TOO_MANY_REQUESTS = PlainTextResponse("Too Many Requests\n", status_code=429, headers={"Retry-After": "1"})


class Gatekeeper:
    """Middleware; `policy` is asked at each request."""

    def __init__(self, app: ASGIApp, policy: PolicyNow) -> None:
        self._app = app
        self._policy = policy

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or send it away."""
        refusal = None if scope["path"] in OPEN else await _refusal(scope, self._policy())
        await (refusal or self._app)(scope, receive, send)


async def _refusal(scope: Scope, policy: Policy) -> ASGIApp | None:
    if policy.allowance and not policy.allowance.admits():
        return TOO_MANY_REQUESTS
    if not policy.passwords or _needs_a_token(scope):
        return None
    login = read_login(Headers(scope=scope).get("authorization", ""))
    try:
        return None if login and await policy.passwords.admit(login) else UNAUTHORIZED
    except TooMany:
        return TOO_MANY_REQUESTS


def _needs_a_token(scope: Scope) -> bool:
    """Whether the push API asks for a token of its own, which takes the password's place."""
    path = scope["path"]
    return scope["method"] in PUSHING and (path == PUSH or path.startswith(f"{PUSH}/"))
