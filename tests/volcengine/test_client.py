import io
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from email.utils import formatdate
from functools import partial
from typing import Any

import pytest
import structlog
from requests import PreparedRequest, Response
from requests.adapters import BaseAdapter
from requests.structures import CaseInsensitiveDict

from exporter import __version__
from exporter.enums import Status
from exporter.errors import (
    BadSchema,
    CredentialsRefused,
    NotFound,
    NotJson,
    Rejected,
    Throttled,
    TimedOut,
    Unreachable,
)
from exporter.model.credentials import Credentials
from exporter.model.target import TargetId
from exporter.volcengine.client import Client, Endpoint
from exporter.volcengine.error_mapping import MAX_UNKNOWN_CODES, UnknownCode, UnknownCodes
from exporter.volcengine.rate_limiter import Permit, RateLimiter
from exporter.volcengine.signing import signed_headers
from tests.support.credentials import KEY, fixed

NOW = 1_768_465_805.0
TARGET = TargetId("661e0000000000000000543c", "room@a.b-c_1", "Task1")
QUERY = "Action=GetWebCastTask&AppId=661e0000000000000000543c&RoomId=room%40a.b-c_1&TaskId=Task1&Version=2020-12-01"
RUNNING = {
    "Result": {"WebcastTask": {"Status": 2, "StartTime": 1768465000000}},
    "ResponseMetadata": {"RequestId": "R1"},
}


