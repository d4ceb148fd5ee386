"""Answers of the API: received within bounds, then parsed into a typed Task (seed page GetWebCastTask).

Each value is judged by itself, whatever the task's state. The state decides only whether the value is kept and whether
its absence is expected. What is not as documented is None in the Task, and its field is named in `unexpected`.
docs/vendor.md lists the forms an answer can take and how each one is read.
"""

import json
from collections.abc import Callable, Container, Mapping
from dataclasses import dataclass

from requests import Response

from exporter.enums import STATUS_OF_CODE, VENDOR_STOP_REASONS, Status, StopReason
from exporter.errors import BadSchema, NotFound, NotJson, ReadError, TimedOut
from exporter.model.task import EventNotify, MonitorIntervals, Task, VideoStream
from exporter.volcengine.error_mapping import error_in_answer, request_id, unix_time
from exporter.volcengine.json_values import boolean, host_of, is_empty, user_id, whole_number

MAX_BODY = 1024 * 1024
"""Bytes after decompression; a reply has about 700."""
CHUNK = 64 * 1024
MAX_STREAMS = 2
BYTES_PER_SECOND_OF_KBPS = 125
_OFF_OR_2_TO_30 = frozenset({0, *range(2, 31)})
_MILLISECONDS_OF_2001_TO_2200 = range(978_307_200_000, 7_289_654_400_000)


@dataclass(frozen=True, slots=True)
class Number:
    """A number in the reply: its key, its dotted path, and the documented values."""

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
TOP_LEVEL_FIELDS = {field for field in FIELDS if "." not in field}

JsonMapping = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Reply:
    """A parsed answer; `unexpected` names the FIELDS that were missing or not as documented, each once."""

    task: Task
    unexpected: tuple[str, ...] = ()


RESPONSE_KEYS = {"Result", "ResponseMetadata"}
"""Every answer of the vendor has at least one of them (volcengine.com/docs/6348/1178322)."""
ECHOED_IDS = {"appid", "roomid", "taskid", "businessid"}
"""Fields of the request; an answer that only repeats them describes no task."""
DEFAULT_MAX_RUNNING_TIME = 86_400
DEFAULT_STREAM = {"Width": 1280, "Height": 720, "FrameRate": 15, "Bitrate": 0}


@dataclass(frozen=True, slots=True)
class Answer:
    """A received answer: `document` is the decoded body, or `flaw` says why there is none. Absent headers are empty."""

    http_status: int
    date: str
    retry_after: str
    document: object
    flaw: ReadError | None


def receive(response: Response, out_of_time: Callable[[], bool]) -> Answer:
    """Read a response to its end within the bounds, and release its connection.

    Raises TimedOut when it comes too slowly, and what requests and urllib3 raise when it breaks.
    """
    try:
        body = read_body(response, MAX_BODY, out_of_time)
    finally:
        response.close()
    document, flaw = _decoded(body)
    headers = response.headers
    return Answer(response.status_code, headers.get("Date", ""), headers.get("Retry-After", ""), document, flaw)


def read_body(response: Response, limit: int, out_of_time: Callable[[], bool]) -> bytes | None:
    """The decompressed body; None when it is larger than `limit` bytes. Raises TimedOut when it comes too slowly."""
    body = bytearray()
    for chunk in response.iter_content(CHUNK):
        body += chunk
        if len(body) > limit:
            return None
        if out_of_time():
            raise TimedOut("no whole answer within the timeout", http_status=response.status_code)
    return bytes(body)


def parse_answer(answer: Answer, now: float) -> Reply:
    """The reply in an answer; `now` in Unix seconds. Raises the ReadError that the answer stands for.

    A Retry-After date is by the server's clock, as the answer's own Date is; `now` counts only without a Date.
    """
    sent_at = unix_time(answer.date) if answer.retry_after else None
    at = now if sent_at is None else sent_at
    error = error_in_answer(answer.http_status, answer.retry_after, answer.document, at) or answer.flaw
    if error:
        raise error
    try:
        return parse_reply(answer.document)
    except ReadError as unusable:
        unusable.http_status = answer.http_status
        unusable.request_id = request_id(answer.document)
        raise


def parse_reply(document: object) -> Reply:
    """Parse the decoded JSON of an answer without ResponseMetadata.Error.

    Raises NotFound when it holds no task, BadSchema when it is no reply or its Status is unusable.
    """
    raw = _task_in(document)
    status = _status(raw)
    found: list[str] = []
    start, end = _start(raw, status, found), _end(raw, status, found)
    if start is not None and end is not None and end < start:
        found.append("EndTime")
    task = Task(
        status=status,
        start=start,
        end=end,
        stop_reason=_stop_reason(raw, status, found),
        user_id=_user_id(raw, found),
        source_host=_source_host(raw, found),
        video=_video(raw, found),
        max_running_time=_number(raw, MAX_RUNNING_TIME, found),
        monitor=_monitor(raw, found),
        event_notify=_event_notify(raw, found),
    )
    return Reply(task, tuple(dict.fromkeys(found)))


def _decoded(body: bytes | None) -> tuple[object, ReadError | None]:
    """Decode JSON. The decoder's own error is not passed on: it holds the body."""
    if body is None:
        return None, NotJson("the answer is larger than 1 MiB")
    try:
        return json.loads(body), None
    except (ValueError, RecursionError):
        return None, NotJson("the answer is no JSON" if body else "the answer is empty")


