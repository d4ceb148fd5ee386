"""A vendor on a fake clock, a client that signs, and a receiver of callbacks."""

import hashlib
import http.server
import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from exporter.model.credentials import Credentials
from exporter.model.target import TargetId
from exporter.simulator.fleet import Fleet
from exporter.simulator.gateway import ApiRequest, Gateway, SimulatedAccount
from exporter.simulator.lifecycle import RunPlan
from exporter.simulator.replies import VendorReply
from exporter.volcengine.signing import (
    canonical_query,
    canonical_request,
    credential_scope,
    signature,
    signing_key,
    string_to_sign,
    x_date,
)

NOW = 1768465805.0
HOST = "rtc.volcengineapi.com"
TRIPLE = {"AppId": "661e0000000000000000543c", "RoomId": "Room1", "TaskId": "Task1"}


@pytest.fixture
def now() -> float:
    """Unix seconds of 2026-01-15T08:30:05Z, the time of the published vectors."""
    return NOW


@pytest.fixture
def target() -> TargetId:
    return TargetId(*TRIPLE.values())


KEY = Credentials("AKLTexampleexampleexample0000001", "WkdWdGJ5MXpaV055WlhRdFptOXlMWFJsYzNRPQ==")
TARGET = TargetId(*TRIPLE.values())


class Vendor:
    """A gateway with one account over one task that has just begun to run, on a clock that a test sets."""

    def __init__(self) -> None:
        self.now = NOW
        self.fleet = Fleet(lambda: self.now)
        self.fleet.begin(TARGET, RunPlan(), age=10)
        self.gateway = Gateway(self.fleet, (SimulatedAccount("default", (KEY,)),))

    def request(
        self,
        params: Mapping[str, str | None] | None = None,
        *,
        by: Credentials = KEY,
        method: str = "GET",
        path: str = "/",
        body: bytes = b"",
        extra: Mapping[str, str] | None = None,
        scope: str | None = None,
        unsigned: tuple[str, ...] = (),
    ) -> ApiRequest:
        """A signed request; `extra` headers are signed too, `unsigned` ones only sent; a None param is left out."""
        given = {"Action": "GetWebCastTask", "Version": "2020-12-01", **TRIPLE, **(params or {})}
        query = canonical_query({name: value for name, value in given.items() if value is not None})
        digest, date = hashlib.sha256(body).hexdigest(), x_date(self.now)
        headers = {"host": HOST, "x-date": date, "x-content-sha256": digest, **(extra or {})}
        headers |= {"x-security-token": by.session_token} if by.session_token else {}
        names = sorted(headers.keys() - set(unsigned))
        first = canonical_request(method, path, query, {name: headers[name] for name in names}, digest)
        mark = signature(signing_key(by.secret_key, date[:8], "cn-north-1"), string_to_sign(date, "cn-north-1", first))
        headers["authorization"] = (
            f"HMAC-SHA256 Credential={by.access_key}/{scope or credential_scope(date, 'cn-north-1')}, "
            f"SignedHeaders={';'.join(names)}, Signature={mark}"
        )
        return ApiRequest(method, path, query, headers, body)

    def answer(self, params: Mapping[str, str | None] | None = None, **how: Any) -> VendorReply:
        """The reply to a signed request of now."""
        return self.gateway.answer(self.request(params, **how), self.now)

    def post(self, action: str, body: object) -> VendorReply:
        """A signed call of StartWebcast or StopWebcast; no bytes are sent as JSON."""
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        params = {**dict.fromkeys(TRIPLE), "Action": action}
        return self.answer(params, method="POST", body=raw, extra={"content-type": "application/json"})

    def page(self, path: str, query: str = "", method: str = "GET") -> VendorReply:
        """A page that needs no signature."""
        return self.gateway.answer(ApiRequest(method, path, query, {}), self.now)


@pytest.fixture
def vendor() -> Vendor:
    return Vendor()


def error_of(reply: VendorReply) -> tuple[int, str, int]:
    """HTTP status, Code and CodeN (0 for none) of an error, which has a Message."""
    error = reply.document["ResponseMetadata"]["Error"]
    assert error["Message"]
    return reply.status, error["Code"], error.get("CodeN", 0)


@dataclass
class Receiver:
    """A receiver of callbacks: the JSON bodies that arrived, and what it answers: an HTTP status, or 0 for never.

    `answer` is asked with an EventId and how often it has arrived by now.
    """

    url: str = ""
    answer: Callable[[str, int], int] = lambda _event_id, _times: 200
    bodies: list[dict[str, str]] = field(default_factory=list)
    at_once: int = 0
    most_at_once: int = 0
    closing: threading.Event = field(default_factory=threading.Event)
    _times: Counter[str] = field(default_factory=Counter)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def receive(self, body: dict[str, str]) -> int:
        """The status for one that arrives."""
        with self._lock:
            self.bodies.append(body)
            self.at_once += 1
            self.most_at_once = max(self.most_at_once, self.at_once)
            self._times[body["EventId"]] += 1
            return self.answer(body["EventId"], self._times[body["EventId"]])

    def answered(self) -> None:
        """One less is under way."""
        with self._lock:
            self.at_once -= 1


class ReceiverServer(http.server.ThreadingHTTPServer):
    """A receiver's port, for many at once."""

    request_queue_size = 128
    daemon_threads = True

    def __init__(self, receiver: Receiver) -> None:
        self.receiver = receiver
        super().__init__(("127.0.0.1", 0), ReceiverHandler)


class ReceiverHandler(http.server.BaseHTTPRequestHandler):
    """Answers for a receiver; path and content type must be right."""

    protocol_version = "HTTP/1.1"
    server: ReceiverServer

    def do_POST(self) -> None:
        """Take one callback."""
        assert (self.path, self.headers["Content-Type"]) == ("/callback?app=1", "application/json")
        receiver = self.server.receiver
        status = receiver.receive(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        if not status:
            receiver.closing.wait()
            self.close_connection = True
            return
        receiver.answered()
        self.send_response(status)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, *_arguments: object) -> None:
        """Nothing on standard error."""


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    server = ReceiverServer(made)
    made.url = f"http://127.0.0.1:{server.server_port}/callback?app=1"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield made
    made.closing.set()
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def wait() -> Callable[..., None]:
    """`wait(holds, seconds)`: come back as soon as it is true, with a deadline."""

    def until(holds: Callable[[], object], seconds: float = 10) -> None:
        deadline = time.monotonic() + seconds
        while not holds():
            assert time.monotonic() < deadline, "it never happened"
            threading.Event().wait(0.005)

    return until
