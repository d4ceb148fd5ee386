"""Faults on demand: what each makes of a reply, for which calls and how long."""

import json
import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from exporter.model.credentials import Credentials
from exporter.model.target import TargetId
from exporter.simulator.faults import CANARY, CONNECTION_FAULTS, TLS_FAULTS, FaultMode
from exporter.simulator.gateway import Gateway
from exporter.simulator.replies import Outcome, Sending, VendorReply, describe
from exporter.simulator.signature_check import ApiRequest

Signed = Callable[..., ApiRequest]
Error = Callable[[VendorReply], dict[str, Any]]


@pytest.mark.parametrize(
    ("mode", "expected", "outcome"),
    [
        (FaultMode.THROTTLE, {"http": 200, "Code": "FlowLimitExceeded.QPSOverLimit"}, "throttled"),
        (FaultMode.SERVER_ERROR, {"http": 500, "Code": "InternalError", "CodeN": 100014}, "failed"),
        (FaultMode.INVALID_ACCESS_KEY, {"http": 401, "Code": "InvalidAccessKey", "CodeN": 100009}, "refused"),
        (FaultMode.INVALID_SIGNATURE, {"http": 401, "Code": "SignatureDoesNotMatch", "CodeN": 100010}, "refused"),
        (FaultMode.INVALID_AUTHORIZATION, {"http": 400, "Code": "InvalidAuthorization"}, "refused"),
        (FaultMode.INVALID_CREDENTIAL, {"http": 400, "Code": "InvalidCredential"}, "refused"),
        (FaultMode.NO_SIGNATURE, {"http": 401, "Code": "MissingAuthenticationToken", "CodeN": 100003}, "refused"),
        (FaultMode.EXPIRED_TOKEN, {"http": 401, "Code": "InvalidSecretToken"}, "refused"),
        (FaultMode.LACK_POLICY, {"http": 403, "Code": "LackPolicy", "CodeN": 100012}, "refused"),
        (FaultMode.APP_DENIED, {"http": 403, "Code": "AccessDenied.NoPermissionForApp"}, "refused"),
        (FaultMode.APP_OF_ANOTHER_PROJECT, {"http": 403, "Code": "LackProjectPolicy"}, "refused"),
        (FaultMode.APP_OF_ANOTHER_ACCOUNT, {"http": 400, "Code": "InvalidParameter.AccountIdMismatch"}, "refused"),
        (FaultMode.APP_UNKNOWN, {"http": 400, "Code": "InvalidParameter.NotExistAppId"}, "refused"),
        (FaultMode.NOT_FOUND_ERROR, {"http": 400, "Code": "InvalidParameter.ErrorActiveTaskNotFound"}, "answered"),
    ],
)
def test_a_fault_takes_the_place_of_an_answer(
    *,
    mode: FaultMode,
    expected: dict[str, Any],
    outcome: str,
    gateway: Gateway,
    signed: Signed,
    error: Error,
    now: float,
) -> None:
    """A mode answers every call in order with its error, is counted so, and ends when it is switched off."""
    gateway.faults.mode = mode
    reply = gateway.answer(signed(), now)
    assert (expected, outcome) == (error(reply), reply.outcome)
    assert gateway.calls.counts[reply.outcome] == 1
    gateway.faults.mode = FaultMode.NONE
    assert "Error" not in gateway.answer(signed(), now).document["ResponseMetadata"]


@pytest.mark.parametrize(
    ("mode", "status", "headers", "outcome"),
    [
        (FaultMode.THROTTLE_SECONDS, 429, (("Retry-After", "7"),), "throttled"),
        (FaultMode.THROTTLE_DATE, 429, (("Retry-After", "Thu, 15 Jan 2026 08:30:12 GMT"),), "throttled"),
        (FaultMode.HTTP_400, 400, (), "refused"),
        (FaultMode.HTTP_403, 403, (), "refused"),
        (FaultMode.HTTP_404, 404, (), "refused"),
        (FaultMode.HTTP_500, 500, (), "failed"),
        (FaultMode.HTTP_502, 502, (), "failed"),
        (FaultMode.HTTP_503, 503, (("Retry-After", "1"),), "failed"),
        (FaultMode.REDIRECT, 302, (("Location", "/elsewhere"),), "refused"),
    ],
)
def test_what_stands_before_the_vendor_has_no_envelope(
    *, mode: FaultMode, status: int, headers: object, outcome: str, gateway: Gateway, signed: Signed, now: float
) -> None:
    """Its status, its headers and a line of text."""
    gateway.faults.mode, gateway.faults.retry_after = mode, 7
    reply = gateway.answer(signed(), now)
    assert (reply.status, reply.headers, reply.outcome, reply.content_type) == (status, headers, outcome, "text/plain")
    assert reply.body is not None
    assert CANARY.encode() in reply.body


