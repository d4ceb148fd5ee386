"""Answers of the API: received within bounds, then parsed into a typed Task (API page: docs/vendor.md).

Each value is judged by itself, whatever the task's state. The state decides only whether the value is kept and whether
its absence is expected. What is not as documented is None in the Task, and its field is named in `unexpected`.
docs/vendor.md lists the forms an answer can take and how each one is read.
"""

import json
import re
from collections.abc import Callable, Container, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import NoReturn

from requests import Response

from exporter.enums import STATUS_OF_CODE, STOPPED_STATUSES, VENDOR_STOP_REASONS, Status, StopReason
from exporter.errors import BadSchema, NotFound, NotJson, ReadError, Throttled, TimedOut
from exporter.model.target import ID_PATTERN
from exporter.model.task import EventNotify, MonitorIntervals, Task, VideoStream
from exporter.volcengine.error_mapping import error_of_answer, message_of, safe_name, says_gone

SUCCESS = range(200, 300)
MAX_RETRY_AFTER_CHARS = 128
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
"""Every name that `unexpected` can hold, in the order of the API page."""
TOP_LEVEL_FIELDS = {field for field in FIELDS if "." not in field}
_ERROR_KEYS = ("RequestId", "Error", "Code", "CodeN", "Message")
_KEYS = {key.lower(): key for key in (*_ERROR_KEYS, *(field.rpartition(".")[2] for field in FIELDS))}
"""Keys below Result and ResponseMetadata as documented: the vendor's pages contradict each other in casing."""
_KNOWN_KEYS = frozenset(_KEYS.values())
_MAX_KEY_DEPTH = 4
"""Objects and lists within each other down to a stream of VideoSolutions."""

JsonMapping = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Reply:
    """A parsed answer; `unexpected` names the FIELDS that were missing or not as documented, each once."""

    task: Task
    unexpected: tuple[str, ...] = ()


_GOOD_WORDS = re.compile(r"\s*(?:ok|success(?:ful)?|succeeded|成功)?[.!]?\s*", re.IGNORECASE)

RESPONSE_KEYS = {"Result", "ResponseMetadata"}
"""Every answer of the vendor has at least one of them (volcengine.com/docs/6348/1178322)."""
ECHOED_IDS = {"appid", "roomid", "taskid", "businessid"}
"""Fields of the request; an answer that only repeats them describes no task."""
DEFAULT_MAX_RUNNING_TIME = 86_400
GO_ZERO_TIME = -62_135_596_800_000
"""Milliseconds from 1970 to the year 1: a time that was not set, in a server that is written in Go."""
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


def error_in_answer(http_status: int, retry_after: str | None, document: object, now: float) -> ReadError | None:
    """The error that an answer reports, None when it reports none.

    `document` is the decoded body (None without one), `retry_after` that header and `now` Unix seconds. An error in
    ResponseMetadata counts on HTTP 200 too (volcengine.com/docs/6348/1178322), unless it is empty beside a Result.
    """
    error = _metadata(document).get("Error")
    if http_status in SUCCESS and (not error or _says_nothing(error, document)):
        return None
    read_error = error_of_answer(http_status, error)
    read_error.request_id = request_id(document)
    if isinstance(read_error, Throttled):
        read_error.retry_after = seconds_until(retry_after, now)
    return read_error


def request_id(document: object) -> str:
    """The vendor's name for the call, safe to show; empty without one."""
    return safe_name(_metadata(document).get("RequestId"))


def seconds_until(retry_after: str | None, now: float) -> float | None:
    """`Retry-After` in either form, seconds or an HTTP date; None when it is absent, past or neither."""
    text = (retry_after or "").strip()[:MAX_RETRY_AFTER_CHARS]
    if re.fullmatch(r"[0-9]+(\.[0-9]+)?", text):
        return float(text)
    moment = unix_time(text)
    return moment - now if moment is not None and moment >= now else None


