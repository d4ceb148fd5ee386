"""A page in trouble: what the vendor does about it and calls back. None of it shows in GetWebCastTask (seed page)."""

from dataclasses import dataclass
from typing import NamedTuple

from exporter.enums import PageReason
from exporter.simulator.settings import Settings

REFRESHED = 4
RESCHEDULED = 5
"""Status of the callback; a scale of its own, not that of the query."""


class Remedy(NamedTuple):
    """After so many failed checks in a row the callback of this status is sent."""

    status: int
    checks: int


class Watch(NamedTuple):
    """The setting that holds a check's interval, and what follows when it fails on and on."""

    setting: str
    remedies: tuple[Remedy, ...]


WATCHES = {
    PageReason.FREEZE: Watch("freeze_check", (Remedy(REFRESHED, 2), Remedy(RESCHEDULED, 4))),
    PageReason.BLANK: Watch("blank_check", (Remedy(REFRESHED, 2), Remedy(RESCHEDULED, 4))),
    PageReason.CRASH: Watch("crash_check", (Remedy(RESCHEDULED, 1),)),
    PageReason.START_TIMEOUT: Watch("start_timeout", (Remedy(REFRESHED, 1), Remedy(RESCHEDULED, 2))),
}


@dataclass(frozen=True, slots=True)
class Trouble:
    """The page goes wrong `after` seconds of its life; `lasting`: the first remedy does not help."""

    reason: PageReason
    after: float
    lasting: bool = False


@dataclass(frozen=True, slots=True)
class PageEvent:
    """What the vendor did about it: when (Unix milliseconds), the callback's Status and Reason."""

    at: int
    status: int
    reason: PageReason


def remedies(trouble: Trouble, onset: int, settings: Settings) -> tuple[PageEvent, ...]:
    """What follows a trouble that began at `onset` (Unix milliseconds); nothing when its check is off."""
    watch = WATCHES[trouble.reason]
    interval: int = getattr(settings, watch.setting)
    if not interval:
        return ()
    due = watch.remedies if trouble.lasting else watch.remedies[:1]
    return tuple(PageEvent(onset + 1000 * interval * checks, status, trouble.reason) for status, checks in due)
