"""What holds for every answer: its safety headers, no host in it, and a bare 500 for an error that nobody foresaw."""

from collections.abc import Callable, Mapping

from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from exporter.web.policy import PolicyNow, wide_open

HEADERS: Mapping[bytes, bytes] = {
    b"content-security-policy": (
        b"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        b"form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    b"x-content-type-options": b"nosniff",
    b"x-frame-options": b"deny",
    b"referrer-policy": b"no-referrer",
}
SORRY = "Internal error; the log says more.\n"


def _path(location: bytes) -> bytes:
    """A redirect's place without its host, which is what the caller said it was."""
    _, found, rest = location.partition(b"://")
    return b"/" + rest.partition(b"/")[2].lstrip(b"/") if found else location


class Guard:
    """Middleware; `failed` is told which request failed, and of the error. The policy's headers go before ours."""

    def __init__(self, app: ASGIApp, failed: Callable[[str, Exception], None], policy: PolicyNow = wide_open) -> None:
        self._app = app
        self._failed = failed
        self._policy = policy

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on."""
        begun = False

        async def send_safely(message: Message) -> None:
            nonlocal begun
            if message["type"] == "http.response.start":
                begun = True
                headers = {**HEADERS, **self._policy().headers}
                own = [(name, _path(value) if name == b"location" else value) for name, value in message["headers"]]
                message["headers"] = [*own, *(pair for pair in headers.items() if pair[1])]
            await send(message)

        try:
            await self._app(scope, receive, send_safely)
        except Exception as error:
            self._failed(f"{scope['method']} {scope['path']}", error)
            if begun:
                raise  # too late for another answer: the connection is cut, so that half of one is not taken for it
            await PlainTextResponse(SORRY, status_code=500)(scope, receive, send_safely)
