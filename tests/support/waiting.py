"""Waiting for a condition, with a generous limit, as machines that run tests may be slow."""

import time
from collections.abc import Callable

LIMIT = 60.0


def wait_until(holds: Callable[[], object], what: str, seconds: float = LIMIT) -> None:
    """Wait until `holds` is true; fail with `what` after `seconds`."""
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, f"not within {seconds:g} s: {what}"
        time.sleep(0.01)


def wait_equal(find: Callable[[], object], expected: object, seconds: float = LIMIT) -> None:
    """Wait until what is found is this; fail with what was found instead after `seconds`."""
    end = time.monotonic() + seconds
    while (found := find()) != expected:
        assert time.monotonic() < end, f"not within {seconds:g} s: {expected}, but {found}"
        time.sleep(0.05)
