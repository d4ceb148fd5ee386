"""What is fuzzed: bytes of anybody's go in, and only what is promised may come out."""

import json
from collections.abc import Callable, Mapping
from io import BytesIO

from requests import Response

from exporter.enums import CallbackOutcome
from exporter.errors import ReadError
from exporter.model.target import Target, TargetId
from exporter.model.task import ReadResult, Task
from exporter.model.task_state import TaskState, apply_read
from exporter.volcengine.callbacks import CallbackRules, event_signature, verify_callback
from exporter.volcengine.replies import parse_answer, receive

NOW = 1_768_465_805.0
SECRET = "secret-of-the-fuzzer"
RULES = CallbackRules((SECRET,), ("Webcast", "UserLeaveRoom"), max_age=900.0)
TARGET = TargetId("app", "room", "task")
STATUSES = (200, 400, 403, 404, 429, 500, 503)
MAX_SENTENCE = 1000


def reply(data: bytes) -> None:
    """The body of an answer: a task, or one of our own errors in a line; either can be learnt."""
    for status in STATUSES:
        response = Response()
        response.status_code, response.raw = status, BytesIO(data)
        outcome: Task | ReadError
        try:
            outcome = parse_answer(receive(response, lambda: False), NOW).task
        except ReadError as error:
            sentence = str(error)
            assert len(sentence) < MAX_SENTENCE
            assert sentence.isprintable()
            outcome = error
        apply_read(TaskState(Target(TARGET, "default")), ReadResult(TARGET, NOW, NOW, 0.1, outcome))


def callback(data: bytes) -> None:
    """An unsigned body is never taken; the same bytes as signed fields are judged, whatever they say."""
    assert verify_callback(data, RULES, NOW).outcome in (CallbackOutcome.MALFORMED, CallbackOutcome.BAD_SIGNATURE)
    text = data.decode(errors="replace")
    for event_type in ("Webcast", "UserLeaveRoom"):
        outcome = verify_callback(signed({"EventType": event_type, "EventData": text}), RULES, NOW).outcome
        assert outcome is not CallbackOutcome.BAD_SIGNATURE
    timed = verify_callback(signed({"EventTime": text}), RULES, NOW)
    assert timed.outcome in (CallbackOutcome.ACCEPTED, CallbackOutcome.STALE)


def signed(changes: Mapping[str, str]) -> bytes:
    """The body of a good event with some fields changed, signed as the vendor signs."""
    fields = {
        "EventType": "Webcast",
        "EventData": SEEDS["callback"],
        "EventTime": "2026-01-15T08:43:25Z",
        "EventId": "event",
        "AppId": TARGET.app_id,
        "Version": "2020-12-01",
        "Nonce": "4821",
        **changes,
    }
    return json.dumps({**fields, "Signature": event_signature(fields.values(), SECRET)}).encode()


SEEDS: Mapping[str, str] = {
    "reply": '{"ResponseMetadata": {"RequestId": "r", "Error": {"Code": "InternalError", "Message": "m"}}}',
    "callback": '{"AppId": "app", "RoomId": "room", "TaskId": "task", "Status": 5, "Reason": "PageCrash"}',
}
"""What each begins with, beside the payloads."""
SUBJECTS: Mapping[str, Callable[[bytes], None]] = {"reply": reply, "callback": callback}
