"""Verified callbacks: their keys, the page events they report, and the page counters of a run.

GetWebCastTask says nothing about page freezes, blanks or crashes (seed page, MonitorConfig); only callbacks do.
"""

from dataclasses import dataclass
from typing import NamedTuple

from exporter.enums import PageAction, PageReason
from exporter.model.target import TargetId


class EventKey(NamedTuple):
    """Identity of an event, however often it is delivered: app id and the vendor's EventId.

    A signature with an empty app id is a key too: the signature covers the values but not their field names, so a body
    that was overheard could be sent again with EventId and Nonce exchanged.
    """

    app_id: str
    event_id: str


MAX_RECENT = 20


class PageEvent(NamedTuple):
    """The vendor refreshed a page or rescheduled its task; `at` is the callback's EventTime, Unix seconds."""

    action: PageAction
    reason: PageReason
    at: float


@dataclass(frozen=True, slots=True)
class Pages:
    """Page events of one run: how many of each action, and the latest event of each action and reason.

    `recent` are the last MAX_RECENT events of each action, the oldest first.
    """

    refreshes: int = 0
    reschedules: int = 0
    latest: tuple[PageEvent, ...] = ()
    recent: tuple[PageEvent, ...] = ()


NO_PAGES = Pages()


def with_event(pages: Pages, event: PageEvent) -> Pages:
    """Add one event; events may arrive out of order."""
    refreshed = event.action is PageAction.REFRESH
    latest = {(each.action, each.reason): each for each in pages.latest}
    kind = event.action, event.reason
    latest[kind] = max(latest.get(kind, event), event)
    same_action = sorted([*(each for each in pages.recent if each.action is event.action), event], key=_event_time)
    recent = [*(each for each in pages.recent if each.action is not event.action), *same_action[-MAX_RECENT:]]
    return Pages(
        pages.refreshes + refreshed,
        pages.reschedules + (not refreshed),
        tuple(sorted(latest.values())),
        tuple(sorted(recent, key=_event_time)),
    )


def _event_time(event: PageEvent) -> tuple[float, PageEvent]:
    return event.at, event


@dataclass(frozen=True, slots=True)
class Callback:
    """One event of one task. `at` is its EventTime in Unix seconds; `page` is None when it is not about the page.

    `signature` is a digest of the event's signature.
    """

    target: TargetId
    event_id: str
    signature: str
    at: float
    page: PageEvent | None = None

    @property
    def keys(self) -> tuple[EventKey, EventKey]:
        """The keys that it is remembered by; a match of either one is a duplicate."""
        return EventKey(self.target.app_id, self.event_id), EventKey("", self.signature)


class CallbackReceipt(NamedTuple):
    """A callback that was taken in, and when it arrived (Unix seconds)."""

    keys: tuple[EventKey, ...]
    at: float
