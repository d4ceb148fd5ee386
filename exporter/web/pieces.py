"""A large text in pieces: never all in one place, so that no fresh memory is touched for it at each scrape."""

from collections.abc import Iterator, Mapping, Sequence

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

BATCH = 96 * 1024
"""Bytes that are handled at once: few enough to stay in memory that was used before, enough to be worth a call."""


def batches(pieces: Sequence[bytes], size: int = BATCH) -> Iterator[bytes]:
    """The same bytes, joined to so many or somewhat more at a time."""
    batch: list[bytes] = []
    length = 0
    for piece in pieces:
        batch.append(piece)
        length += len(piece)
        if length >= size:
            yield b"".join(batch)
            batch, length = [], 0
    if batch:
        yield b"".join(batch)


class InPieces(Response):
    """200 with a body of these pieces, of known length."""

    def __init__(self, pieces: Sequence[bytes], headers: Mapping[str, str]) -> None:
        self._pieces = pieces
        super().__init__(headers={**headers, "Content-Length": str(sum(map(len, pieces)))})

    async def __call__(self, _scope: Scope, _receive: Receive, send: Send) -> None:
        """Send them; whoever reads slowly holds the rest back."""
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        for batch in batches(self._pieces):
            await send({"type": "http.response.body", "body": batch, "more_body": True})
        await send({"type": "http.response.body", "body": b""})
