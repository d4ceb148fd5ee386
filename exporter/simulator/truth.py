"""What really happened, to hold a watcher's account against. In the words of the exporter's own labels."""

from collections import Counter
from typing import Any

from exporter.enums import VENDOR_STOP_REASONS, Status, StopReason
from exporter.model.target import TargetId
from exporter.simulator.fleet import Fleet
from exporter.simulator.lives import Life, Moment, moment


def states(fleet: Fleet, at: int) -> dict[TargetId, Moment]:
    """The state of each task at `at` (Unix milliseconds)."""
    return {target: moment(lives[-1], at) for target, lives in fleet.lives(at).items()}


def status_counts(fleet: Fleet, at: int) -> dict[Status, int]:
    """How many tasks are in each status; every status is there."""
    counts = Counter(state.status for state in states(fleet, at).values())
    return {status: counts[status] for status in Status}


def stopped_lives(fleet: Fleet, at: int) -> list[tuple[TargetId, Life]]:
    """Every life that is over at `at`, of tasks in their order."""
    return [
        (target, life)
        for target, lives in fleet.lives(at).items()
        for life in lives
        if life.end is not None and life.end <= at
    ]


def stop_counts(fleet: Fleet, at: int) -> dict[StopReason, int]:
    """How many lives are over, by reason; every reason that a reply can show is there."""
    counts = Counter(stop_reason(life) for _, life in stopped_lives(fleet, at))
    return {reason: counts[reason] for reason in (*VENDOR_STOP_REASONS.values(), StopReason.UNSPECIFIED)}


def page_event_counts(fleet: Fleet, at: int) -> dict[tuple[int, str], int]:
    """How many page events there were until `at`, by callback Status and Reason."""
    return Counter(
        (event.status, event.reason.value)
        for lives in fleet.lives(at).values()
        for life in lives
        for event in life.page_events
        if event.at <= at
    )


def stop_reason(life: Life) -> StopReason:
    """Why a life ends."""
    return VENDOR_STOP_REASONS.get(life.ending.reason, StopReason.UNSPECIFIED)


def truth_document(fleet: Fleet, at: float) -> dict[str, Any]:
    """All of it as JSON for `GET /truth`; times are Unix seconds, null = not yet."""
    now = int(at * 1000)
    return {
        "now": at,
        "tasks": {
            str(target): {
                "status": state.status.value,
                "reason": state.reason,
                "start": state.start / 1000 if state.start else None,
                "end": state.end / 1000 if state.end else None,
            }
            for target, state in states(fleet, now).items()
        },
        "statuses": {status.value: count for status, count in status_counts(fleet, now).items()},
        "stops": {reason.value: count for reason, count in stop_counts(fleet, now).items()},
        "page_events": [
            {"status": status, "reason": reason, "count": count}
            for (status, reason), count in sorted(page_event_counts(fleet, now).items())
        ],
    }


def targets_document(fleet: Fleet) -> list[dict[str, Any]]:
    """Prometheus's http_sd list of all tasks, for `GET /targets`."""
    return [{"targets": [str(target)], "labels": dict(labels)} for target, labels in fleet.targets().items()]
