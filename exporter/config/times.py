"""Points in time as a target's labels give them: RFC 3339 or Unix seconds."""

import math
import re
from collections.abc import Mapping
from datetime import date, datetime

EXPECTED_START = "__expected_start__"
EXPECTED_END = "__expected_end__"
EXPECTED = (EXPECTED_START, EXPECTED_END)

RFC_3339 = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)", re.ASCII)
NO_ZONE = re.compile(r"\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d(\.\d+)?)?)?", re.ASCII)
UNIX_SECONDS = re.compile(r"\d{1,15}(\.\d{1,9})?", re.ASCII)

LATEST = 100_000_000_000.0
"""Unix seconds of the year 5138; a larger number is a time in milliseconds."""

EXAMPLE = "2026-01-15T08:30:00Z"


def parse_time(value: object) -> float:
    """Unix seconds of a label's text, or of the number or date that YAML made of it; ValueError with a sentence."""
    match value:
        case bool():
            pass
        case int() | float():
            return _in_range(float(min(value, LATEST)) if isinstance(value, int) else value)
        case datetime() if value.tzinfo:
            return _in_range(value.timestamp())
        case date():
            raise ValueError(f"needs a time of day and a time zone, as in {EXAMPLE}")
        case str():
            return _from_text(value.strip().upper())
        case _:
            pass
    raise ValueError(f"must be a time as in {EXAMPLE}, or Unix seconds")


def _from_text(text: str) -> float:
    if UNIX_SECONDS.fullmatch(text):
        return _in_range(float(text))
    if NO_ZONE.fullmatch(text):
        raise ValueError(f"needs a time of day and a time zone, as in {EXAMPLE}")
    if not RFC_3339.fullmatch(text):
        raise ValueError(f"must be a time as in {EXAMPLE}, or Unix seconds")
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError("is no date and time of the calendar") from None
    return _in_range(moment.timestamp())


def _in_range(seconds: float) -> float:
    if not math.isfinite(seconds) or seconds < 0:
        raise ValueError("must be Unix seconds, zero or more")
    if seconds >= LATEST:
        raise ValueError("must be Unix seconds; this looks like milliseconds")
    return seconds


def time_text(value: object) -> str:
    """The same time as label text: text as it was written, a number or date of YAML's so that it parses equal."""
    if isinstance(value, str):
        return value
    seconds = parse_time(value)
    return str(int(seconds)) if seconds.is_integer() else f"{seconds:.6f}"


def expected_times(labels: Mapping[str, str]) -> tuple[float | None, float | None]:
    """What the two `__expected_*__` labels say, Unix seconds; ValueError names the label that is wrong."""
    times = {name: _named(name, labels[name]) for name in EXPECTED if name in labels}
    start, end = times.get(EXPECTED_START), times.get(EXPECTED_END)
    if start is not None and end is not None and end < start:
        raise ValueError(f"{EXPECTED_END} is before {EXPECTED_START}")
    return start, end


def _named(name: str, value: str) -> float:
    try:
        return parse_time(value)
    except ValueError as error:
        raise ValueError(f"{name} {error}") from None
