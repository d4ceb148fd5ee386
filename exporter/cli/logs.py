"""Log lines as logfmt or JSON, one a line, on standard error.

Events of structlog (`log.warning("circuit open", account=...)`) and records of the standard library look alike.
"""

import json
import logging
import re
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

import structlog
from structlog.typing import EventDict

from exporter.log_queue import QueuedLogHandler

LEVELS: Final = ("debug", "info", "warn", "error")
FORMATS: Final = ("logfmt", "json")
PLAIN: Final = re.compile(r'[^\s"=\\]+')
MAX_VALUE: Final = 16_000
"""Characters of one value: a traceback of deep recursion has more."""

VERBOSE_LIBRARIES: Final = ("urllib3", "requests", "uvicorn", "asyncio", "sqlalchemy", "apscheduler")
"""They log URLs at DEBUG and their own starts at INFO."""


class Event(dict[str, Any]):
    """The event and its keys, as the message of a standard record."""

    def __str__(self) -> str:
        """`circuit open account=main`, for whatever shows records without our formatter."""
        return " ".join((str(self["event"]), *(f"{key}={_text(self[key])}" for key in self if key != "event")))


class EventFormatter(logging.Formatter):
    """Renders a record as one line of logfmt or JSON."""

    def __init__(self, fmt: str) -> None:
        super().__init__()
        self._render = _logfmt if fmt == "logfmt" else _json

    def format(self, record: logging.LogRecord) -> str:
        """The line, without its end."""
        keys = dict(record.msg) if isinstance(record.msg, dict) else {"event": record.getMessage()}
        line = {
            "ts": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="microseconds")[:-6] + "Z",
            "level": record.levelname.lower(),
            "logger": record.name,
            "msg": keys.pop("event", ""),
            **keys,
        }
        if suppressed := getattr(record, "suppressed", 0):
            line["suppressed"] = suppressed
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return self._render(line)


def configure(level: str, fmt: str) -> None:
    """Send every log record to standard error from now on."""
    configure_structlog()
    root = logging.getLogger()
    for old in [each for each in root.handlers if isinstance(each, QueuedLogHandler)]:
        root.removeHandler(old)
        old.close()
    handler = QueuedLogHandler(sys.stderr)
    handler.setFormatter(EventFormatter(fmt))
    root.addHandler(handler)
    root.setLevel("WARNING" if level == "warn" else level.upper())
    for name in VERBOSE_LIBRARIES:
        logging.getLogger(name).setLevel(logging.WARNING)


def flush() -> None:
    """Wait until what was logged is written, for half a second at most."""
    for handler in logging.getLogger().handlers:
        if isinstance(handler, QueuedLogHandler):
            handler.flush()


def configure_structlog() -> None:
    """Make structlog's events records of the standard library, with the event and its keys as their message."""
    structlog.configure(
        processors=[structlog.stdlib.filter_by_level, structlog.stdlib.PositionalArgumentsFormatter(), _as_record],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
    )


def _as_record(_logger: object, _method: str, event: EventDict) -> tuple[tuple[Event], dict[str, Any]]:
    """The arguments of the standard logger's method."""
    options = {key: event.pop(key) for key in ("exc_info", "stack_info") if key in event}
    return (Event(event),), options


def _logfmt(line: Mapping[str, Any]) -> str:
    """`ts=... level=... msg="..."`; what is not plain is quoted as JSON quotes it, so that a line stays a line."""
    return " ".join(f"{key}={_quoted(_text(value))}" for key, value in line.items())


def _json(line: Mapping[str, Any]) -> str:
    return json.dumps(
        {key: _text(value) if isinstance(value, str) else value for key, value in line.items()}, default=str
    )


def _text(value: object) -> str:
    match value:
        case None:
            return ""
        case bool():
            return str(value).lower()
        case list() | tuple() | set() | frozenset():
            return ",".join(_text(each) for each in value)
        case _:
            text = str(value)
            return text if len(text) <= MAX_VALUE else f"{text[:MAX_VALUE]}..."


def _quoted(text: str) -> str:
    if text.isprintable():
        return text if PLAIN.fullmatch(text) else json.dumps(text, ensure_ascii=False)
    return json.dumps(text)
