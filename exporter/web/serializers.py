"""Tasks, targets and runs as JSON, CSV and facts of a page. SourceURL is never among them, only its host name."""

import csv
import io
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

from exporter.discovery.merge import SOURCE_PRIORITY
from exporter.enums import Severity, Source, Status, StopReason
from exporter.model.run import Run
from exporter.model.target import TargetId
from exporter.model.task import PageEvent
from exporter.model.task_state import ActiveProblem, DisplayStatus, NextRead, TaskState, elapsed, is_hidden
from exporter.store.run_table import status_of
from exporter.web.i18n import ENGLISH, N_, Language
from exporter.web.interfaces import ExporterQueries
from exporter.web.task_query import TaskRow

RUN_COLUMNS = (
    "app_id", "room_id", "task_id", "account", "status", "reason", "start", "end", "duration_seconds",
    "page_refreshes", "page_reschedules", "first_seen", "end_seen", "labels",
)  # fmt: skip

FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")
"""A spreadsheet takes a text that begins so for a formula."""


def rfc3339(seconds: float | None) -> str | None:
    """Unix seconds as RFC 3339, in UTC and to the millisecond."""
    if seconds is None:
        return None
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class TaskFacts(NamedTuple):
    """One task for a template; times are Unix seconds, spans seconds.

    `level` is `wrong`, `odd` or empty; `last_status` is what a stale or unknown task was last read as.
    """

    state: TaskState
    problems: tuple[ActiveProblem, ...]
    level: str
    since: float | None
    elapsed: float | None
    limit: int | None
    stop_reason: StopReason | None
    event: PageEvent | None
    sources: tuple[Source, ...]
    last_status: Status | None


def task_facts(row: TaskRow, now: float) -> TaskFacts:
    """The facts of one task."""
    state, task = row.state, row.state.task
    critical = row.problem is not None and row.problem.severity is Severity.CRITICAL
    return TaskFacts(
        state,
        row.problems,
        "wrong" if critical else "odd" if row.problem else "",
        row.since,
        elapsed(state, now),
        task.max_running_time if task else None,
        _stop_reason(state),
        max(state.pages.latest, key=lambda event: event.at, default=None),
        sources_of(state),
        state.last_task.status if task is None and state.last_task is not None else None,
    )


def _stop_reason(state: TaskState) -> StopReason | None:
    if state.task is not None:
        return state.task.stop_reason
    return state.run.stopped if state.run and state.run.end_seen is not None else None


def sources_of(state: TaskState) -> tuple[Source, ...]:
    """The sources that list the target, weakest first; none while it is drained."""
    listed = state.target.sources if state.drain_until is None else ()
    return tuple(sorted(listed, key=SOURCE_PRIORITY.__getitem__))


def target_json(state: TaskState) -> dict[str, Any]:
    """One target of `/api/v1/targets`; times are RFC 3339, None where there is none."""
    target = state.target
    return {
        "target": str(target.id),
        "labels": dict(target.labels),
        "sources": list(sources_of(state)),
        "account": target.account,
        "status": state.display_status,
        "last_read": rfc3339(state.last_read),
        "last_successful_read": rfc3339(state.last_success),
        "read_error": state.failure,
        "expected_start": rfc3339(target.expected_start),
        "expected_end": rfc3339(target.expected_end),
        "drained_until": rfc3339(state.drain_until),
    }


def task_json(row: TaskRow, now: float) -> dict[str, Any]:
    """One task of `/api/v1/tasks`; times are RFC 3339, None where there is none."""
    facts = task_facts(row, now)
    state, task = row.state, row.state.task
    return {
        **state.target.id._asdict(),
        **target_json(state),
        "since": rfc3339(facts.since),
        "problems": [
            {"problem": each.problem, "severity": each.severity, "since": rfc3339(each.since), "cause": each.cause}
            for each in row.problems
        ],
        "last_status": facts.last_status,
        "start": rfc3339(task.start) if task else None,
        "end": rfc3339(task.end) if task else None,
        "deadline": rfc3339(task.deadline) if task else None,
        "elapsed_seconds": None if facts.elapsed is None else round(facts.elapsed, 3),
        "max_running_time_seconds": facts.limit,
        "stop_reason": facts.stop_reason,
        "user_id": state.user_id,
        "source_host": state.source_host,
        "page_refreshes": state.pages.refreshes,
        "page_reschedules": state.pages.reschedules,
        "last_page_event": _event_json(facts.event),
    }


def _event_json(event: PageEvent | None) -> dict[str, Any] | None:
    return None if event is None else {"event": event.action, "reason": event.reason, "time": rfc3339(event.at)}


