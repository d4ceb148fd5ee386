"""The vendor's manner of delivering events, and what is said of each delivery."""

from dataclasses import dataclass
from typing import NamedTuple

from exporter.simulator.notices import Notice


@dataclass(frozen=True, slots=True, kw_only=True)
class Manner:
    """How the vendor delivers. Shares of all events are 0 to 1, times are seconds.

    `doubled`: delivered once more `interval` after its 200. `delayed`: first delivered up to `delay` late, hence out of
    order. `lost`: never delivered. An answer within `patience` counts (docs: 5 s); the docs tell no `interval`.
    """

    doubled: float = 0.0
    delayed: float = 0.0
    lost: float = 0.0
    delay: float = 3.0
    interval: float = 1.0
    patience: float = 5.0


EXACT = Manner()
DEMO = Manner(doubled=0.03, delayed=0.05)
"""As unreliable as the vendor's page allows, and nothing lost, so that all can be counted."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """One attempt to deliver an event: its `number` among them from 1 on, and whether an earlier one had its 200."""

    notice: Notice
    nonce: str
    doubled: bool
    number: int = 1
    delivered: bool = False


class Receipt(NamedTuple):
    """What came of a delivery, and when (Unix seconds): the HTTP status, 0 for no answer."""

    at: float
    event_id: str
    http_status: int
    number: int


@dataclass(frozen=True, slots=True)
class Counts:
    """How many events came due, and what became of those that do not wait any more."""

    due: int = 0
    delivered: int = 0
    given_up: int = 0
    lost: int = 0
