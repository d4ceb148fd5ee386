"""What a reply of GetWebCastTask is read as: one payload for each oddity, every range, and properties of any JSON."""

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.enums import STATUS_OF_CODE, VENDOR_STOP_REASONS, Status, StopReason
from exporter.errors import BadSchema, NotFound
from exporter.model.task import EventNotify, MonitorIntervals, Task, VideoStream
from exporter.volcengine.replies import FIELDS, Reply, is_empty, parse_reply

PAYLOADS = Path(__file__).parent.parent / "payloads"

STREAM = tuple(f"VideoSolutions.{field}" for field in ("Width", "Height", "FrameRate", "Bitrate"))
MONITOR = tuple(f"MonitorConfig.{check}CheckInterval" for check in ("Freeze", "Blank", "Crash"))
PARENTS = ("UserId", "SourceURL", "VideoSolutions")

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
        "task-in-a-list",
        "two-casings-one-null",
        "numbers-as-strings",
        "numbers-as-floats",
    ],
)
def test_the_seed_example_is_read_whole_in_every_spelling(name: str) -> None:
    """The vendor's example gives every value in base units, however its key is cased and its numbers are written."""
    assert Reply(EXAMPLE) == parse_reply(payload(name))


@pytest.mark.parametrize(
    ("name", "unexpected"),
    [
        ("no-object", ()),
        ("result-is-a-string", ()),
        ("result-of-another-action", ()),
        ("two-tasks-in-a-list", ()),
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
        ("numbers-as-booleans", (*STREAM, "MaxRunningTime", *MONITOR, "EventNotifyConfig.StartTimeout")),
        ("configs-empty", (*MONITOR, "EventNotifyConfig.EnableEventNotify", "EventNotifyConfig.StartTimeout")),
        ("status-alone", ("StartTime", *PARENTS, "MaxRunningTime", "MonitorConfig", "EventNotifyConfig")),
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


@pytest.mark.parametrize("name", ["two-tasks-in-a-list", "status-a-word", "result-of-another-action"])
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


MILLISECONDS_OF_2001 = 978_307_200_000
MILLISECONDS_OF_2201 = 7_289_654_400_000


@dataclass(frozen=True)
class Row:
    """One line of the API page's table: where the value stands in the reply and in the Task, and what it can be."""

    path: str
    attribute: str
    good: tuple[int, ...]
    bad: tuple[int, ...]
    default: int
    factor: int = 1


TABLE = (
    Row("MaxRunningTime", "max_running_time", (10, 86_400), (0, 9, 86_401), 86_400),
    Row("MonitorConfig.FreezeCheckInterval", "monitor.freeze", (0, 2, 30), (-1, 1, 31), 0),
    Row("MonitorConfig.BlankCheckInterval", "monitor.blank", (0, 2, 30), (-1, 1, 31), 0),
    Row("MonitorConfig.CrashCheckInterval", "monitor.crash", (0, 1, 30), (-1, 31), 0),
    Row("VideoSolutions.Width", "video.0.width", (50, 1920), (0, 49, 1921), 1280),
    Row("VideoSolutions.Height", "video.0.height", (50, 1080), (0, 49, 1081), 720),
    Row("VideoSolutions.FrameRate", "video.0.frames_per_second", (1, 60), (0, 61), 15),
    Row("VideoSolutions.Bitrate", "video.0.max_bytes_per_second", (0, 10_000), (-1, 10_001), 0, factor=125),
    Row("EventNotifyConfig.StartTimeout", "event_notify.start_timeout", (0, 60), (-1, 61), 0),
)
BLANKS = (None, "", " ")
NO_WHOLE_NUMBERS = (True, False, 5.5, "5.5", "five", "0x10", "1_0", "\u0665", "+", "--5", [5], {"5": 5})
ENDLESS = (math.nan, math.inf, -math.inf, "NaN", "Infinity", "1e999", "9" * 5000, "0" * 40 + "60", 10**4000, 1e300)


def read(path: str, value: object) -> Reply:
    """A running task that is as documented, but for one value."""
    task: dict[str, Any] = {
        "StartTime": 1676987478000,
        "Status": 2,
        "UserId": "u",
        "SourceURL": "https://h",
        "MaxRunningTime": 3600,
        "VideoSolutions": [{"Width": 1280, "Height": 720, "FrameRate": 15, "Bitrate": 0}],
        "MonitorConfig": {"FreezeCheckInterval": 0, "BlankCheckInterval": 0, "CrashCheckInterval": 0},
        "EventNotifyConfig": {"EnableEventNotify": True, "StartTimeout": 0},
    }
    *parents, key = path.split(".")
    holder = task
    for parent in parents:
        holder = holder[parent][0] if parent == "VideoSolutions" else holder[parent]
    holder[key] = value
    return parse_reply({"Result": {"WebCastTask": task}})


def kept(reply: Reply, attribute: str) -> object:
    value: Any = reply.task
    for step in attribute.split("."):
        value = value[int(step)] if step.isdigit() else getattr(value, step)
    return value


@pytest.mark.parametrize(("row", "value"), [(row, value) for row in TABLE for value in (*row.good, row.default)])
def test_a_documented_value_is_kept(row: Row, value: int) -> None:
    """Both edges of the range, 0 where it means "off", and the default are values like any other."""
    for written in (value, float(value), str(value), f" {value} ", f"{value}.0", f"+{value}", f"{value}e0"):
        reply = read(row.path, written)
        assert (value * row.factor, int, ()) == (
            kept(reply, row.attribute),
            type(kept(reply, row.attribute)),
            reply.unexpected,
        )


@pytest.mark.parametrize(("row", "value"), [(row, value) for row in TABLE for value in row.bad])
def test_one_beyond_the_range_is_not_kept(row: Row, value: int) -> None:
    """A value that the vendor does not document is shown nowhere, and named."""
    for written in (value, str(value)):
        reply = read(row.path, written)
        assert (None, (row.path,)) == (kept(reply, row.attribute), reply.unexpected)


@pytest.mark.parametrize("value", [*BLANKS, *NO_WHOLE_NUMBERS, *ENDLESS], ids=lambda value: repr(value)[:20])
@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.path)
def test_what_is_no_whole_number_is_not_kept(row: Row, value: object) -> None:
    """A boolean is no number, a fraction no whole one, and no size of number stops the exporter."""
    reply = read(row.path, value)
    assert (None, (row.path,)) == (kept(reply, row.attribute), reply.unexpected)


@pytest.mark.parametrize("code", range(5))
def test_every_status_code_has_its_word(code: int) -> None:
    """0 to 4 are unknown, not_started, running, ended, failed, also when written as a string or a float."""
    words = ("unknown", "not_started", "running", "ended", "failed")
    for written in (code, str(code), f" {code} ", float(code)):
        assert words[code] == read("Status", written).task.status


@pytest.mark.parametrize(
    ("key", "attribute", "value", "expected"),
    [
        ("StartTime", "start", 1676987478000, 1676987478.0),
        ("StartTime", "start", "1676987478123", 1676987478.123),
        ("StartTime", "start", MILLISECONDS_OF_2001, 978307200.0),
        ("StartTime", "start", MILLISECONDS_OF_2001 - 1, None),
        ("StartTime", "start", MILLISECONDS_OF_2201 - 1, 7289654399.999),
        ("StartTime", "start", MILLISECONDS_OF_2201, None),
        ("StartTime", "start", -1, None),
        ("StartTime", "start", 0, None),
        ("StartTime", "start", None, None),
        ("StartTime", "start", "", None),
        ("StartTime", "start", True, None),
        ("EndTime", "end", -1, None),
        ("EndTime", "end", 1676987489, None),
        ("EndTime", "end", "soon", None),
    ],
)
def test_times_are_milliseconds_of_a_plausible_year(
    key: str, attribute: str, value: object, expected: float | None
) -> None:
    """Milliseconds become seconds; outside 2001 to 2200, or no number, nothing is kept and the field is named."""
    reply = read(key, value)
    assert (expected, () if expected else (key,)) == (kept(reply, attribute), reply.unexpected)


@pytest.mark.parametrize("status", list(Status))
@pytest.mark.parametrize("key", ["StartTime", "EndTime"])
def test_a_time_is_missed_only_where_it_is_due(status: Status, key: str) -> None:
    """A start may be missing before there is one, an end until the task has ended; a failed task may lack both."""
    times = {"StartTime": 1676987478000, "EndTime": 1676987489000}
    due = {"StartTime": {Status.RUNNING, Status.ENDED}, "EndTime": {Status.ENDED}}
    for value in (0, None, "0"):
        task = {"UserId": "u", "Status": STATUS_OF_CODE.index(status), **times, key: value}
        unexpected = parse_reply({"Result": {"WebCastTask": task}}).unexpected
        assert (status in due[key]) == (key in unexpected)


@pytest.mark.parametrize(
    ("value", "reason", "named"),
    [
        *((word, reason, False) for word, reason in VENDOR_STOP_REASONS.items()),
        (" StopByAPI ", StopReason.STOP_BY_API, False),
        ("", StopReason.UNSPECIFIED, False),
        (" ", StopReason.UNSPECIFIED, False),
        (None, StopReason.UNSPECIFIED, False),
        ("stopbyapi", StopReason.OTHER, True),
        ("Lost", StopReason.OTHER, True),
        (3, StopReason.UNSPECIFIED, True),
        (["StopByAPI"], StopReason.UNSPECIFIED, True),
    ],
)
def test_a_stop_has_one_of_the_known_reasons(value: object, reason: StopReason, *, named: bool) -> None:
    """The vendor's words stay, an unknown one is Other, none is Unspecified; our own Lost is never the vendor's."""
    for status, kept_reason in ((3, reason), (4, reason), (2, None), (1, None), (0, None)):
        task = {"UserId": "u", "Status": status, "StopReason": value}
        reply = parse_reply({"Result": {"WebCastTask": task}})
        assert (kept_reason, named) == (reply.task.stop_reason, "StopReason" in reply.unexpected)


@pytest.mark.parametrize("value", [None, 0, 1, "on", "", []])
def test_event_notification_is_on_or_off(value: object) -> None:
    """Only a JSON boolean says so; with anything else a missing timeout is missed too."""
    config = {"EnableEventNotify": value}
    task = {"UserId": "u", "Status": 2, "EventNotifyConfig": config}
    reply = parse_reply({"Result": {"WebCastTask": task}})
    assert reply.task.event_notify.enabled is None
    expected = {"EventNotifyConfig.EnableEventNotify", "EventNotifyConfig.StartTimeout"}
    assert expected == {field for field in reply.unexpected if field.startswith("EventNotify")}


SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(), st.integers().map(str), st.floats().map(str),
    st.sampled_from(["StopByAPI", "https://h/?token=s", "https://[", 3, 1676987478000, "9" * 6000, 10**4000]),
)  # fmt: skip
KEYS = st.one_of(st.text(), st.sampled_from([part for field in FIELDS for part in field.split(".")]))
JSON = st.recursive(SCALARS, lambda inner: st.lists(inner) | st.dictionaries(KEYS, inner), max_leaves=12)
OBJECTS = st.dictionaries(KEYS, SCALARS)
CONFIGS = st.one_of(SCALARS, OBJECTS, st.lists(st.one_of(OBJECTS, SCALARS), max_size=4))
TASKS = st.fixed_dictionaries(
    {"Status": st.sampled_from([0, 1, 2, 3, 4, "3", " 2 ", 4.0])},
    optional={field: CONFIGS for field in FIELDS if "." not in field and field != "Status"},
)


