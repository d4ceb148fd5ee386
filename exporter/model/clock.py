"""Time, as it is passed in."""

import time
from collections.abc import Callable
from dataclasses import dataclass

TOLERANCE = 5.0
"""Seconds by which the wall clock may step ahead and still be believed at once."""

HOLD = 60.0
"""Seconds for which the wall clock must stand by a larger step before it is believed."""


@dataclass(frozen=True, slots=True)
class Clock:
    """`unix` is the wall clock (Unix seconds; it may jump), `monotonic` measures waits (seconds; it never does)."""

    unix: Callable[[], float] = time.time
    monotonic: Callable[[], float] = time.monotonic


class SteadyClock:
    """A wall clock that follows a large step ahead only after HOLD seconds; a step back it follows at once.

    Decisions that cannot be taken back (a run is lost, a target is forgotten) go by it, so that a wall clock that is
    ahead for a moment changes nothing.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._offset = clock.unix() - clock.monotonic()
        self._differs_since: float | None = None

    def unix(self) -> float:
        """Unix seconds."""
        wall, monotonic = self._clock.unix(), self._clock.monotonic()
        if wall - monotonic - self._offset > TOLERANCE:
            if self._differs_since is None:
                self._differs_since = monotonic
            if monotonic - self._differs_since < HOLD:
                return monotonic + self._offset
        self._offset, self._differs_since = wall - monotonic, None
        return wall
