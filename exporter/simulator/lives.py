"""One life of a task: a plan that says what will happen, and what is true of it at any time."""

from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Any

from exporter.enums import STATUS_OF_CODE, Status, StopReason
from exporter.simulator.page import PageEvent, Trouble, remedies
from exporter.simulator.settings import Settings, compressed

LOOK_BACK = 72 * 3600
"""Seconds after its start for which a task can be queried (seed page)."""

Span = tuple[float, float]


class Ending(Enum):
    """How a life ends: the Status and StopReason that the vendor then tells."""

    STOPPED_BY_API = (Status.ENDED, StopReason.STOP_BY_API.value)
    BY_THE_PAGE = (Status.ENDED, "")
    TIMED_OUT = (Status.ENDED, StopReason.EXCEED_MAX_RUNNING_TIME.value)
    START_FAILED = (Status.FAILED, StopReason.START_TASK_FAILED.value)
    BROKE = (Status.FAILED, StopReason.UNKNOWN.value)

    @property
    def status(self) -> Status:
        """The status after it."""
        return self.value[0]

    @property
    def reason(self) -> str:
        """The vendor's StopReason after it; empty when the page ended itself (no word is documented for that)."""
        return self.value[1]


@dataclass(frozen=True, slots=True)
class Plan:
    """What is going to happen, in seconds of class time after the task's creation.

    `starts` None: it never starts. `ends` None: it runs until its MaxRunningTime is over. While in an `unknown` span
    the vendor tells Status 0.
    """

    settings: Settings = field(default_factory=Settings)
    starts: float | None = 0.0
    ends: float | None = None
    ending: Ending = Ending.BY_THE_PAGE
    unknown: tuple[Span, ...] = ()
    troubles: tuple[Trouble, ...] = ()


@dataclass(frozen=True, slots=True)
class Life:
    """A plan on the real clock: all times are Unix milliseconds, None = never."""

    settings: Settings
    created: int
    start: int | None
    end: int | None
    ending: Ending
    unknown: tuple[tuple[int, int], ...] = ()
    page_events: tuple[PageEvent, ...] = ()


@dataclass(frozen=True, slots=True)
class Moment:
    """What is true of a life at one time: `start` and `end` are Unix milliseconds, 0 = not yet."""

    status: Status
    reason: str
    start: int
    end: int


def begin(plan: Plan, at: float, speed: float = 1.0) -> Life:
    """Let a plan come true from `at` (Unix seconds) on, `speed` times faster than class time."""

    def real(offset: float) -> int:
        return round((at + offset / speed) * 1000)

    settings = compressed(plan.settings, speed)
    start = None if plan.starts is None else real(plan.starts)
    end = None if plan.ends is None or plan.ending is Ending.TIMED_OUT else real(plan.ends)
    life = Life(
        settings=settings,
        created=real(0),
        start=start,
        end=None,
        ending=Ending.TIMED_OUT,
        unknown=tuple((real(since), real(until)) for since, until in plan.unknown),
        page_events=tuple(
            event for trouble in plan.troubles for event in remedies(trouble, real(trouble.after), settings)
        ),
    )
    deadline = None if start is None else start + settings.max_running_time * 1000
    if end is None or (deadline is not None and deadline < end):
        return life if deadline is None else ended(life, deadline, Ending.TIMED_OUT)
    return ended(life, end, plan.ending)


def ended(life: Life, at: int, ending: Ending) -> Life:
    """The same life, over at `at`: what would have come later never happens."""
    return replace(
        life,
        start=life.start if life.start is not None and life.start <= at else None,
        end=at,
        ending=ending,
        page_events=tuple(event for event in life.page_events if event.at <= at),
    )


def moment(life: Life, at: int) -> Moment:
    """What is true at `at` (Unix milliseconds)."""
    started = life.start is not None and life.start <= at
    over = life.end is not None and life.end <= at
    if over:
        status = life.ending.status
    elif any(since <= at < until for since, until in life.unknown):
        status = Status.UNKNOWN
    else:
        status = Status.RUNNING if started else Status.NOT_STARTED
    return Moment(
        status=status,
        reason=life.ending.reason if over else "",
        start=(life.start or 0) if started else 0,
        end=(life.end or 0) if over else 0,
    )


def queryable(life: Life, at: int) -> bool:
    """Whether GetWebCastTask still finds it: it started (or was asked to) within the last 72 hours."""
    since = life.created if life.start is None or life.start > at else life.start
    return at - since <= LOOK_BACK * 1000


def document(life: Life, at: int) -> dict[str, Any]:
    """What GetWebCastTask tells of it at `at` (Unix milliseconds)."""
    now = moment(life, at)
    return {
        "StartTime": now.start,
        "EndTime": now.end,
        "Status": STATUS_OF_CODE.index(now.status),
        "StopReason": now.reason,
        **life.settings.document(),
    }
