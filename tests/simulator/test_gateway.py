"""The gateway: replies, codes, the order of the checks, and the log of calls."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.model.credentials import Credentials
from exporter.model.target import TargetId
from exporter.simulator.gateway import CallLog, CallRecord, Gateway, SlidingWindowLimit, busiest_second
from exporter.simulator.lifecycle import Ending, RunPlan, TaskSettings, VideoSolution
from exporter.simulator.replies import NotFoundForm, Outcome, ReplyStyle, VendorReply
from exporter.simulator.signature_check import ApiRequest, SimulatedAccount

Signed = Callable[..., ApiRequest]
Error = Callable[[VendorReply], dict[str, Any]]

SEED_TASK = {
    "StartTime": 1676987478000,
    "EndTime": 1676987489000,
    "Status": 3,
    "StopReason": "StopByAPI",
    "UserId": "Your_UserId",
    "SourceURL": "https://xxxxx",
    "VideoSolutions": [{"Width": 1920, "Height": 1080, "FrameRate": 60, "Bitrate": 10000}],
    "MonitorConfig": {"BlankCheckInterval": 5, "CrashCheckInterval": 5, "FreezeCheckInterval": 5},
    "EventNotifyConfig": {"EnableEventNotify": True, "StartTimeout": 2},
    "MaxRunningTime": 3600,
}
"""The seed page's sample of a reply."""
SEED_PLAN = RunPlan(
    TaskSettings(
        "Your_UserId",
        "https://xxxxx",
        (VideoSolution(1920, 1080, 60, 10000),),
        3600,
        5,
        5,
        5,
        event_notify=True,
        start_timeout=2,
    ),
    ends=11,
    ending=Ending.STOPPED_BY_API,
)


def test_a_reply_is_the_seed_pages(gateway: Gateway, signed: Signed, target: TargetId) -> None:
    """Key by key, in the order of the page's sample, with its casing."""
    at = 1676987495.0
    gateway.fleet.clock = lambda: at
    gateway.fleet.begin(target, SEED_PLAN, age=17)
    reply = gateway.answer(signed(at=at), at)
    request_id = reply.document["ResponseMetadata"]["RequestId"]
    expected = {
        "Result": {"WebcastTask": SEED_TASK},
        "ResponseMetadata": {
            "RequestId": request_id,
            "Action": "GetWebCastTask",
            "Version": "2020-12-01",
            "Service": "rtc",
            "Region": "cn-north-1",
        },
    }
    assert (200, json.dumps(expected)) == (reply.status, json.dumps(reply.document))


def test_every_request_id_is_new(gateway: Gateway, signed: Signed, now: float) -> None:
    """RequestIds are hexadecimal and never come twice, errors included."""
    replies = [gateway.answer(signed(params), now) for params in ({}, {}, {"TaskId": "x"}, {"RoomId": None})]
    ids = {reply.document["ResponseMetadata"]["RequestId"] for reply in replies}
    assert len(ids) == 4
    assert all(int(one, 16) for one in ids)


def test_the_other_casing_and_omitted_zeros(gateway: Gateway, signed: Signed, now: float) -> None:
    """By choice the key is cased as in the page's table, and zero fields are left out as by Go's omitempty."""
    gateway.style = ReplyStyle(task_key="WebCastTask", omit_zero=True)
    expected = {
        "StartTime": round((now - 10) * 1000),
        "Status": 2,
        "UserId": "webcast_1",
        "SourceURL": "https://classroom.example.com/live",
        "VideoSolutions": [{"Width": 1280, "Height": 720, "FrameRate": 15}],
        "MonitorConfig": {},
        "EventNotifyConfig": {},
        "MaxRunningTime": 86400,
    }
    assert {"WebCastTask": expected} == gateway.answer(signed(), now).document["Result"]


@pytest.mark.parametrize("version", ["2020-12-01", "2023-11-01"])
def test_both_versions_answer(version: str, gateway: Gateway, signed: Signed, now: float) -> None:
    """Both API versions are known, and told back."""
    reply = gateway.answer(signed({"Version": version}), now)
    assert (200, version) == (reply.status, reply.document["ResponseMetadata"]["Version"])


