"""The gateway: replies, codes, the order of the checks, and the log of calls."""

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.model.target import TargetId
from exporter.simulator.gateway import CallLog, CallRecord, SimulatedAccount, SlidingWindowLimit, busiest_second
from exporter.simulator.lifecycle import Ending, RunPlan, TaskSettings, VideoSolution
from exporter.simulator.replies import NotFoundForm, Outcome
from tests.simulator.conftest import KEY, NOW, TARGET, TRIPLE, error_of

if TYPE_CHECKING:
    from tests.simulator.conftest import Vendor

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
"""The API page's sample of a reply."""
SEED_SETTINGS = TaskSettings(
    "Your_UserId",
    "https://xxxxx",
    (VideoSolution(1920, 1080, 60, 10000),),
    3600,
    5,
    5,
    5,
    event_notify=True,
    start_timeout=2,
)
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
NEW = {"AppId": "app", "RoomId": "Room9", "TaskId": "Task9"}
START = {**NEW, "UserId": "webcast_9", "SourceURL": "https://classroom.example.com/9", "MaxRunningTime": 600}


def test_a_reply_is_the_seed_pages(vendor: "Vendor") -> None:
    """Key by key, in the order of the page's sample, with its casing."""
    vendor.now = 1676987495.0
    vendor.fleet.begin(TARGET, RunPlan(SEED_SETTINGS, ends=11, ending=Ending.STOPPED_BY_API), age=17)
    reply = vendor.answer()
    metadata = {
        "RequestId": reply.document["ResponseMetadata"]["RequestId"],
        "Action": "GetWebCastTask",
        "Version": "2020-12-01",
        "Service": "rtc",
        "Region": "cn-north-1",
    }
    expected = {"Result": {"WebcastTask": SEED_TASK}, "ResponseMetadata": metadata}
    assert (200, json.dumps(expected)) == (reply.status, json.dumps(reply.document))


def test_every_request_id_is_new(vendor: "Vendor") -> None:
    """RequestIds are hexadecimal and never come twice, errors included."""
    replies = [vendor.answer(params) for params in ({}, {}, {"TaskId": "x"}, {"RoomId": None})]
    assert len({int(reply.document["ResponseMetadata"]["RequestId"], 16) for reply in replies}) == 4


@pytest.mark.parametrize("version", ["2020-12-01", "2023-11-01"])
def test_both_versions_answer(version: str, vendor: "Vendor") -> None:
    """Both API versions are known, and told back."""
    reply = vendor.answer({"Version": version})
    assert (200, version) == (reply.status, reply.document["ResponseMetadata"]["Version"])


NO_ACTION = (404, "InvalidActionOrVersion", 100008)
MISSING = (400, "MissingParameter", 100002)


@pytest.mark.parametrize(
    ("params", "how", "expected"),
    [
        ({"Action": "GetWebcastTask"}, {}, NO_ACTION),
        ({"Action": None}, {}, NO_ACTION),
        ({"Version": "2021-01-01"}, {}, NO_ACTION),
        ({"Version": None}, {}, NO_ACTION),
        ({}, {"method": "POST"}, NO_ACTION),
        ({}, {"method": "DELETE"}, NO_ACTION),
        ({"Action": "StartWebcast"}, {}, NO_ACTION),
        ({}, {"path": "/api"}, (404, "ServiceNotFound", 100007)),
        ({"AppId": None}, {}, MISSING),
        ({"RoomId": ""}, {}, MISSING),
        ({"TaskId": None}, {}, MISSING),
        ({"AppId": "a b"}, {}, (400, "InvalidParameter.IllegalAppId", 0)),
        ({"RoomId": "a/b"}, {}, (400, "InvalidParameter.IllegalRoomID", 0)),
        ({"TaskId": "x" * 129}, {}, (400, "InvalidParameter", 0)),
        ({"TaskId": "会"}, {}, (400, "InvalidParameter", 0)),
        ({"AppId": None}, {"by": replace(KEY, secret_key="wrong")}, (401, "SignatureDoesNotMatch", 100010)),
    ],
)
def test_a_bad_call_is_refused(
    params: dict[str, str | None], how: dict[str, Any], expected: tuple[int, str, int], vendor: "Vendor"
) -> None:
    """Action, version, method, path, signature, then ids; a missing or illegal id is named."""
    reply = vendor.answer(params, **how)
    assert error_of(reply) == expected
    if expected == MISSING or expected[1].startswith("InvalidParameter"):
        assert next(iter(params)) in reply.document["ResponseMetadata"]["Error"]["Message"]


