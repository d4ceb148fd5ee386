"""Every range and default of the seed page: both edges, and one beyond each."""

import math
from dataclasses import dataclass
from typing import Any

import pytest

from exporter.enums import STATUS_OF_CODE, VENDOR_STOP_REASONS, Status, StopReason
from exporter.volcengine.replies import Reply, parse_reply

MILLISECONDS_OF_2001 = 978_307_200_000
MILLISECONDS_OF_2201 = 7_289_654_400_000


@dataclass(frozen=True)
class Row:
    """One line of the seed page's table: where the value stands in the reply and in the Task, and what it can be."""

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
    """`video.0.width` of the reply's task."""
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