@pytest.mark.parametrize(
    ("mode", "body"),
    [
        (FaultMode.HTML, lambda body: body.startswith(b"<!DOCTYPE html>")),
        (FaultMode.EMPTY, lambda body: body == b""),
        (FaultMode.CUT_JSON, lambda body: body.startswith(b"{") and not body.endswith(b"}")),
        (FaultMode.HUGE, lambda body: len(body) > 8 * 1024 * 1024 and "Result" in json.loads(body)),
    ],
)
def test_a_body_that_is_no_answer(
    *, mode: FaultMode, body: Callable[[bytes | None], bool], gateway: Gateway, signed: Signed, now: float
) -> None:
    """On HTTP 200, and counted as a failure of the vendor's."""
    gateway.faults.mode = mode
    reply = gateway.answer(signed(), now)
    assert (reply.status, reply.outcome) == (200, "failed")
    assert body(reply.body)


@pytest.mark.parametrize(
    ("mode", "result"),
    [
        (FaultMode.NOT_FOUND_NULL, lambda result: result is None),
        (FaultMode.NOT_FOUND_EMPTY, lambda result: result == {"WebcastTask": {}}),
        (FaultMode.NOT_FOUND_ZERO, lambda result: result["WebcastTask"]["MaxRunningTime"] == 0),
        (FaultMode.ODD_FIELDS, lambda result: result["WebcastTask"]["Status"] == 2),
        (FaultMode.WRONG_TYPES, lambda result: isinstance(result["WebcastTask"]["Status"], str)),
        (FaultMode.NUMBERS_AS_TEXT, lambda result: result["WebcastTask"]["Status"] == "2"),
    ],
)
def test_an_answer_that_says_something_else(
    *, mode: FaultMode, result: Callable[[Any], bool], gateway: Gateway, signed: Signed, now: float
) -> None:
    """In the vendor's envelope, on HTTP 200, and counted as an answer."""
    gateway.faults.mode = mode
    reply = gateway.answer(signed(), now)
    assert (reply.status, reply.outcome, reply.body) == (200, "answered", None)
    assert result(reply.document["Result"])


def test_wrong_types_are_wrong_everywhere(gateway: Gateway, signed: Signed, now: float) -> None:
    """No field keeps its type; an answer without a task is left alone."""
    right = gateway.answer(signed(), now).document["Result"]["WebcastTask"]
    gateway.faults.mode = FaultMode.WRONG_TYPES
    wrong = gateway.answer(signed(), now).document["Result"]["WebcastTask"]
    assert wrong.keys() == right.keys()
    assert [name for name in right if type(right[name]) is type(wrong[name])] == []
    assert gateway.answer(signed({"TaskId": "nobody"}), now).document["Result"] is None


@pytest.mark.parametrize(
    ("mode", "document"),
    [
        (FaultMode.LIST, lambda document: list(document[0]) == ["Result", "ResponseMetadata"]),
        (FaultMode.STRANGE_JSON, lambda document: "Result" not in document),
    ],
)
def test_another_document(
    *, mode: FaultMode, document: Callable[[Any], bool], gateway: Gateway, signed: Signed, now: float
) -> None:
    """JSON on HTTP 200 that is not the vendor's."""
    gateway.faults.mode = mode
    reply = gateway.answer(signed(), now)
    assert reply.status == 200
    assert document(reply.document)


@pytest.mark.parametrize(
    ("mode", "sending"),
    [
        (FaultMode.STALL, Sending.NEVER),
        (FaultMode.TRICKLE, Sending.DRIPPING),
        (FaultMode.CLOSE, Sending.CLOSED),
        (FaultMode.RESET, Sending.RESET),
        (FaultMode.RESET_HALFWAY, Sending.RESET_HALFWAY),
    ],
)
def test_a_broken_way(mode: FaultMode, sending: Sending, gateway: Gateway, signed: Signed, now: float) -> None:
    """The right answer does not arrive, and is counted as a failure."""
    gateway.faults.mode = mode
    reply = gateway.answer(signed(), now)
    assert (reply.sending, reply.outcome) == (sending, Outcome.FAILED)
    assert reply.document["Result"]["WebcastTask"]["Status"] == 2


def test_a_clock_that_is_wrong_refuses_and_its_date_says_why(
    gateway: Gateway, signed: Signed, error: Error, now: float
) -> None:
    """An hour is more than a signature's 900 s, a minute is not; the tasks live by the right clock."""
    gateway.faults.mode = FaultMode.CLOCK
    assert (gateway.faults.clock_ahead, error(gateway.answer(signed(), now))["Code"]) == (3600, "InvalidTimestamp")
    gateway.faults.ahead = -60
    assert gateway.answer(signed(), now).document["Result"]["WebcastTask"]["Status"] == 2
    gateway.faults.mode = FaultMode.NONE
    assert gateway.faults.clock_ahead == 0


@pytest.mark.parametrize(
    ("only", "meets"),
    [
        ("", True),
        ("661e0000000000000000543c", True),
        ("661e0000000000000000543c/Room1/Task1", True),
        ("661e0000000000000000543d", False),
        ("661e0000000000000000543c/Room1/Task2", False),
    ],
)
def test_a_fault_of_one_app_or_task(
    *, only: str, meets: bool, gateway: Gateway, signed: Signed, target: TargetId, now: float
) -> None:
    """Others are answered as ever."""
    assert str(target) == "661e0000000000000000543c/Room1/Task1"
    gateway.faults.begin(FaultMode.SERVER_ERROR, only=only)
    assert (gateway.answer(signed(), now).status == 500) is meets