@given(
    st.one_of(JSON, st.fixed_dictionaries({"Result": st.one_of(JSON, st.fixed_dictionaries({"WebCastTask": JSON}))}))
)
def test_any_json_is_a_reply_or_one_of_two_errors(document: object) -> None:
    """No JSON value whatever ends in anything but a Reply, NotFound or BadSchema."""
    try:
        reply = parse_reply(document)
    except (NotFound, BadSchema):
        return
    assert isinstance(reply, Reply)


@given(TASKS)
def test_any_task_with_a_status_is_read(task: dict[str, Any]) -> None:
    """With a usable Status no other field can make the read fail; names are known, each once; the text can be shown."""
    try:
        reply = parse_reply({"Result": {"WebCastTask": task}})
    except NotFound:
        assert task["Status"] == 0, "a task in any other state exists"
        assert all(is_empty(task.get(field)) for field in ("StartTime", "EndTime", "UserId", "SourceURL"))
        return
    assert STATUS_OF_CODE[int(task["Status"])] is reply.task.status
    assert len(reply.unexpected) == len(set(reply.unexpected))
    assert set(reply.unexpected) <= set(FIELDS) - {"Status"}
    assert len(reply.task.video) <= 2
    assert (reply.task.stop_reason is not None) == reply.task.stopped
    assert len(reply.task.user_id.encode()) <= 4 * 128
    assert len(reply.task.source_host.encode()) <= 4 * 253


