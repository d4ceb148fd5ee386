"""A stopped run as JSON and CSV."""

import csv
import io
from collections.abc import Iterable, Mapping
from typing import Any

from exporter.model.run import Run
from exporter.store.stopped import status_of
from exporter.web.envelope import moment

COLUMNS = (
    "app_id", "room_id", "task_id", "account", "status", "reason", "start", "end", "duration_seconds",
    "page_refreshes", "page_reschedules", "first_seen", "end_seen", "labels",
)  # fmt: skip

FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""A spreadsheet takes a text that begins so for a formula."""


def run_json(run: Run, account: str | None, labels: Mapping[str, str]) -> dict[str, Any]:
    """One run; times are RFC 3339."""
    last = run.last
    end = last.end if last else None
    ran = None if end is None or run.start is None else max(0.0, end - run.start)
    return {
        **run.target._asdict(),
        "account": account,
        "status": status_of(run),
        "reason": run.stopped,
        "start": moment(run.start),
        "end": moment(end),
        "duration_seconds": None if ran is None else round(ran, 3),
        "page_refreshes": run.pages.refreshes,
        "page_reschedules": run.pages.reschedules,
        "first_seen": moment(run.first_seen),
        "end_seen": moment(run.end_seen),
        "labels": dict(labels),
    }


def csv_of(rows: Iterable[Mapping[str, Any]]) -> str:
    """With a line of names first; no text can be taken for a formula."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(COLUMNS)
    for row in rows:
        labels = ", ".join(f"{name}={value}" for name, value in row["labels"].items())
        writer.writerow([_cell({**row, "labels": labels}[name]) for name in COLUMNS])
    return out.getvalue()


def _cell(value: object) -> object:
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULA) else value
