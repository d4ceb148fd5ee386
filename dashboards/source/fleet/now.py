"""Fleet, first rows: what is wrong at this moment."""

from dashboards.source.fields import (
    ALARM,
    APP_OF_LINKS,
    FACT,
    LENGTH,
    ROOM_AND_TASK,
    TO_EXPORTER,
    UP_DOWN,
    WARNING,
    WHEN,
    Column,
    in_color,
    shaded,
)
from dashboards.source.fleet import classes
from dashboards.source.frame import Row
from dashboards.source.panels import Query, Size, stat, table
from dashboards.source.queries import APP, EXPORTER, ONE_TASK, beside, total
from dashboards.source.words import STANDINGS, STOPS
from exporter.model.task_state import DisplayStatus

LOUD, HALF = Size(4, 4), Size(12, 9)


_FAILURES = f"""topk(10,
  ({classes.END} or {classes.LAST_GOOD_READ})
  * on ({ONE_TASK}) group_right() max by ({ONE_TASK}, reason) ({APP("webcast_task_stop_reason")})
  and on ({ONE_TASK}) {classes.FAILED}
)"""
_DARK = f"topk(10, {classes.DARK})"
ROW = Row(
    "Is a class dark now?",
    [
        stat(
            "Dark now",
            LOUD,
            Query(classes.how_many(classes.DARK)),
            steps=ALARM,
            none="no times expected",
            loud=True,
        ),
        stat(
            "Failed",
            LOUD,
            Query(total(APP("webcast_tasks", status=DisplayStatus.FAILED))),
            steps=ALARM,
            loud=True,
        ),
        stat(
            "Will be cut",
            LOUD,
            Query(classes.how_many(classes.CUT, classes.EXPECTED_END)),
            steps=WARNING,
            none="no times expected",
            loud=True,
        ),
        stat(
            "Running",
            LOUD,
            Query(total(APP("webcast_tasks", status=DisplayStatus.RUNNING))),
            steps=FACT,
            loud=True,
        ),
        stat(
            "Vendor API",
            LOUD,
            Query(f"min({EXPORTER('webcast_api_up')})"),
            steps=((0, "red"), (1, "green")),
            words=UP_DOWN,
            links=[TO_EXPORTER],
            loud=True,
        ),
        stat(
            "Exporter",
            LOUD,
            Query(f"min({EXPORTER('up')})"),
            steps=((0, "red"), (1, "green")),
            words=UP_DOWN,
            links=[TO_EXPORTER],
            loud=True,
        ),
        table(
            "Dark classes: since when, and what is known",
            HALF,
            Query(f"{_DARK}\n* on ({ONE_TASK}) group_left(status) {classes.NOW}"),
            Query(beside(f"1000 * {classes.EXPECTED_END}", _DARK)),
            columns=[
                *ROOM_AND_TASK,
                Column("status", "Now", in_color(STANDINGS, 150)),
                Column("A", "Dark for", {**LENGTH, **shaded([(600, "red")], "orange")}),
                Column("B", "Class ends", {**WHEN, "noValue": "not said"}),
                APP_OF_LINKS,
            ],
            none="No class is dark (or no target has the label __expected_start__)",
            sort="Dark for",
        ),
        table(
            "Latest failures: which and why",
            HALF,
            Query(f"1000 * {_FAILURES}"),
            Query(beside(classes.DURATION, _FAILURES)),
            columns=[
                *ROOM_AND_TASK,
                Column("reason", "Why", in_color(STOPS, 175)),
                Column("A", "Ended", WHEN),
                Column("B", "Ran for", {**LENGTH, "noValue": "never ran"}),
                APP_OF_LINKS,
            ],
            none="No failed task is shown",
            sort="Ended",
        ),
    ],
)
