"""The clocks that are passed to whatever needs the time."""

import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Clock:
    """`unix` is the wall clock (Unix seconds; it may jump), `monotonic` measures waits (seconds; it never does)."""

    unix: Callable[[], float] = time.time
    monotonic: Callable[[], float] = time.monotonic
