"""HTTP as it comes and goes."""

import io
import json
from http import HTTPStatus

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.simulator.replies import Reply
from exporter.simulator.wire import BadRequest, Request, canonical, read_request, render


def read(raw: bytes) -> Request | None:
    """Read one request off these bytes."""
    return read_request(io.BytesIO(raw))


def test_a_request_is_read_as_it_came() -> None:
    """Method, path, raw query, lower-case header names, trimmed values, body; the stream stands after it."""
    stream = io.BytesIO(b"POST /p?a=%20&b=+ HTTP/1.1\r\nHost:  x \r\nContent-LENGTH: 3\r\n\r\nabcGET")
    expected = Request("POST", "/p", "a=%20&b=+", {"host": "x", "content-length": "3"}, b"abc", keep_alive=True)
    assert expected == read_request(stream)
    assert stream.read() == b"GET"


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", True),
        (b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n", False),
        (b"GET / HTTP/1.1\r\nConnection: keep-alive\r\n\r\n", True),
        (b"GET / HTTP/1.0\r\n\r\n", False),
        (b"GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", True),
    ],
)
def test_connections_are_kept_by_the_version_s_rule(*, raw: bytes, expected: bool) -> None:
    """HTTP/1.1 keeps a connection unless told otherwise, HTTP/1.0 closes it unless told otherwise."""
    request = read(raw)
    assert request is not None
    assert expected == request.keep_alive


def test_the_end_of_the_stream_is_no_request() -> None:
    """A connection that closes between two requests is no fault."""
    assert read(b"") is None


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        (b"hello\r\n\r\n", 400),
        (b"\r\n\r\n", 400),
        (b"GET / HTTP/2\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nnocolon\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n folded: x\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nA: 1\r\na: 2\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: x", 400),
        (b"GET / HTTP/1.1\r\nHost: x\r\n", 400),
        (b"GET / HTTP/1.1\r\nContent-Length: -1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nContent-Length: \xb2\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nContent-Length: 9\r\n\r\nabc", 400),
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 411),
        (b"POST / HTTP/1.1\r\nContent-Length: 65537\r\n\r\n", 413),
        (b"POST / HTTP/1.1\r\nContent-Length: " + b"9" * 5000 + b"\r\n\r\n", 413),
        (b"GET /" + b"a" * 20_000 + b" HTTP/1.1\r\n\r\n", 431),
        (b"GET / HTTP/1.1\r\n" + b"".join(b"h%d: x\r\n" % n for n in range(101)) + b"\r\n", 431),
    ],
)
def test_bad_http_is_refused(raw: bytes, status: int) -> None:
    """What is no bounded request raises BadRequest with its status, and nothing else."""
    with pytest.raises(BadRequest) as refusal:
        read(raw)
    assert HTTPStatus(status) is refusal.value.status


@settings(deadline=None)
@given(raw=st.binary(max_size=300))
def test_any_bytes_are_a_request_an_end_or_bad(raw: bytes) -> None:
    """No input raises anything but BadRequest."""
    try:
        request = read(raw)
    except BadRequest:
        return
    assert request is None or request.method


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("b=2&a=1", "a=1&b=2"),
        ("a=+&b=%20", "a=%20&b=%20"),
        ("a=x%2fy&b=~", "a=x%2Fy&b=~"),
        ("a=2&a=1&B=", "B=&a=2&a=1"),
    ],
)
def test_the_canonical_query_is_made_of_what_arrived(query: str, expected: str) -> None:
    """Decoded and encoded anew: order, plus signs and lower-case escapes on the wire make no difference."""
    assert expected == canonical(Request("GET", "/", query, {}).pairs)


def test_a_reply_has_the_clock_s_date() -> None:
    """JSON, its length, and a Date of the simulator's clock."""
    raw = render(Reply(404, {"会": 1}, headers=(("Retry-After", "3"),)), 1768465805.9, keep_alive=False)
    head, _, body = raw.partition(b"\r\n\r\n")
    assert [
        "HTTP/1.1 404 Not Found",
        "Date: Thu, 15 Jan 2026 08:30:05 GMT",
        "Content-Type: application/json",
        f"Content-Length: {len(body)}",
        "Retry-After: 3",
        "Connection: close",
    ] == head.decode().split("\r\n")
    assert json.loads(body) == {"会": 1}
    assert render(Reply(200, 1), 0, keep_alive=True, head_only=True).endswith(b"\r\n\r\n")