def test_an_app_of_another_account(vendor: "Vendor") -> None:
    """The vendor's own words: InvalidParameter.AccountIdMismatch, Check owner failed."""
    other = SimulatedAccount("b", (), frozenset({TARGET.app_id}))
    vendor.gateway.accounts = (SimulatedAccount("a", (KEY,)), other)
    error = vendor.answer().document["ResponseMetadata"]["Error"]
    assert error == {"Code": "InvalidParameter.AccountIdMismatch", "Message": "Check owner failed"}


def test_the_61st_call_of_a_second_is_over_the_limit(vendor: "Vendor") -> None:
    """Sixty in [t, t+1) are answered, the next is FlowLimitExceeded.QPSOverLimit, and at t+1 calls pass again."""
    request = vendor.request()
    replies = [vendor.gateway.answer(request, NOW + n / 64) for n in range(61)]
    assert all("Error" not in reply.document["ResponseMetadata"] for reply in replies[:60])
    assert error_of(replies[60]) == (200, "FlowLimitExceeded.QPSOverLimit", 0)
    assert vendor.gateway.calls.counts == {"answered": 60, "throttled": 1, "refused": 0, "failed": 0}
    assert "Error" not in vendor.gateway.answer(request, NOW + 1).document["ResponseMetadata"]


def test_accounts_have_limits_of_their_own(vendor: "Vendor") -> None:
    """One account's calls leave the other's budget alone."""
    second = replace(KEY, access_key="AKLTsecond")
    vendor.gateway.accounts = (SimulatedAccount("a", (KEY,)), SimulatedAccount("b", (second,)))
    for _ in range(61):
        vendor.answer()
    assert vendor.answer(by=second).status == 200
    calls = vendor.gateway.calls
    assert calls.counts == {"answered": 61, "throttled": 1, "refused": 0, "failed": 0}
    assert [calls.max_calls_in_a_second(account) for account in (None, "a", "b")] == [62, 61, 1]


NOT_FOUND = (400, "InvalidParameter.ErrorActiveTaskNotFound", 0)


@pytest.mark.parametrize(
    ("form", "expected"),
    [
        (NotFoundForm.NULL_RESULT, {"Result": None}),
        (NotFoundForm.EMPTY, {"Result": {}}),
        (NotFoundForm.MISSING, {}),
        (NotFoundForm.TEXT, {"Result": ""}),
        (NotFoundForm.NULL_TASK, {"Result": {"WebcastTask": None}}),
        (NotFoundForm.EMPTY_TASK, {"Result": {"WebcastTask": {}}}),
        (NotFoundForm.ALL_ZERO, {"Result": {"WebcastTask": ZERO}}),
        (NotFoundForm.ECHO, {"Result": {"WebcastTask": {**TRIPLE, "TaskId": "other"}}}),
        (NotFoundForm.UNKNOWN_REASON, {"Result": {"WebcastTask": {**ZERO, "StopReason": "UnknownStopReason"}}}),
        (NotFoundForm.DEFAULTS, {"Result": {"WebcastTask": {"MaxRunningTime": 86_400}}}),
        (NotFoundForm.ERROR, NOT_FOUND),
        (NotFoundForm.BARE_ERROR, (400, "InvalidParameter", 0)),
    ],
)
def test_the_form_of_not_found_is_chosen(form: NotFoundForm, expected: object, vendor: "Vendor") -> None:
    """A result that says nothing on HTTP 200, none, or an error whose Message says it; in the log it is an answer."""
    vendor.gateway.not_found = form
    reply = vendor.answer({"TaskId": "other"})
    assert reply.outcome == "answered"
    if isinstance(expected, tuple):
        assert error_of(reply) == expected
        assert "doesn't exist" in reply.document["ResponseMetadata"]["Error"]["Message"]
    else:
        assert (200, expected) == (reply.status, {k: v for k, v in reply.document.items() if k != "ResponseMetadata"})


def test_a_task_is_forgotten_after_72_hours(vendor: "Vendor") -> None:
    """Seventy-two hours after its start a task is not found any more."""
    vendor.now += 72 * 3600 - 10
    assert vendor.answer().status == 200
    vendor.now += 1
    assert error_of(vendor.answer()) == NOT_FOUND


def test_calls_are_logged_with_their_outcome(vendor: "Vendor") -> None:
    """Each read leaves its time, account, task and outcome; an unknown caller has no name."""
    vendor.answer()
    vendor.answer({"AppId": "a b"})
    vendor.answer(by=replace(KEY, secret_key="wrong"))
    expected = [(NOW, "default", "answered"), (NOW, "default", "refused"), (NOW, "", "refused")]
    assert expected == [(call.at, call.account, call.outcome) for call in vendor.gateway.calls.log]
    assert vendor.gateway.calls.reads_of(TARGET) == (NOW, NOW)