def answer(document: object = RUNNING, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    response = Response()
    response.status_code = status
    response.headers = CaseInsensitiveDict(headers or {})
    response.raw = io.BytesIO(document if isinstance(document, bytes) else json.dumps(document).encode())
    return response


@dataclass
class Wire(BaseAdapter):
    """Gives one outcome to every request, and keeps what was sent."""

    outcome: Callable[[], Response] = answer
    sent: list[PreparedRequest] = field(default_factory=list)
    options: dict[str, Any] = field(default_factory=dict)
    closed: bool = False

    def send(self, request: PreparedRequest, *_args: Any, **options: Any) -> Response:
        """Answer, or fail."""
        self.sent.append(request)
        self.options = options
        return self.outcome()

    def close(self) -> None:
        """Remember that."""
        self.closed = True


@dataclass
class World:
    """A client with its wire, and a time that only waiting moves."""

    wire: Wire = field(default_factory=Wire)
    endpoint: Endpoint = field(default_factory=Endpoint)
    key: Credentials = KEY
    now: float = NOW

    def __post_init__(self) -> None:
        """Build the client."""
        self.rate_limiter = RateLimiter(10, clock=lambda: self.now, sleep=self.sleep)
        self.credentials = fixed(self.key)
        self.client = Client(
            self.endpoint,
            self.credentials,
            self.rate_limiter,
            clock=lambda: self.now,
            stopwatch=lambda: self.now,
            adapter=self.wire,
        )

    def sleep(self, seconds: float) -> None:
        """Let time pass."""
        self.now += seconds


def answering(document: object = RUNNING, status: int = 200, headers: Mapping[str, str] | None = None) -> World:
    return World(Wire(lambda: answer(document, status, headers)))


def failing(error: Exception) -> World:
    def fail() -> Response:
        raise error

    return World(Wire(fail))


@pytest.mark.parametrize("version", ["2020-12-01", "2023-11-01"])
def test_one_signed_request_per_read(version: str) -> None:
    """A read is one GET whose URL is the signed query byte for byte, with the signature's headers and two of ours."""
    world = World(endpoint=Endpoint(api_version=version))
    world.client.read(TARGET)
    (request,) = world.wire.sent
    query = QUERY.replace("2020-12-01", version)
    assert ("GET", f"https://rtc.volcengineapi.com/?{query}") == (request.method, request.url)
    assert request.body is None
    signed = signed_headers(KEY, "cn-north-1", "rtc.volcengineapi.com", query, NOW)
    ours = {"Accept": "application/json", "User-Agent": f"webcast-exporter/{__version__}"}
    assert signed | ours == dict(request.headers)


def test_a_session_token_is_sent_and_signed() -> None:
    """Temporary keys (STS) send X-Security-Token; long-term ones leave the header out."""
    world = World(key=Credentials("AK", "SK", "token=/+"))
    world.client.read(TARGET)
    world.credentials.in_force = KEY
    world.client.read(TARGET)
    first, second = (request.headers for request in world.wire.sent)
    assert first["X-Security-Token"] == "token=/+"
    assert "x-security-token" in first["Authorization"]
    assert "X-Security-Token" not in second


def test_each_attempt_is_signed_with_the_credentials_in_force() -> None:
    """Keys that changed on the disk are used by the next call."""
    world = World()
    world.client.read(TARGET)
    world.credentials.in_force = Credentials("AKLTother", "other")
    world.client.read(TARGET)
    used = [request.headers["Authorization"].split("/")[0].split("=")[1] for request in world.wire.sent]
    assert used == ["AKLTexample", "AKLTother"]


@pytest.mark.parametrize(
    "key", [Credentials("AK\n", "SK"), Credentials("AK", "SK", "s3cr\u00e9t"), Credentials("A\0", "S")]
)
def test_credentials_that_no_header_can_carry(key: Credentials) -> None:
    """A line break or a foreign letter in key or token is said to be one, and not shown."""
    world = World(key=key)
    reading = world.client.read(TARGET)
    assert isinstance(reading.error, CredentialsRefused)
    assert [text for text in (key.access_key.strip(), "s3cr") if text in str(reading.error).split()] == []
    assert world.wire.sent == []


def test_the_adapter_gets_timeout_authorities_and_proxy() -> None:
    """What the account configures is what each send is given."""
    endpoint = Endpoint(timeout=2.5, ca_file="ca.pem", proxy_url="http://u:pa55word@proxy.example:3128")
    world = World(endpoint=endpoint)
    world.client.read(TARGET)
    proxies = {"https": "http://u:pa55word@proxy.example:3128"}
    expected = {"stream": True, "timeout": 2.5, "verify": "ca.pem", "cert": None, "proxies": proxies}
    assert expected == world.wire.options
    assert "pa55word" not in repr(endpoint)


def test_a_reading_tells_what_was_read_and_when() -> None:
    """Date makes the server's time and the skew; the parsed task and its unexpected fields come along."""
    reading = answering(headers={"Date": formatdate(NOW + 7, usegmt=True)}).client.read(TARGET)
    assert reading.task is not None
    assert (reading.task.status, reading.task.start) == (Status.RUNNING, 1768465000.0)
    assert (reading.target, reading.at, reading.server_time, reading.skew) == (TARGET, NOW, NOW + 7, 7.0)
    assert "VideoSolutions" in reading.unexpected


@pytest.mark.parametrize("headers", [{}, {"Date": "yesterday"}])
def test_without_a_date_the_local_clock_counts(headers: Mapping[str, str]) -> None:
    """No usable Date header: the server's time is ours and the skew is not known."""
    reading = answering(headers=headers).client.read(TARGET)
    assert (reading.server_time, reading.skew) == (NOW, None)


def test_refusals_tell_the_skew_too() -> None:
    """A refused timestamp is understood best by the Date that came with it."""
    refusal = {"ResponseMetadata": {"Error": {"Code": "InvalidTimestamp"}}}
    reading = answering(refusal, 400, {"Date": formatdate(NOW + 1200, usegmt=True)}).client.read(TARGET)
    assert isinstance(reading.error, CredentialsRefused)
    assert reading.skew == 1200


@pytest.mark.parametrize(
    ("document", "status", "kind"),
    [
        ({"Result": None, "ResponseMetadata": {"RequestId": "R1"}}, 200, NotFound),
        ({"Result": {"WebCastTask": {"Status": 9}}, "ResponseMetadata": {"RequestId": "R1"}}, 200, BadSchema),
    ],
)
def test_an_unusable_reply_tells_its_request(document: object, status: int, kind: type[Exception]) -> None:
    """What the model refuses still names the RequestId, so that the vendor can be asked."""
    error = answering(document, status).client.read(TARGET).error
    assert isinstance(error, kind)
    assert error is not None
    assert (error.request_id, error.http_status) == ("R1", 200)


def test_a_bad_schema_names_the_field() -> None:
    """An unusable Status is a failed read and an unexpected value."""
    reading = answering({"Result": {"WebCastTask": {"Status": "?", "UserId": "u"}}}).client.read(TARGET)
    assert isinstance(reading.error, BadSchema)
    assert reading.unexpected == ("Status",)


@pytest.mark.usefixtures("no_collection")
@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"", NotJson),
        (b"<html>s3cret</html>", NotJson),
        (b'{"Result": {"WebcastTask": {"Sta', NotJson),
        (b"[" * 100_000, NotJson),
        (b'{"a": ' + b"9" * 5000 + b"}", NotJson),
        (b"\xff\xfe\xff", NotJson),
        (b" " * (1024 * 1024 + 1), NotJson),
        (b"[]", BadSchema),
        (b"null", BadSchema),
        (b'"text"', BadSchema),
    ],
    ids=lambda value: repr(value)[:24],
)
def test_a_body_that_is_no_reply(body: bytes, kind: type[Exception]) -> None:
    """No JSON is `decode`, JSON that is no object is `schema`; the body is not told."""
    error = answering(body).client.read(TARGET).error
    assert isinstance(error, kind)
    assert error.__context__ is None
    assert "s3cret" not in str(error)


