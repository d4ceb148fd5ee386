"""What the vendor says of a task, in Prometheus's base units: the outcome of one read, and verified callbacks.

GetWebCastTask says nothing about page freezes, blanks or crashes (API page, MonitorConfig); only callbacks do.
"""

from dataclasses import dataclass
from typing import NamedTuple

from exporter.enums import STOPPED_STATUSES, PageAction, PageReason, Status, StopReason
from exporter.errors import ReadError
from exporter.model.target import TargetId


@dataclass(frozen=True, slots=True)
class MonitorIntervals:
    """Seconds between two checks of the page; 0 = the check is off, None = not said."""

    freeze: int | None = None
    blank: int | None = None
    crash: int | None = None


@dataclass(frozen=True, slots=True)
class VideoStream:
    """One output stream: pixels, frames per second, bytes per second (0 = adaptive); None = not said."""

    width: int | None = None
    height: int | None = None
    frames_per_second: int | None = None
    max_bytes_per_second: int | None = None


@dataclass(frozen=True, slots=True)
class EventNotify:
    """Whether the page tells its own start and end, and how many seconds its start is waited for (0 = no limit)."""

    enabled: bool | None = None
    start_timeout: int | None = None


@dataclass(frozen=True, slots=True)
class Task:
    """One successful read. None always means that the vendor does not say it.

    `start` and `end` are Unix seconds; `end` and `stop_reason` are set only when the task has stopped.
    `source_host` is all that is ever kept of SourceURL, whose query may carry authentication.
    """

    status: Status
    start: float | None = None
    end: float | None = None
    stop_reason: StopReason | None = None
    user_id: str = ""
    source_host: str = ""
    max_running_time: int | None = None
    video: tuple[VideoStream, ...] = ()
    monitor: MonitorIntervals = MonitorIntervals()
    event_notify: EventNotify = EventNotify()

    @property
    def stopped(self) -> bool:
        """Whether the vendor says that it is over."""
        return self.status in STOPPED_STATUSES

    @property
    def deadline(self) -> float | None:
        """When the vendor will stop it (StartTime + MaxRunningTime, Unix seconds), if both are known."""
        if self.start is None or self.max_running_time is None:
            return None
        return self.start + self.max_running_time


@dataclass(frozen=True, slots=True)
class ReadResult:
    """One read of one target. `calls` were made for it: two when the first one met a stale connection.

    `at` is the local clock when it was over and `server_time` the vendor's clock at that moment (its Date header;
    equal to `at` without one), both Unix seconds. `elapsed` is from sending to the whole answer and `waited` the time
    spent waiting for the budget, in seconds. `skew` is the server's clock minus ours, None without a Date header.
    `unexpected` names the reply's fields whose value is missing or not what the vendor documents.
    """

    target: TargetId
    at: float
    server_time: float
    elapsed: float
    outcome: Task | ReadError
    waited: float = 0.0
    skew: float | None = None
    unexpected: tuple[str, ...] = ()
    calls: int = 1

    @property
    def task(self) -> Task | None:
        """The task, if the read succeeded."""
        return self.outcome if isinstance(self.outcome, Task) else None

    @property
    def error(self) -> ReadError | None:
        """The error, if it failed."""
        return self.outcome if isinstance(self.outcome, ReadError) else None


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
