"""Reading a request's body, of so many bytes and no more."""

from starlette.requests import ClientDisconnect, Request


class BodyFault(Exception):
    """The body cannot be had; `status` is the answer's."""

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status


async def read_body(request: Request, limit: int, content_type: str) -> bytes:
    """The whole body; BodyFault when it is too long (413), of another type (415), or breaks off (400)."""
    given = request.headers.get("content-type", content_type).partition(";")[0].strip().lower()
    if given != content_type:
        raise BodyFault(415, f"Content-Type must be {content_type}")
    if request.headers.get("content-length", "").isdecimal() and int(request.headers["content-length"]) > limit:
        raise _too_long(limit)
    body = bytearray()
    try:
        async for chunk in request.stream():
            body += chunk
            if len(body) > limit:
                raise _too_long(limit)
    except ClientDisconnect:
        raise BodyFault(400, "the body breaks off") from None
    return bytes(body)


def _too_long(limit: int) -> BodyFault:
    return BodyFault(413, f"the body has more than {limit:,} bytes; send it in parts")
