"""Fleet: pages in trouble, which only callbacks tell."""

from dashboards.source.fields import APP_OF_LINKS, ROOM_AND_TASK, WHEN, Column, Json, in_color, instead, shaded
from dashboards.source.frame import Row
from dashboards.source.over_time import lines
from dashboards.source.panels import Query, Size, bars, table
from dashboards.source.queries import APP, ONE_TASK, grown, of_task, per_minute
from dashboards.source.words import GREY, PAGES, Word

OVER_TIME, HALF = Size(8, 8), Size(12, 9)
EVENTS = {"refresh": Word("page refreshed", "orange"), "reschedule": Word("task rescheduled", "red")}
REFRESHES, RESCHEDULES = APP("webcast_page_refreshes_total"), APP("webcast_page_reschedules_total")

_GROUP = f"""topk by ({ONE_TASK}) (1, max by ({ONE_TASK}, group) (label_replace(label_replace(
  {APP("webcast_task_info")},
  "group", "$1", "source_host", "(.*)"), "group", "$1", "$label", "(.+)")))"""
"""Each task in the label `group`: by its own label $label, or without one by the host of its page."""
_TASKS = f"count by (group) ({_GROUP})"
_TROUBLE = f"""topk(10, sum by (group) (
  ({of_task(APP, "webcast_task_page_refreshes_total")} + {of_task(APP, "webcast_task_page_reschedules_total")})
  * on ({ONE_TASK}) group_left(group) {_GROUP}
) > 0)"""
"""Of the runs that are shown: growths over hours, of thousands of tasks, would keep Prometheus busy for seconds."""


def _over_time(title: str, selector: str) -> Json:
    return lines(
        title,
        OVER_TIME,
        Query(per_minute(selector, "reason"), "{{reason}}"),
        unit="short",
        stacked=True,
        bars=True,
        words=PAGES,
        custom={"axisSoftMax": 1},
    )


ROW = Row(
    "Pages in trouble",
    [
        _over_time(
            "Pages refreshed, per minute, by reason",
            REFRESHES,
        ),
        _over_time(
            "Tasks rescheduled, per minute, by reason",
            RESCHEDULES,
        ),
        bars(
            "Page events in this range, by reason",
            OVER_TIME,
            Query(f"sort_desc({grown(REFRESHES, 'reason')}\n+ {grown(RESCHEDULES, 'reason')})", "{{reason}}"),
            words=PAGES,
            decimals=0,
        ),
        table(
            "Latest page events, by task",
            HALF,
            Query(
                f"topk(10, 1000 * max by ({ONE_TASK}, event, reason)"
                f" ({APP('webcast_task_last_page_event_timestamp_seconds')}))"
            ),
            columns=[
                *ROOM_AND_TASK,
                Column("event", "What was done", in_color(EVENTS, 150)),
                Column("reason", "Why", in_color(PAGES, 150)),
                Column("A", "When", WHEN),
                APP_OF_LINKS,
            ],
            none="No page event is known (or the configuration has no section callbacks)",
            sort="When",
        ),
        table(
            "Trouble by page: runs shown now, by the label chosen above",
            HALF,
            Query(_TROUBLE),
            Query(f"{_TASKS}\nand on (group) {_TROUBLE}"),
            Query(f"{_TROUBLE}\n/ on (group) {_TASKS}"),
            columns=[
                Column("group", "Page (or host)", {"mappings": instead("neither label nor host", GREY, value="")}),
                Column("B", "Tasks", {"unit": "none", "decimals": 0, "custom.width": 90}),
                Column("A", "Page events", {"unit": "none", "decimals": 0, "custom.width": 120}),
                Column(
                    "C",
                    "Per task",
                    {
                        "unit": "none",
                        "decimals": 2,
                        "custom.width": 100,
                        **shaded([(0.5, "orange"), (1, "red")], "green"),
                    },
                ),
            ],
            none="No page of a run that is shown was in trouble",
            sort="Per task",
        ),
    ],
)