def unix_time(http_date: str) -> float | None:
    """An HTTP date (RFC 9110, section 5.6.7) as Unix seconds; None when it is none."""
    try:
        moment = parsedate_to_datetime(http_date)
        return moment.timestamp() if moment.tzinfo else None
    except (ValueError, OverflowError):
        return None


def _metadata(document: object) -> Mapping[str, object]:
    metadata = document.get("ResponseMetadata") if isinstance(document, dict) else None
    return metadata if isinstance(metadata, dict) else {}


def _says_nothing(error: object, document: object) -> bool:
    """Whether an Error has no code but one of success, and its Message or the Result beside it contradicts it."""
    if not isinstance(error, dict):
        return is_empty(error)
    code = error.get("Code")
    ignored = {"Message", "Code"} if isinstance(code, str) and _GOOD_WORDS.fullmatch(code) else {"Message"}
    if not is_empty({key: value for key, value in error.items() if key not in ignored}):
        return False
    has_result = isinstance(document, dict) and not is_empty(document.get("Result"))
    return has_result or is_empty(error.get("Message")) or bool(_GOOD_WORDS.fullmatch(message_of(error)))


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
        document = json.loads(body)
    except (ValueError, RecursionError):
        return None, NotJson("the answer is no JSON" if body else "the answer is empty")
    if isinstance(document, dict):
        for key in RESPONSE_KEYS & document.keys():
            _rename_keys(document[key], _MAX_KEY_DEPTH)
    return document, None


def _rename_keys(value: object, depth: int) -> None:
    """Write keys as documented, whatever their case; one that is written so already counts."""
    if isinstance(value, dict):
        for key in [key for key in value if key not in _KNOWN_KEYS]:
            name = _KEYS.get(key.lower(), key)
            if name not in value:
                value[name] = value.pop(key)
        value = list(value.values())
    if isinstance(value, list) and depth:
        for item in value:
            if isinstance(item, (dict, list)):
                _rename_keys(item, depth - 1)


def _task_in(document: object) -> JsonMapping:
    """`Result.WebCastTask`, or Result itself when its fields stand there directly.

    The API page's table and its example differ in the casing of that key.
    """
    if not isinstance(document, dict):
        raise BadSchema("the answer is no JSON object")
    if not document.keys() & RESPONSE_KEYS:
        # JSON of another server, such as a captive portal: as "no such task" it would end every run as lost.
        raise BadSchema("the answer has neither Result nor ResponseMetadata")
    result = _single(document.get("Result"))
    if _describes_nothing(result) or (isinstance(result, str) and says_gone(result)):
        raise NotFound("the answer holds no result")
    if not isinstance(result, dict):
        raise BadSchema("Result is no JSON object")
    tasks = [value for key, value in result.items() if key.lower() == "webcasttask"]
    if not tasks and "Status" in result and len(result.keys() & TOP_LEVEL_FIELDS) > 1:
        return result
    if not tasks:
        raise BadSchema("Result holds no WebCastTask")
    task = _single(next((task for task in tasks if task), tasks[0]))
    if _describes_nothing(task):
        raise NotFound("WebCastTask is null, empty or holds nothing but defaults")
    if not isinstance(task, dict):
        raise BadSchema("WebCastTask is no JSON object")
    return task


def _single(value: object) -> object:
    """The one element of a list of one, else the value."""
    return value[0] if isinstance(value, list) and len(value) == 1 else value


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
        case "StartTime" | "EndTime":
            return is_empty(value) or whole_number(value) == GO_ZERO_TIME
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
    return end if status in STOPPED_STATUSES else None


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
    return reason if status in STOPPED_STATUSES else None


def _stop_word(value: object) -> tuple[StopReason, bool]:
    """The reason, and whether it is as documented; an empty one is (API page, field StopReason)."""
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
    """Without notification its timeout has no meaning, so that it may be missing (API page, field StartTimeout)."""
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


MAX_NUMBER_CHARS = 32
MAX_USER_ID_CHARS = 128
"""The vendor's limit for every id (volcengine.com/docs/6348/69828)."""
MAX_URL_CHARS = 4096
"""Four times the vendor's limit (API page, field SourceURL)."""
MAX_HOST_CHARS = 253

