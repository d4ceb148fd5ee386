"""Fleet families: the tasks there are, and the counters and histograms that go on over restarts."""

from exporter.metrics.family import Family, Kind
from exporter.store.totals import DELAY_BUCKETS, DURATION_BUCKETS, Total

TASKS = Family(
    "webcast_tasks",
    Kind.GAUGE,
    "Tracked tasks by last known fresh state; a stopped one counts until its linger is over.",
    ("account", "app_id", "status"),
)
PROBLEM_TASKS = Family(
    "webcast_problem_tasks", Kind.GAUGE, "Tasks that have this problem now.", ("account", "app_id", "problem")
)
TASKS_WITHOUT_SERIES = Family(
    "webcast_tasks_without_series", Kind.GAUGE, "Tracked tasks that have no series because of metrics.max_tasks."
)
RUN_STOPS = Family(
    "webcast_run_stops_total", Kind.COUNTER, "Runs that stopped, each once, by reason.", ("app_id", "reason")
)
RUN_ENDS_UNSEEN = Family(
    "webcast_run_ends_unseen_total", Kind.COUNTER, "Runs let go while live, whose end will not be read.", ("app_id",)
)
RUN_TRANSITIONS = Family(
    "webcast_run_transitions_total",
    Kind.COUNTER,
    "Runs that entered a status, each at most once per status, the first sight included.",
    ("app_id", "status"),
)
RUN_DURATION = Family(
    "webcast_run_duration_seconds",
    Kind.HISTOGRAM,
    "How long runs had run when they stopped.",
    ("app_id", "status"),
    DURATION_BUCKETS,
)
RUN_END_DETECTION_DELAY = Family(
    "webcast_run_end_detection_delay_seconds",
    Kind.HISTOGRAM,
    "From a run's end to its first sight here, for runs seen live before.",
    ("app_id",),
    DELAY_BUCKETS,
)
PAGE_REFRESHES = Family(
    "webcast_page_refreshes_total",
    Kind.COUNTER,
    "Pages that the vendor refreshed because they were in trouble; told by callbacks alone.",
    ("app_id", "reason"),
)
PAGE_RESCHEDULES = Family(
    "webcast_page_reschedules_total",
    Kind.COUNTER,
    "Tasks that the vendor rescheduled because their page was in trouble; told by callbacks alone.",
    ("app_id", "reason"),
)

OF_TOTAL = {
    Total.RUN_STOPS: RUN_STOPS,
    Total.RUN_ENDS_UNSEEN: RUN_ENDS_UNSEEN,
    Total.RUN_TRANSITIONS: RUN_TRANSITIONS,
    Total.RUN_DURATION: RUN_DURATION,
    Total.RUN_END_DETECTION_DELAY: RUN_END_DETECTION_DELAY,
    Total.PAGE_REFRESHES: PAGE_REFRESHES,
    Total.PAGE_RESCHEDULES: PAGE_RESCHEDULES,
}
"""The family that shows each total of the ledger."""

FLEET = (TASKS, PROBLEM_TASKS, TASKS_WITHOUT_SERIES, *OF_TOTAL.values())
