"""JSON objects of which nobody documents how their keys are cased, or whether a number is written as a text."""

import json
from collections.abc import Mapping
from typing import NoReturn


class NotAnObject(ValueError):
    """It is none; the message is the end of a sentence, and repeats nothing of the text."""


class LooseObject:
    """Its keys are found in any case, as written first; its numbers are the text they were written as."""

    def __init__(self, values: Mapping[str, object]) -> None:
        self._values = values
        self._in_any_case = {key.lower(): value for key, value in values.items()}

    @property
    def keys(self) -> tuple[str, ...]:
        """As they are written."""
        return tuple(self._values)

    def get(self, key: str) -> object:
        """The key's value, None when there is none."""
        return self._values.get(key, self._in_any_case.get(key.lower()))


def object_of(text: str | bytes) -> LooseObject:
    """The object that a JSON text is; NotAnObject when it is none."""
    try:
        whole = text if isinstance(text, str) else text.decode("utf-8-sig")
        value = json.loads(whole, parse_int=str, parse_float=str, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        raise NotAnObject("is not JSON") from None
    if not isinstance(value, dict):
        raise NotAnObject("is no JSON object")
    return LooseObject(value)


def _no_constant(_name: str) -> NoReturn:
    """NaN and Infinity are Python's own addition to JSON."""
    raise ValueError
