"""What holds for every reply there can be."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.enums import STATUS_OF_CODE, VENDOR_STOP_REASONS, Status
from exporter.errors import BadSchema, NotFound
from exporter.model.task import EventNotify, MonitorIntervals, Task, VideoStream
from exporter.volcengine.replies import FIELDS, Reply, parse_reply

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


@settings(deadline=None)
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


@settings(deadline=None)
@given(TASKS)
def test_any_task_with_a_status_is_read(task: dict[str, Any]) -> None:
    """With a usable Status no other field can make the read fail; names are known, each once; the text can be shown."""
    try:
        reply = parse_reply({"Result": {"WebCastTask": task}})
    except NotFound:
        assert task["Status"] == 0
        return
    assert STATUS_OF_CODE[int(task["Status"])] is reply.task.status
    assert len(reply.unexpected) == len(set(reply.unexpected))
    assert set(reply.unexpected) <= set(FIELDS) - {"Status"}
    assert len(reply.task.video) <= 2
    assert (reply.task.stop_reason is not None) == reply.task.status.stopped
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


@settings(deadline=None)
@given(WELL_FORMED, st.booleans(), st.sampled_from(["WebCastTask", "WebcastTask", "WEBCASTTASK"]))
def test_a_well_formed_task_is_read_back_whole(task: Task, as_strings: bool, key: str) -> None:  # noqa: FBT001 - hypothesis passes by place
    """What is written as the vendor documents it is read back equal, with nothing unexpected."""
    unexpected = ("EndTime",) if (task.end or 0) < (task.start or 0) else ()
    assert Reply(task, unexpected) == parse_reply({"Result": {key: written(task, as_strings=as_strings)}})