def numbers(low: int, high: int) -> st.SearchStrategy[int]:
    """The whole numbers of a documented range, both ends included."""
    return st.integers(low, high)


MOMENTS = st.integers(978_307_200_000, 7_289_654_399_999).map(lambda milliseconds: milliseconds / 1000)
OFF_OR = st.one_of(st.just(0), numbers(2, 30))
WELL_FORMED = st.builds(
    Task,
    status=st.sampled_from([Status.ENDED, Status.FAILED]),
    start=MOMENTS,
    end=MOMENTS,
    stop_reason=st.sampled_from(list(VENDOR_STOP_REASONS.values())),
    user_id=st.from_regex(r"[a-zA-Z0-9_@\-.]{1,128}", fullmatch=True),
    source_host=st.from_regex(r"[a-z0-9][a-z0-9.\-]{0,60}", fullmatch=True),
    max_running_time=numbers(10, 86_400),
    video=st.lists(
        st.builds(
            VideoStream,
            width=numbers(50, 1920),
            height=numbers(50, 1080),
            frames_per_second=numbers(1, 60),
            max_bytes_per_second=numbers(0, 10_000).map(lambda kbps: kbps * 125),
        ),
        max_size=2,
    ).map(tuple),
    monitor=st.builds(MonitorIntervals, freeze=OFF_OR, blank=OFF_OR, crash=numbers(0, 30)),
    event_notify=st.builds(EventNotify, enabled=st.booleans(), start_timeout=numbers(0, 60)),
)


