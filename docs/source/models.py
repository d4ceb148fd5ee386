"""The models of exporter/config as rows: every key with what it may be, and its default."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args, get_origin

from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo

from exporter.config.accounts import TlsConfig
from exporter.config.discovery import FeedUrl
from exporter.config.durations import Duration, PositiveDuration, format_duration
from exporter.config.fields import ProxyUrl
from exporter.config.http_client import Authorization, BasicAuth, FeedTls
from exporter.config.state import StateUrl
from exporter.model.target import TargetId

NESTED = (TlsConfig, Authorization, BasicAuth, FeedTls)
"""Sections of a section: their keys are told with a dot."""

ANY_DURATION, NOT_ZERO = Duration.__metadata__[0], PositiveDuration.__metadata__[0]  # type: ignore[attr-defined]
PROXY = ProxyUrl.__metadata__[0]  # type: ignore[attr-defined]
SPECIAL = {NOT_ZERO: "duration, not zero", ANY_DURATION: "duration", PROXY: "URL, a secret"}
"""By the check that is on the key."""

WORDS: dict[Any, str] = {
    Path: "file",
    SecretStr: "secret",
    FeedUrl: "URL",
    StateUrl: "URL",
    TargetId: "`APP/ROOM/TASK`",
    bool: "`true` or `false`",
    int: "whole number",
    float: "number",
    str: "text",
    dict: "labels and their values",
}


class Row(NamedTuple):
    """One key of a section, `tls_config.ca_file` for one of a nested section; `default` is empty when there is none."""

    key: str
    value: str
    default: str


def rows(model: type[BaseModel], prefix: str = "") -> Iterator[Row]:
    """Every key of a section, in the order of the file."""
    for name, field in model.model_fields.items():
        nested = next((each for each in NESTED if each in _alternatives(field.annotation)), None)
        if nested:
            yield from rows(nested, f"{prefix}{name}.")
        else:
            yield Row(prefix + name, _value(field.annotation, tuple(field.metadata)), _default(field))


def _alternatives(annotation: Any) -> tuple[Any, ...]:
    """The types of `A | B`, without None."""
    union = type(annotation) is type(int | None) or str(get_origin(annotation)) == "typing.Union"
    return tuple(each for each in get_args(annotation) if each is not type(None)) if union else (annotation,)


def _value(annotation: Any, metadata: tuple[Any, ...] = ()) -> str:
    """What the key may be, in words."""
    (annotation,) = _alternatives(annotation)
    if hasattr(annotation, "__metadata__"):
        return _value(get_args(annotation)[0], (*annotation.__metadata__, *metadata))
    special = next((words for mark, words in SPECIAL.items() if mark in metadata), None)
    return special or _plain(annotation)


def _plain(annotation: Any) -> str:
    origin = get_origin(annotation)
    if origin is Literal:
        return ", ".join(f"`{word}`" for word in get_args(annotation))
    if origin is tuple:
        value = _value(get_args(annotation)[0])
        return f"list of {value if value.endswith('`') else value + 's'}"
    return WORDS[origin or annotation]


def _default(field: FieldInfo) -> str:
    """As the file would have it."""
    if field.is_required():
        return "required"
    given = field.get_default(call_default_factory=True)
    duration = {ANY_DURATION, NOT_ZERO} & set(field.metadata)
    write = format_duration if duration else _written
    return "" if given is None else f"`{write(given)}`"


def _written(given: Any) -> str:
    if isinstance(given, bool):
        return str(given).lower()
    if isinstance(given, tuple):
        return f"[{', '.join(given)}]"
    return f"{given:g}" if isinstance(given, float) else str(given)
