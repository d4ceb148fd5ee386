"""Faults on demand: the mode in force, for whom and how long."""

import math
from dataclasses import dataclass

from exporter.model.target import TargetId
from exporter.simulator.mishaps import FAULTS, Fault, Incident
from exporter.simulator.modes import AT_THE_DOOR, FaultMode
from exporter.simulator.replies import Metadata, Reply, Style

__all__ = ["FAULTS", "Fault", "FaultMode", "Faults", "Incident"]


@dataclass(slots=True)
class Faults:
    """The mode in force, which a test, a command or a page may change at any time.

    `only` names an app, or a task as `APP/ROOM/TASK`: others meet no fault, unless it is at the door. Seconds:
    `latency` of late answers, `retry_after` of throttled ones, `ahead` of the clock. It ends by itself at `until`
    (Unix seconds).
    """

    mode: FaultMode = FaultMode.NONE
    latency: float = 2.0
    retry_after: int = 3
    ahead: float = 3600.0
    only: str = ""
    until: float = math.inf

    def apply(self, reply: Reply, metadata: Metadata, style: Style, target: TargetId, at: float) -> Reply:
        """What is sent in place of `reply`, to a call for `target` that arrived at `at` (Unix seconds)."""
        if self.only not in ("", target.app_id, str(target)):
            return reply
        return FAULTS[self.mode](Incident(reply, metadata, style, at, self.latency, self.retry_after))

    @property
    def clock_ahead(self) -> float:
        """By how many seconds the clock of whoever checks a signature is wrong now."""
        return self.ahead if self.mode is FaultMode.CLOCK else 0.0

    @property
    def at_the_door(self) -> FaultMode:
        """The mode, if it is one that is met before a request is read."""
        mode = self.mode
        return mode if mode in AT_THE_DOOR else FaultMode.NONE

    def begin(self, mode: FaultMode, *, only: str = "", until: float = math.inf) -> None:
        """Put a mode in force."""
        self.only, self.until, self.mode = only, until, mode

    def look(self, now: float) -> None:
        """End what has lasted long enough."""
        if now >= self.until:
            self.begin(FaultMode.NONE)
