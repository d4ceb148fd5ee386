"""A right document made wrong, and what comes in place of one."""

import json
from collections.abc import Callable
from typing import Any

CANARY = "canary-vendor-message"
"""Words of the vendor's that echo a request; they must be seen nowhere behind the exporter."""

PAGE = f"<!DOCTYPE html>\n<html><head><title>Sign in</title></head><body><p>{CANARY}</p></body></html>\n".encode()
PADDING = b', "Padding": "' + b"x" * (8 * 1024 * 1024) + b'"}'
TASK_KEYS = frozenset({"webcasttask"})


def cut(document: Any) -> bytes:
    """The first half."""
    whole = json.dumps(document).encode()
    return whole[: len(whole) // 2]


def huge(document: Any) -> bytes:
    """The document, good JSON, with 8 MiB more in it."""
    return json.dumps(document).encode()[:-1] + PADDING


def wrong_types(document: Any) -> Any:
    """Each field of the result of another type than it should be; the objects around them stay."""
    return _changed(document, _of_another_type)


def odd_fields(document: Any) -> Any:
    """The same, but Status stays right."""
    return _changed(document, lambda name, value: value if name == "Status" else _of_another_type(name, value))


def numbers_as_text(document: Any) -> Any:
    """Each number of the result as a string."""
    return _changed(document, _as_text)


def _changed(document: Any, change: Callable[[str, Any], Any]) -> Any:
    """With `change` for each field of a task; an answer without one stays as it is."""
    result = document.get("Result")
    if not isinstance(result, dict):
        return document
    tasks = {key: value for key, value in result.items() if key.lower() in TASK_KEYS and isinstance(value, dict)}
    changed = {key: {name: change(name, value) for name, value in task.items()} for key, task in tasks.items()}
    return {**document, "Result": {**result, **changed}}


def _of_another_type(_name: str, value: Any) -> Any:
    if isinstance(value, (str, bool)):
        return 7
    return "none of these" if isinstance(value, (int, float, list)) else [value]


def _as_text(name: str, value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _as_text(key, item) for key, item in value.items()}
    if isinstance(value, list):
        return [_as_text(name, item) for item in value]
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value
