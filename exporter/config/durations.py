"""Durations as Prometheus writes them: `30s`, `1h30m`, `500ms`, `7d`."""

import re
from typing import Annotated

from pydantic import BeforeValidator

MILLISECONDS = {
    "y": 365 * 86_400_000,
    "w": 7 * 86_400_000,
    "d": 86_400_000,
    "h": 3_600_000,
    "m": 60_000,
    "s": 1_000,
    "ms": 1,
}
"""One unit's length; a day has 24 h and a year 365 d (prometheus.io, Configuration, <duration>)."""

PATTERN = re.compile("".join(f"(?:([0-9]+){unit})?" for unit in MILLISECONDS))
UNITLESS = re.compile(r"[0-9]{1,9}(\.[0-9]{1,3})?")
WHOLE_ONLY = ("y", "w")
"""Units that are written only when nothing is left over, as Prometheus does: `1w`, but `8d`."""

LONGEST_TEXT = 64
LONGEST_MILLISECONDS = 2**63 // 1_000_000
"""Prometheus counts nanoseconds in 64 bits, which is some 292 years."""


def parse_duration(text: str) -> float:
    """Seconds of `1h30m`; ValueError with a sentence. Units go from large to small, each once; `0` needs none."""
    if text == "0":
        return 0.0
    if UNITLESS.fullmatch(text):
        raise ValueError(f"needs a unit: write {format_duration(float(text))}")
    match = PATTERN.fullmatch(text)
    if not text or not match:
        raise ValueError("must be a duration such as 30s or 1h30m (units y w d h m s ms, large to small, each once)")
    if len(text) > LONGEST_TEXT:
        raise ValueError("is too long a duration")
    total = sum(int(count or 0) * unit for count, unit in zip(match.groups(), MILLISECONDS.values(), strict=True))
    if total >= LONGEST_MILLISECONDS:
        raise ValueError("is too long a duration")
    return total / 1000


def format_duration(seconds: float) -> str:
    """The shortest text that `parse_duration` reads as these seconds, to the millisecond."""
    left = round(seconds * 1000)
    text = ""
    for unit, length in MILLISECONDS.items():
        if left < length or (unit in WHOLE_ONLY and left % length):
            continue
        text += f"{left // length}{unit}"
        left %= length
    return text or "0s"


def _seconds(raw: object) -> float:
    """A duration of the file as seconds; YAML reads `30` as a number, and guessing its unit would be a trap."""
    number = isinstance(raw, int | float) and not isinstance(raw, bool)
    return parse_duration(str(raw) if number or isinstance(raw, str) else "")


def _positive(raw: object) -> float:
    seconds = _seconds(raw)
    if seconds == 0:
        raise ValueError("must not be zero")
    return seconds


Duration = Annotated[float, BeforeValidator(_seconds)]
"""Seconds, zero allowed."""

PositiveDuration = Annotated[float, BeforeValidator(_positive)]
"""Seconds, more than zero."""
