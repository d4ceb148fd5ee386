"""What a reply of GetWebCastTask is read as, one payload for each oddity."""

import json
from pathlib import Path
from typing import Any

import pytest

from exporter.enums import Status, StopReason
from exporter.errors import BadSchema, NotFound
from exporter.model.task import EventNotify, MonitorIntervals, Task, VideoStream
from exporter.volcengine.replies import FIELDS, Reply, parse_reply

PAYLOADS = Path(__file__).parent.parent / "payloads"

EXAMPLE = Task(
    status=Status.ENDED,
    start=1676987478.0,
    end=1676987489.0,
    stop_reason=StopReason.STOP_BY_API,
    user_id="Your_UserId",
    source_host="xxxxx",
    max_running_time=3600,
    video=(VideoStream(width=1920, height=1080, frames_per_second=60, max_bytes_per_second=1_250_000),),
    monitor=MonitorIntervals(freeze=5, blank=5, crash=5),
    event_notify=EventNotify(enabled=True, start_timeout=2),
)


def payload(name: str) -> Any:
    """The decoded JSON of one file."""
    return json.loads((PAYLOADS / f"{name}.json").read_text())


@pytest.mark.parametrize(
    "name",
    [
        "seed-example",
        "key-cased-as-in-the-table",
        "key-in-lower-case",
        "two-casings-one-null",
        "numbers-as-strings",
        "numbers-as-floats",
    ],
)
def test_the_seed_example_is_read_whole_in_every_spelling(name: str) -> None:
    """The vendor's example gives every value in base units, however its key is cased and its numbers are written."""
    assert Reply(EXAMPLE) == parse_reply(payload(name))


@pytest.mark.parametrize(
    "name",
    [
        "result-missing",
        "result-null",
        "result-empty",
        "result-is-a-list",
        "task-null",
        "task-empty",
        "task-all-zero",
        "task-all-zero-as-strings",
    ],
)
def test_an_answer_that_holds_nothing_is_not_found(name: str) -> None:
    """No result, a null one, and an empty or all-zero task all say that the API knows no such task."""
    with pytest.raises(NotFound):
        parse_reply(payload(name))


@pytest.mark.parametrize(
    ("name", "unexpected"),
    [
        ("no-object", ()),
        ("result-is-a-string", ()),
        ("result-of-another-action", ()),
        ("task-is-a-list", ()),
        ("status-missing", ("Status",)),
        ("status-nine", ("Status",)),
        ("status-a-word", ("Status",)),
    ],
)
def test_json_that_is_no_reply_is_a_schema_failure(name: str, unexpected: tuple[str, ...]) -> None:
    """Another shape is no "not found"; an unusable Status, missing or not, is no "unknown", and is named."""
    with pytest.raises(BadSchema) as raised:
        parse_reply(payload(name))
    assert unexpected == raised.value.unexpected


@pytest.mark.parametrize(
    ("name", "unexpected"),
    [
        ("status-zero-with-a-task", ()),
        ("not-started", ()),
        ("running", ()),
        ("running-without-start", ("StartTime",)),
        ("running-with-an-end", ()),
        ("ended-without-end", ("EndTime",)),
        ("failed-before-it-started", ()),
        ("stopped-by-the-page", ("StopReason",)),
        ("stop-reason-missing", ()),
        ("times-in-seconds", ("StartTime", "EndTime")),
        ("three-streams", ("VideoSolutions",)),
        ("stream-null", ("VideoSolutions",)),
        ("no-streams", ()),
        ("streams-null", ("VideoSolutions",)),
        ("configs-null", ("MonitorConfig", "EventNotifyConfig")),
        ("event-notify-off-without-timeout", ()),
        ("event-notify-as-a-string", ()),
        ("source-url-with-authentication", ()),
        ("source-url-broken", ("SourceURL",)),
        ("user-id-a-number", ("UserId",)),
        ("user-id-a-lone-surrogate", ("UserId",)),
        (
            "numbers-as-booleans",
            (
                "VideoSolutions.Width",
                "VideoSolutions.Height",
                "VideoSolutions.FrameRate",
                "VideoSolutions.Bitrate",
                "MaxRunningTime",
                "MonitorConfig.FreezeCheckInterval",
                "MonitorConfig.BlankCheckInterval",
                "MonitorConfig.CrashCheckInterval",
                "EventNotifyConfig.StartTimeout",
            ),
        ),
        (
            "configs-empty",
            (
                "MonitorConfig.FreezeCheckInterval",
                "MonitorConfig.BlankCheckInterval",
                "MonitorConfig.CrashCheckInterval",
                "EventNotifyConfig.EnableEventNotify",
                "EventNotifyConfig.StartTimeout",
            ),
        ),
        (
            "status-alone",
            (
                "StartTime",
                "UserId",
                "SourceURL",
                "VideoSolutions",
                "MaxRunningTime",
                "MonitorConfig",
                "EventNotifyConfig",
            ),
        ),
    ],
)
def test_exactly_what_is_not_as_documented_is_named(name: str, unexpected: tuple[str, ...]) -> None:
    """An absence that the vendor documents is nothing unexpected; any other, and any bad value, is, by its path."""
    assert sorted(unexpected) == sorted(parse_reply(payload(name)).unexpected)


