"""Reading a body from whoever sends it: of so many bytes, in so much time."""

import asyncio
from collections.abc import Sequence

import pytest
from starlette.requests import Request
from starlette.types import Message

from exporter.web.endpoints import BodyError, read_body

END: Message = {"type": "http.disconnect"}


def part(body: bytes, *, more: bool = True) -> Message:
    """A piece of a body."""
    return {"type": "http.request", "body": body, "more_body": more}


def sent(*messages: Message, headers: Sequence[tuple[bytes, bytes]] = ()) -> Request:
    """A request whose body comes in these pieces; after the last one nothing comes any more."""
    waiting = list(messages)

    async def receive() -> Message:
        if not waiting:
            await asyncio.Event().wait()
        return waiting.pop(0)

    return Request({"type": "http", "method": "POST", "path": "/", "headers": list(headers)}, receive)


def read(request: Request, limit: int = 10, patience: float = 5.0) -> bytes:
    """The body, or why there is none."""
    return asyncio.run(read_body(request, limit, patience))


def test_a_body_in_pieces() -> None:
    """Read to its end, up to the very limit."""
    assert read(sent(part(b"12345"), part(b"67890", more=False))) == b"1234567890"


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (sent(part(b"12345678901")), 413),
        (sent(headers=[(b"content-length", b"11")]), 413),
        (sent(part(b"123"), END), 400),
    ],
    ids=["too long", "said to be too long", "breaks off"],
)
def test_a_body_that_cannot_be_had(request_: Request, status: int) -> None:
    """Without waiting for the rest."""
    with pytest.raises(BodyError) as raised:
        read(request_)
    assert raised.value.status == status


def test_a_body_that_does_not_come() -> None:
    """Whoever trickles is told so: nobody holds a place for ever."""
    with pytest.raises(BodyError) as raised:
        read(sent(part(b"1")), patience=0.01)
    assert raised.value.status == 408
