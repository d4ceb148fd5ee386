"""Annotations: what is marked in every panel over time."""

from dashboards.source.fields import Json
from dashboards.source.panels import DATASOURCE
from dashboards.source.queries import APP, EXPORTER, TASK, of_task
from exporter.enums import Status, StopReason

UNWANTED = f"{StopReason.EXCEED_MAX_RUNNING_TIME}|{StopReason.OTHER}|{StopReason.LOST}"
"""Stops without a failure that are nobody's wish; those with one are marked as failures."""


def _annotation(name: str, color: str, expression: str, *, title: str, text: str, dated: bool = False) -> Json:
    """Marks where the expression is above 0, or with `dated` at the times (Unix milliseconds) that it tells."""
    return {
        "name": name,
        "datasource": DATASOURCE,
        "enable": True,
        "hide": False,
        "iconColor": color,
        "expr": expression,
        "step": "60s",
        "target": {"refId": "Anno", "expr": expression, "interval": "60s", "range": True, "instant": False},
        "titleFormat": title,
        "textFormat": text,
        "tagKeys": "",
        "useValueForTime": dated,
    }


RESTARTS = _annotation(
    "Exporter restarts",
    "purple",
    f"1000 * {EXPORTER('process_start_time_seconds')} >= $__from",
    title="Exporter started",
    text="{{instance}}",
    dated=True,
)
FAILURES = _annotation(
    "Failed runs",
    "red",
    f"sum by (app_id) (increase({APP('webcast_run_transitions_total', status=Status.FAILED)}[$__rate_interval])) > 0",
    title="Runs failed",
    text="{{app_id}}",
)
CUT = _annotation(
    "Runs cut or lost",
    "orange",
    f"sum by (app_id, reason) (increase({APP('webcast_run_stops_total', reason=UNWANTED)}[$__rate_interval])) > 0",
    title="Runs stopped: {{reason}}",
    text="{{app_id}}",
)
STARTED = _annotation(
    "Task started",
    "green",
    f"1000 * {of_task(TASK, 'webcast_task_start_timestamp_seconds')}",
    title="The task started",
    text="{{room_id}} / {{task_id}}",
    dated=True,
)
ENDED = _annotation(
    "Task ended",
    "blue",
    f"1000 * {of_task(TASK, 'webcast_task_end_timestamp_seconds')}",
    title="The task ended",
    text="{{room_id}} / {{task_id}}",
    dated=True,
)
PAGE_EVENTS = _annotation(
    "Page events",
    "orange",
    f"1000 * {of_task(TASK, 'webcast_task_last_page_event_timestamp_seconds', 'event', 'reason')}",
    title="Page: {{event}}",
    text="{{reason}}",
    dated=True,
)
