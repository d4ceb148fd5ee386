"""Callbacks judged by what can be known of a body alone (docs 6348/75124, 69820; API page, MonitorConfig)."""

import json
from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.enums import CallbackOutcome, PageAction, PageReason
from exporter.model.target import TargetId
from exporter.model.task import Callback, PageEvent
from exporter.volcengine.callbacks import CallbackResult, CallbackRules, CallbackShape, RoomEvent, verify_callback

NOW = 1_768_465_805.0
SECRET = "my-callback-secret"
RULES = CallbackRules((SECRET,), ("Webcast",), max_age=900.0)
TARGET = TargetId("661e0000000000000000543c", "Room1", "Task1")
DATA = {
    "AppId": TARGET.app_id,
    "BusinessId": "",
    "RoomId": "Room1",
    "TaskId": "Task1",
    "Status": 5,
    "Reason": "PageCrash",
}

Body = Callable[..., bytes]


def data(**changes: Any) -> str:
    """EventData: of a crash, with some of its values changed; None leaves one out."""
    return json.dumps({key: value for key, value in {**DATA, **changes}.items() if value is not None})


def body(secret: str = SECRET, **changes: Any) -> bytes:
    """The worked example, signed as the vendor signs, whatever it says; None leaves a value out."""
    said = {
        "EventType": "Webcast",
        "EventData": data(),
        "EventTime": "2026-01-15T08:30:05Z",
        "EventId": "evt-0001",
        "AppId": TARGET.app_id,
        "Version": "2020-12-01",
        "Nonce": "4821",
        **changes,
    }
    said = {key: value for key, value in said.items() if value is not None}
    signed = sorted([*(str(value) for value in said.values()), secret])
    return json.dumps({**said, "Signature": sha256("".join(signed).encode()).hexdigest()}).encode()


def outcome(raw: bytes, rules: CallbackRules = RULES, now: float = NOW) -> CallbackOutcome:
    return verify_callback(raw, rules, now).outcome


def page(**changes: Any) -> PageEvent | None:
    """The page event of EventData with these changes."""
    result = verify_callback(body(EventData=data(**changes)), RULES, NOW)
    assert result.callback is not None, result
    return result.callback.page


def test_the_worked_example() -> None:
    """The vendor's way of signing, the task it names, and what happened to its page."""
    raw = body()
    event = PageEvent(PageAction.RESCHEDULE, PageReason.CRASH, NOW)
    signature = sha256(json.loads(raw)["Signature"].encode()).hexdigest()
    keys = ("AppId", "BusinessId", "Reason", "RoomId", "Status", "TaskId")
    callback = Callback(TARGET, "evt-0001", signature, NOW, event)
    assert verify_callback(raw, RULES, NOW) == CallbackResult(
        CallbackOutcome.ACCEPTED, CallbackShape("Webcast", keys), callback=callback
    )


@pytest.mark.parametrize(
    ("status", "reason", "expected"),
    [
        (4, "PageFreeze", (PageAction.REFRESH, PageReason.FREEZE)),
        (4, "PageBlank", (PageAction.REFRESH, PageReason.BLANK)),
        (4, " StartEventTimeout", (PageAction.REFRESH, PageReason.START_TIMEOUT)),
        (5, "PageFreeze", (PageAction.RESCHEDULE, PageReason.FREEZE)),
        (5, "PageCrash", (PageAction.RESCHEDULE, PageReason.CRASH)),
        ("5", "PageCrash", (PageAction.RESCHEDULE, PageReason.CRASH)),
        (4.0, "PageBlank", (PageAction.REFRESH, PageReason.BLANK)),
        (4, "", (PageAction.REFRESH, PageReason.UNSPECIFIED)),
        (4, None, (PageAction.REFRESH, PageReason.UNSPECIFIED)),
        (4, ["PageBlank"], (PageAction.REFRESH, PageReason.UNSPECIFIED)),
        (4, "PageMelt", (PageAction.REFRESH, PageReason.OTHER)),
    ],
)
def test_status_and_reason(status: Any, reason: Any, expected: tuple[PageAction, PageReason]) -> None:
    """Status 4 is a refresh and 5 a rescheduling; the reason is the vendor's word without the spaces around it."""
    found = page(Status=status, Reason=reason)
    assert found == PageEvent(*expected, NOW)


@pytest.mark.parametrize("status", [0, 1, 2, 3])
def test_other_events_are_about_no_page(status: int) -> None:
    """A start or an end names its task all the same, whatever Reason stands there."""
    assert page(Status=status, Reason="PageCrash") is None


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, ()),
        ({"Status": 1}, ()),
        ({"Status": 6}, ("EventData.Status",)),
        ({"Status": -1}, ("EventData.Status",)),
        ({"Status": "soon"}, ("EventData.Status",)),
        ({"Status": None}, ("EventData.Status",)),
        ({"Reason": "PageMelt"}, ("EventData.Reason",)),
    ],
)
def test_undocumented_values_are_named(changes: dict[str, Any], expected: tuple[str, ...]) -> None:
    """The event is taken all the same; an empty Reason is one that was not given."""
    result = verify_callback(body(EventData=data(**changes)), RULES, NOW)
    assert (result.outcome, result.unexpected) == (CallbackOutcome.ACCEPTED, expected)


