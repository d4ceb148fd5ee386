"""A callback whose signature fits, as far as it is of use here."""

from dataclasses import dataclass
from typing import NamedTuple

from exporter.model.pages import PageEvent
from exporter.model.target import TargetId


class EventKey(NamedTuple):
    """What makes an event one and the same, however often it is delivered: its app and the vendor's EventId.

    A signature without an app is a key too. It covers the values in whatever field they stand, so that a body that was
    overheard could be sent again with its EventId and its Nonce exchanged.
    """

    app_id: str
    event_id: str


@dataclass(frozen=True, slots=True)
class Callback:
    """One event of one task. `at` is its EventTime in Unix seconds; `page` is None when it is about no page."""

    target: TargetId
    event_id: str
    signature: str
    at: float
    page: PageEvent | None = None

    @property
    def keys(self) -> tuple[EventKey, EventKey]:
        """Under which it is remembered; whoever has one of them has been here before."""
        return EventKey(self.target.app_id, self.event_id), EventKey("", self.signature)


class CallbackReceipt(NamedTuple):
    """A callback that was taken in, and when it arrived (Unix seconds)."""

    keys: tuple[EventKey, ...]
    at: float
