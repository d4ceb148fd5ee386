"""Readers of single JSON values that nobody vouches for: each gives a sane value or says that there is none."""

import re

MAX_NUMBER_CHARS = 32
MAX_USER_ID_CHARS = 128
"""Of every id the vendor takes (volcengine.com/docs/6348/69828)."""
MAX_URL_CHARS = 4096
"""Four times what the vendor takes (seed page, field SourceURL)."""
MAX_HOST_CHARS = 253

_NUMBER = re.compile(r"[+-]?[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
_USER_ID = re.compile(r"[a-zA-Z0-9_@\-.]{1,128}")
# The end of the authority must follow the host: half of a password with a slash in it must never pass for a host.
# A browser takes a backslash for a slash, so it ends nothing here and is allowed nowhere.
_AUTHORITY = re.compile(
    r"(?:[a-z][a-z0-9+.\-]*:)?//(?:[^/?#\\]*@)?(?:(\w[\w.\-]*)|\[([0-9a-f:.]+)\])(?::[0-9]*)?(?:[/?#]|$)",
    re.IGNORECASE,
)


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


def is_empty(value: object) -> bool:
    """Whether all of it, however deep, is absent, zero, false or empty: the reply's way of holding nothing."""
    waiting = [value]
    while waiting:
        item = waiting.pop()
        if isinstance(item, dict):
            waiting.extend(item.values())
        elif isinstance(item, list):
            waiting.extend(item)
        elif not _is_nothing(item):
            return False
    return True


def _is_nothing(item: object) -> bool:
    return not item or (isinstance(item, str) and not item.strip()) or whole_number(item) == 0


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
