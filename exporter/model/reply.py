"""The vendor's loose JSON made a typed Task (seed page GetWebCastTask, its table of the returned parameters).

A value is judged by itself, whatever the task's state. The state decides only whether the value is kept and whether
its absence is to be expected. What is not as documented is None in the Task and its field is named in `unexpected`.
"""

from collections.abc import Container, Mapping
from dataclasses import dataclass

from exporter.enums import STATUS_OF_CODE, VENDOR_STOP_REASONS, Status, StopReason
from exporter.errors import BadSchema, NotFound
from exporter.model.loose import host_of, is_empty, user_id, whole_number
from exporter.model.task import EventNotify, MonitorIntervals, Task, VideoStream

MAX_STREAMS = 2
BYTES_PER_SECOND_OF_KBPS = 125
_OFF_OR_2_TO_30 = frozenset({0, *range(2, 31)})
_MILLISECONDS_OF_2001_TO_2200 = range(978_307_200_000, 7_289_654_400_000)


@dataclass(frozen=True, slots=True)
class Number:
    """One number of the reply: its key, its dotted path, and what the vendor documents it can be."""

    key: str
    path: str
    allowed: Container[int]


MAX_RUNNING_TIME = Number("MaxRunningTime", "MaxRunningTime", range(10, 86_401))
FREEZE = Number("FreezeCheckInterval", "MonitorConfig.FreezeCheckInterval", _OFF_OR_2_TO_30)
BLANK = Number("BlankCheckInterval", "MonitorConfig.BlankCheckInterval", _OFF_OR_2_TO_30)
CRASH = Number("CrashCheckInterval", "MonitorConfig.CrashCheckInterval", range(31))
WIDTH = Number("Width", "VideoSolutions.Width", range(50, 1_921))
HEIGHT = Number("Height", "VideoSolutions.Height", range(50, 1_081))
FRAME_RATE = Number("FrameRate", "VideoSolutions.FrameRate", range(1, 61))
BITRATE = Number("Bitrate", "VideoSolutions.Bitrate", range(10_001))
START_TIMEOUT = Number("StartTimeout", "EventNotifyConfig.StartTimeout", range(61))
ENABLE_EVENT_NOTIFY = "EventNotifyConfig.EnableEventNotify"

FIELDS: tuple[str, ...] = (
    *("StartTime", "EndTime", "Status", "StopReason", "UserId", "SourceURL"),
    *("VideoSolutions", WIDTH.path, HEIGHT.path, FRAME_RATE.path, BITRATE.path),
    MAX_RUNNING_TIME.path,
    *("MonitorConfig", FREEZE.path, BLANK.path, CRASH.path),
    *("EventNotifyConfig", ENABLE_EVENT_NOTIFY, START_TIMEOUT.path),
)
"""Every name that `unexpected` can hold, in the seed page's order."""

JsonObject = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Reply:
    """What one answer says, and which of FIELDS were missing or not as documented, each once."""

    task: Task
    unexpected: tuple[str, ...] = ()


ENVELOPE = {"Result", "ResponseMetadata"}
"""What every answer of the vendor has at least one of (volcengine.com/docs/6348/1178322)."""


def parse_reply(document: object) -> Reply:
    """Read the decoded JSON of an answer without ResponseMetadata.Error.

    Raises NotFound when it holds no task, BadSchema when it is no reply or its Status is unusable.
    """
    raw = _task_in(document)
    status = _status(raw)
    found: list[str] = []
    task = Task(
        status=status,
        start=_start(raw, status, found),
        end=_end(raw, status, found),
        stop_reason=_stop_reason(raw, status, found),
        user_id=_user_id(raw, found),
        source_host=_source_host(raw, found),
        video=_video(raw, found),
        max_running_time=_number(raw, MAX_RUNNING_TIME, found),
        monitor=_monitor(raw, found),
        event_notify=_event_notify(raw, found),
    )
    return Reply(task, tuple(dict.fromkeys(found)))


def _task_in(document: object) -> JsonObject:
    """`Result.WebCastTask`; the page's table and its example differ in the casing of that key."""
    if not isinstance(document, dict):
        raise BadSchema("the answer is no JSON object")
    if not document.keys() & ENVELOPE:
        # Somebody else's JSON, a captive portal's say: taken for "no such task", it would end every run as lost.
        raise BadSchema("the answer has neither Result nor ResponseMetadata")
    result = document.get("Result")
    if result is None:
        raise NotFound("the answer holds no result")
    if not isinstance(result, dict):
        raise BadSchema("Result is no JSON object")
    if not result:
        raise NotFound("the answer holds an empty result")
    tasks = [value for key, value in result.items() if key.lower() == "webcasttask"]
    if not tasks:
        raise BadSchema("Result holds no WebCastTask")
    return _known_task(next((task for task in tasks if task), tasks[0]))


