"""Fleet, second row: what cannot be judged, and what will go wrong."""

from dashboards.source.fields import (
    APP_OF_LINKS,
    FACT,
    LENGTH,
    ROOM_AND_TASK,
    SOME_ALARM,
    SOME_WARNING,
    WARNING,
    WHEN,
    Column,
    Json,
    StateChange,
    in_color,
    instead,
    shaded,
)
from dashboards.source.fleet import classes
from dashboards.source.frame import Row
from dashboards.source.panels import Query, Size, stat, table
from dashboards.source.queries import APP, ONE_TASK, beside, grown, in_status, total, zero_of
from dashboards.source.words import FAILURES, GREY, Word
from exporter.enums import Status
from exporter.model.task_state import DisplayStatus

QUIET, HALF = Size(3, 3), Size(12, 9)


def _counted(title: str, display_status: DisplayStatus, steps: tuple[StateChange, ...]) -> Json:
    return stat(title, QUIET, Query(total(APP("webcast_tasks", status=display_status))), steps=steps)


_CUT = f"topk(10, {classes.CUT})"
_ERRORS = f"max by ({ONE_TASK}, reason) ({APP('webcast_task_read_error')})"
_UNSURE = f"""bottomk(10,
  1000 * {classes.LAST_GOOD_READ} * on ({ONE_TASK}) group_right() {_ERRORS}
  or 0 * {_ERRORS}
  or label_replace(1000 * {classes.LAST_GOOD_READ} and {in_status(APP, Status.UNKNOWN)}, "reason", "unknown", "", "")
)"""

ROW = Row(
    "Can the rest be judged?",
    [
        stat(
            "Failed in this range",
            QUIET,
            Query(grown(APP("webcast_run_transitions_total", status=Status.FAILED))),
            steps=SOME_ALARM,
        ),
        _counted(
            "Status unknown",
            DisplayStatus.UNKNOWN,
            WARNING,
        ),
        _counted(
            "Stale",
            DisplayStatus.STALE,
            WARNING,
        ),
        _counted(
            "Not found",
            DisplayStatus.NOT_FOUND,
            WARNING,
        ),
        _counted(
            "Not read yet",
            DisplayStatus.UNREAD,
            FACT,
        ),
        stat(
            "Over in 10 minutes",
            QUIET,
            Query(zero_of(f"count({classes.SOON_OVER})", classes.TRACKED)),
            steps=WARNING,
        ),
        stat(
            "15 min past class",
            QUIET,
            Query(classes.how_many(f"{classes.OVERRUN} > 900", classes.EXPECTED_END)),
            steps=WARNING,
            none="no times expected",
        ),
        stat(
            "Ends unseen",
            QUIET,
            Query(grown(APP("webcast_run_ends_unseen_total"))),
            steps=SOME_WARNING,
        ),
        table(
            "Cannot be judged: status unknown, or reads that fail",
            HALF,
            Query(_UNSURE),
            columns=[
                *ROOM_AND_TASK,
                Column(
                    "reason",
                    "Why",
                    in_color({**FAILURES, DisplayStatus.UNKNOWN: Word("status unknown", "orange")}, 170),
                ),
                Column("A", "Last good read", {**WHEN, "mappings": instead("never", GREY)}),
                APP_OF_LINKS,
            ],
            none="Every task can be judged",
            sort="Last good read",
            rising=True,
        ),
        table(
            "Will be cut before their class ends",
            HALF,
            Query(_CUT),
            Query(beside(f"1000 * ({classes.START} + {classes.LIMIT})", _CUT)),
            Query(beside(f"1000 * {classes.EXPECTED_END}", _CUT)),
            columns=[
                *ROOM_AND_TASK,
                Column("B", "Cut", WHEN),
                Column("C", "Class ends", WHEN),
                Column("A", "Missing", {**LENGTH, **shaded([(600, "red")], "orange")}),
                APP_OF_LINKS,
            ],
            none="No class will be cut (or no target has the label __expected_end__)",
            sort="Missing",
        ),
    ],
)
