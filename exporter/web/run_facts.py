"""A stopped run as JSON and CSV."""

import csv
import io
from collections.abc import Iterable, Mapping
from typing import Any

from exporter.ledger.stopped import status_of
from exporter.model.run import Run
from exporter.web.envelope import moment
from exporter.web.insight import Insight

COLUMNS = (
    "app_id", "room_id", "task_id", "account", "status", "reason", "start", "end", "duration_seconds",
    "page_refreshes", "page_reschedules", "first_seen", "end_seen", "labels",
)  # fmt: skip

FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""A spreadsheet takes a text that begins so for a formula."""


def run_json(run: Run, insight: Insight) -> dict[str, Any]:
    """One run; times are RFC 3339. Its labels are those of its target now, none when it is a target no more."""
    last = run.last
    end = last.end if last else None
    ran = None if end is None or run.start is None else max(0.0, end - run.start)
    known = insight.known(run.target)
    shown = insight.config.metrics.info_labels
    return {
        **run.target._asdict(),
        "account": insight.account_of(run.target.app_id),
        "status": status_of(run),
        "reason": run.stopped,
        "start": moment(run.start),
        "end": moment(end),
        "duration_seconds": None if ran is None else round(ran, 3),
        "page_refreshes": run.pages.refreshes,
        "page_reschedules": run.pages.reschedules,
        "first_seen": moment(run.first_seen),
        "end_seen": moment(run.end_seen),
        "labels": {name: known.target.labels[name] for name in shown if name in known.target.labels} if known else {},
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
