"""Faults on demand: what each makes of a reply, for which calls and how long."""

import json
import math
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from exporter.simulator.faults import CANARY, CONNECTION_FAULTS, TLS_FAULTS, FaultMode
from exporter.simulator.replies import Outcome, Sending, describe
from tests.simulator.conftest import KEY, NOW, TARGET, error_of

if TYPE_CHECKING:
    from tests.simulator.conftest import Vendor


@pytest.mark.parametrize(
    ("mode", "expected", "outcome"),
    [
        (FaultMode.THROTTLE, (200, "FlowLimitExceeded.QPSOverLimit", 0), "throttled"),
        (FaultMode.SERVER_ERROR, (500, "InternalError", 100014), "failed"),
        (FaultMode.INVALID_ACCESS_KEY, (401, "InvalidAccessKey", 100009), "refused"),
        (FaultMode.INVALID_SIGNATURE, (401, "SignatureDoesNotMatch", 100010), "refused"),
        (FaultMode.INVALID_AUTHORIZATION, (400, "InvalidAuthorization", 0), "refused"),
        (FaultMode.INVALID_CREDENTIAL, (400, "InvalidCredential", 0), "refused"),
        (FaultMode.NO_SIGNATURE, (401, "MissingAuthenticationToken", 100003), "refused"),
        (FaultMode.EXPIRED_TOKEN, (401, "InvalidSecretToken", 0), "refused"),
        (FaultMode.LACK_POLICY, (403, "LackPolicy", 100012), "refused"),
        (FaultMode.APP_DENIED, (403, "AccessDenied.NoPermissionForApp", 0), "refused"),
        (FaultMode.APP_OF_ANOTHER_PROJECT, (403, "LackProjectPolicy", 0), "refused"),
        (FaultMode.APP_OF_ANOTHER_ACCOUNT, (400, "InvalidParameter.AccountIdMismatch", 0), "refused"),
        (FaultMode.APP_UNKNOWN, (400, "InvalidParameter.NotExistAppId", 0), "refused"),
        (FaultMode.NOT_FOUND_ERROR, (400, "InvalidParameter.ErrorActiveTaskNotFound", 0), "answered"),
        (FaultMode.NOT_FOUND_BARE_ERROR, (400, "InvalidParameter", 0), "answered"),
    ],
)
def test_an_error_in_place_of_an_answer(
    mode: FaultMode, expected: tuple[int, str, int], outcome: str, vendor: "Vendor"
) -> None:
    """It answers every call in order, is counted so, and ends when it is switched off."""
    vendor.gateway.faults.mode = mode
    reply = vendor.answer()
    assert (expected, outcome) == (error_of(reply), reply.outcome)
    assert vendor.gateway.calls.counts[reply.outcome] == 1
    vendor.gateway.faults.mode = FaultMode.NONE
    assert "Error" not in vendor.answer().document["ResponseMetadata"]


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
def test_an_answer_without_an_envelope(
    mode: FaultMode, status: int, headers: object, outcome: str, vendor: "Vendor"
) -> None:
    """What stands before the vendor's gateway says its status, its headers and a line of text."""
    vendor.gateway.faults.mode, vendor.gateway.faults.retry_after = mode, 7
    reply = vendor.answer()
    assert (reply.status, reply.headers, reply.outcome, reply.content_type) == (status, headers, outcome, "text/plain")
    assert CANARY.encode() in (reply.body or b"")


@pytest.mark.parametrize(
    ("mode", "body"),
    [
        (FaultMode.HTML, lambda body: body.startswith(b"<!DOCTYPE html>")),
        (FaultMode.EMPTY, lambda body: body == b""),
        (FaultMode.CUT_JSON, lambda body: body.startswith(b"{") and not body.endswith(b"}")),
        (FaultMode.HUGE, lambda body: len(body) > 8 * 1024 * 1024 and "Result" in json.loads(body)),
    ],
)
def test_a_body_that_is_no_answer(mode: FaultMode, body: Callable[[bytes | None], bool], vendor: "Vendor") -> None:
    """On HTTP 200, and counted as a failure of the vendor's."""
    vendor.gateway.faults.mode = mode
    reply = vendor.answer()
    assert (reply.status, reply.outcome, body(reply.body)) == (200, "failed", True)


@pytest.mark.parametrize(
    ("mode", "holds"),
    [
        (FaultMode.NOT_FOUND_NULL, lambda document: document["Result"] is None),
        (FaultMode.NOT_FOUND_EMPTY, lambda document: document["Result"] == {"WebcastTask": {}}),
        (FaultMode.NOT_FOUND_ZERO, lambda document: document["Result"]["WebcastTask"]["MaxRunningTime"] == 0),
        (FaultMode.ODD_FIELDS, lambda document: document["Result"]["WebcastTask"]["Status"] == 2),
        (FaultMode.WRONG_TYPES, lambda document: isinstance(document["Result"]["WebcastTask"]["Status"], str)),
        (FaultMode.NUMBERS_AS_TEXT, lambda document: document["Result"]["WebcastTask"]["Status"] == "2"),
        (FaultMode.LIST, lambda document: list(document[0]) == ["Result", "ResponseMetadata"]),
        (FaultMode.STRANGE_JSON, lambda document: "Result" not in document),
    ],
)
def test_an_answer_that_says_something_else(mode: FaultMode, holds: Callable[[Any], bool], vendor: "Vendor") -> None:
    """JSON on HTTP 200, and counted as an answer."""
    vendor.gateway.faults.mode = mode
    reply = vendor.answer()
    assert (reply.status, reply.outcome, reply.body, holds(reply.document)) == (200, "answered", None, True)


