"""How often something may happen."""

import time
from collections.abc import Callable
from threading import Lock


class Allowance:
    """So many a second in the long run, and `burst` at once. Safe for threads; `monotonic` is a clock in seconds."""

    def __init__(self, per_second: float, burst: float, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._per_second = per_second
        self._burst = burst
        self._monotonic = monotonic
        self._lock = Lock()
        self._left = burst
        self._at = monotonic()

    def admits(self) -> bool:
        """Whether one more is within it; if so it counts."""
        with self._lock:
            now = self._monotonic()
            self._left = min(self._burst, self._left + (now - self._at) * self._per_second)
            self._at = now
            if self._left < 1.0:
                return False
            self._left -= 1.0
            return True
