"""What a task was asked to be: the settings of StartWebcast, which GetWebCastTask tells back (seed page)."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from exporter.model.target import ID_PATTERN

SOURCE_URL = re.compile(r"\S{1,1024}")
VIDEO_LIMIT = 2


class Range(NamedTuple):
    """What one number may be; `off` is a value below `low` that switches the thing off."""

    low: int
    high: int
    default: int
    off: int | None = None


RANGES = {
    "Width": Range(50, 1920, 1280),
    "Height": Range(50, 1080, 720),
    "FrameRate": Range(1, 60, 15),
    "Bitrate": Range(0, 10_000, 0),
    "MaxRunningTime": Range(10, 86_400, 86_400),
    "FreezeCheckInterval": Range(2, 30, 0, off=0),
    "BlankCheckInterval": Range(2, 30, 0, off=0),
    "CrashCheckInterval": Range(0, 30, 0),
    "StartTimeout": Range(0, 60, 0),
}
"""The seed page's ranges: pixels, frames a second, kbit/s, seconds."""


@dataclass(frozen=True, slots=True)
class Video:
    """One output stream in the vendor's units: pixels, frames a second, kbit/s (0 = adaptive)."""

    width: int = RANGES["Width"].default
    height: int = RANGES["Height"].default
    frame_rate: int = RANGES["FrameRate"].default
    bitrate: int = RANGES["Bitrate"].default

    def document(self) -> dict[str, int]:
        """As the reply has it."""
        return {"Width": self.width, "Height": self.height, "FrameRate": self.frame_rate, "Bitrate": self.bitrate}


@dataclass(frozen=True, slots=True)
class Settings:
    """All that StartWebcast says of a task but its ids; times in seconds, 0 = off."""

    user_id: str = "webcast_1"
    source_url: str = field(default="https://classroom.example.com/live", repr=False)
    video: tuple[Video, ...] = (Video(),)
    max_running_time: int = RANGES["MaxRunningTime"].default
    freeze_check: int = 0
    blank_check: int = 0
    crash_check: int = 0
    event_notify: bool = False
    start_timeout: int = 0

    def document(self) -> dict[str, Any]:
        """The reply's part of them, in the order of the seed page's sample."""
        return {
            "UserId": self.user_id,
            "SourceURL": self.source_url,
            "VideoSolutions": [video.document() for video in self.video],
            "MonitorConfig": {
                "BlankCheckInterval": self.blank_check,
                "CrashCheckInterval": self.crash_check,
                "FreezeCheckInterval": self.freeze_check,
            },
            "EventNotifyConfig": {"EnableEventNotify": self.event_notify, "StartTimeout": self.start_timeout},
            "MaxRunningTime": self.max_running_time,
        }


def compressed(settings: Settings, speed: float) -> Settings:
    """The same with MaxRunningTime `speed` times shorter, rounded up and kept within the seed's range."""
    low, high, *_ = RANGES["MaxRunningTime"]
    seconds = math.ceil(settings.max_running_time / speed)
    return replace(settings, max_running_time=min(max(seconds, low), high))


def read_settings(body: Mapping[str, Any]) -> Settings:
    """The settings in a StartWebcast body; ValueError names the first field that is missing or out of range."""
    monitor = _mapping(body, "MonitorConfig")
    notify = _mapping(body, "EventNotifyConfig")
    return Settings(
        user_id=_text(body, "UserId", ID_PATTERN),
        source_url=_text(body, "SourceURL", SOURCE_URL),
        video=_videos(body.get("VideoSolutions")),
        max_running_time=_number(body, "MaxRunningTime"),
        freeze_check=_number(monitor, "FreezeCheckInterval"),
        blank_check=_number(monitor, "BlankCheckInterval"),
        crash_check=_number(monitor, "CrashCheckInterval"),
        event_notify=_flag(notify, "EnableEventNotify"),
        start_timeout=_number(notify, "StartTimeout"),
    )


def _videos(items: object) -> tuple[Video, ...]:
    if not items:
        return (Video(),)
    if not isinstance(items, list) or len(items) > VIDEO_LIMIT or not all(isinstance(item, dict) for item in items):
        raise ValueError("VideoSolutions")
    return tuple(
        Video(
            width=_even(_number(item, "Width")),
            height=_even(_number(item, "Height")),
            frame_rate=_number(item, "FrameRate"),
            bitrate=_number(item, "Bitrate"),
        )
        for item in items
    )


def _even(pixels: int) -> int:
    return pixels + pixels % 2


def _number(body: Mapping[str, Any], name: str) -> int:
    low, high, default, off = RANGES[name]
    value = body.get(name)
    if value is None:
        return default
    if type(value) is not int or not (low <= value <= high or value == off):
        raise ValueError(name)
    return value


def _text(body: Mapping[str, Any], name: str, pattern: re.Pattern[str]) -> str:
    value = body.get(name)
    if not isinstance(value, str) or not pattern.fullmatch(value):
        raise ValueError(name)
    return value


def _flag(body: Mapping[str, Any], name: str) -> bool:
    value = body.get(name, False)
    if type(value) is not bool:
        raise ValueError(name)
    return value


def _mapping(body: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = body.get(name) or {}
    if type(value) is not dict:
        raise ValueError(name)
    return value