@pytest.mark.parametrize(
    ("params", "method"),
    [
        ({"Action": "GetWebcastTask"}, "GET"),
        ({"Action": None}, "GET"),
        ({"Version": "2021-01-01"}, "GET"),
        ({"Version": None}, "GET"),
        ({}, "POST"),
        ({}, "DELETE"),
        ({"Action": "StartWebcast"}, "GET"),
    ],
)
def test_another_action_version_or_method_is_not_there(
    *, params: dict[str, str | None], method: str, gateway: Gateway, signed: Signed, error: Error, now: float
) -> None:
    """404 InvalidActionOrVersion, CodeN 100008."""
    reply = gateway.answer(signed(params, method=method), now)
    assert error(reply) == {"http": 404, "Code": "InvalidActionOrVersion", "CodeN": 100008}


def test_another_path_is_no_service(gateway: Gateway, signed: Signed, error: Error, now: float) -> None:
    """The API is at / alone."""
    reply = gateway.answer(signed(path="/api"), now)
    assert error(reply) == {"http": 404, "Code": "ServiceNotFound", "CodeN": 100007}


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({"AppId": None}, {"http": 400, "Code": "MissingParameter", "CodeN": 100002}),
        ({"RoomId": ""}, {"http": 400, "Code": "MissingParameter", "CodeN": 100002}),
        ({"TaskId": None}, {"http": 400, "Code": "MissingParameter", "CodeN": 100002}),
        ({"AppId": "a b"}, {"http": 400, "Code": "InvalidParameter.IllegalAppId"}),
        ({"RoomId": "a/b"}, {"http": 400, "Code": "InvalidParameter.IllegalRoomID"}),
        ({"TaskId": "x" * 129}, {"http": 400, "Code": "InvalidParameter"}),
        ({"TaskId": "会"}, {"http": 400, "Code": "InvalidParameter"}),
    ],
)
def test_an_id_must_be_there_and_legal(
    *,
    params: dict[str, str | None],
    expected: dict[str, Any],
    gateway: Gateway,
    signed: Signed,
    error: Error,
    now: float,
) -> None:
    """A missing id is the gateway's error with a CodeN and names it; an illegal one is the product's, without."""
    reply = gateway.answer(signed(params), now)
    assert expected == error(reply)
    assert next(iter(params)) in reply.document["ResponseMetadata"]["Error"]["Message"]


def test_a_bad_signature_comes_before_a_bad_parameter(
    gateway: Gateway, signed: Signed, error: Error, credentials: Credentials, now: float
) -> None:
    """Who is not known learns nothing of the parameters."""
    reply = gateway.answer(signed({"AppId": None}, by=replace(credentials, secret_key="wrong")), now)
    assert error(reply) == {"http": 401, "Code": "SignatureDoesNotMatch", "CodeN": 100010}


def test_an_app_of_another_account(
    gateway: Gateway, signed: Signed, credentials: Credentials, target: TargetId, now: float
) -> None:
    """The vendor's own words: InvalidParameter.AccountIdMismatch, Check owner failed."""
    gateway.accounts = (SimulatedAccount("a", (credentials,)), SimulatedAccount("b", (), frozenset({target.app_id})))
    reply = gateway.answer(signed(), now)
    expected = {"Code": "InvalidParameter.AccountIdMismatch", "Message": "Check owner failed"}
    assert expected == reply.document["ResponseMetadata"]["Error"]


