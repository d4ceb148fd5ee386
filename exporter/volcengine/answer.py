"""An answer of the API: received within bounds of time and size, then understood or refused."""

import json
from collections.abc import Callable
from dataclasses import dataclass

from requests import Response

from exporter.errors import NotJson, ReadError, TimedOut
from exporter.model.reply import Reply, parse_reply
from exporter.volcengine.error_mapping import of_answer, request_id, unix_time

LARGEST_BODY = 1024 * 1024
"""Bytes, after decompression; a reply has some 700."""
CHUNK = 64 * 1024


@dataclass(frozen=True, slots=True)
class Answer:
    """What came: `document` is the decoded body, or `flaw` tells why there is none. Headers are empty when absent."""

    http_status: int
    date: str
    retry_after: str
    document: object
    flaw: ReadError | None


def receive(response: Response, out_of_time: Callable[[], bool]) -> Answer:
    """Read a response to its end, or to the end of what is allowed, and let it go.

    Raises TimedOut when it comes too slowly, and what requests and urllib3 raise when it breaks.
    """
    try:
        body = _body(response, out_of_time)
    finally:
        response.close()
    document, flaw = _decoded(body)
    headers = response.headers
    return Answer(response.status_code, headers.get("Date", ""), headers.get("Retry-After", ""), document, flaw)


def understand(answer: Answer, now: float) -> Reply:
    """The reply in an answer; `now` in Unix seconds. Raises the ReadError that it tells, whatever its body is.

    A date to come back at is by the server's clock, as the answer's own Date is; `now` counts where there is none.
    """
    told_at = unix_time(answer.date) if answer.retry_after else None
    at = now if told_at is None else told_at
    error = of_answer(answer.http_status, answer.retry_after, answer.document, at) or answer.flaw
    if error:
        raise error
    try:
        return parse_reply(answer.document)
    except ReadError as unusable:
        unusable.http_status = answer.http_status
        unusable.request_id = request_id(answer.document)
        raise


def _body(response: Response, out_of_time: Callable[[], bool]) -> bytes | None:
    """The decompressed body, None when it is too large."""
    body = bytearray()
    for chunk in response.iter_content(CHUNK):
        body += chunk
        if len(body) > LARGEST_BODY:
            return None
        if out_of_time():
            raise TimedOut("no whole answer within the timeout", http_status=response.status_code)
    return bytes(body)


def _decoded(body: bytes | None) -> tuple[object, ReadError | None]:
    """A decoder's own error is not passed on: it holds the body."""
    if body is None:
        return None, NotJson("the answer is larger than 1 MiB")
    try:
        return json.loads(body), None
    except (ValueError, RecursionError):
        return None, NotJson("the answer is no JSON" if body else "the answer is empty")
