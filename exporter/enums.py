"""The closed sets of words that become label values (docs/metrics.md)."""

from enum import StrEnum


class Status(StrEnum):
    """State of a task; the vendor's numbers 0 to 4, in that order (API page, field Status)."""

    UNKNOWN = "unknown"
    NOT_STARTED = "not_started"
    RUNNING = "running"
    ENDED = "ended"
    FAILED = "failed"


STOPPED_STATUSES = (Status.ENDED, Status.FAILED)
"""A run in one of them is over; a run in any other is live."""

STATUS_OF_CODE = tuple(Status)


class StopReason(StrEnum):
    """Why a run stopped: the vendor's own words, then ours."""

    STOP_BY_API = "StopByAPI"
    START_TASK_FAILED = "StartTaskFailed"
    EXCEED_MAX_RUNNING_TIME = "ExceedMaxRunningTime"
    UNKNOWN = "UnknownStopReason"
    UNSPECIFIED = "Unspecified"
    """Stopped, and no reason was given."""
    OTHER = "Other"
    """A word the vendor's page does not list."""
    LOST = "Lost"
    """Stopped, and its end was never read."""


VENDOR_STOP_REASONS = {
    reason.value: reason
    for reason in (
        StopReason.STOP_BY_API,
        StopReason.START_TASK_FAILED,
        StopReason.EXCEED_MAX_RUNNING_TIME,
        StopReason.UNKNOWN,
    )
}


class ReadFailure(StrEnum):
    """Why a read failed."""

    TIMEOUT = "timeout"
    CONNECT = "connect"
    TLS = "tls"
    THROTTLED = "throttled"
    AUTH = "auth"
    NOT_FOUND = "not_found"
    REJECTED = "rejected"
    SERVER = "server"
    DECODE = "decode"
    SCHEMA = "schema"


class Source(StrEnum):
    """Where a target comes from, weakest first: labels of a later one win."""

    STATIC = "static"
    FILE = "file"
    HTTP = "http"
    PUSH = "push"
    CALLBACK = "callback"


class Rejection(StrEnum):
    """Why a listed target is not accepted."""

    INVALID = "invalid"
    DUPLICATE = "duplicate"
    NO_ACCOUNT = "no_account"
    OVER_LIMIT = "over_limit"


class PageAction(StrEnum):
    """What the vendor did about a page in trouble; only callbacks report it."""

    REFRESH = "refresh"
    RESCHEDULE = "reschedule"


class PageReason(StrEnum):
    """Why the vendor took a page action: its own words (API page, MonitorConfig and EventNotifyConfig), then ours."""

    FREEZE = "PageFreeze"
    BLANK = "PageBlank"
    CRASH = "PageCrash"
    START_TIMEOUT = "StartEventTimeout"
    UNSPECIFIED = "Unspecified"
    """No reason was given."""
    OTHER = "Other"
    """A word the vendor's page does not list."""


VENDOR_PAGE_REASONS = {
    reason.value: reason for reason in (PageReason.FREEZE, PageReason.BLANK, PageReason.CRASH, PageReason.START_TIMEOUT)
}


class CallbackOutcome(StrEnum):
    """What became of a callback."""

    ACCEPTED = "accepted"
    DUPLICATE = "duplicate"
    BAD_SIGNATURE = "bad_signature"
    MALFORMED = "malformed"
    IGNORED = "ignored"
    STALE = "stale"


class TaskProblem(StrEnum):
    """What can be wrong with a task; `model/problem.py` says when each holds."""

    CLASS_DARK = "class_dark"
    FAILED = "failed"
    START_FAILED = "start_failed"
    CUT_BY_LIMIT = "cut_by_limit"
    ENDED_EARLY = "ended_early"
    WILL_BE_CUT = "will_be_cut"
    OVERRUN = "overrun"
    NEAR_LIMIT = "near_limit"
    NOT_STARTED = "not_started"
    STATUS_UNKNOWN = "status_unknown"
    PAGE_REFRESHING = "page_refreshing"
    PAGE_RESCHEDULING = "page_rescheduling"
    STALE = "stale"
    NOT_FOUND = "not_found"
    READ_FAILING = "read_failing"


class Severity(StrEnum):
    """How urgent a problem is, the most urgent first."""

    CRITICAL = "critical"
    WARNING = "warning"
    INFO = "info"
