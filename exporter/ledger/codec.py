"""Runs as rows of the state, and back."""

import json
from dataclasses import asdict
from typing import Any

from sqlalchemy import Row

from exporter.model.run import Run
from exporter.model.target import TargetId
from exporter.model.task import EventNotify, MonitorIntervals, Task, VideoStream
from exporter.vocabulary import Status, StopReason


def run_to_row(run: Run) -> dict[str, Any]:
    """The columns of one run."""
    return {
        **run.target._asdict(),
        "first_seen": run.first_seen,
        "start": run.start,
        "entered": " ".join(sorted(run.entered)),
        "stopped": run.stopped,
        "end_seen": run.end_seen,
        "last": json.dumps(asdict(run.last)) if run.last else None,
    }


def run_from_row(row: Row[Any]) -> Run:
    """The run of one row; ValueError or TypeError when another program wrote it."""
    return Run(
        target=TargetId(row.app_id, row.room_id, row.task_id),
        first_seen=row.first_seen,
        start=row.start,
        entered=frozenset(Status(word) for word in row.entered.split()),
        stopped=StopReason(row.stopped) if row.stopped else None,
        end_seen=row.end_seen,
        last=_task(json.loads(row.last)) if row.last else None,
    )


def _task(fields: dict[str, Any]) -> Task:
    return Task(
        **{
            **fields,
            "status": Status(fields["status"]),
            "stop_reason": StopReason(fields["stop_reason"]) if fields["stop_reason"] else None,
            "video": tuple(VideoStream(**stream) for stream in fields["video"]),
            "monitor": MonitorIntervals(**fields["monitor"]),
            "event_notify": EventNotify(**fields["event_notify"]),
        }
    )
