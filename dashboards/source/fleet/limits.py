"""Fleet: tasks near their limit, past their class, and those that run longest."""

from dashboards.source.fields import APP_OF_LINKS, LENGTH, ROOM_AND_TASK, WHEN, Column, fixed, shaded
from dashboards.source.fleet import classes
from dashboards.source.frame import Row
from dashboards.source.panels import Query, Size, table
from dashboards.source.queries import APP, beside, left

THIRD = Size(8, 10)
GAUGE = {
    "min": 0,
    "color": fixed("blue"),
    "custom.cellOptions": {"type": "gauge", "mode": "basic", "valueDisplayMode": "text"},
}

_NEXT = f"bottomk(10, {left(APP)} and {classes.RUNNING})"
_OVERRUN = f"topk(10, {classes.OVERRUN})"
_LONGEST = f"topk(10, {classes.DURATION} and {classes.RUNNING})"

ROW = Row(
    "Limits: who must stop soon, who should have stopped",
    [
        table(
            "Next to meet MaxRunningTime",
            THIRD,
            Query(_NEXT),
            Query(beside(classes.LIMIT, _NEXT)),
            columns=[
                *ROOM_AND_TASK,
                Column("B", "Limit", LENGTH),
                Column("A", "Time left", {**LENGTH, **shaded([(600, "orange"), (3600, "green")], "red")}),
                APP_OF_LINKS,
            ],
            none="No task runs",
            sort="Time left",
            rising=True,
        ),
        table(
            "Longest running",
            THIRD,
            Query(_LONGEST),
            columns=[
                *ROOM_AND_TASK,
                Column("A", "Runs for", {**LENGTH, **GAUGE, "custom.width": 200}),
                APP_OF_LINKS,
            ],
            none="No task runs",
            sort="Runs for",
        ),
        table(
            "Still running after their class",
            THIRD,
            Query(_OVERRUN),
            Query(beside(f"1000 * {classes.EXPECTED_END}", _OVERRUN)),
            columns=[
                *ROOM_AND_TASK,
                Column("B", "Class ended", WHEN),
                Column("A", "Over by", {**LENGTH, **shaded([(900, "orange")], "blue")}),
                APP_OF_LINKS,
            ],
            none="No task runs past its class (or no target has the label __expected_end__)",
            sort="Over by",
        ),
    ],
)