OTHERWISE = {
    "small keys": body(EventData=json.dumps({key.lower(): value for key, value in DATA.items()})),
    "other cases": body(EventData='{"AppID": "661e0000000000000000543c", "RoomID": "Room1", "taskId": "Task1"}'),
    "app in the envelope alone": body(EventData=data(AppId=None)),
    "empty app": body(EventData=data(AppId="")),
    "Noce": body(Nonce=None, Noce="4821"),
    "a number": body(Nonce=4821),
    "no version": body(Version=None),
    "nanoseconds and a zone": body(EventTime="2026-01-15T16:30:05.123456789+08:00"),
    "byte order mark": b"\xef\xbb\xbf" + body(),
    "small envelope key": body().replace(b'"AppId"', b'"appid"', 1),
    "capital hex": json.dumps({**json.loads(body()), "Signature": json.loads(body())["Signature"].upper()}).encode(),
}


@pytest.mark.parametrize("raw", OTHERWISE.values(), ids=OTHERWISE.keys())
def test_what_is_not_public_may_look_otherwise(raw: bytes) -> None:
    """Keys in any case, numbers as numbers, the spelling of the vendor's overseas twin."""
    result = verify_callback(raw, RULES, NOW)
    assert result.outcome is CallbackOutcome.ACCEPTED
    assert result.callback is not None
    assert result.callback.target == TARGET


def test_any_secret_may_fit() -> None:
    """Several apps, and a rotation: each secret is good, and none that is not there."""
    rules = replace(RULES, secrets=("one", SECRET, "three"))
    expected = [CallbackOutcome.ACCEPTED] * 3
    assert [outcome(body(secret), rules) for secret in ("one", SECRET, "three")] == expected
    for secret in ("", "two", SECRET[:-1], SECRET + " "):
        assert outcome(body(secret), rules) is CallbackOutcome.BAD_SIGNATURE
    assert outcome(body(), replace(RULES, secrets=())) is CallbackOutcome.BAD_SIGNATURE


@pytest.mark.parametrize("key", ["EventType", "EventData", "EventTime", "EventId", "AppId", "Version", "Nonce"])
def test_a_changed_value_does_not_fit(key: str) -> None:
    said = json.loads(body())
    changed = {**said, key: said[key] + "0"}
    assert outcome(json.dumps(changed).encode()) is CallbackOutcome.BAD_SIGNATURE


@pytest.mark.parametrize("signature", ["", None, "0" * 64, "\ud800", 5, " "])
def test_without_its_signature_nothing_is_believed(signature: Any) -> None:
    """Missing, empty, another one, half a character."""
    said = {**json.loads(body()), "Signature": signature}
    said = {key: value for key, value in said.items() if value is not None}
    assert outcome(json.dumps(said).encode()) is CallbackOutcome.BAD_SIGNATURE


def test_half_a_character_has_no_signature() -> None:
    """JSON can write a lone surrogate, which no digest can be made of."""
    said = {**json.loads(body()), "EventId": "\ud800"}
    assert outcome(json.dumps(said).encode()) is CallbackOutcome.BAD_SIGNATURE


def test_the_event_data_is_hashed_as_it_came() -> None:
    """Spaces and escapes are part of it: read and written again, it would be another text."""
    odd = data().replace(":", " :  ").replace("Room1", "Room\\u0031")
    assert outcome(body(EventData=odd)) is CallbackOutcome.ACCEPTED


