"""A text in pieces is the text."""

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from exporter.web.endpoints import ChunkedResponse, chunks, compress, decompress
from exporter.web.server import Listener, bind

PIECES = [b"# HELP x\n", b"", b"x 1\n" * 100_000, b"y 2\n"]


@given(st.lists(st.binary(max_size=60)), st.integers(1, 20))
def test_batches_hold_the_same_bytes(pieces: list[bytes], size: int) -> None:
    """All of them in their order; each chunk but the last has the size, and none twice as much."""
    found = list(chunks(pieces, size))
    assert b"".join(found) == b"".join(pieces)
    assert all(size <= len(chunk) < 2 * size for chunk in found[:-1])


def answer(_: Request) -> Response:
    """Some pieces."""
    text = compress(PIECES)
    return ChunkedResponse(decompress(text.parts), text.length, {"Content-Type": "text/plain"})


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_an_answer_in_pieces_has_its_length(method: str) -> None:
    """Told before the first piece, for HEAD too, and no chunked encoding."""
    listener = Listener(Starlette(routes=[Route("/", answer)]), bind("127.0.0.1:0"), lambda *_: None)
    listener.start()
    reply = httpx.request(method, listener.url, trust_env=False)
    listener.stop()
    whole = b"".join(PIECES)
    assert (reply.status_code, reply.headers["content-length"]) == (200, str(len(whole)))
    assert "transfer-encoding" not in reply.headers
    assert reply.content == (whole if method == "GET" else b"")
