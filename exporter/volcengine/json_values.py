"""Reads single values of undocumented or unreliable JSON: each function gives a usable value or says there is none."""

import json
import re
from collections.abc import Mapping
from typing import NoReturn

MAX_NUMBER_CHARS = 32
MAX_USER_ID_CHARS = 128
"""The vendor's limit for every id (volcengine.com/docs/6348/69828)."""
MAX_URL_CHARS = 4096
"""Four times the vendor's limit (seed page, field SourceURL)."""
MAX_HOST_CHARS = 253

_NUMBER = re.compile(r"[+-]?[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
_USER_ID = re.compile(r"[a-zA-Z0-9_@\-.]{1,128}")
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
    """At most 128 printable characters, and whether it is as documented (seed page, field UserId)."""
    if not isinstance(value, str):
        return "", False
    if _USER_ID.fullmatch(value):
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