def test_each_field_is_named_once() -> None:
    """Two broken streams name their field once: the counter counts replies, not streams."""
    task = payload("seed-example")["Result"]["WebcastTask"]
    task["VideoSolutions"] = [{}, {}, None]
    unexpected = parse_reply({"Result": {"WebcastTask": task}}).unexpected
    streams = [f"VideoSolutions.{field}" for field in ("Width", "Height", "FrameRate", "Bitrate")]
    assert sorted(["VideoSolutions", *streams]) == sorted(unexpected)
    assert len(set(FIELDS)) == len(FIELDS)
    assert set(unexpected) < set(FIELDS)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("status-zero-with-a-task", (Status.UNKNOWN, 1676987478.0, None, None)),
        ("not-started", (Status.NOT_STARTED, None, None, None)),
        ("running", (Status.RUNNING, 1676987478.0, None, None)),
        ("running-without-start", (Status.RUNNING, None, None, None)),
        ("running-with-an-end", (Status.RUNNING, 1676987478.0, None, None)),
        ("ended-without-end", (Status.ENDED, 1676987478.0, None, StopReason.STOP_BY_API)),
        ("failed-before-it-started", (Status.FAILED, None, None, StopReason.START_TASK_FAILED)),
        ("stopped-by-the-page", (Status.ENDED, 1676987478.0, 1676987489.0, StopReason.OTHER)),
        ("stop-reason-missing", (Status.ENDED, 1676987478.0, 1676987489.0, StopReason.UNSPECIFIED)),
        ("times-in-seconds", (Status.ENDED, None, None, StopReason.STOP_BY_API)),
    ],
)
def test_times_and_reason_follow_the_status(
    name: str, expected: tuple[Status, float | None, float | None, StopReason | None]
) -> None:
    """An end and a reason are kept of stopped tasks only; 0 is no time; a time in seconds is none."""
    task = parse_reply(payload(name)).task
    assert expected == (task.status, task.start, task.end, task.stop_reason)


@pytest.mark.parametrize(
    ("value", "unexpected"), [(1676987478000, ()), ("1676987478000", ()), (0, ()), ("soon", ("StartTime",))]
)
def test_a_task_that_has_not_started_has_no_start(value: object, unexpected: tuple[str, ...]) -> None:
    """A StartTime beside "not started" is a plan at best: it is not kept, and not named if it is one."""
    document = payload("not-started")
    document["Result"]["WebCastTask"]["StartTime"] = value
    reply = parse_reply(document)
    assert (None, unexpected) == (reply.task.start, reply.unexpected)


def test_two_streams_are_kept_in_their_order() -> None:
    """The vendor documents at most two streams; a null one keeps its place, so that the other keeps its number."""
    assert EXAMPLE.video * 2 == parse_reply(payload("three-streams")).task.video
    assert (VideoStream(), *EXAMPLE.video) == parse_reply(payload("stream-null")).task.video
    assert parse_reply(payload("no-streams")).task.video == ()


def test_a_missing_config_says_nothing() -> None:
    """Without its parent a value is not said: None, never the vendor's default."""
    task = parse_reply(payload("configs-null")).task
    assert (MonitorIntervals(), EventNotify()) == (task.monitor, task.event_notify)
    assert EventNotify(enabled=False) == parse_reply(payload("event-notify-off-without-timeout")).task.event_notify


def test_of_the_source_url_only_the_host_is_kept() -> None:
    """Authentication in SourceURL is nowhere in what the parser gives back; a broken one is kept in no part."""
    read = parse_reply(payload("source-url-with-authentication"))
    assert read.task.source_host == "class.example.com"
    assert [secret for secret in ("pa55word", "s3cret", "teacher", "8443", "live") if secret in repr(read)] == []
    broken = parse_reply(payload("source-url-broken"))
    assert broken.task.source_host == ""
    assert "s3cret" not in repr(broken)


@pytest.mark.parametrize("name", ["task-is-a-list", "status-a-word", "result-of-another-action"])
def test_an_error_repeats_no_value(name: str) -> None:
    """The sentence of a schema failure is ours alone, and no earlier exception hangs on it."""
    document = payload(name)
    with pytest.raises(BadSchema) as raised:
        parse_reply(json.loads(json.dumps(document).replace("xxxxx", "s3cret")))
    assert [word for word in ("s3cret", "running", "RecordTask") if word in str(raised.value)] == []
    assert raised.value.__context__ is None


def test_user_ids_can_be_shown() -> None:
    """A lone surrogate, legal in JSON, cannot be encoded; it must not break the page that shows it."""
    assert parse_reply(payload("user-id-a-lone-surrogate")).task.user_id == "web\ufffdcast"
    assert parse_reply(payload("user-id-a-number")).task.user_id == ""


def test_an_unasked_key_beside_the_task_changes_nothing() -> None:
    """The vendor may add fields; none of them is unexpected."""
    document = payload("seed-example")
    document["Result"]["Extra"] = {"Nested": [1]}
    document["Result"]["WebcastTask"]["TaskId"] = "Task1"
    assert Reply(EXAMPLE) == parse_reply(document)


def test_the_closed_set_of_fields_is_the_seed_pages() -> None:
    """The names that a counter exists at zero for are the vendor's, with a dot path, parents included."""
    expected = """
        StartTime EndTime Status StopReason UserId SourceURL
        VideoSolutions VideoSolutions.Width VideoSolutions.Height VideoSolutions.FrameRate VideoSolutions.Bitrate
        MaxRunningTime
        MonitorConfig MonitorConfig.FreezeCheckInterval MonitorConfig.BlankCheckInterval
        MonitorConfig.CrashCheckInterval
        EventNotifyConfig EventNotifyConfig.EnableEventNotify EventNotifyConfig.StartTimeout
    """
    assert tuple(expected.split()) == FIELDS


@pytest.mark.parametrize("document", [{}, {"message": "please log in"}, {"code": 0, "data": {}}])
def test_the_json_of_somebody_else_is_no_unknown_task(document: dict[str, object]) -> None:
    """Without the vendor's envelope nothing is said of the task; "not found" would end its run as lost."""
    with pytest.raises(BadSchema):
        parse_reply(document)
