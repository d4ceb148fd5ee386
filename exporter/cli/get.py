"""`get`: one query, for a person or a cron job."""

import json
import os
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

import click

from exporter.cli.advice import account_for, explain_error
from exporter.cli.options import BAD_USAGE, coloured, command, config_file, guide, output_option, target_argument
from exporter.config.loader import load
from exporter.config.schema import Config
from exporter.enums import Status
from exporter.metrics.families import Group, task_families
from exporter.metrics.series_cache import render
from exporter.model.target import Target, TargetId
from exporter.model.task import Task
from exporter.model.task_state import TaskState, apply_read
from exporter.service.accounts import read_once

COLOURS = {
    Status.UNKNOWN: "yellow",
    Status.NOT_STARTED: "yellow",
    Status.RUNNING: "green",
    Status.ENDED: "blue",
    Status.FAILED: "red",
}


@command(
    epilog=guide(
        "get 661e0000000000000000543c Room1 Task1 --output json",
        exits={0: "the task was read", 1: "the API refuses, or does not know it", 2: BAD_USAGE},
        more={
            "With the key of a configuration file": (
                "get 661e0000000000000000543c Room1 Task1 --config.file webcast-exporter.yml"
            ),
            "For a text file collector, from cron": "get 661e0000000000000000543c Room1 Task1 --output metrics",
            "Ids that begin with a dash": "get --output json -- 661e0000000000000000543c -Room1 Task1",
        },
    )
)
@target_argument
@config_file(optional=True)
@output_option("table", "json", "metrics", help_text="For a person, a program, or a text file collector.")
def get(target: TargetId, config_file: Path | None, output: str) -> None:
    """Read one task once. Its name may also be APP_ID/ROOM_ID/TASK_ID.

    Without --config.file the credentials come from $VOLC_ACCESSKEY, $VOLC_SECRETKEY and $VOLC_SESSION_TOKEN.
    """
    config = load(config_file, os.environ) if config_file else Config()
    place, account = account_for(config, target)
    result = read_once(account, target, os.environ, place)
    state = apply_read(TaskState(Target(target, account="")), result)[0]
    if output == "metrics":
        click.echo(_metrics(state), nl=False)
    elif result.task is not None and output == "json":
        click.echo(json.dumps(asdict(result.task), indent=2, ensure_ascii=False))
    elif result.task is not None:
        click.echo(_table(result.task, state))
    if result.error is not None:
        click.echo(coloured(f"{target}: {explain_error(result.error, result, account, place)}", "red"), err=True)
        raise click.exceptions.Exit(1)


def _metrics(state: TaskState) -> str:
    families = [row for row in task_families(Group) if row.family.name != "webcast_task_info"]
    texts = zip(families, render(state, families), strict=True)
    return "".join((row.family.heading(openmetrics=False) + text).decode() for row, text in texts if text)


def _table(task: Task, state: TaskState) -> str:
    checks = asdict(task.monitor)
    rows = {
        "status": coloured(task.status, COLOURS[task.status]),
        "stop reason": task.stop_reason,
        "started": _moment(task.start),
        "ended": _moment(task.end),
        "may run until": _moment(task.deadline),
        "read at": _moment(state.task_time),
        "user": task.user_id,
        "page on": task.source_host,
        "monitors": ", ".join(f"{check} every {wait} s" if wait else f"{check} off" for check, wait in checks.items()),
        "video": ", ".join(f"{video.width}x{video.height} at {video.frames_per_second}/s" for video in task.video),
    }
    return "\n".join(f"{name:<14}{value}" for name, value in rows.items() if value)


def _moment(seconds: float | None) -> str:
    return "" if seconds is None else datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
