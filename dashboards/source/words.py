"""The vocabulary as Grafana shows it: each word's text and colour. A new word without one fails here."""

from collections.abc import Mapping
from typing import NamedTuple

from exporter.enums import CallbackOutcome, PageReason, ReadFailure, Rejection, Source, StopReason
from exporter.model.task_state import DisplayStatus

GREY = "#8e8e8e"
"""Nothing is known, nothing is said."""


class Word(NamedTuple):
    """How a word is shown."""

    text: str
    color: str


STANDINGS: Mapping[str, Word] = {
    DisplayStatus.RUNNING: Word("running", "green"),
    DisplayStatus.NOT_STARTED: Word("not started", "light-blue"),
    DisplayStatus.UNKNOWN: Word("unknown", "orange"),
    DisplayStatus.STALE: Word("stale", "semi-dark-yellow"),
    DisplayStatus.NOT_FOUND: Word("not found", "purple"),
    DisplayStatus.UNREAD: Word("not read yet", GREY),
    DisplayStatus.FAILED: Word("failed", "red"),
    DisplayStatus.ENDED: Word("ended", "blue"),
}
"""In the order in which they are stacked, the good one lowest."""

CODES: Mapping[str, int] = {
    DisplayStatus.UNKNOWN: 0,
    DisplayStatus.NOT_STARTED: 1,
    DisplayStatus.RUNNING: 2,
    DisplayStatus.ENDED: 3,
    DisplayStatus.FAILED: 4,
    DisplayStatus.NOT_FOUND: 5,
    DisplayStatus.STALE: 6,
    DisplayStatus.UNREAD: 7,
}
"""Numbers for a timeline, which draws numbers; the first five are the vendor's."""

STOPS: Mapping[str, Word] = {
    StopReason.STOP_BY_API: Word("StopByAPI", "green"),
    StopReason.UNSPECIFIED: Word("Unspecified", "blue"),
    StopReason.EXCEED_MAX_RUNNING_TIME: Word("ExceedMaxRunningTime", "orange"),
    StopReason.START_TASK_FAILED: Word("StartTaskFailed", "red"),
    StopReason.UNKNOWN: Word("UnknownStopReason", "purple"),
    StopReason.OTHER: Word("Other", "yellow"),
    StopReason.LOST: Word("Lost", GREY),
}

FAILURES: Mapping[str, Word] = {
    ReadFailure.NOT_FOUND: Word("not found", "purple"),
    ReadFailure.TIMEOUT: Word("timed out", "orange"),
    ReadFailure.CONNECT: Word("no connection", "dark-orange"),
    ReadFailure.TLS: Word("TLS fault", "yellow"),
    ReadFailure.THROTTLED: Word("throttled", "semi-dark-purple"),
    ReadFailure.AUTH: Word("credentials refused", "red"),
    ReadFailure.REJECTED: Word("call rejected", "light-red"),
    ReadFailure.SERVER: Word("server error", "dark-red"),
    ReadFailure.DECODE: Word("reply is no JSON", "light-blue"),
    ReadFailure.SCHEMA: Word("reply of a new form", "blue"),
}

PAGES: Mapping[str, Word] = {
    PageReason.FREEZE: Word("PageFreeze", "blue"),
    PageReason.BLANK: Word("PageBlank", "light-blue"),
    PageReason.CRASH: Word("PageCrash", "red"),
    PageReason.START_TIMEOUT: Word("StartEventTimeout", "orange"),
    PageReason.UNSPECIFIED: Word("Unspecified", GREY),
    PageReason.OTHER: Word("Other", "yellow"),
}

OUTCOMES: Mapping[str, Word] = {
    CallbackOutcome.ACCEPTED: Word("accepted", "green"),
    CallbackOutcome.DUPLICATE: Word("duplicate", "light-green"),
    CallbackOutcome.IGNORED: Word("ignored", GREY),
    CallbackOutcome.STALE: Word("stale", "semi-dark-yellow"),
    CallbackOutcome.MALFORMED: Word("malformed", "orange"),
    CallbackOutcome.BAD_SIGNATURE: Word("bad_signature", "red"),
}

REJECTIONS: Mapping[str, Word] = {
    Rejection.INVALID: Word("invalid", "red"),
    Rejection.DUPLICATE: Word("duplicate", "yellow"),
    Rejection.NO_ACCOUNT: Word("no_account", "orange"),
}

SOURCES: Mapping[str, Word] = {
    Source.STATIC: Word("static", "blue"),
    Source.FILE: Word("file", "green"),
    Source.HTTP: Word("http", "purple"),
    Source.PUSH: Word("push", "orange"),
    Source.CALLBACK: Word("callback", "yellow"),
}

SCHEDULER: Mapping[str, Word] = {
    "error": Word("error", "red"),
    "missed": Word("missed", "orange"),
    "max_instances": Word("max_instances", "yellow"),
}