@pytest.mark.parametrize(
    ("raw", "sentence"),
    [
        (b"", "the body is not JSON"),
        (b"{", "the body is not JSON"),
        (b"\xff", "the body is not JSON"),
        (b'{"EventType": NaN}', "the body is not JSON"),
        (b"[]", "the body is no JSON object"),
        (b'"Webcast"', "the body is no JSON object"),
        (b"null", "the body is no JSON object"),
        (b'{"EventData": {"RoomId": "Room1"}}', "the body has something else than a text as its EventData"),
        (b'{"EventType": ["Webcast"]}', "the body has something else than a text as its EventType"),
        (b'{"Signature": true}', "the body has something else than a text as its Signature"),
        (body(EventData="nothing"), "EventData is not JSON"),
        (body(EventData="[]"), "EventData is no JSON object"),
        (body(EventData=None), "EventData is not JSON"),
        (body(EventData=data(RoomId=None)), "there is no RoomId"),
        (body(EventData=data(RoomId="", TaskId=None)), "there is no RoomId and no TaskId"),
        (body(EventData=data(TaskId=["Task1"])), "there is no TaskId"),
        (body(EventData=data(AppId="another")), "EventData names another AppId than the body"),
        (body(EventData=data(AppId=None), AppId=None), "there is no AppId"),
        (body(EventData=data(TaskId="a/b")), "AppId, RoomId or TaskId is none that the vendor would take"),
        (body(EventData=data(RoomId="r" * 129)), "AppId, RoomId or TaskId is none that the vendor would take"),
        (body(EventId=None), "EventId must have 1 to 256 characters"),
        (body(EventId="e" * 257), "EventId must have 1 to 256 characters"),
        (body(EventId="evt\0"), "EventId must have no NUL character"),
    ],
)
def test_what_is_malformed_is_told_in_a_sentence(raw: bytes, sentence: str) -> None:
    """Of a signed body too; nothing of it is repeated."""
    result = verify_callback(raw, RULES, NOW)
    assert (result.outcome, result.problem, result.callback) == (CallbackOutcome.MALFORMED, sentence, None)


@pytest.mark.parametrize("event_type", ["RecordStarted", "webcasts", "", None])
def test_other_events_are_ignored_whatever_they_say(event_type: str | None) -> None:
    """The vendor sends what was subscribed to in the console; EventData of others may be anything."""
    assert outcome(body(EventType=event_type, EventData="anything")) is CallbackOutcome.IGNORED
    rules = replace(RULES, event_types=("Webcast", "WebcastStateChanged"))
    assert outcome(body(EventType="WebcastStateChanged"), rules) is CallbackOutcome.ACCEPTED


@pytest.mark.parametrize(("age", "stale"), [(0, False), (900, False), (900.1, True), (-900, False), (-900.1, True)])
def test_what_is_too_old_or_too_new_is_stale(age: float, stale: bool) -> None:
    """By the local clock, at the very edge still good; a time far to come could be sent again for ever."""
    result = verify_callback(body(), RULES, NOW + age)
    assert (result.outcome is CallbackOutcome.STALE) == stale
    assert result.callback is not None


def test_a_shape_shows_names_and_never_values() -> None:
    """EventType cut to 64 characters, at most twenty key names cut likewise, also of unsigned ones."""
    canary = "canary-in-a-value"
    wide = json.dumps({**{f"key{number:02d}": canary for number in range(30)}, "k" * 100: canary})
    shape = verify_callback(body("wrong", EventType="E" * 100, EventData=wide), RULES, NOW).shape
    assert (shape.event_type, len(shape.keys)) == ("E" * 64, 20)
    assert max(map(len, shape.keys)) <= 64
    assert canary not in repr(verify_callback(body(EventData=wide), RULES, NOW))


def test_no_repr_tells_a_secret() -> None:
    assert SECRET not in repr(RULES) + repr(verify_callback(body(), RULES, NOW))


@pytest.mark.parametrize("depth", [100, 100_000])
@pytest.mark.usefixtures("no_collection")
def test_deep_nesting_is_malformed_or_ignored(depth: int) -> None:
    """Of the body and of EventData: it costs no more than the stack that JSON needs."""
    nested = "[" * depth + "]" * depth
    assert outcome(nested.encode()) is CallbackOutcome.MALFORMED
    deep = verify_callback(body(EventData='{"RoomId": ' + nested + "}"), RULES, NOW)
    assert deep.outcome is CallbackOutcome.MALFORMED


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from(["RoomId", "TaskId", "AppId", "Status", "Reason", "x"]), JSON))
def test_signed_data_of_any_kind_is_judged(said: dict[str, Any]) -> None:
    """Whatever EventData holds: a result, never an exception, and a callback only with three good ids."""
    result = verify_callback(body(EventData=json.dumps(said)), RULES, NOW)
    assert result.outcome in {CallbackOutcome.ACCEPTED, CallbackOutcome.MALFORMED}
    if result.callback is not None:
        assert TargetId.checked(*result.callback.target) == result.callback.target


@given(st.binary() | JSON.map(lambda value: json.dumps(value).encode()))
def test_no_body_of_anybody_is_taken(raw: bytes) -> None:
    """Bytes and JSON of any kind, unsigned: malformed or a bad signature, and never an exception."""
    assert outcome(raw) in {CallbackOutcome.MALFORMED, CallbackOutcome.BAD_SIGNATURE}


