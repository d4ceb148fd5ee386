"""Task: what happened to its page, and how it is watched."""

from dashboards.source.fields import FACT, SOME_ALARM, SOME_WARNING, Column, in_color, instead, override
from dashboards.source.fleet.pages import EVENTS
from dashboards.source.frame import Row
from dashboards.source.over_time import lines
from dashboards.source.panels import Query, Size, stat, table
from dashboards.source.queries import ONE_TASK, TASK, of_task
from dashboards.source.words import PAGES, Word

COUNT, CHECK = Size(4, 5), Size(8, 5)
NO_CALLBACKS = "Callbacks are off"
REFRESHES, RESCHEDULES = "webcast_task_page_refreshes_total", "webcast_task_page_reschedules_total"

ROW = Row(
    "Its page",
    [
        stat(
            "Page refreshed",
            COUNT,
            Query(of_task(TASK, REFRESHES)),
            steps=SOME_WARNING,
            none=NO_CALLBACKS,
        ),
        stat(
            "Task rescheduled",
            COUNT,
            Query(of_task(TASK, RESCHEDULES)),
            steps=SOME_ALARM,
            none=NO_CALLBACKS,
        ),
        stat(
            "Checks of the page",
            CHECK,
            Query(of_task(TASK, "webcast_task_monitor_interval_seconds", "check"), "{{check}}"),
            steps=FACT,
            unit="s",
            words={"0": Word("off", "orange")},
            none="Not shown: not read, or without metrics.groups: [monitor]",
        ),
        stat(
            "Start and end told by the page",
            CHECK,
            Query(of_task(TASK, "webcast_task_event_notify_enabled"), "told"),
            Query(of_task(TASK, "webcast_task_start_event_timeout_seconds"), "start waited for"),
            steps=FACT,
            none="Not shown: not read, or without metrics.groups: [event_notify]",
            overrides=[
                override("told", {"mappings": [*instead("no", "blue"), *instead("yes", "green", value="1")]}),
                override("start waited for", {"unit": "s", "mappings": instead("without limit", "blue")}),
            ],
        ),
        lines(
            "Page events of this run",
            Size(12, 7),
            Query(of_task(TASK, REFRESHES), EVENTS["refresh"].text),
            Query(of_task(TASK, RESCHEDULES), EVENTS["reschedule"].text),
            words={word.text: word for word in EVENTS.values()},
            custom={"lineInterpolation": "stepAfter", "axisSoftMax": 2},
            decimals=0,
            noValue=NO_CALLBACKS,
        ),
        table(
            "Latest page event of each kind",
            Size(12, 7),
            Query(f"1000 * {of_task(TASK, 'webcast_task_last_page_event_timestamp_seconds', 'event', 'reason')}"),
            columns=[
                Column("event", "What was done", in_color(EVENTS, 180)),
                Column("reason", "Why", in_color(PAGES, 180)),
                Column("A", "When", {"unit": "dateTimeAsIso"}),
            ],
            none="Its page was never in trouble, as far as callbacks tell",
            sort="When",
            hidden=ONE_TASK.split(", "),
        ),
    ],
)
