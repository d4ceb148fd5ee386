"""Faults on demand: what the vendor may do to a call of GetWebCastTask that is in order."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from exporter.simulator.replies import (
    INTERNAL_ERROR,
    Metadata,
    Reply,
    Style,
    delayed,
    failure,
    over_qps,
)


class FaultMode(StrEnum):
    """The faults there are."""

    NONE = "none"
    THROTTLE = "throttle"
    SERVER_ERROR = "server_error"
    LATENCY = "latency"


@dataclass(frozen=True, slots=True)
class Incident:
    """A call in order, as it meets a fault: the reply it would have had, and what another one is made of."""

    reply: Reply
    metadata: Metadata
    style: Style
    latency: float


Fault = Callable[[Incident], Reply]


def _none(incident: Incident) -> Reply:
    return incident.reply


def _throttle(incident: Incident) -> Reply:
    return failure(incident.metadata, over_qps(incident.style), "The request exceeds the QPS limit.")


def _server_error(incident: Incident) -> Reply:
    return failure(incident.metadata, INTERNAL_ERROR, "An internal error occurred.")


def _latency(incident: Incident) -> Reply:
    return delayed(incident.reply, incident.latency)


FAULTS: dict[FaultMode, Fault] = {
    FaultMode.NONE: _none,
    FaultMode.THROTTLE: _throttle,
    FaultMode.SERVER_ERROR: _server_error,
    FaultMode.LATENCY: _latency,
}


@dataclass(slots=True)
class Faults:
    """The mode in force, which a test or a command may change at any time; `latency` in seconds."""

    mode: FaultMode = FaultMode.NONE
    latency: float = 2.0

    def apply(self, reply: Reply, metadata: Metadata, style: Style) -> Reply:
        """What is sent in place of `reply`."""
        return FAULTS[self.mode](Incident(reply, metadata, style, self.latency))