def test_throttling_slows_the_account() -> None:
    """A throttled answer halves the account's rate and keeps its Retry-After."""
    world = answering({}, 429, {"Retry-After": "30"})
    reading = world.client.read(TARGET)
    assert isinstance(reading.error, Throttled)
    assert world.rate_limiter.effective == 5
    assert world.rate_limiter.acquire().waited == pytest.approx(30)


@pytest.mark.parametrize("error", [TimeoutError(), ConnectionResetError(), ValueError("s3cret"), OSError("s3cret")])
def test_no_failure_of_the_network_raises(error: Exception) -> None:
    """A read never raises for the network; the failed reading keeps no exception of the libraries."""
    reading = failing(error).client.read(TARGET)
    assert isinstance(reading.error, TimedOut | Unreachable)
    assert (reading.error.__context__, reading.error.__cause__) == (None, None)
    assert "s3cret" not in repr(reading) + str(reading.error)


def test_reads_wait_for_the_budget() -> None:
    """Without a slot the next one is taken; the time waited is told apart from the time the call took."""
    world = World()
    first, second = world.client.read(TARGET), world.client.read(TARGET)
    assert first.waited == 0
    assert second.waited == pytest.approx(1 / 9.9)
    third = world.client.read(TARGET, Permit(world.now, waited=3.0))
    assert (third.waited, third.elapsed) == (3.0, 0.0)


def test_elapsed_is_the_time_of_the_call() -> None:
    """From sending to the whole answer, waiting not included."""
    world = World()

    def slow() -> Response:
        world.now += 0.75
        return answer()

    world.wire.outcome = slow
    assert world.client.read(TARGET).elapsed == pytest.approx(0.75)


def test_the_first_error_of_each_code_is_logged_with_advice() -> None:
    """Once for an account and code; an undocumented code is counted with its latest RequestId."""
    world = answering()
    client = Client(world.endpoint, world.credentials, RateLimiter(1000), account="main", adapter=world.wire)
    with structlog.testing.capture_logs() as logs:
        for number, code in enumerate(("NoPermissionForApp", "Odd.Code", "Odd.Code", "NoPermissionForApp")):
            error = {"Code": code, "Message": "s3cret"}
            document = {"ResponseMetadata": {"RequestId": f"r{number}", "Error": error}}
            world.wire.outcome = partial(answer, document)
            client.read(TARGET)
    keys = [(each["account"], each["code"], each["reason"], each["documented"], bool(each["advice"])) for each in logs]
    assert keys == [("main", "NoPermissionForApp", "auth", True, True), ("main", "Odd.Code", "rejected", False, True)]
    assert "s3cret" not in str(logs)
    assert client.unknown_codes() == [UnknownCode("Odd.Code", "rejected", 2, "r2")]


def test_unknown_codes_are_bounded() -> None:
    """A server that invents codes fills no memory; the latest are kept."""
    codes = UnknownCodes()
    for number in range(3 * MAX_UNKNOWN_CODES):
        codes.add(Rejected("rejected", code=f"Odd{number}", request_id="r"))
    kept = codes.latest()
    assert (len(kept), kept[0].code) == (MAX_UNKNOWN_CODES, f"Odd{3 * MAX_UNKNOWN_CODES - 1}")


def test_a_closed_client_makes_no_call() -> None:
    """After close, and when the limiter's sleep says that the process stops, nothing is sent."""
    world = World()
    world.client.close()
    assert isinstance(world.client.read(TARGET).error, Unreachable)
    interrupted = Client(Endpoint(), fixed(), RateLimiter(1, sleep=lambda _seconds: True), adapter=world.wire)
    interrupted.read(TARGET)
    assert isinstance(interrupted.read(TARGET).error, Unreachable)
    assert world.wire.closed
    assert len(world.wire.sent) == 1


def test_a_client_closed_while_waiting_makes_no_call() -> None:
    """A call that waited for its slot when the client was closed is not sent any more."""
    world = World()

    def close_meanwhile(seconds: float) -> None:
        world.now += seconds
        client.close()

    rate_limiter = RateLimiter(1, clock=lambda: world.now, sleep=close_meanwhile)
    client = Client(world.endpoint, world.credentials, rate_limiter, adapter=world.wire)
    rate_limiter.acquire()
    assert isinstance(client.read(TARGET).error, Unreachable)
    assert world.wire.sent == []
