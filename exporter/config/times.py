"""Durations and points in time as people write them."""

import re
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime
from typing import Final

MILLISECONDS: Final = {
    "y": 365 * 86_400_000,
    "w": 7 * 86_400_000,
    "d": 86_400_000,
    "h": 3_600_000,
    "m": 60_000,
    "s": 1_000,
    "ms": 1,
}
"""One unit's length; a day has 24 h and a year 365 d (prometheus.io, Configuration, <duration>)."""

DURATION: Final = re.compile("".join(f"(?:([0-9]+){unit})?" for unit in MILLISECONDS))
UNITLESS: Final = re.compile(r"[0-9]{1,9}(\.[0-9]{1,3})?")
WHOLE_ONLY: Final = ("y", "w")
"""Units that are written only when nothing is left over, as Prometheus does: `1w`, but `8d`."""

MAX_DURATION_TEXT: Final = 64
MAX_DURATION_SECONDS: Final = 2**63 / 1_000_000_000
"""Prometheus and Go count nanoseconds in 64 bits, which is some 292 years."""

GO_SECONDS: Final = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
GO_PART: Final = re.compile(rf"([0-9]+\.?[0-9]*|\.[0-9]+)({'|'.join(GO_SECONDS)})")
GO_DURATION: Final = re.compile(rf"\+?(?:{GO_PART.pattern})+|[+-]?0")

EXPECTED_START: Final = "__expected_start__"
EXPECTED_END: Final = "__expected_end__"
EXPECTED: Final = (EXPECTED_START, EXPECTED_END)

DATE_TIME: Final = re.compile(
    r"(\d{4})-(\d\d?)-(\d\d?)(?:T|\s+)(\d\d?):(\d\d):(\d\d)(\.\d{1,9})?\s*(?:(Z)|([+-])(\d\d?)(?::?([0-5]\d))?)",
    re.ASCII,
)
"""RFC 3339, and the looser forms that YAML 1.1 takes for a timestamp with a time zone."""
UNIX_SECONDS: Final = re.compile(r"[+-]?\d{1,15}(\.\d{0,9})?(E\+?\d{1,2})?", re.ASCII)

EARLIEST: Final = 1_420_070_400.0
"""2015-01-01 in Unix seconds: a smaller number is a time of day, a day or a count, and no class's time."""
LATEST: Final = 100_000_000_000.0
"""Unix seconds of the year 5138; a larger number is a time in milliseconds."""

EXAMPLE: Final = "2026-01-15T08:30:00Z"
NO_TIME: Final = f"needs a date, a time of day and a time zone, as in {EXAMPLE}, or Unix seconds"


def parse_duration(text: str) -> float:
    """Return the seconds of a Prometheus duration such as `1h30m`; ValueError with a sentence.

    Units go from large to small, each once; `0` needs none.
    """
    if text == "0":
        return 0.0
    if UNITLESS.fullmatch(text):
        raise ValueError(f"needs a unit: write {format_duration(float(text))}")
    match = DURATION.fullmatch(text)
    if not text or not match:
        raise ValueError("must be a duration such as 30s or 1h30m (units y w d h m s ms, large to small, each once)")
    if len(text) > MAX_DURATION_TEXT:
        raise ValueError("is too long a duration")
    total = sum(int(count or 0) * unit for count, unit in zip(match.groups(), MILLISECONDS.values(), strict=True))
    if total >= MAX_DURATION_SECONDS * 1000:
        raise ValueError("is too long a duration")
    return total / 1000


def parse_go_duration(text: str) -> float:
    """Return the seconds of a duration of Go such as `1.5s` or `500us`; ValueError with a sentence."""
    if UNITLESS.fullmatch(text) and float(text):
        raise ValueError(f"needs a unit: write {text}s")
    if len(text) > MAX_DURATION_TEXT or not GO_DURATION.fullmatch(text):
        raise ValueError("must be a duration such as 500us, 30s or 1h30m (units ns us ms s m h)")
    seconds = sum(float(number) * GO_SECONDS[unit] for number, unit in GO_PART.findall(text))
    if seconds >= MAX_DURATION_SECONDS:
        raise ValueError("is too long a duration")
    return seconds


def format_duration(seconds: float) -> str:
    """Return the shortest text that `parse_duration` reads as these seconds, to the millisecond."""
    left = round(seconds * 1000)
    text = ""
    for unit, length in MILLISECONDS.items():
        if left < length or (unit in WHOLE_ONLY and left % length):
            continue
        text += f"{left // length}{unit}"
        left %= length
    return text or "0s"


def parse_time(text: str) -> float:
    """Return the Unix seconds of RFC 3339 text, or of Unix seconds as text; ValueError with a sentence."""
    text = text.strip().upper()
    if UNIX_SECONDS.fullmatch(text):
        seconds = float(text)
        if seconds < 0:
            raise ValueError("must be Unix seconds, zero or more")
        if seconds >= LATEST:
            raise ValueError("must be Unix seconds; this looks like milliseconds")
        return seconds
    found = DATE_TIME.fullmatch(text)
    if found is None:
        raise ValueError(NO_TIME)
    year, month, day, hour, minute, second, fraction, utc, sign, zone_hour, zone_minute = found.groups()
    zone = "+00:00" if utc else f"{sign}{zone_hour:0>2}:{zone_minute or '00'}"
    date = f"{year}-{month:0>2}-{day:0>2}"
    try:
        seconds = datetime.fromisoformat(f"{date}T{hour:0>2}:{minute}:{second}{fraction or ''}{zone}").timestamp()
    except (ValueError, OverflowError):
        raise ValueError("is no date and time of the calendar") from None
    if not 0 <= seconds < LATEST:
        raise ValueError("is no time between 1970 and 5138")
    return seconds


def parse_time_or_duration(text: str, now: float) -> float:
    """Return the Unix seconds of a time, or of so long before `now` for a duration; ValueError with a sentence."""
    try:
        return parse_time(text)
    except ValueError as error:
        with suppress(ValueError):
            return now - parse_duration(text.strip())
        raise ValueError(f"{error}, or a duration such as 24h") from None


def parse_expected_time(text: str) -> float:
    """Return the Unix seconds of when a class is meant to be; what is before 2015 is no such time."""
    seconds = parse_time(text)
    if seconds < EARLIEST:
        raise ValueError(f"is before 2015; it {NO_TIME}")
    return seconds


def expected_times(labels: Mapping[str, str]) -> tuple[float | None, float | None]:
    """Return what the two `__expected_*__` labels say, in Unix seconds; ValueError names the label that is wrong."""
    times = {name: _named(name, labels[name]) for name in EXPECTED if labels.get(name)}
    start, end = times.get(EXPECTED_START), times.get(EXPECTED_END)
    if start is not None and end is not None and end < start:
        raise ValueError(f"{EXPECTED_END} is before {EXPECTED_START}")
    return start, end


def time_text(seconds: float) -> str:
    """Return label text that `parse_time` reads as this time, to the microsecond."""
    return str(int(seconds)) if seconds.is_integer() else f"{seconds:.6f}"


def _named(name: str, value: str) -> float:
    try:
        return parse_expected_time(value)
    except ValueError as error:
        raise ValueError(f"{name} {error}") from None