def written(task: Task, *, as_strings: bool) -> dict[str, Any]:
    """The task as the vendor would write it."""
    number = str if as_strings else int
    assert task.start is not None
    assert task.end is not None
    return {
        "StartTime": number(round(task.start * 1000)),
        "EndTime": number(round(task.end * 1000)),
        "Status": number(STATUS_OF_CODE.index(task.status)),
        "StopReason": task.stop_reason,
        "UserId": task.user_id,
        "SourceURL": f"https://{task.source_host}:8443/live?token=secret",
        "MaxRunningTime": number(task.max_running_time or 0),
        "VideoSolutions": [
            {
                "Width": number(stream.width or 0),
                "Height": number(stream.height or 0),
                "FrameRate": number(stream.frames_per_second or 0),
                "Bitrate": number((stream.max_bytes_per_second or 0) // 125),
            }
            for stream in task.video
        ],
        "MonitorConfig": {
            "FreezeCheckInterval": number(task.monitor.freeze or 0),
            "BlankCheckInterval": number(task.monitor.blank or 0),
            "CrashCheckInterval": number(task.monitor.crash or 0),
        },
        "EventNotifyConfig": {
            "EnableEventNotify": task.event_notify.enabled,
            "StartTimeout": number(task.event_notify.start_timeout or 0),
        },
    }


@given(WELL_FORMED, st.booleans(), st.sampled_from(["WebCastTask", "WebcastTask", "WEBCASTTASK"]))
def test_a_well_formed_task_is_read_back_whole(task: Task, as_strings: bool, key: str) -> None:
    """What is written as the vendor documents it is read back equal, with nothing unexpected."""
    unexpected = ("EndTime",) if (task.end or 0) < (task.start or 0) else ()
    assert Reply(task, unexpected) == parse_reply({"Result": {key: written(task, as_strings=as_strings)}})
