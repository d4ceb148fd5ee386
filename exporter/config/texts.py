"""Strings of the file. YAML makes numbers, dates and booleans of much that was meant as one."""

import re
from collections.abc import Callable
from datetime import date


def string(raw: object) -> str:
    """A string as it is, or ValueError with a sentence."""
    if isinstance(raw, str):
        return raw
    mistaken = isinstance(raw, int | float | date)
    raise ValueError("must be a string, put quotes around it" if mistaken else "must be a string")


def text(raw: object) -> str:
    """A string that is not empty, or ValueError with a sentence."""
    value = string(raw)
    if not value:
        raise ValueError("must not be empty")
    return value


def one_line(raw: str) -> str:
    """A credential without the white space around it, or ValueError: it travels in a header, so one line of ASCII."""
    value = raw.strip()
    if not value:
        raise ValueError("is empty")
    if not value.isascii() or not value.isprintable():
        raise ValueError("must be one line of plain ASCII text")
    return value


def matching(pattern: str, sentence: str) -> Callable[[object], str]:
    """A reader of strings that match `pattern` as a whole; otherwise ValueError with this sentence."""
    compiled = re.compile(pattern, re.ASCII)

    def read(raw: object) -> str:
        value = string(raw)
        if not compiled.fullmatch(value):
            raise ValueError(sentence)
        return value

    return read
