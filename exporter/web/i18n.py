"""Languages of the pages: gettext catalogues chosen by Accept-Language, and times in words.

The catalogues are `locale/LANGUAGE/LC_MESSAGES/exporter.po`; `make translations` updates and compiles them.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from gettext import GNUTranslations, NullTranslations
from importlib.resources import files
from pathlib import Path

from exporter.metrics.exposition import accepted

LOCALES = Path(str(files("exporter.web"))) / "locale"
DOMAIN = "exporter"


def N_(message: str) -> str:  # noqa: N802 - gettext's own name for a message that is translated where it is used
    """Mark a message for the catalogues."""
    return message


WORDS: Mapping[str, str] = {
    "all": N_("all"),
    "problem": N_("with a problem"),
    "past": N_("past"),
    "lost": N_("lost"),
    # DisplayStatus
    "unknown": N_("unknown"),
    "not_started": N_("not started"),
    "running": N_("running"),
    "ended": N_("ended"),
    "failed": N_("failed"),
    "unread": N_("unread"),
    "not_found": N_("not found"),
    "stale": N_("stale"),
    # TaskProblem, where it is no status
    "class_dark": N_("class is dark"),
    "start_failed": N_("start failed"),
    "cut_by_limit": N_("cut by its limit"),
    "ended_early": N_("ended early"),
    "will_be_cut": N_("will be cut by its limit"),
    "overrun": N_("overrunning"),
    "near_limit": N_("near its limit"),
    "status_unknown": N_("status unknown"),
    "page_refreshing": N_("page refreshed repeatedly"),
    "page_rescheduling": N_("page rescheduled repeatedly"),
    "read_failing": N_("reads fail"),
    # Severity
    "critical": N_("critical"),
    "warning": N_("warning"),
    "info": N_("info"),
    # Source
    "static": N_("configuration"),
    "file": N_("file"),
    "http": N_("HTTP"),
    "push": N_("push"),
    "callback": N_("callback"),
    # Rejection
    "invalid": N_("invalid"),
    "duplicate": N_("duplicate"),
    "no_account": N_("no account"),
    "over_limit": N_("too many"),
    # CallbackOutcome
    "accepted": N_("accepted"),
    "bad_signature": N_("bad signature"),
    "malformed": N_("malformed"),
    "ignored": N_("ignored"),
    # ReadFailure
    "timeout": N_("timeout"),
    "connect": N_("no connection"),
    "tls": N_("TLS failed"),
    "throttled": N_("throttled"),
    "auth": N_("credentials refused"),
    "rejected": N_("rejected"),
    "server": N_("server error"),
    "decode": N_("no JSON"),
    "schema": N_("unexpected answer"),
    # StopReason
    "StopByAPI": N_("stopped by StopWebcast (StopByAPI)"),
    "StartTaskFailed": N_("could not start (StartTaskFailed)"),
    "ExceedMaxRunningTime": N_("reached its limit (ExceedMaxRunningTime)"),
    "UnknownStopReason": N_("broke (UnknownStopReason)"),
    "Unspecified": N_("no reason given"),
    "Other": N_("another reason"),
    "Lost": N_("Lost"),
    # PageAction and PageReason
    "refresh": N_("refresh"),
    "reschedule": N_("reschedule"),
    "PageFreeze": N_("frozen (PageFreeze)"),
    "PageBlank": N_("blank (PageBlank)"),
    "PageCrash": N_("crashed (PageCrash)"),
    "StartEventTimeout": N_("start not reported (StartEventTimeout)"),
}
"""How pages write the words of the metrics and of the vendor."""

UNITS = ((N_("{0}d"), 86_400), (N_("{0}h"), 3_600), (N_("{0}m"), 60), (N_("{0}s"), 1))


class Language:
    """One language: its tag, its catalogue, and times in its words."""

    def __init__(self, tag: str, catalogue: NullTranslations) -> None:
        self.tag = tag
        self.catalogue = catalogue

    def gettext(self, message: str) -> str:
        """The message in this language."""
        return self.catalogue.gettext(message) if message else ""

    def word(self, word: str | None) -> str:
        """A word of the metrics or of the vendor, for a reader; empty for None."""
        return self.gettext(WORDS.get(word, word.replace("_", " "))) if word else ""

    def span(self, seconds: float | None) -> str:
        """The two largest units: `1d 2h`, `3m 20s`; empty for None."""
        if seconds is None:
            return ""
        left = max(0, int(seconds))
        parts: list[str] = []
        for unit, length in UNITS:
            if left >= length or (length == 1 and not parts):
                parts.append(self.gettext(unit).format(left // length))
                left %= length
            elif parts:
                break
        return " ".join(parts[:2])

    def ago(self, moment: float | None, now: float) -> str:
        """`3m 20s ago`, `in 5s`; empty for None."""
        if moment is None:
            return ""
        past = now - moment
        message = self.gettext(N_("{span} ago")) if past >= 0 else self.gettext(N_("in {span}"))
        return message.format(span=self.span(abs(past)))


def clock(seconds: float | None) -> str:
    """`2026-01-15 20:03:25 +00:00`; empty for None."""
    return "" if seconds is None else datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S +00:00")


ENGLISH = Language("en", NullTranslations())


@cache
def languages() -> Mapping[str, Language]:
    """Every language by its tag, English first."""
    found = {"en": ENGLISH}
    for compiled in sorted(LOCALES.glob(f"*/LC_MESSAGES/{DOMAIN}.mo")):
        tag = compiled.parts[-3]
        with compiled.open("rb") as file:
            found[tag] = Language(tag, GNUTranslations(file))
    return found


def choose_language(accept_language: str) -> Language:
    """The language that the header prefers; English when it names none that exists."""
    best, best_quality = ENGLISH, 0.0
    for tag, _, quality in accepted(accept_language):
        language = languages().get(tag.partition("-")[0])
        if language is not None and quality > best_quality:
            best, best_quality = language, quality
    return best
