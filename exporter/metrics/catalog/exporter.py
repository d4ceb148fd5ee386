"""Families of the exporter itself: the API calls it makes, its polling, its targets, its state."""

from exporter.metrics.catalog import Family, Kind

LATENCY_BUCKETS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)

API_UP = Family(
    "webcast_api_up",
    Kind.GAUGE,
    "1 if any call within polling.stale_after, or else the latest, was answered as it should; absent before the first.",
    ("account",),
)
API_REQUESTS = Family("webcast_api_requests_total", Kind.COUNTER, "Calls sent, every attempt.", ("account",))
API_REQUEST_FAILURES = Family(
    "webcast_api_request_failures_total",
    Kind.COUNTER,
    "Calls that failed, by reason; a task that is not found is an answer, not a failure.",
    ("account", "reason"),
)
API_REQUEST_DURATION = Family(
    "webcast_api_request_duration_seconds",
    Kind.HISTOGRAM,
    "From sending a call to its whole answer.",
    ("account",),
    LATENCY_BUCKETS,
)
API_RATE_LIMIT = Family(
    "webcast_api_rate_limit_requests_per_second",
    Kind.GAUGE,
    "Calls a second: configured (max_qps), and effective after throttling by the vendor.",
    ("account", "kind"),
)
API_THROTTLE_WAIT = Family(
    "webcast_api_throttle_wait_seconds_total",
    Kind.COUNTER,
    "Time that calls waited for the budget.",
    ("account",),
)
API_UNEXPECTED_VALUES = Family(
    "webcast_api_unexpected_values_total",
    Kind.COUNTER,
    "Fields of replies that were missing, of a wrong type or out of the documented range.",
    ("field",),
)
API_CLOCK_SKEW = Family(
    "webcast_api_clock_skew_seconds",
    Kind.GAUGE,
    "The server's Date minus the local clock; Date has whole seconds.",
    ("account",),
)
POLL_DEMAND = Family(
    "webcast_poll_demand_requests_per_second",
    Kind.GAUGE,
    "Calls a second that the configured intervals need, unstretched.",
    ("account",),
)
POLL_OLDEST_DUE = Family(
    "webcast_poll_oldest_due_timestamp_seconds",
    Kind.GAUGE,
    "Since when the longest waiting read has been due, Unix seconds; absent when nothing is due.",
    ("account",),
)
TARGETS = Family(
    "webcast_targets", Kind.GAUGE, "Accepted targets; one counts under each source that lists it.", ("source",)
)
TARGETS_REJECTED = Family(
    "webcast_targets_rejected", Kind.GAUGE, "Targets listed now and not accepted, by reason.", ("reason",)
)
DISCOVERY_FAILURES = Family(
    "webcast_discovery_failures_total",
    Kind.COUNTER,
    "Refreshes of a list of targets that failed; the list keeps its last content.",
    ("source", "config"),
)
DISCOVERY_LAST_SUCCESS = Family(
    "webcast_discovery_last_success_timestamp_seconds",
    Kind.GAUGE,
    "When all lists of a section were last refreshed successfully, Unix seconds; 0 until then.",
    ("source", "config"),
)
CALLBACK_EVENTS = Family(
    "webcast_callback_events_total",
    Kind.COUNTER,
    "Callbacks that came in, by what became of them.",
    ("outcome",),
)
STATE_WRITE_FAILURES = Family(
    "webcast_state_write_failures_total", Kind.COUNTER, "Writes to the state that failed; each is tried again."
)
STATE_CHANGES_DROPPED = Family(
    "webcast_state_changes_dropped_total",
    Kind.COUNTER,
    "Changes that were lost because the state could not be written for so long that its queue was full.",
)
STATE_OLDEST_QUEUED = Family(
    "webcast_state_oldest_queued_timestamp_seconds",
    Kind.GAUGE,
    "Since when the oldest change waits to be written to the state, Unix seconds; absent when none waits.",
)
CONFIG_RELOAD_SUCCESSFUL = Family(
    "webcast_exporter_config_last_reload_successful",
    Kind.GAUGE,
    "1 if the latest load of the configuration succeeded.",
)
CONFIG_RELOAD_TIMESTAMP = Family(
    "webcast_exporter_config_last_reload_success_timestamp_seconds",
    Kind.GAUGE,
    "When the configuration was last loaded successfully, Unix seconds.",
)
LEADER = Family("webcast_exporter_leader", Kind.GAUGE, "1 if this process reads the tasks; always 1 without a standby.")
SCHEDULER_EVENTS = Family(
    "webcast_exporter_scheduler_events_total",
    Kind.COUNTER,
    "Runs of scheduled jobs that did not go as planned.",
    ("event",),
)
HUNG_JOB_START = Family(
    "webcast_exporter_hung_job_start_timestamp_seconds",
    Kind.GAUGE,
    "When a job began that has been running for over 5 s, Unix seconds; absent while there is none.",
    ("job_name",),
)
LEASE_LAST_ANSWER = Family(
    "webcast_exporter_lease_last_answer_timestamp_seconds",
    Kind.GAUGE,
    "When the database last answered about the lease, Unix seconds; absent without PostgreSQL.",
)
INTERNAL_ERRORS = Family("webcast_exporter_internal_errors_total", Kind.COUNTER, "Unexpected errors; each is logged.")
LOG_LINES_DROPPED = Family(
    "webcast_exporter_log_lines_dropped_total",
    Kind.COUNTER,
    "Log lines not written: nothing read the log (queue_full), or too many of one kind (rate_limited).",
    ("reason",),
)
BUILD_INFO = Family(
    "webcast_exporter_build_info",
    Kind.GAUGE,
    "Always 1. The version that runs.",
    ("version", "revision", "python_version"),
)

EXPORTER = (
    API_UP,
    API_REQUESTS,
    API_REQUEST_FAILURES,
    API_REQUEST_DURATION,
    API_RATE_LIMIT,
    API_THROTTLE_WAIT,
    API_UNEXPECTED_VALUES,
    API_CLOCK_SKEW,
    POLL_DEMAND,
    POLL_OLDEST_DUE,
    TARGETS,
    TARGETS_REJECTED,
    DISCOVERY_FAILURES,
    DISCOVERY_LAST_SUCCESS,
    CALLBACK_EVENTS,
    STATE_WRITE_FAILURES,
    STATE_CHANGES_DROPPED,
    STATE_OLDEST_QUEUED,
    CONFIG_RELOAD_SUCCESSFUL,
    CONFIG_RELOAD_TIMESTAMP,
    LEADER,
    SCHEDULER_EVENTS,
    HUNG_JOB_START,
    LEASE_LAST_ANSWER,
    INTERNAL_ERRORS,
    LOG_LINES_DROPPED,
    BUILD_INFO,
)
