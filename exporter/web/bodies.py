"""Reading a request's body, of so many bytes and no more."""

import asyncio

from starlette.requests import ClientDisconnect, Request


class BodyFault(Exception):
    """The body cannot be had; `status` is the answer's."""

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status


PATIENCE = 10.0
"""Seconds that a body may take to arrive."""


def require_type(request: Request, content_type: str) -> None:
    """BodyFault (415) when the body is said to be of another type."""
    given = request.headers.get("content-type", content_type).partition(";")[0].strip().lower()
    if given != content_type:
        raise BodyFault(415, f"Content-Type must be {content_type}")


async def read_body(request: Request, limit: int, patience: float = PATIENCE) -> bytes:
    """The whole body; BodyFault when it is too long (413), breaks off (400), or is not there in time (408)."""
    if request.headers.get("content-length", "").isdecimal() and int(request.headers["content-length"]) > limit:
        raise _too_long(limit)
    body = bytearray()
    try:
        async with asyncio.timeout(patience):
            async for chunk in request.stream():
                body += chunk
                if len(body) > limit:
                    raise _too_long(limit)
    except ClientDisconnect:
        raise BodyFault(400, "the body breaks off") from None
    except TimeoutError:
        raise BodyFault(408, "the body takes too long to arrive") from None
    return bytes(body)


def _too_long(limit: int) -> BodyFault:
    return BodyFault(413, f"the body has more than {limit:,} bytes; send it in parts")