def run_json(run: Run, account: str | None, labels: Mapping[str, str]) -> dict[str, Any]:
    """One stopped run; times are RFC 3339."""
    end = run.last.end if run.last else None
    duration = None if end is None or run.start is None else max(0.0, end - run.start)
    return {
        **run.target._asdict(),
        "account": account,
        "status": status_of(run),
        "reason": run.stopped,
        "start": rfc3339(run.start),
        "end": rfc3339(end),
        "duration_seconds": None if duration is None else round(duration, 3),
        "page_refreshes": run.pages.refreshes,
        "page_reschedules": run.pages.reschedules,
        "first_seen": rfc3339(run.first_seen),
        "end_seen": rfc3339(run.end_seen),
        "labels": dict(labels),
    }


def runs_csv(rows: Iterable[Mapping[str, Any]]) -> str:
    """Rows of `run_json` as CSV with a line of names; no text can be taken for a formula."""
    return "".join(csv_lines(rows))


def csv_lines(rows: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """The lines of `runs_csv`."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(RUN_COLUMNS)
    for row in rows:
        labels = ", ".join(f"{name}={value}" for name, value in row["labels"].items())
        writer.writerow([_cell({**row, "labels": labels}[name]) for name in RUN_COLUMNS])
        yield out.getvalue()
        out.seek(0)
        out.truncate()
    yield out.getvalue()


def _cell(value: object) -> object:
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULA_STARTS) else value


def explain(row: TaskRow, queries: ExporterQueries) -> dict[str, Any]:
    """Everything about a target, for `explain`."""
    state = row.state
    next_read = queries.next_read(state)
    return {
        "is_target": True,
        **task_json(row, queries.now),
        "next_read": rfc3339(next_read.due) if next_read else None,
        "next_read_because": explain_next_read(next_read, queries.now, ENGLISH),
        "has_series": queries.has_series(state.target.id),
        "series_because": explain_series(state, queries, ENGLISH),
    }


def explain_unlisted(target: TargetId, queries: ExporterQueries) -> dict[str, Any]:
    """Return what `explain` shows of an id that is no target."""
    return {
        "is_target": False,
        "target": str(target),
        "account": queries.account_of(target.app_id),
        "has_series": False,
        "series_because": explain_no_target(target, queries, ENGLISH),
    }


def explain_no_target(target: TargetId, queries: ExporterQueries, language: Language) -> str:
    """What is missing before the target is read."""
    _ = language.gettext
    if queries.account_of(target.app_id) is None:
        return _("It is not read: the app {app_id} is in no account's app_ids.").format(app_id=target.app_id)
    return _(
        "It is no target: no source lists it now. Look for its ids in the lists (rooms and tasks are easily swapped), "
        "or for an earlier run of it among the stopped runs."
    )


def explain_next_read(next_read: NextRead | None, now: float, language: Language) -> str:
    """When the next read is, and why then."""
    _ = language.gettext
    if next_read is None:
        return _("no account reads it")
    if next_read.due is None:
        return _("it is being read at this moment")
    when = language.ago(next_read.due, now)
    if next_read.held:
        return f"{when}: {next_read.held}"
    if next_read.due <= now:
        when = _("due for {span}, waiting for the budget").format(span=language.span(now - next_read.due))
    return f"{when}, {_(READ_CLASSES.get(next_read.read_class, next_read.read_class))}"


READ_CLASSES = {
    "": N_("it was never read"),
    "fast": N_("at the fast interval: news is likely"),
    "normal": N_("at the normal interval"),
    "backoff": N_("it backs off: its own reads failed"),
    "reread": N_("it has stopped, and is read again only to see a new run"),
}


def explain_series(state: TaskState, queries: ExporterQueries, language: Language) -> str:
    """Which series the target has, and why no others."""
    _ = language.gettext
    if is_hidden(state, queries.now, queries.lifetimes):
        return _(
            "It has none: its run stopped, and lifecycle.linger ({linger}) is over since its end was seen."
        ).format(linger=language.span(queries.lifetimes.linger))
    if not queries.has_series(state.target.id):
        return _("It has none: there are more tasks than metrics.max_tasks, and others come first.")
    return _(SERIES.get(state.display_status, ALL_SERIES))


ALL_SERIES = N_("It has all its series: its state is that of the last good read.")
SERIES = {
    DisplayStatus.UNREAD: N_("It has webcast_task_info only: no read of it has ended yet."),
    DisplayStatus.NOT_FOUND: N_(
        "It has no state series: the API knows no such task. Are room and task swapped, is it another app's, or did it "
        "start over 72 hours ago?"
    ),
    DisplayStatus.STALE: N_("No state series: the last successful read is older than stale_after."),
}