def test_wrong_types_are_wrong_everywhere(vendor: "Vendor") -> None:
    """No field keeps its type; an answer without a task is left alone."""
    right = vendor.answer().document["Result"]["WebcastTask"]
    vendor.gateway.faults.mode = FaultMode.WRONG_TYPES
    wrong = vendor.answer().document["Result"]["WebcastTask"]
    assert wrong.keys() == right.keys()
    assert [name for name in right if type(right[name]) is type(wrong[name])] == []
    assert vendor.answer({"TaskId": "other"}).document["Result"] is None


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
def test_a_broken_network(mode: FaultMode, sending: Sending, vendor: "Vendor") -> None:
    """The right answer does not arrive, and is counted as a failure."""
    vendor.gateway.faults.mode = mode
    reply = vendor.answer()
    assert (reply.sending, reply.outcome) == (sending, Outcome.FAILED)
    assert reply.document["Result"]["WebcastTask"]["Status"] == 2


def test_a_clock_that_is_wrong_refuses_and_its_date_says_why(vendor: "Vendor") -> None:
    """An hour is more than a signature's 900 s, a minute is not; the tasks live by the right clock."""
    faults = vendor.gateway.faults
    faults.mode = FaultMode.CLOCK
    assert (faults.clock_ahead, error_of(vendor.answer())[1]) == (3600, "InvalidTimestamp")
    faults.ahead = -60
    assert vendor.answer().document["Result"]["WebcastTask"]["Status"] == 2
    faults.mode = FaultMode.NONE
    assert faults.clock_ahead == 0


@pytest.mark.parametrize(
    ("only", "meets"),
    [
        ("", True),
        (TARGET.app_id, True),
        (str(TARGET), True),
        ("661e0000000000000000543d", False),
        (f"{TARGET.app_id}/Room1/Task2", False),
    ],
)
def test_a_fault_of_one_app_or_task(*, only: str, meets: bool, vendor: "Vendor") -> None:
    """Others are answered as ever."""
    vendor.gateway.faults.begin(FaultMode.SERVER_ERROR, only=only)
    assert (vendor.answer().status == 500) is meets


def test_a_fault_ends_by_itself(vendor: "Vendor") -> None:
    """At its time, with all that was said of it."""
    faults = vendor.gateway.faults
    faults.begin(FaultMode.STALL, only="app", until=NOW + 5)
    faults.expire(NOW + 4.9)
    assert faults.mode is FaultMode.STALL
    faults.expire(NOW + 5)
    assert (faults.mode, faults.only, faults.until) == (FaultMode.NONE, "", math.inf)


def test_faults_of_the_connection_let_a_call_through(vendor: "Vendor") -> None:
    """A call that has come as far as the gateway is answered; the server refuses connections."""
    for mode in sorted(CONNECTION_FAULTS):
        vendor.gateway.faults.mode = mode
        assert vendor.gateway.faults.of_connection is mode
        assert vendor.answer().document["Result"]["WebcastTask"]["Status"] == 2
    vendor.gateway.faults.mode = FaultMode.STALL
    assert vendor.gateway.faults.of_connection is FaultMode.NONE
    assert TLS_FAULTS < CONNECTION_FAULTS


def test_latency_delays_and_changes_nothing(vendor: "Vendor") -> None:
    """The reply is the right one, later; the gateway itself never waits."""
    vendor.gateway.faults.mode, vendor.gateway.faults.latency = FaultMode.LATENCY, 3.5
    reply = vendor.answer()
    assert (reply.delay, reply.document["Result"]["WebcastTask"]["Status"]) == (3.5, 2)


def test_an_unknown_caller_meets_no_fault(vendor: "Vendor") -> None:
    """Faults are of calls whose signature is good: a wrong key is told as such."""
    vendor.gateway.faults.mode = FaultMode.SERVER_ERROR
    assert error_of(vendor.answer(by=replace(KEY, access_key="unknown")))[1] == "InvalidAccessKey"


def test_every_mode_is_described() -> None:
    assert [line.split()[0] for line in describe(FaultMode).splitlines()] == [mode.value for mode in FaultMode]
    assert all(mode.says for mode in FaultMode)


def test_the_page_tells_what_is_in_force(vendor: "Vendor") -> None:
    vendor.gateway.faults.begin(FaultMode.STALL, only="app", until=NOW + 3)
    shown = vendor.page("/fault").document
    assert (shown["mode"], shown["only"], shown["seconds_left"]) == ("stall", "app", 3.0)
    assert list(shown["modes"]) == [mode.value for mode in FaultMode]


def test_the_page_sets_a_fault(vendor: "Vendor") -> None:
    """With its seconds and its scope; one without them lasts for all callers, until it is ended."""
    query = "mode=latency&only=app%2Froom%2Ftask&seconds=30&latency=1.5&retry_after=9&ahead=-20"
    assert vendor.page("/fault", query, "POST").status == 200
    faults = vendor.gateway.faults
    assert (faults.mode, faults.only, faults.until) == (FaultMode.LATENCY, "app/room/task", NOW + 30)
    assert (faults.latency, faults.retry_after, faults.ahead) == (1.5, 9, -20)
    assert vendor.page("/fault", "mode=none", "POST").document["seconds_left"] is None
    assert (faults.mode, faults.only) == (FaultMode.NONE, "")
    vendor.gateway.tls = True
    assert vendor.page("/fault", "mode=unknown_ca&seconds=3", "POST").status == 200


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
def test_what_makes_no_sense_changes_nothing(query: str, sentence: str, vendor: "Vendor") -> None:
    reply = vendor.page("/fault", query, "POST")
    assert (reply.status, sentence in reply.document["error"]) == (400, True)
    assert vendor.gateway.faults.mode is FaultMode.NONE