@pytest.mark.parametrize(
    ("written", "at", "documented"),
    [
        ("2026-01-15T08:30:05Z", NOW, True),
        ("2026-01-15T16:30:05+08:00", NOW, True),
        ("2026-01-15T16:30:05+0800", NOW, True),
        ("2026-01-15T16:30:05+08", NOW, True),
        ("2026-01-15t08:30:05z", NOW, True),
        ("2026-01-15T08:30:05.250Z", NOW + 0.25, True),
        ("2026-01-15T08:30:05,250Z", NOW + 0.25, True),
        ("2026-01-15T16:30:05.250000000+08:00", NOW + 0.25, True),
        ("2026-01-15 08:30:05 UTC", NOW, False),
        ("20260115T083005Z", NOW, True),
        ("2026-01-15T03:00:05-05:30", NOW, True),
        ("2026-01-15T08:30:05", NOW, False),
        ("2026-01-15 16:30:05", NOW, False),
        ("2026-01-15T 08:30:05.000000000 Z", NOW, False),
        (" 1768465805 ", NOW, False),
        ("1768465805.5", NOW + 0.5, False),
        ("1768465805250", NOW + 0.25, False),
        ("1768465805250000", NOW + 0.25, False),
        ("1768465805250000000", NOW + 0.25, False),
        ("Thu, 15 Jan 2026 08:30:05 GMT", NOW, False),
        ("2026-01-15T03:30:05", NOW + 60, False),
        ("2026-02-30T08:30:05Z", NOW + 60, False),
        ("1970-07-01T 00:00:00.000000000 Z", NOW + 60, False),
        ("0", NOW + 60, False),
        ("2026-01-15", NOW + 60, False),
        ("today", NOW + 60, False),
        ("\u0662\u0660\u0662\u0666", NOW + 60, False),
        ("", NOW + 60, False),
        (None, NOW + 60, False),
    ],
)
def test_an_odd_event_time_loses_no_event(written: str | None, at: float, *, documented: bool) -> None:
    """It is read where it can be, and is else the time of arrival, here a minute later; what is odd is named."""
    result = verify_callback(body(EventTime=written), RULES, NOW + 60)
    assert result.callback is not None, result
    assert result.outcome is CallbackOutcome.ACCEPTED
    assert result.callback.at == pytest.approx(at)
    assert result.unexpected == (() if documented else ("EventTime",))


ROOM_DATA = {"RoomId": "Room1", "UserId": "webcast_1", "Timestamp": 1768465805, "Reason": "connectionLost"}
ROOM_RULES = replace(RULES, event_types=("Webcast", "UserLeaveRoom", "InvisibleUserLeaveRoom", "UserJoinRoom"))


def room_event(event_type: str = "UserLeaveRoom", now: float = NOW, **changes: Any) -> CallbackResult:
    """The result of a room event with some of its values changed; None leaves one out."""
    said = {key: value for key, value in {**ROOM_DATA, **changes}.items() if value is not None}
    return verify_callback(body(EventType=event_type, EventData=json.dumps(said)), ROOM_RULES, now)


@pytest.mark.parametrize("event_type", ["UserLeaveRoom", "InvisibleUserLeaveRoom", "UserJoinRoom", "userleaveroom"])
def test_a_room_event_names_room_and_user(event_type: str) -> None:
    """It needs no TaskId, and no EventId: nothing of it is counted."""
    result = room_event(event_type)
    expected = RoomEvent(TARGET.app_id, "Room1", "webcast_1")
    assert (result.outcome, result.room_event, result.callback) == (CallbackOutcome.ACCEPTED, expected, None)


def test_room_events_have_bounds_too() -> None:
    """Old ones are stale, those without a room or user malformed, and others' types are ignored as before."""
    assert room_event(now=NOW + 901).outcome is CallbackOutcome.STALE
    bad = [room_event(RoomId=None), room_event(UserId=[]), room_event(AppId="another")]
    assert [result.outcome for result in bad] == [CallbackOutcome.MALFORMED] * 3
    assert [result.field for result in bad] == ["EventData.RoomId", "EventData.UserId", "EventData.AppId"]
    assert room_event("UserLeaveRooms").outcome is CallbackOutcome.IGNORED
    assert outcome(body(EventType="UserLeaveRoom")) is CallbackOutcome.IGNORED, "not in event_types"


@pytest.mark.parametrize(
    ("raw", "wrong"),
    [
        (b"{", "body"),
        (b'{"EventType": ["Webcast"]}', "EventType"),
        (body(EventData="[]"), "EventData"),
        (body(EventData=data(RoomId=None)), "EventData.RoomId"),
        (body(EventData=data(RoomId="", TaskId=None)), "EventData.RoomId, EventData.TaskId"),
        (body(EventData=data(AppId=None), AppId=None), "AppId"),
        (body(EventId=""), "EventId"),
    ],
)
def test_a_malformed_callback_names_its_field(raw: bytes, wrong: str) -> None:
    """For the log, where a person looks for what to mend."""
    assert verify_callback(raw, RULES, NOW).field == wrong
