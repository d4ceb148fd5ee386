"""HTTP/1.1 as far as the vendor's side needs it: one request off a stream, one reply as bytes."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.utils import formatdate
from functools import lru_cache
from http import HTTPStatus
from typing import Protocol
from urllib.parse import parse_qsl

from exporter.simulator.replies import Reply
from exporter.volcengine.signing import canonical_query

LINE_LIMIT = 16 * 1024
HEADER_LIMIT = 100
REQUEST_LINE = re.compile(r"(\S+) (\S+) (HTTP/1\.[01])\r?\n")
LINE_ENDS = ("\r\n", "\n")
BODY_LIMIT = 64 * 1024


class Stream(Protocol):
    """What a request is read from: a buffered socket."""

    def readline(self, limit: int, /) -> bytes:
        """A line with its end, or as much of it as there is."""

    def read(self, size: int, /) -> bytes:
        """So many bytes, or as many as there are."""


class BadRequest(Exception):
    """What came is no request that can be answered; the connection cannot go on after it."""

    def __init__(self, status: HTTPStatus, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status


@dataclass(frozen=True, slots=True)
class Request:
    """What arrived. Header names are lower-case, `query` is as it was on the wire."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(default=b"", repr=False)
    keep_alive: bool = True

    @property
    def pairs(self) -> list[tuple[str, str]]:
        """The query, decoded."""
        return parse_qsl(self.query, keep_blank_values=True)


def canonical(pairs: list[tuple[str, str]]) -> str:
    """The canonical query of decoded pairs; a repeated name keeps its order (docs 6971/174333)."""
    return "&".join(canonical_query({name: value}) for name, value in sorted(pairs, key=lambda pair: pair[0]))


def read_request(stream: Stream) -> Request | None:
    """The next request, None at the end of the stream; raises BadRequest."""
    first = _line(stream)
    if not first:
        return None
    line = REQUEST_LINE.fullmatch(first)
    if not line:
        raise BadRequest(HTTPStatus.BAD_REQUEST, "This is no HTTP/1.1 request line.")
    method, target, version = line.groups()
    headers = _headers(stream)
    path, _, query = target.partition("?")
    close = "close" if version == "HTTP/1.1" else "keep-alive"
    asked = headers.get("connection", "").lower() == close
    return Request(method, path, query, headers, _body(stream, headers), asked != (version == "HTTP/1.1"))


def render(reply: Reply, at: float, *, keep_alive: bool, head_only: bool = False) -> bytes:
    """A reply as it goes out; `at` (Unix seconds) becomes its Date."""
    body = json.dumps(reply.document, separators=(",", ":")).encode() if reply.body is None else reply.body
    lines = [
        f"HTTP/1.1 {reply.status} {_phrase(reply.status)}",
        f"Date: {_date(int(at))}",
        f"Content-Type: {reply.content_type}",
        f"Content-Length: {len(body)}",
        *(f"{name}: {value}" for name, value in reply.headers),
        *(() if keep_alive else ("Connection: close",)),
    ]
    return "\r\n".join((*lines, "", "")).encode() + (b"" if head_only else body)


def _line(stream: Stream) -> str:
    raw = stream.readline(LINE_LIMIT + 1)
    if len(raw) > LINE_LIMIT:
        raise BadRequest(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "A line of the request is too long.")
    if raw and not raw.endswith(b"\n"):
        raise BadRequest(HTTPStatus.BAD_REQUEST, "The request breaks off.")
    return raw.decode("latin-1")


def _headers(stream: Stream) -> dict[str, str]:
    headers: dict[str, str] = {}
    for _ in range(HEADER_LIMIT):
        line = _line(stream)
        if line in LINE_ENDS:
            return headers
        name, colon, value = line.partition(":")
        if not colon or not name or name != name.strip() or name.lower() in headers:
            raise BadRequest(HTTPStatus.BAD_REQUEST, "A header is malformed or sent twice.")
        headers[name.lower()] = value.strip()
    raise BadRequest(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "There are too many headers.")


def _body(stream: Stream, headers: Mapping[str, str]) -> bytes:
    if "transfer-encoding" in headers:
        raise BadRequest(HTTPStatus.LENGTH_REQUIRED, "A body needs a Content-Length.")
    length = headers.get("content-length", "0")
    if not (length.isascii() and length.isdigit()):
        raise BadRequest(HTTPStatus.BAD_REQUEST, "Content-Length is no number.")
    if len(length) > len(str(BODY_LIMIT)) or int(length) > BODY_LIMIT:
        raise BadRequest(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "The body is larger than 64 KiB.")
    body = stream.read(int(length))
    if len(body) != int(length):
        raise BadRequest(HTTPStatus.BAD_REQUEST, "The body breaks off.")
    return body


def _phrase(status: int) -> str:
    return HTTPStatus(status).phrase


@lru_cache(maxsize=2)
def _date(second: int) -> str:
    return formatdate(second, usegmt=True)
