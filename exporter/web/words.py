"""Times and spans in few words, for pages and tables."""

from datetime import UTC, datetime

UNITS = (("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1))


def span(seconds: float | None) -> str:
    """The two largest units of it: `1d 2h`, `3m 20s`; empty when there is none."""
    if seconds is None:
        return ""
    left = max(0, int(seconds))
    parts: list[str] = []
    for unit, length in UNITS:
        if left >= length or (unit == "s" and not parts):
            parts.append(f"{left // length}{unit}")
            left %= length
        elif parts:
            break
    return " ".join(parts[:2])


def ago(moment: float | None, now: float) -> str:
    """`3m 20s ago`, `in 5s`; empty when there is no moment."""
    if moment is None:
        return ""
    past = now - moment
    return f"{span(past)} ago" if past >= 0 else f"in {span(-past)}"


def clock(moment: float | None) -> str:
    """`2026-01-15 20:03:25 UTC`; empty when there is no moment."""
    return "" if moment is None else datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
