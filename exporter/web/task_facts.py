"""What is known of a task, for a page and as JSON. SourceURL is never among it, only its host name."""

from typing import Any, NamedTuple

from exporter.discovery.merge import WEAKEST_FIRST
from exporter.enums import Source, StopReason
from exporter.model.callback import PageEvent
from exporter.model.task_state import TaskState
from exporter.model.trouble import Rank, elapsed
from exporter.web.envelope import moment
from exporter.web.selection import Seen


class Facts(NamedTuple):
    """One task for a template. `level` is `wrong`, `odd` or empty.

    Times are Unix seconds, spans seconds, None where there is none.
    """

    known: TaskState
    trouble: str
    level: str
    since: float | None
    elapsed: float | None
    limit: int | None
    stop_reason: StopReason | None
    event: PageEvent | None
    sources: tuple[Source, ...]


def facts(seen: Seen, now: float) -> Facts:
    """Look at one task."""
    known = seen.known
    return Facts(
        known,
        seen.trouble.sentence,
        _level(seen),
        since(known),
        elapsed(known, now),
        known.task.max_running_time if known.task else None,
        stop_reason(known),
        max(known.pages.latest, key=lambda event: event.at, default=None),
        sources(known),
    )


def _level(seen: Seen) -> str:
    if not seen.wrong:
        return ""
    return "wrong" if seen.trouble.rank <= Rank.OVERDUE else "odd"


def since(known: TaskState) -> float | None:
    """Since when it counts as what it counts as, as far as that is known (Unix seconds)."""
    return known.status_since if known.task is not None else known.not_found_since


def stop_reason(known: TaskState) -> StopReason | None:
    """Why it stopped, while that is its latest run's state."""
    if known.task is not None:
        return known.task.stop_reason
    return known.run.stopped if known.run and known.run.end_seen is not None else None


def sources(known: TaskState) -> tuple[Source, ...]:
    """Who lists it, weakest first; nobody while it is drained."""
    listed = known.target.sources if known.drain_until is None else ()
    return tuple(sorted(listed, key=WEAKEST_FIRST.__getitem__))


def task_json(seen: Seen, now: float) -> dict[str, Any]:
    """One task as JSON; times are RFC 3339."""
    found = facts(seen, now)
    known, target, task = seen.known, seen.known.target, seen.known.task
    return {
        "target": str(target.id),
        **target.id._asdict(),
        "account": target.account,
        "sources": list(found.sources),
        "labels": dict(target.labels),
        "status": known.display_status,
        "since": moment(found.since),
        "trouble": found.trouble or None,
        "start": moment(task.start) if task else None,
        "end": moment(task.end) if task else None,
        "deadline": moment(task.deadline) if task else None,
        "elapsed_seconds": None if found.elapsed is None else round(found.elapsed, 3),
        "max_running_time_seconds": found.limit,
        "stop_reason": found.stop_reason,
        "user_id": known.user_id,
        "source_host": known.source_host,
        "page_refreshes": known.pages.refreshes,
        "page_reschedules": known.pages.reschedules,
        "last_page_event": _event(found.event),
        "last_read": moment(known.last_read),
        "last_successful_read": moment(known.last_success),
        "read_error": known.failure,
        "expected_start": moment(target.expected_start),
        "expected_end": moment(target.expected_end),
        "drained_until": moment(known.drain_until),
    }


def _event(event: PageEvent | None) -> dict[str, Any] | None:
    return None if event is None else {"event": event.action, "reason": event.reason, "time": moment(event.at)}
