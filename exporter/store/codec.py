"""Runs as rows of the state, and back.

The next minor release may have written a row: what it added and what this release has no word for is passed over.
"""

import json
from collections.abc import Mapping
from dataclasses import fields
from operator import itemgetter
from typing import Any

from sqlalchemy import Row

from exporter.enums import PageAction, PageReason, Status, StopReason
from exporter.model.callback import PageEvent, Pages
from exporter.model.run import Run
from exporter.model.target import TargetId
from exporter.model.task import EventNotify, MonitorIntervals, Task, VideoStream

STATUSES = {status.value: status for status in Status}
NO_LABELS: Mapping[str, str] = {}
STOP_REASONS = {reason.value: reason for reason in StopReason}


def run_to_row(run: Run, labels: Mapping[str, str] = NO_LABELS) -> dict[str, Any]:
    """The columns of one run; `labels` are kept once it is over."""
    return {
        **run.target._asdict(),
        "first_seen": run.first_seen,
        "start": run.start,
        "entered": " ".join(sorted(run.entered)),
        "stopped": run.stopped,
        "end_seen": run.end_seen,
        "last": json.dumps(run.last, default=_said) if run.last else None,
        "earlier": " ".join(map(repr, run.earlier)),
        "page_refreshes": run.pages.refreshes,
        "page_reschedules": run.pages.reschedules,
        "page_latest": _page_events_text(run.pages),
        "labels": json.dumps(dict(labels)) if labels and run.end_seen is not None else None,
    }


def run_from_row(row: Row[Any]) -> Run:
    """The run of one row; ValueError or TypeError when another program wrote it."""
    return Run(
        target=TargetId(row.app_id, row.room_id, row.task_id),
        first_seen=row.first_seen,
        start=row.start,
        entered=frozenset(STATUSES[word] for word in row.entered.split() if word in STATUSES),
        stopped=_reason(row.stopped),
        end_seen=row.end_seen,
        last=_task(row.last) if row.last else None,
        earlier=tuple(map(float, row.earlier.split())),
        pages=_pages(row),
    )


def labels_from_row(row: Row[Any]) -> dict[str, str]:
    """The labels kept with a run; none when they cannot be read."""
    try:
        return {str(name): str(value) for name, value in json.loads(row.labels or "{}").items()}
    except (ValueError, TypeError, AttributeError):
        return {}


def _said(part: Any) -> dict[str, Any]:
    """A dataclass as JSON knows it; dataclasses.asdict copies each leaf and takes twice as long."""
    return {field.name: getattr(part, field.name) for field in fields(part)}


def _page_events_text(pages: Pages) -> str | None:
    """A list of the latest events; where more recent ones are known, both lists by name."""
    if not pages.latest:
        return None
    more = sorted(pages.recent) != sorted(pages.latest)
    return json.dumps({"latest": pages.latest, "recent": pages.recent} if more else pages.latest)


def _pages(row: Row[Any]) -> Pages:
    """Without events when they cannot be read: how many there were is known all the same."""
    try:
        said = json.loads(row.page_latest or "[]")
        lists = (said["latest"], said["recent"]) if isinstance(said, dict) else (said, sorted(said, key=itemgetter(2)))
        latest, recent = (
            tuple(PageEvent(PageAction(action), PageReason(reason), float(at)) for action, reason, at in events)
            for events in lists
        )
    except (ValueError, TypeError, KeyError, IndexError):
        latest = recent = ()
    return Pages(row.page_refreshes, row.page_reschedules, latest, recent)


def _reason(word: str | None) -> StopReason | None:
    return STOP_REASONS.get(word, StopReason.OTHER) if word else None


def _task(text: str) -> Task | None:
    """None when it cannot be read: the run is known all the same, and its state is one more read away."""
    try:
        said = _known(Task, json.loads(text))
        return Task(
            **{
                **said,
                "status": Status(said["status"]),
                "stop_reason": _reason(said["stop_reason"]),
                "video": tuple(VideoStream(**_known(VideoStream, stream)) for stream in said["video"]),
                "monitor": MonitorIntervals(**_known(MonitorIntervals, said["monitor"])),
                "event_notify": EventNotify(**_known(EventNotify, said["event_notify"])),
            }
        )
    except (ValueError, TypeError, KeyError, AttributeError):
        return None


def _known(kind: type[Any], said: dict[str, Any]) -> dict[str, Any]:
    names = {field.name for field in fields(kind)}
    return {name: value for name, value in said.items() if name in names}