def test_the_pages_need_no_signature(vendor: "Vendor") -> None:
    """/targets is the service discovery list, /truth what happened and how it was called."""
    vendor.answer()
    assert vendor.page("/targets").document == [{"targets": [str(TARGET)], "labels": {}}]
    truth = vendor.page("/truth").document
    assert truth["tasks"][str(TARGET)]["status"] == "running"
    assert truth["calls"] == {"answered": 1, "throttled": 0, "refused": 0, "failed": 0, "max_in_a_second": 1}


def test_start_query_stop(vendor: "Vendor") -> None:
    """A started task runs a second later, tells its settings, and ends by StopByAPI; a second start does not fail."""

    def task() -> tuple[int, str, int]:
        told = vendor.answer(NEW).document["Result"]["WebcastTask"]
        return told["Status"], told["StopReason"], told["MaxRunningTime"]

    assert vendor.post("StartWebcast", START).document["Result"] == "ok"
    assert task() == (1, "", 600)
    vendor.now += 1
    assert task() == (2, "", 600)
    again = vendor.post("StartWebcast", START)
    assert again.document["Result"].startswith("The task has been started. Please do not call")
    assert vendor.post("StopWebcast", NEW).document["Result"] == "ok"
    assert task() == (3, "StopByAPI", 600)


@pytest.mark.parametrize(
    ("action", "body", "code"),
    [
        ("StopWebcast", NEW, "InvalidParameter.ErrorActiveTaskNotFound"),
        ("StopWebcast", b"", "InvalidParameter.BodyIsEmpty"),
        ("StopWebcast", b"{", "InvalidParameter.Unmarshal"),
        ("StopWebcast", [], "InvalidParameter.Unmarshal"),
        ("StopWebcast", {**NEW, "AppId": 1}, "InvalidParameter.IllegalAppId"),
        ("StartWebcast", {**START, "MaxRunningTime": "5 s"}, "InvalidParameter"),
        ("StartWebcast", {**START, "SourceURL": ""}, "InvalidParameter"),
    ],
)
def test_a_bad_start_or_stop_is_refused(action: str, body: object, code: str, vendor: "Vendor") -> None:
    """The product's codes for bodies, ids, parameters and tasks that are not there."""
    assert error_of(vendor.post(action, body)) == (400, code, 0)


def test_the_61st_call_of_any_second_is_refused() -> None:
    """Sixty calls in [t, t+1) pass, the 61st does not, and at t+1 one place is free again."""
    limit = SlidingWindowLimit(60)
    assert [limit.allow(100 + n / 64) for n in range(60)] == [True] * 60
    assert [limit.allow(at) for at in (100.999, 101.0, 101.0)] == [False, True, False]


def test_a_refused_call_takes_no_place() -> None:
    """Refused calls do not count, so that a caller a little too fast still gets the whole limit."""
    limit = SlidingWindowLimit(2)
    assert sum(limit.allow(n / 8) for n in range(80)) == 20


@settings(deadline=None)
@given(times=st.lists(st.integers(0, 400), max_size=60).map(sorted), most=st.integers(1, 5))
def test_no_second_holds_more_than_the_limit(times: list[int], most: int) -> None:
    """Whatever the arrivals, no [t, t+1) holds more admitted calls than the limit."""
    limit = SlidingWindowLimit(most)
    admitted = [tick / 64 for tick in times if limit.allow(tick / 64)]
    assert all(sum(1 for at in admitted if start <= at < start + 1) <= most for start in admitted)


@pytest.mark.parametrize(
    ("times", "expected"), [([], 0), ([1.0], 1), ([1.0, 2.0], 1), ([1.0, 1.5, 1.99, 2.0, 2.4], 4), ([1, 1, 1], 3)]
)
def test_the_busiest_second_is_half_open(times: list[float], expected: int) -> None:
    """Two calls exactly a second apart are not in one second."""
    assert expected == busiest_second(times)


def test_the_log_answers_how_it_was_called() -> None:
    """Counts by outcome, the reads of one task, and the busiest second of one account or all, in arrival order."""
    one, other = TargetId("a", "r", "1"), TargetId("a", "r", "2")
    calls = CallLog()
    for at, account, target in ((2.0, "x", one), (1.5, "y", other), (2.2, "x", one)):
        calls.record(CallRecord(at, account, target, Outcome.ANSWERED))
    assert calls.counts == {"answered": 3, "throttled": 0, "refused": 0, "failed": 0}
    assert [calls.reads_of(one), calls.reads_of(other)] == [(2.0, 2.2), (1.5,)]
    assert [calls.max_calls_in_a_second(account) for account in (None, "x", "y")] == [3, 2, 1]
    assert [call.at for call in calls.log] == [1.5, 2.0, 2.2]