_NUMBER = re.compile(r"[+-]?[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
# The end of the authority must follow the host: half of a password with a slash in it must never pass for a host.
# A browser takes a backslash for a slash, so it ends nothing here and is allowed nowhere.
_AUTHORITY = re.compile(
    r"(?:[a-z][a-z0-9+.\-]*:)?//(?:[^/?#\\]*@)?(?:(\w[\w.\-]*)|\[([0-9a-f:.]+)\])(?::[0-9]*)?(?:[/?#]|$)",
    re.IGNORECASE,
)


class NotAnObject(ValueError):
    """The text is no JSON object; the message is the end of a sentence and repeats nothing of the text."""


class JsonObject:
    """A JSON object whose keys are found in any case; numbers are kept as the text they were written as."""

    def __init__(self, values: Mapping[str, object]) -> None:
        self._values = values
        self._by_lower_key = {key.lower(): value for key, value in values.items()}

    @classmethod
    def parse(cls, text: str | bytes) -> "JsonObject":
        """Parse a JSON text. Raises NotAnObject when it is no JSON object."""
        try:
            decoded = text if isinstance(text, str) else text.decode("utf-8-sig")
            value = json.loads(decoded, parse_int=str, parse_float=str, parse_constant=_refuse_constant)
        except (ValueError, RecursionError):
            raise NotAnObject("is not JSON") from None
        if not isinstance(value, dict):
            raise NotAnObject("is no JSON object")
        return cls(value)

    @property
    def keys(self) -> tuple[str, ...]:
        """The keys as written."""
        return tuple(self._values)

    def get(self, key: str) -> object:
        """The value of a key, written exactly so if there is one, else in any case; None when there is none."""
        return self._values.get(key, self._by_lower_key.get(key.lower()))


def _refuse_constant(_name: str) -> NoReturn:
    """NaN and Infinity are Python's own addition to JSON."""
    raise ValueError


def whole_number(value: object) -> int | None:
    """An integer, an integral float, or a string of either with spaces around it; None for all else, bool included."""
    if type(value) is int:
        return value
    if isinstance(value, float):
        return int(value) if value.is_integer() else None
    return _whole_number_in(value) if isinstance(value, str) else None


def _whole_number_in(text: str) -> int | None:
    digits = text.strip()
    if len(digits) > MAX_NUMBER_CHARS or not _NUMBER.fullmatch(digits):
        return None
    try:
        return int(digits)
    except ValueError:
        number = float(digits)
    return int(number) if number.is_integer() else None


def boolean(value: object) -> bool | None:
    """A JSON boolean, or the words true and false as a string in any case; None for all else."""
    if isinstance(value, str):
        return {"true": True, "false": False}.get(value.strip().lower())
    return value if isinstance(value, bool) else None


def is_empty(value: object) -> bool:
    """Whether all of it, however deep, is absent, zero, false or empty."""
    waiting = [value]
    while waiting:
        item = waiting.pop()
        if isinstance(item, dict):
            waiting.extend(item.values())
        elif isinstance(item, list):
            waiting.extend(item)
        elif item and not (isinstance(item, str) and not item.strip()) and whole_number(item) != 0:
            return False
    return True


def user_id(value: object) -> tuple[str, bool]:
    """At most 128 printable characters, and whether it is as documented (API page, field UserId)."""
    if not isinstance(value, str):
        return "", False
    if ID_PATTERN.fullmatch(value):
        return value, True
    # A lone surrogate of a \u escape has no UTF-8 form and would break every page that shows it.
    return "".join(char if char.isprintable() else "\ufffd" for char in value[:MAX_USER_ID_CHARS]), False


def host_of(value: object) -> str:
    """The host name of a URL in lower case, without port; "" when it has none or is no URL. Nothing else is kept."""
    if not isinstance(value, str) or len(value) > MAX_URL_CHARS:
        return ""
    found = _AUTHORITY.match(value.strip())
    host = (found[1] or found[2]).lower() if found else ""
    return host if len(host) <= MAX_HOST_CHARS else ""