@pytest.mark.parametrize(("http_status", "told"), [(200, 200), (429, 429)])
def test_the_61st_call_of_a_second_is_over_the_limit(
    *, http_status: int, told: int, gateway: Gateway, signed: Signed, error: Error, now: float
) -> None:
    """Sixty in [t, t+1) are answered, the next is FlowLimitExceeded.QPSOverLimit, and at t+1 calls pass again."""
    gateway.style = ReplyStyle(throttle_http_status=http_status)
    replies = [gateway.answer(signed(), now + n / 64) for n in range(61)]
    assert [reply.status for reply in replies[:60] if "Error" not in reply.document["ResponseMetadata"]] == [200] * 60
    assert {"http": told, "Code": "FlowLimitExceeded.QPSOverLimit"} == error(replies[60])
    assert gateway.calls.counts == {"answered": 60, "throttled": 1, "refused": 0, "failed": 0}
    assert "Error" not in gateway.answer(signed(), now + 1).document["ResponseMetadata"]


def test_accounts_have_limits_of_their_own(
    gateway: Gateway, signed: Signed, credentials: Credentials, now: float
) -> None:
    """One account's calls leave the other's budget alone."""
    second = replace(credentials, access_key="AKLTsecond")
    gateway.accounts = (SimulatedAccount("a", (credentials,)), SimulatedAccount("b", (second,)))
    for _ in range(61):
        gateway.answer(signed(), now)
    assert gateway.answer(signed(by=second), now).status == 200
    assert gateway.calls.counts == {"answered": 61, "throttled": 1, "refused": 0, "failed": 0}
    assert [gateway.calls.max_calls_in_a_second(account) for account in (None, "a", "b")] == [62, 61, 1]


TRIPLE = {"AppId": "661e0000000000000000543c", "RoomId": "Room1", "TaskId": "Task1"}
ZERO = {
    "StartTime": 0,
    "EndTime": 0,
    "Status": 0,
    "StopReason": "",
    "UserId": "",
    "SourceURL": "",
    "VideoSolutions": [],
    "MonitorConfig": {"BlankCheckInterval": 0, "CrashCheckInterval": 0, "FreezeCheckInterval": 0},
    "EventNotifyConfig": {"EnableEventNotify": False, "StartTimeout": 0},
    "MaxRunningTime": 0,
}


@pytest.mark.parametrize(
    ("form", "result"),
    [
        (NotFoundForm.NULL_RESULT, None),
        (NotFoundForm.EMPTY, {}),
        (NotFoundForm.TEXT, ""),
        (NotFoundForm.NULL_TASK, {"WebcastTask": None}),
        (NotFoundForm.EMPTY_TASK, {"WebcastTask": {}}),
        (NotFoundForm.ALL_ZERO, {"WebcastTask": ZERO}),
        (NotFoundForm.ECHO, {"WebcastTask": {**TRIPLE, "TaskId": "nobody"}}),
        (NotFoundForm.UNKNOWN_REASON, {"WebcastTask": {**ZERO, "StopReason": "UnknownStopReason"}}),
        (NotFoundForm.DEFAULTS, {"WebcastTask": {"MaxRunningTime": 86_400}}),
    ],
)
def test_not_found_can_be_a_result(
    form: NotFoundForm, result: object, gateway: Gateway, signed: Signed, now: float
) -> None:
    """By choice an unknown task is told by a result that says nothing, on HTTP 200."""
    gateway.style = ReplyStyle(not_found=form)
    reply = gateway.answer(signed({"TaskId": "nobody"}), now)
    assert (200, result) == (reply.status, reply.document["Result"])


@pytest.mark.parametrize(
    ("form", "code"),
    [
        (NotFoundForm.ERROR, "InvalidParameter.ErrorActiveTaskNotFound"),
        (NotFoundForm.BARE_ERROR, "InvalidParameter"),
    ],
)
def test_not_found_can_be_an_error_and_is_an_answer(
    form: NotFoundForm, code: str, gateway: Gateway, signed: Signed, now: float
) -> None:
    """The Message says it; to the log of calls it is an answer."""
    gateway.style = ReplyStyle(not_found=form)
    reply = gateway.answer(signed({"TaskId": "nobody"}), now)
    error = reply.document["ResponseMetadata"]["Error"]
    assert (reply.status, error["Code"], "doesn't exist" in error["Message"]) == (400, code, True)
    assert reply.outcome == "answered"


