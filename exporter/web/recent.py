"""The last callbacks, as far as they may be shown."""

from collections import deque
from typing import NamedTuple

from exporter.enums import CallbackOutcome
from exporter.model.clock import Clock
from exporter.volcengine.callbacks import CallbackShape

MOST = 20
MOST_UNSIGNED = 5
UNSIGNED = (CallbackOutcome.BAD_SIGNATURE, CallbackOutcome.MALFORMED)
"""Whoever has no secret must not be able to push the vendor's callbacks out of sight."""


class Seen(NamedTuple):
    """One callback: what it looked like, what became of it, and how many seconds ago."""

    shape: CallbackShape
    outcome: CallbackOutcome
    age: float


class Recent:
    """The last twenty. Safe for threads."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._signed: deque[tuple[float, CallbackShape, CallbackOutcome]] = deque(maxlen=MOST)
        self._unsigned: deque[tuple[float, CallbackShape, CallbackOutcome]] = deque(maxlen=MOST_UNSIGNED)

    def add(self, shape: CallbackShape, outcome: CallbackOutcome) -> None:
        """One more."""
        ring = self._unsigned if outcome in UNSIGNED else self._signed
        ring.append((self._clock.monotonic(), shape, outcome))

    def latest_first(self) -> list[Seen]:
        """At most twenty, of which few are unsigned."""
        now = self._clock.monotonic()
        seen = sorted([*self._signed, *self._unsigned], key=lambda each: each[0], reverse=True)
        return [Seen(shape, outcome, now - at) for at, shape, outcome in seen[:MOST]]
