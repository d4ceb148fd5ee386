"""`explain`: what a running exporter knows of one task, and why it has no series."""

import json
from typing import Any

import click

from exporter.cli.options import BAD_USAGE, ask, command, data_of, guide, output_option, target_argument, url_option
from exporter.model.target import TargetId

WIDTH = 16


@command(
    epilog=guide(
        "explain 661e0000000000000000543c Room1 Task1",
        exits={0: "it is a target", 1: "it is none, or no exporter answers", 2: BAD_USAGE},
        more={
            "Another exporter than the one on this machine": (
                "explain 661e0000000000000000543c Room1 Task1 --url https://exporter.example:10960"
            )
        },
    )
)
@target_argument
@output_option("table", "json", help_text="For a person, or a program.")
@url_option
def explain(target: TargetId, output: str, url: str) -> None:
    """Show why a task has no series, or which it has.

    A running exporter is asked: is it a target, from where, which account reads it, when was it read, when will it be?
    """
    found = data_of(ask(url, f"/api/v1/tasks/{target}"))
    click.echo(json.dumps(found, indent=2, ensure_ascii=False) if output == "json" else _table(found))
    if not found.get("is_target"):
        raise click.exceptions.Exit(1)


def _table(found: dict[str, Any]) -> str:
    listed = ", ".join(found.get("sources", ())) or "no source any more: it is drained"
    rows = {
        "target": "yes" if found.get("is_target") else "no",
        "listed by": listed if found.get("is_target") else None,
        "account": found.get("account") or "none has its app",
        "status": str(found["status"]).replace("_", " ") if found.get("status") else None,
        "since": found.get("since"),
        "problems": ", ".join(_problem(each) for each in found.get("problems", ())),
        "last read": found.get("last_read") or ("never" if found.get("is_target") else None),
        "last good read": found.get("last_successful_read"),
        "its error": found.get("read_error"),
        "next read": _next(found),
        "series": found.get("series_because"),
    }
    return "\n".join(f"{name:<{WIDTH}}{value}" for name, value in rows.items() if value)


def _problem(active: dict[str, Any]) -> str:
    cause = f" ({active['cause']})" if active["cause"] else ""
    return f"{active['problem']}{cause} since {active['since']}".replace("_", " ")


def _next(found: dict[str, Any]) -> str:
    moment, because = found.get("next_read"), found.get("next_read_because") or ""
    return f"{moment} ({because})" if moment else because
