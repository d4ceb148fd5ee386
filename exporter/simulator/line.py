"""One kept connection to the receiver of callbacks."""

import math
import re
import select
import socket
import time
from contextlib import suppress
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from urllib.parse import urlsplit

ANSWER_LIMIT = 64 * 1024
NO_ANSWER = 0
HEADERS = {"Content-Type": "application/json"}
PRINTED = re.compile(r"[!-~]+")
SCHEMES = {"http": HTTPConnection, "https": HTTPSConnection}


def check_url(url: str) -> None:
    """ValueError with a sentence when nothing can be posted to it."""
    try:
        parts = urlsplit(url)
        good = parts.scheme in SCHEMES and parts.hostname and parts.port != 0 and PRINTED.fullmatch(url)
    except ValueError as error:
        raise ValueError(f"{url[:200]!r} is no URL: {error}") from None
    if not good:
        raise ValueError(f"{url[:200]!r} is no http:// or https:// URL")


class Line:
    """Posts to a URL, one body at a time, and waits `patience` seconds for each answer; ValueError for no such URL.

    One thread posts; `look_after` and `hang_up` are for another.
    """

    def __init__(self, url: str, patience: float) -> None:
        check_url(url)
        parts = urlsplit(url)
        self._path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        self._connection: HTTPConnection = SCHEMES[parts.scheme](parts.hostname or "", parts.port, timeout=patience)
        self._socket: socket.socket | None = None
        self._patience = patience
        self._deadline = math.inf
        self._hung_up = False

    def post(self, body: bytes) -> int:
        """The HTTP status of the answer, 0 when there was none in time."""
        self._deadline = time.monotonic() + self._patience
        try:
            return self._exchange(body)
        except (OSError, HTTPException, UnicodeError):  # the last for a host name that cannot be one
            self._connection.close()
            return NO_ANSWER
        finally:
            self._deadline = math.inf

    def look_after(self) -> None:
        """Break a wait that is too long in all, though something arrives again and again."""
        if time.monotonic() > self._deadline:
            self._break()

    def hang_up(self) -> None:
        """Break the wait that there is, and send nothing any more."""
        self._hung_up = True
        self._break()

    def close(self) -> None:
        """Let the connection go; for the thread that posts."""
        self._connection.close()

    def _exchange(self, body: bytes) -> int:
        if self._connection.sock is not None and _readable(self._connection.sock):
            self._connection.close()  # between two answers that is the other side's farewell
        if self._connection.sock is None:
            self._connection.connect()
            self._socket = self._connection.sock
        if self._hung_up:
            return NO_ANSWER
        self._connection.request("POST", self._path, body, HEADERS)
        answer = self._connection.getresponse()
        answer.read(ANSWER_LIMIT)
        if not answer.isclosed():
            self._connection.close()  # the rest of so long an answer would be taken for the next one
        return answer.status

    def _break(self) -> None:
        """End what goes on on the socket, which outlives the connection while an answer is read to its end."""
        if self._socket is not None:
            with suppress(OSError):
                socket.socket.shutdown(self._socket, socket.SHUT_RDWR)  # TLS's own would fail the thread that reads


def _readable(connected: socket.socket) -> bool:
    poll = select.poll()
    poll.register(connected, select.POLLIN)
    return bool(poll.poll(0))