def test_not_found_can_have_no_result(gateway: Gateway, signed: Signed, now: float) -> None:
    """The envelope has its metadata alone."""
    gateway.style = ReplyStyle(not_found=NotFoundForm.MISSING)
    assert list(gateway.answer(signed({"TaskId": "nobody"}), now).document) == ["ResponseMetadata"]


def test_a_task_is_forgotten_after_72_hours(gateway: Gateway, signed: Signed, error: Error, now: float) -> None:
    """Seventy-two hours after its start a task is not found any more."""
    late = now - 10 + 72 * 3600
    assert gateway.answer(signed(at=late), late).status == 200
    assert error(gateway.answer(signed(at=late), late + 1))["Code"] == "InvalidParameter.ErrorActiveTaskNotFound"


def test_calls_are_logged_with_their_outcome(
    gateway: Gateway, signed: Signed, credentials: Credentials, target: TargetId, now: float
) -> None:
    """Each read leaves its time, account, task and outcome; who is not known has no name."""
    gateway.answer(signed(), now)
    gateway.answer(signed({"AppId": "a b"}), now + 1)
    gateway.answer(signed(by=replace(credentials, secret_key="wrong")), now + 2)
    expected = [(now, "default", "answered"), (now + 1, "default", "refused"), (now + 2, "", "refused")]
    assert expected == [(call.at, call.account, call.outcome) for call in gateway.calls.log]
    assert (now, now + 2) == gateway.calls.reads_of(target)


def test_the_pages_need_no_signature(gateway: Gateway, target: TargetId, signed: Signed, now: float) -> None:
    """/targets is the service discovery list, /truth what happened and how it was called."""
    gateway.answer(signed(), now)
    targets, truth = (gateway.answer(ApiRequest("GET", path, "", {}), now).document for path in ("/targets", "/truth"))
    assert [{"targets": [str(target)], "labels": {}}] == targets
    assert truth["tasks"][str(target)]["status"] == "running"
    assert truth["calls"] == {"answered": 1, "throttled": 0, "refused": 0, "failed": 0, "max_in_a_second": 1}


START = {"Action": "StartWebcast"}
STOP = {"Action": "StopWebcast"}


def post(signed: Signed, action: dict[str, str], body: object) -> ApiRequest:
    """A signed call of StartWebcast or StopWebcast."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    ids = {"AppId": None, "RoomId": None, "TaskId": None}
    return signed({**ids, **action}, method="POST", body=raw, extra={"content-type": "application/json"})


IDS = {"AppId": "app", "RoomId": "Room9", "TaskId": "Task9"}
BODY = {**IDS, "UserId": "webcast_9", "SourceURL": "https://classroom.example.com/9", "MaxRunningTime": 600}


def test_start_query_stop(gateway: Gateway, signed: Signed, now: float) -> None:
    """A started task runs a second later, tells its settings, and ends by StopByAPI when it is stopped."""
    time = [now]
    gateway.fleet.clock = lambda: time[0]

    def task() -> tuple[int, str, int]:
        told = gateway.answer(signed(IDS), time[0]).document["Result"]["WebcastTask"]
        return told["Status"], told["StopReason"], told["MaxRunningTime"]

    assert gateway.answer(post(signed, START, BODY), now).document["Result"] == "ok"
    assert task() == (1, "", 600)
    time[0] = now + 1
    assert task() == (2, "", 600)
    assert gateway.answer(post(signed, STOP, IDS), time[0]).document["Result"] == "ok"
    assert task() == (3, "StopByAPI", 600)


def test_starting_twice_does_not_fail(gateway: Gateway, signed: Signed, now: float) -> None:
    """A running task that is started again says so in its result (docs 6348/1188207)."""
    gateway.answer(post(signed, START, BODY), now)
    reply = gateway.answer(post(signed, START, BODY), now)
    expected = "The task has been started. Please do not call the startup task interface repeatedly"
    assert (200, expected) == (reply.status, reply.document["Result"])


@pytest.mark.parametrize(
    ("action", "body", "code"),
    [
        (STOP, IDS, "InvalidParameter.ErrorActiveTaskNotFound"),
        (STOP, b"", "InvalidParameter.BodyIsEmpty"),
        (STOP, b"{", "InvalidParameter.Unmarshal"),
        (STOP, [], "InvalidParameter.Unmarshal"),
        (STOP, {**IDS, "AppId": 1}, "InvalidParameter.IllegalAppId"),
        (START, {**BODY, "MaxRunningTime": 5}, "InvalidParameter"),
        (START, {**BODY, "SourceURL": ""}, "InvalidParameter"),
    ],
)
def test_a_bad_start_or_stop_is_refused(
    *, action: dict[str, str], body: object, code: str, gateway: Gateway, signed: Signed, error: Error, now: float
) -> None:
    """The product's codes for bodies, ids, ranges and tasks that are not there."""
    assert {"http": 400, "Code": code} == error(gateway.answer(post(signed, action, body), now))