def _task_in(document: object) -> JsonMapping:
    """`Result.WebCastTask`, or Result itself when its fields stand there directly.

    The seed page's table and its example differ in the casing of that key.
    """
    if not isinstance(document, dict):
        raise BadSchema("the answer is no JSON object")
    if not document.keys() & RESPONSE_KEYS:
        # JSON of another server, such as a captive portal: as "no such task" it would end every run as lost.
        raise BadSchema("the answer has neither Result nor ResponseMetadata")
    result = document.get("Result")
    if _describes_nothing(result):
        raise NotFound("the answer holds no result")
    if not isinstance(result, dict):
        raise BadSchema("Result is no JSON object")
    tasks = [value for key, value in result.items() if key.lower() == "webcasttask"]
    if not tasks and "Status" in result and len(result.keys() & TOP_LEVEL_FIELDS) > 1:
        return result
    if not tasks:
        raise BadSchema("Result holds no WebCastTask")
    task = next((task for task in tasks if task), tasks[0])
    if _describes_nothing(task):
        raise NotFound("WebCastTask is null, empty or holds nothing but defaults")
    if not isinstance(task, dict):
        raise BadSchema("WebCastTask is no JSON object")
    return task


def _describes_nothing(value: object) -> bool:
    """Whether a Result or WebCastTask says nothing of a task: empty, all zero, defaults, or the request's ids.

    A task that exists has a Status above 0, a time, a user or a source.
    """
    if not isinstance(value, dict):
        return is_empty(value)
    return all(_is_default(key, item) for key, item in value.items())


def _is_default(key: str, value: object) -> bool:
    match key:
        case "StopReason":
            return is_empty(value) or (isinstance(value, str) and value.strip() == StopReason.UNKNOWN)
        case "MaxRunningTime":
            return is_empty(value) or whole_number(value) == DEFAULT_MAX_RUNNING_TIME
        case "VideoSolutions" if isinstance(value, list):
            return all(is_empty(item) or item == DEFAULT_STREAM for item in value)
    return key.lower() in ECHOED_IDS or is_empty(value)


def _status(raw: JsonMapping) -> Status:
    """A missing Status is not 0, which is a state of its own."""
    code = whole_number(raw.get("Status"))
    if code is None or not 0 <= code < len(STATUS_OF_CODE):
        fault = BadSchema("Status is missing or none of 0 to 4")
        fault.unexpected = ("Status",)
        raise fault
    return STATUS_OF_CODE[code]


def _start(raw: JsonMapping, status: Status, found: list[str]) -> float | None:
    start = _moment(raw, "StartTime", found, needed=status in (Status.RUNNING, Status.ENDED))
    return None if status is Status.NOT_STARTED else start


def _end(raw: JsonMapping, status: Status, found: list[str]) -> float | None:
    end = _moment(raw, "EndTime", found, needed=status is Status.ENDED)
    return end if status.stopped else None


def _moment(raw: JsonMapping, key: str, found: list[str], *, needed: bool) -> float | None:
    """Unix milliseconds as Unix seconds; 0 stands for "not yet"."""
    value = raw.get(key)
    milliseconds = 0 if value is None else whole_number(value)
    if milliseconds is not None and milliseconds in _MILLISECONDS_OF_2001_TO_2200:
        return milliseconds / 1000
    if needed or milliseconds != 0:
        found.append(key)
    return None


def _stop_reason(raw: JsonMapping, status: Status, found: list[str]) -> StopReason | None:
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


def _user_id(raw: JsonMapping, found: list[str]) -> str:
    value, documented = user_id(raw.get("UserId"))
    if not documented:
        found.append("UserId")
    return value


def _source_host(raw: JsonMapping, found: list[str]) -> str:
    host = host_of(raw.get("SourceURL"))
    if not host:
        found.append("SourceURL")
    return host


def _number(parent: JsonMapping, number: Number, found: list[str]) -> int | None:
    value = whole_number(parent.get(number.key))
    if value is not None and value in number.allowed:
        return value
    found.append(number.path)
    return None


def _video(raw: JsonMapping, found: list[str]) -> tuple[VideoStream, ...]:
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


def _monitor(raw: JsonMapping, found: list[str]) -> MonitorIntervals:
    config = raw.get("MonitorConfig")
    if not isinstance(config, dict):
        found.append("MonitorConfig")
        return MonitorIntervals()
    return MonitorIntervals(
        freeze=_number(config, FREEZE, found),
        blank=_number(config, BLANK, found),
        crash=_number(config, CRASH, found),
    )


def _event_notify(raw: JsonMapping, found: list[str]) -> EventNotify:
    """Without notification its timeout has no meaning, so that it may be missing (seed page, field StartTimeout)."""
    config = raw.get("EventNotifyConfig")
    if not isinstance(config, dict):
        found.append("EventNotifyConfig")
        return EventNotify()
    enabled = boolean(config.get("EnableEventNotify"))
    if enabled is None:
        found.append(ENABLE_EVENT_NOTIFY)
    if enabled is False and config.get(START_TIMEOUT.key) is None:
        return EventNotify(enabled=False)
    return EventNotify(enabled=enabled, start_timeout=_number(config, START_TIMEOUT, found))
