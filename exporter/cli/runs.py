"""`runs`: the runs that have stopped, of a running exporter or from a state file that is only read."""

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any

import click

from exporter.cli.options import BAD_USAGE, ask, command, config_file, data_of, guide, output_option, url_option
from exporter.config.loader import load
from exporter.config.times import parse_time_or_duration
from exporter.enums import Status, StopReason
from exporter.service.queries import runs_in_state
from exporter.store.run_table import RunQuery
from exporter.web.serializers import rfc3339, runs_csv

PAGE = 1_000
STOPPED = [Status.ENDED.value, Status.FAILED.value]
REASONS = [reason.value for reason in StopReason]
HEADINGS = ("END SEEN", "STATUS", "REASON", "START", "RAN", "TASK")

Rows = Iterator[dict[str, Any]]


def _moment(_ctx: click.Context, _param: click.Parameter, value: str | None) -> float | None:
    if value is None:
        return None
    try:
        return parse_time_or_duration(value, time.time())
    except ValueError as error:
        raise click.BadParameter(str(error)) from error


@command(
    epilog=guide(
        "runs --since 24h --status failed",
        exits={0: "they are listed, none at all too", 1: "no exporter answers, or no state is there", 2: BAD_USAGE},
        more={
            "For a spreadsheet": "runs --since 7d --output csv > runs.csv",
            "From the state file of an exporter, running or not": "runs --config.file webcast-exporter.yml",
        },
    )
)
@click.option("--since", default="24h", show_default=True, callback=_moment, help="Stopped since: 24h, or a time.")
@click.option("--until", callback=_moment, help="Stopped before: the same.")
@click.option("--app-id", default="", help="Of this app alone.")
@click.option("--status", type=click.Choice(STOPPED, case_sensitive=False), help="How they stopped.")
@click.option("--reason", type=click.Choice(REASONS, case_sensitive=False), help="Why they stopped.")
@click.option("--text", default="", metavar="TEXT", help="Part of APP_ID/ROOM_ID/TASK_ID or of a label.")
@output_option("table", "json", "csv", help_text="For a person, a program, or a spreadsheet.")
@url_option
@config_file(optional=True)
def runs(
    *,
    since: float,
    until: float | None,
    app_id: str,
    status: str | None,
    reason: str | None,
    text: str,
    output: str,
    url: str,
    config_file: Path | None,
) -> None:
    """List the runs that have stopped, the latest end first.

    A running exporter is asked; with --config.file its state file is read instead, and nothing is written to it.
    """
    wanted = RunQuery(
        since,
        until,
        app_id,
        Status(status) if status else None,
        StopReason(reason) if reason else None,
        text.strip(),
        limit=PAGE,
    )
    rows = [*(runs_in_state(load(config_file), wanted) if config_file else _from_exporter(url, wanted))]
    if output == "json":
        click.echo(json.dumps(rows, indent=2, ensure_ascii=False))
    elif output == "csv":
        click.echo(runs_csv(rows), nl=False)
    else:
        click.echo(_table(rows))


def _from_exporter(url: str, wanted: RunQuery) -> Rows:
    """Every run once, from page to page; a release without `next` has numbered pages, which move on meanwhile."""
    asked = {
        "since": rfc3339(wanted.since),
        "until": rfc3339(wanted.until),
        "app_id": wanted.app_id,
        "status": wanted.status,
        "reason": wanted.reason,
        "q": wanted.text,
        "size": str(PAGE),
    }
    query: dict[str, str | int] = {name: value for name, value in asked.items() if value}
    place: dict[str, str | int] = {"page": 1}
    seen: set[tuple[str, ...]] = set()
    for number in count(2):
        data = data_of(ask(url, "/api/v1/runs", {**query, **place}))
        for row in data["runs"]:
            key = tuple(str(row[name]) for name in ("app_id", "room_id", "task_id", "first_seen"))
            if key not in seen:
                seen.add(key)
                yield row
        if data.get("next"):
            place = {"after": data["next"]}
        elif "next" not in data and number <= data["pages"]:
            place = {"page": number}
        else:
            return


def _table(rows: list[dict[str, Any]]) -> str:
    if not rows:
        return "No matching runs."
    lines = [HEADINGS, *(_line(row) for row in rows)]
    widths = [max(len(line[place]) for line in lines) for place in range(len(HEADINGS))]
    return "\n".join("  ".join(map(str.ljust, line, widths)).rstrip() for line in lines)


def _line(row: dict[str, Any]) -> tuple[str, ...]:
    ran = row["duration_seconds"]
    task = "/".join(row[name] for name in ("app_id", "room_id", "task_id"))
    return (
        _seconds(row["end_seen"]),
        row["status"] or "lost",
        row["reason"] or "",
        _seconds(row["start"]),
        "" if ran is None else f"{ran / 60:.0f}m",
        task,
    )


def _seconds(text: str | None) -> str:
    return "" if text is None else datetime.fromisoformat(text).astimezone(UTC).strftime("%Y-%m-%d %H:%M:%SZ")
