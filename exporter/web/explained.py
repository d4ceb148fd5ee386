"""Why a task has series or not, and who reads it when: the sentences of its page and of `explain`."""

from typing import Any

from exporter.model.target import TargetId
from exporter.model.task_state import DisplayStatus, NextRead, TaskState, is_hidden
from exporter.web.envelope import moment
from exporter.web.insight import Insight
from exporter.web.selection import Seen
from exporter.web.task_facts import task_json
from exporter.web.words import ago, span

LANES = {
    "": "it was never read",
    "fast": "at the fast interval: news is likely",
    "normal": "at the normal interval",
    "backoff": "it backs off: its own reads failed",
    "reread": "it has stopped, and is read again only to see a new run",
}


def explanation(seen: Seen, insight: Insight) -> dict[str, Any]:
    """All of it about a target, as JSON."""
    known = seen.known
    turn = insight.turn(known)
    return {
        "is_target": True,
        **task_json(seen, insight.now),
        "next_read": moment(turn.due) if turn else None,
        "next_read_because": next_read(turn, insight.now),
        "has_series": insight.has_series(known.target.id),
        "series_because": why_series(known, insight),
    }


def no_target(target: TargetId, insight: Insight) -> dict[str, Any]:
    """The same where it is none."""
    return {
        "is_target": False,
        "target": str(target),
        "account": insight.account_of(target.app_id),
        "has_series": False,
        "series_because": why_no_target(target, insight),
    }


def why_no_target(target: TargetId, insight: Insight) -> str:
    """What is missing before it is read."""
    if insight.account_of(target.app_id) is None:
        return f"It is not read: the app {target.app_id} is in no account's app_ids."
    return (
        "It is no target: no list names it now. Look for its ids in the lists (rooms and tasks are easily swapped), or "
        "for a run of it that is over among the stopped runs."
    )


def next_read(turn: NextRead | None, now: float) -> str:
    """When, and why then."""
    if turn is None:
        return "no account reads it"
    if turn.due is None:
        return "it is being read at this moment"
    if turn.held:
        return f"{ago(turn.due, now)}: {turn.held}"
    when = ago(turn.due, now) if turn.due > now else f"due for {span(now - turn.due)}, it waits for the budget"
    return f"{when}, {LANES.get(turn.read_class, turn.read_class)}"


def why_series(known: TaskState, insight: Insight) -> str:
    """Which series it has, and why no others."""
    if is_hidden(known, insight.now, insight.lifetimes):
        linger = span(insight.lifetimes.linger)
        return f"It has none: its run stopped, and lifecycle.linger ({linger}) is over since its end was seen."
    if not insight.has_series(known.target.id):
        return "It has none: there are more tasks than metrics.max_tasks, and others come first."
    return _SERIES.get(known.display_status, "It has all its series: its state is that of the last good read.")


_SERIES = {
    DisplayStatus.UNREAD: "It has webcast_task_info only: no read of it has ended yet.",
    DisplayStatus.NOT_FOUND: (
        "It has no state series: the API knows no such task. Are room and task swapped, is it another app's, or did it "
        "start over 72 hours ago?"
    ),
    DisplayStatus.STALE: "No state series: the last successful read is older than stale_after.",
}