def test_a_fault_ends_by_itself(gateway: Gateway, now: float) -> None:
    """At its time, with all that was said of it."""
    gateway.faults.begin(FaultMode.STALL, only="app", until=now + 5)
    gateway.faults.expire(now + 4.9)
    assert gateway.faults.mode is FaultMode.STALL
    gateway.faults.expire(now + 5)
    assert (gateway.faults.mode, gateway.faults.only, gateway.faults.until) == (FaultMode.NONE, "", math.inf)


def test_the_modes_of_the_door_let_a_call_through(gateway: Gateway, signed: Signed, now: float) -> None:
    """Whoever has come as far as the gateway is answered; the door is the listener's."""
    for mode in sorted(CONNECTION_FAULTS):
        gateway.faults.mode = mode
        assert gateway.faults.of_connection is mode
        assert gateway.answer(signed(), now).document["Result"]["WebcastTask"]["Status"] == 2
    gateway.faults.mode = FaultMode.STALL
    assert gateway.faults.of_connection is FaultMode.NONE
    assert TLS_FAULTS < CONNECTION_FAULTS


def test_latency_delays_and_changes_nothing(gateway: Gateway, signed: Signed, now: float) -> None:
    """The reply is the right one, later; the gateway itself never waits."""
    gateway.faults.mode = FaultMode.LATENCY
    gateway.faults.latency = 3.5
    reply = gateway.answer(signed(), now)
    assert (reply.delay, reply.document["Result"]["WebcastTask"]["Status"]) == (3.5, 2)


def test_a_stranger_meets_no_fault(
    gateway: Gateway, signed: Signed, error: Error, credentials: Credentials, now: float
) -> None:
    """Faults are of calls whose signature is good: a wrong key is told as such."""
    gateway.faults.mode = FaultMode.SERVER_ERROR
    reply = gateway.answer(signed(by=replace(credentials, access_key="unknown")), now)
    assert error(reply)["Code"] == "InvalidAccessKey"


def test_every_mode_is_described() -> None:
    """A line each, with its word first."""
    assert [line.split()[0] for line in describe(FaultMode).splitlines()] == [mode.value for mode in FaultMode]
    assert all(mode.says for mode in FaultMode)


Ask = Callable[..., VendorReply]


@pytest.fixture
def ask(gateway: Gateway, now: float) -> Ask:
    """`ask(query, method)` of /fault."""

    def made(query: str = "", method: str = "POST") -> VendorReply:
        return gateway.answer(ApiRequest(method, "/fault", query, {}), now)

    return made


def test_it_tells_what_is_in_force(ask: Ask, gateway: Gateway, now: float) -> None:
    """The mode, for whom, how long, and all there are."""
    gateway.faults.begin(FaultMode.STALL, only="app", until=now + 3)
    shown = ask(method="GET").document
    assert (shown["mode"], shown["only"], shown["seconds_left"]) == ("stall", "app", 3.0)
    assert list(shown["modes"]) == [mode.value for mode in FaultMode]


def test_it_sets_a_fault(ask: Ask, gateway: Gateway, now: float) -> None:
    """With its seconds and its scope; one without them lasts for everybody, until it is ended."""
    query = "mode=latency&only=app%2Froom%2Ftask&seconds=30&latency=1.5&retry_after=9&ahead=-20"
    assert ask(query).status == 200
    faults = gateway.faults
    assert (faults.mode, faults.only, faults.until) == (FaultMode.LATENCY, "app/room/task", now + 30)
    assert (faults.latency, faults.retry_after, faults.ahead) == (1.5, 9, -20)
    assert ask("mode=none").document["seconds_left"] is None
    assert (faults.mode, faults.only) == (FaultMode.NONE, "")


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ("", "mode is none of those"),
        ("mode=nonsense", "mode is none of those"),
        ("mode=stall&second=3", "second is none of"),
        ("mode=stall&seconds=soon", "seconds must be a number"),
        ("mode=stall&seconds=nan", "seconds must be a number"),
        ("mode=stall&seconds=-1", "seconds must be a number"),
        ("mode=stall&latency=1e9", "latency must be a number"),
        ("mode=stall&only=a%20b", "only names an app"),
        ("mode=connection_refused", "takes `seconds`"),
        ("mode=connection_refused&seconds=3&only=app", "and no `only`"),
        ("mode=no_tls&seconds=3", "needs an https endpoint"),
    ],
)
def test_what_makes_no_sense_changes_nothing(query: str, sentence: str, ask: Ask, gateway: Gateway) -> None:
    """400 with a sentence."""
    reply = ask(query)
    assert reply.status == 400
    assert sentence in reply.document["error"]
    assert gateway.faults.mode is FaultMode.NONE


def test_the_door_of_an_https_endpoint(ask: Ask, gateway: Gateway) -> None:
    """There its certificate may be a stranger's for a while."""
    gateway.tls = True
    assert ask("mode=unknown_ca&seconds=3").status == 200
    assert gateway.faults.mode is FaultMode.UNKNOWN_CA
