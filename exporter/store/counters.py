"""Fleet counters and histograms: which exist, and what each run event adds to them."""

from bisect import bisect_left
from collections.abc import Iterator
from enum import StrEnum
from itertools import chain
from typing import NamedTuple

from exporter.enums import STOPPED_STATUSES, PageAction, PageReason, Status, StopReason
from exporter.model.run import EndUnseen, PageActionTaken, RunEvent, RunStopped, StatusEntered

DURATION_BUCKETS = (10.0, 60, 300, 600, 1800, 3600, 7200, 14400, 28800, 43200, 64800, 86400, 90000)
DELAY_BUCKETS = (1.0, 2.5, 5, 10, 15, 30, 60, 120, 300, 900, 3600, 21600, 86400, 172800)
INFINITE = "+Inf"
SUM = "sum"
"""In place of a bucket's bound: the sum of the observed values."""


class Total(StrEnum):
    """What is counted. The names are stored in the state; exporter.metrics gives them their metric names."""

    RUN_STOPS = "run_stops"
    RUN_ENDS_UNSEEN = "run_ends_unseen"
    RUN_TRANSITIONS = "run_transitions"
    RUN_DURATION = "run_duration"
    RUN_END_DETECTION_DELAY = "run_end_detection_delay"
    PAGE_REFRESHES = "page_refreshes"
    PAGE_RESCHEDULES = "page_reschedules"


TOTAL_OF_ACTION = {PageAction.REFRESH: Total.PAGE_REFRESHES, PageAction.RESCHEDULE: Total.PAGE_RESCHEDULES}


class Series(NamedTuple):
    """One counter; `label` is a reason or status, `bucket` a histogram's upper bound, either may be empty."""

    total: Total
    app_id: str
    label: str = ""
    bucket: str = ""


def zeros(app_id: str) -> Iterator[Series]:
    """Every counter of an app, so that all exist at zero before the first event."""
    for reason in StopReason:
        yield Series(Total.RUN_STOPS, app_id, reason)
    yield Series(Total.RUN_ENDS_UNSEEN, app_id)
    for status in Status:
        yield Series(Total.RUN_TRANSITIONS, app_id, status)
    for total in TOTAL_OF_ACTION.values():
        for word in PageReason:
            yield Series(total, app_id, word)
    for status in STOPPED_STATUSES:
        yield from _buckets(Total.RUN_DURATION, app_id, status, DURATION_BUCKETS)
    yield from _buckets(Total.RUN_END_DETECTION_DELAY, app_id, "", DELAY_BUCKETS)


def increments(event: RunEvent) -> Iterator[tuple[Series, float]]:
    """What one event adds. Buckets are not cumulative here: one observation touches one bucket and the sum."""
    match event:
        case StatusEntered(app_id, status):
            yield Series(Total.RUN_TRANSITIONS, app_id, status), 1.0
        case EndUnseen(app_id):
            yield Series(Total.RUN_ENDS_UNSEEN, app_id), 1.0
        case PageActionTaken(app_id, action, reason):
            yield Series(TOTAL_OF_ACTION[action], app_id, reason), 1.0
        case RunStopped():
            yield from _of_stop(event)


def _of_stop(stop: RunStopped) -> Iterator[tuple[Series, float]]:
    yield Series(Total.RUN_STOPS, stop.app_id, stop.reason), 1.0
    if stop.status is not None and stop.duration is not None:
        yield from _observe(Total.RUN_DURATION, stop.app_id, stop.status, DURATION_BUCKETS, stop.duration)
    if stop.delay is not None:
        yield from _observe(Total.RUN_END_DETECTION_DELAY, stop.app_id, "", DELAY_BUCKETS, stop.delay)


def _buckets(total: Total, app_id: str, label: str, bounds: tuple[float, ...]) -> Iterator[Series]:
    for bucket in chain(map(bound_text, bounds), (INFINITE, SUM)):
        yield Series(total, app_id, label, bucket)


def _observe(
    total: Total, app_id: str, label: str, bounds: tuple[float, ...], value: float
) -> Iterator[tuple[Series, float]]:
    index = bisect_left(bounds, value)
    bucket = bound_text(bounds[index]) if index < len(bounds) else INFINITE
    yield Series(total, app_id, label, bucket), 1.0
    yield Series(total, app_id, label, SUM), value


def bound_text(bound: float) -> str:
    """A bucket's upper bound as the exposition writes it: `2.5`, `10.0`."""
    return repr(float(bound))