def test_a_changed_body_is_no_signed_body(gateway: Gateway, signed: Signed, error: Error, now: float) -> None:
    """The body is under the signature by its SHA-256."""
    request = replace(post(signed, START, BODY), body=json.dumps({**BODY, "TaskId": "Other"}).encode())
    assert error(gateway.answer(request, now)) == {"http": 401, "Code": "SignatureDoesNotMatch", "CodeN": 100010}


ONE, OTHER = TargetId("a", "r", "1"), TargetId("a", "r", "2")


def test_the_61st_call_of_any_second_is_refused() -> None:
    """Sixty calls in [t, t+1) pass, the 61st does not, and at t+1 one place is free again."""
    limit = SlidingWindowLimit(60)
    assert [limit.admit(100 + n / 64) for n in range(60)] == [True] * 60
    assert [limit.admit(at) for at in (100.999, 101.0, 101.0)] == [False, True, False]


def test_a_refused_call_takes_no_place() -> None:
    """Refused calls do not count, so that a caller a little too fast still gets the whole limit."""
    limit = SlidingWindowLimit(2)
    assert sum(limit.admit(n / 8) for n in range(80)) == 20


@settings(deadline=None)
@given(times=st.lists(st.integers(0, 400), max_size=60).map(sorted), most=st.integers(1, 5))
def test_no_second_holds_more_than_the_limit(times: list[int], most: int) -> None:
    """Whatever the arrivals, no [t, t+1) holds more admitted calls than the limit."""
    limit = SlidingWindowLimit(most)
    admitted = [tick / 64 for tick in times if limit.admit(tick / 64)]
    assert all(sum(1 for at in admitted if start <= at < start + 1) <= most for start in admitted)


@pytest.mark.parametrize(
    ("times", "expected"), [([], 0), ([1.0], 1), ([1.0, 2.0], 1), ([1.0, 1.5, 1.99, 2.0, 2.4], 4), ([1, 1, 1], 3)]
)
def test_the_busiest_second_is_half_open(times: list[float], expected: int) -> None:
    """Two calls exactly a second apart are not in one second."""
    assert expected == busiest_second(times)


def test_the_log_answers_how_it_was_called() -> None:
    """Counts by outcome, the reads of one task, and the busiest second of one account or all, in arrival order."""
    calls = CallLog()
    for call in (
        CallRecord(2.0, "x", ONE, Outcome.ANSWERED),
        CallRecord(1.5, "y", OTHER, Outcome.THROTTLED),
        CallRecord(2.2, "x", ONE, Outcome.ANSWERED),
    ):
        calls.record(call)
    assert calls.counts == {"answered": 2, "throttled": 1, "refused": 0, "failed": 0}
    assert [calls.reads_of(ONE), calls.reads_of(OTHER)] == [(2.0, 2.2), (1.5,)]
    assert [calls.max_calls_in_a_second(account) for account in (None, "x", "y")] == [3, 2, 1]
    assert [call.at for call in calls.log] == [1.5, 2.0, 2.2]
