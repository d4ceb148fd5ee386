"""StartWebcast and StopWebcast, as far as a test needs them to make tasks."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from exporter.simulator.gateway import Gateway
from exporter.simulator.replies import Reply
from exporter.simulator.wire import Request

Signed = Callable[..., Request]
Error = Callable[[Reply], dict[str, Any]]

START = {"Action": "StartWebcast"}
STOP = {"Action": "StopWebcast"}


def post(signed: Signed, action: dict[str, str], body: object) -> Request:
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
