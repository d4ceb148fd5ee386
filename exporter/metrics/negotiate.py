"""Which of the two formats a scrape asks for (`Accept`), and whether it takes gzip (`Accept-Encoding`)."""

from collections.abc import Iterator
from enum import StrEnum


class Format(StrEnum):
    """The formats served, by their Content-Type."""

    TEXT = "text/plain; version=0.0.4; charset=utf-8"
    OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"


_OPENMETRICS_VERSIONS = ("", "0.0.1", "1.0.0")
_FORMATS = {"text/plain": Format.TEXT, "text/*": Format.TEXT, "*/*": Format.TEXT}


def choose_format(accept: str) -> Format:
    """The format the header likes best; the text format when it names neither, as every Prometheus takes it."""
    best, best_quality = Format.TEXT, 0.0
    for media, parameters, quality in _parts(accept):
        found = _FORMATS.get(media)
        if media == "application/openmetrics-text" and parameters.get("version", "") in _OPENMETRICS_VERSIONS:
            found = Format.OPENMETRICS
        if found is not None and quality > best_quality:
            best, best_quality = found, quality
    return best


def accepts_gzip(accept_encoding: str) -> bool:
    """Whether gzip is to be used: named (or `*`), not refused by q=0, and not liked less than no encoding at all."""
    qualities = {coding: quality for coding, _, quality in _parts(accept_encoding)}
    gzip = qualities.get("gzip", qualities.get("*", 0.0))
    return gzip > 0.0 and gzip >= qualities.get("identity", 0.0)


def _parts(header: str) -> Iterator[tuple[str, dict[str, str], float]]:
    for part in header.split(","):
        value, *rest = part.split(";")
        parameters = {
            name.strip().lower(): text.strip().strip('"') for name, _, text in (field.partition("=") for field in rest)
        }
        if value.strip():
            yield value.strip().lower(), parameters, _quality(parameters.pop("q", "1"))


def _quality(text: str) -> float:
    try:
        return min(1.0, max(0.0, float(text)))
    except ValueError:
        return 0.0
