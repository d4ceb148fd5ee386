"""What holds for every answer: its safety headers, and a bare 500 for an error that nobody foresaw."""

from collections.abc import Callable

from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

HEADERS = (
    (b"content-security-policy", b"default-src 'self'"),
    (b"x-content-type-options", b"nosniff"),
)
SORRY = "Internal error; the log says more.\n"


class Guard:
    """Middleware; `failed` is told which request failed, and of the error."""

    def __init__(self, app: ASGIApp, failed: Callable[[str, Exception], None]) -> None:
        self._app = app
        self._failed = failed

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on."""
        begun = False

        async def send_safely(message: Message) -> None:
            nonlocal begun
            if message["type"] == "http.response.start":
                begun = True
                message["headers"] = [*message["headers"], *HEADERS]
            await send(message)

        try:
            await self._app(scope, receive, send_safely)
        except Exception as error:
            self._failed(f"{scope['method']} {scope['path']}", error)
            if begun:
                raise  # too late for another answer: the connection is cut, so that half of one is not taken for it
            await PlainTextResponse(SORRY, status_code=500)(scope, receive, send_safely)