def _known_task(task: object) -> JsonObject:
    if task is None:
        raise NotFound("WebCastTask is null")
    if not isinstance(task, dict):
        raise BadSchema("WebCastTask is no JSON object")
    if is_empty(task):
        raise NotFound("WebCastTask is empty or all zero")
    return task


def _status(raw: JsonObject) -> Status:
    """A missing Status is not 0, which is a state of its own."""
    code = whole_number(raw.get("Status"))
    if code is None or not 0 <= code < len(STATUS_OF_CODE):
        fault = BadSchema("Status is missing or none of 0 to 4")
        fault.unexpected = ("Status",)
        raise fault
    return STATUS_OF_CODE[code]


def _start(raw: JsonObject, status: Status, found: list[str]) -> float | None:
    start = _moment(raw, "StartTime", found, needed=status in (Status.RUNNING, Status.ENDED))
    return None if status is Status.NOT_STARTED else start


def _end(raw: JsonObject, status: Status, found: list[str]) -> float | None:
    end = _moment(raw, "EndTime", found, needed=status is Status.ENDED)
    return end if status.stopped else None


def _moment(raw: JsonObject, key: str, found: list[str], *, needed: bool) -> float | None:
    """Unix milliseconds as Unix seconds; 0 stands for "not yet"."""
    value = raw.get(key)
    milliseconds = 0 if value is None else whole_number(value)
    if milliseconds is not None and milliseconds in _MILLISECONDS_OF_2001_TO_2200:
        return milliseconds / 1000
    if needed or milliseconds != 0:
        found.append(key)
    return None


def _stop_reason(raw: JsonObject, status: Status, found: list[str]) -> StopReason | None:
    reason, documented = _stop_word(raw.get("StopReason"))
    if not documented:
        found.append("StopReason")
    return reason if status.stopped else None


def _stop_word(value: object) -> tuple[StopReason, bool]:
    """The reason, and whether it is as documented; an empty one is (seed page, field StopReason)."""
    if value is None:
        return StopReason.UNSPECIFIED, True
    if not isinstance(value, str):
        return StopReason.UNSPECIFIED, False
    word = value.strip()
    reason = VENDOR_STOP_REASONS.get(word, StopReason.OTHER) if word else StopReason.UNSPECIFIED
    return reason, reason is not StopReason.OTHER


def _user_id(raw: JsonObject, found: list[str]) -> str:
    value, documented = user_id(raw.get("UserId"))
    if not documented:
        found.append("UserId")
    return value


def _source_host(raw: JsonObject, found: list[str]) -> str:
    host = host_of(raw.get("SourceURL"))
    if not host:
        found.append("SourceURL")
    return host


def _number(parent: JsonObject, number: Number, found: list[str]) -> int | None:
    value = whole_number(parent.get(number.key))
    if value is not None and value in number.allowed:
        return value
    found.append(number.path)
    return None


def _video(raw: JsonObject, found: list[str]) -> tuple[VideoStream, ...]:
    """An empty list is documented and has no streams; a third stream is not."""
    items = raw.get("VideoSolutions")
    if not isinstance(items, list):
        found.append("VideoSolutions")
        return ()
    if len(items) > MAX_STREAMS:
        found.append("VideoSolutions")
    return tuple([_stream(item, found) for item in items[:MAX_STREAMS]])


def _stream(item: object, found: list[str]) -> VideoStream:
    if not isinstance(item, dict):
        found.append("VideoSolutions")
        return VideoStream()
    kbps = _number(item, BITRATE, found)
    return VideoStream(
        width=_number(item, WIDTH, found),
        height=_number(item, HEIGHT, found),
        frames_per_second=_number(item, FRAME_RATE, found),
        max_bytes_per_second=None if kbps is None else kbps * BYTES_PER_SECOND_OF_KBPS,
    )


def _monitor(raw: JsonObject, found: list[str]) -> MonitorIntervals:
    config = raw.get("MonitorConfig")
    if not isinstance(config, dict):
        found.append("MonitorConfig")
        return MonitorIntervals()
    return MonitorIntervals(
        freeze=_number(config, FREEZE, found),
        blank=_number(config, BLANK, found),
        crash=_number(config, CRASH, found),
    )


def _event_notify(raw: JsonObject, found: list[str]) -> EventNotify:
    """Without notification its timeout has no meaning, so that it may be missing (seed page, field StartTimeout)."""
    config = raw.get("EventNotifyConfig")
    if not isinstance(config, dict):
        found.append("EventNotifyConfig")
        return EventNotify()
    enabled = config.get("EnableEventNotify")
    if not isinstance(enabled, bool):
        found.append(ENABLE_EVENT_NOTIFY)
        enabled = None
    if enabled is False and config.get(START_TIMEOUT.key) is None:
        return EventNotify(enabled=False)
    return EventNotify(enabled=enabled, start_timeout=_number(config, START_TIMEOUT, found))
