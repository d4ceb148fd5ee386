"""A page in trouble, as callbacks tell of it; GetWebCastTask says nothing of that (seed page, MonitorConfig)."""

from dataclasses import dataclass
from typing import NamedTuple

from exporter.enums import PageAction, PageReason


class PageEvent(NamedTuple):
    """The vendor refreshed a page or rescheduled its task; `at` is the callback's EventTime, Unix seconds."""

    action: PageAction
    reason: PageReason
    at: float


@dataclass(frozen=True, slots=True)
class Pages:
    """All of it that one run has met: how often, and the latest event of each action and reason."""

    refreshes: int = 0
    reschedules: int = 0
    latest: tuple[PageEvent, ...] = ()


NO_PAGES = Pages()


def with_event(pages: Pages, event: PageEvent) -> Pages:
    """One event more; it may come later than others that happened after it."""
    refreshed = event.action is PageAction.REFRESH
    latest = {(known.action, known.reason): known for known in pages.latest}
    kind = event.action, event.reason
    latest[kind] = max(latest.get(kind, event), event)
    return Pages(pages.refreshes + refreshed, pages.reschedules + (not refreshed), tuple(sorted(latest.values())))
