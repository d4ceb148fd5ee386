"""Log lines as logfmt or JSON on standard error, through a bounded queue.

Events of structlog (`log.warning("circuit open", account=...)`) and records of the standard library look alike. A pipe
that is not read blocks its writer: only the writer thread writes, every other thread appends to the queue, and a line
for which there is no room is dropped and counted.
"""

import json
import logging
import os
import re
import sys
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple, TextIO

import structlog
from structlog.typing import EventDict

log = structlog.stdlib.get_logger(__name__)

LEVELS: Final = ("debug", "info", "warn", "error")
FORMATS: Final = ("logfmt", "json")
PLAIN: Final = re.compile(r'[^\s"=\\]+')
MAX_VALUE: Final = 16_000
"""Characters of one value: a traceback of deep recursion has more."""

VERBOSE_LIBRARIES: Final = ("urllib3", "requests", "uvicorn", "asyncio", "sqlalchemy", "apscheduler")
"""Libraries that log URLs at DEBUG and their own starts at INFO."""

MAX_QUEUED_BYTES: Final = 1024 * 1024
MAX_LINE_BYTES: Final = 64 * 1024
MAX_KINDS: Final = 1_000
BLOCKED_AFTER: Final = 1.0
FLUSH_SECONDS: Final = 0.5
"""How long `flush` waits: a stop must not hang on a log that is not read."""


class KindLimit(NamedTuple):
    """Limit of the lines of one kind: `burst` at once, then `per_second`."""

    burst: int
    per_second: float


USUAL_LIMIT: Final = KindLimit(200, 10.0)
CLIENT_LIMIT: Final = KindLimit(10, 0.1)
CLIENT_LOGGERS: Final = ("exporter.web", "exporter.service.callbacks", "uvicorn", "asyncio")
"""Loggers whose lines any client on the network can cause."""

FULL: Final = "queue_full"
LIMITED: Final = "rate_limited"
DROP_REASONS: Final = (FULL, LIMITED)

_dropped: Counter[str] = Counter(dict.fromkeys(DROP_REASONS, 0))


def dropped_lines() -> Mapping[str, int]:
    """Lines that this process has dropped, by reason."""
    return dict(_dropped)


def blocked_since() -> float | None:
    """Since when nothing reads the log (Unix seconds); None while no line has waited for BLOCKED_AFTER seconds."""
    handlers = (each for each in logging.getLogger().handlers if isinstance(each, QueuedLogHandler))
    since = min((each.waits_since for each in handlers if each.waits_since is not None), default=None)
    return since if since is not None and time.time() - since > BLOCKED_AFTER else None


class _KindBucket:
    """Token bucket of one kind of line; `suppressed` counts those refused since the last one that was written."""

    def __init__(self, limit: KindLimit, now: float) -> None:
        self._limit = limit
        self._left = float(limit.burst)
        self._at = now
        self.suppressed = 0

    def take(self, now: float) -> bool:
        self._left = min(self._limit.burst, self._left + max(0.0, now - self._at) * self._limit.per_second)
        self._at = now
        if self._left < 1:
            self.suppressed += 1
            return False
        self._left -= 1
        return True


class QueuedLogHandler(logging.Handler):
    """Formats records in the caller's thread and writes them in a thread of its own.

    A kind of line is its logger and its event (or unformatted message), with its reason where clients cause it: a probe
    that speaks plain HTTP must not hide why Prometheus is refused. Debug lines are not limited by kind.
    `clock` is in seconds.
    """

    def __init__(self, stream: TextIO, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self.stream = stream
        self._clock = clock
        self._lines: deque[bytes] = deque()
        self._size = 0
        self.waits_since: float | None = None
        self._unreported = 0
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._closed = self._unread = False
        self._kinds: dict[tuple[str, str], _KindBucket] = {}

    def emit(self, record: logging.LogRecord) -> None:
        """Queue one line, or drop it."""
        if record.levelno > logging.DEBUG and not self._allowed(record):
            return
        try:
            line = self.format(record).encode("utf-8", "backslashreplace")
        except Exception:  # noqa: BLE001 - a value whose repr fails must not end the caller
            line = f'level=error logger={__name__} msg="cannot format a log record of {record.name}"'.encode()
        if len(line) > MAX_LINE_BYTES:
            line = line[:MAX_LINE_BYTES].decode("utf-8", "ignore").encode() + b"..."
        with self._changed:
            if self._size + len(line) > MAX_QUEUED_BYTES:
                _dropped[FULL] += 1
                self._unreported += 1
                return
            if self.waits_since is None:
                self.waits_since = time.time()
            self._lines.append(line + b"\n")
            self._size += len(line) + 1
            self._start()
            self._changed.notify_all()

    def flush(self) -> None:
        """Wait until the queued lines are written, at most FLUSH_SECONDS, and not again once that was not enough."""
        if not self._unread:
            self._unread = not self.wait_written(FLUSH_SECONDS)

    def wait_written(self, seconds: float) -> bool:
        """Wait until nothing is queued; whether that was so within `seconds`."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._size, seconds)

    def close(self) -> None:
        """Let the thread end once the queue is written."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        super().close()

    def _allowed(self, record: logging.LogRecord) -> bool:
        """Called under the handler's lock; the line after suppressed ones says how many they were."""
        of_client = record.name.startswith(CLIENT_LOGGERS)
        event, reason = record.msg, ""
        if isinstance(record.msg, dict):
            event = record.msg.get("event", "")
            reason = record.msg.get("reason", "") if of_client else ""
        kind = record.name, f"{event}{reason}"[:200]
        now = self._clock()
        bucket = self._kinds.get(kind)
        if bucket is None:
            if len(self._kinds) >= MAX_KINDS:
                self._kinds.clear()
            limit = CLIENT_LIMIT if of_client else USUAL_LIMIT
            bucket = self._kinds[kind] = _KindBucket(limit, now)
        if not bucket.take(now):
            _dropped[LIMITED] += 1
            return False
        record.suppressed, bucket.suppressed = bucket.suppressed, 0
        return True

    def _start(self) -> None:
        if self._thread is None:
            thread = threading.Thread(target=self._write_forever, name="log", daemon=True)
            try:
                thread.start()
            except RuntimeError:  # no thread to be had: the next line tries again
                return
            self._thread = thread

    def _write_forever(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._lines or self._closed)
                if not self._lines:
                    return
                line = self._lines.popleft()
            self._write(line)
            with self._changed:
                self._size -= len(line)
                since, now = self.waits_since, time.time()
                self.waits_since = now if self._lines else None
                unreported, self._unreported = (self._unreported, 0) if not self._lines else (0, self._unreported)
                self._changed.notify_all()
            if since is not None and now - since > BLOCKED_AFTER:
                log.warning("log was blocked", since=since)
            if unreported:
                log.warning("log lines dropped", reason=FULL, lines=unreported)

    def _write(self, line: bytes) -> None:
        """Write one line; a stream that is closed or broken loses it."""
        try:
            number = self.stream.fileno()
        except (OSError, ValueError, AttributeError):
            number = -1
        try:
            if number < 0:
                self.stream.write(line.decode())
                self.stream.flush()
            while number >= 0 and line:
                line = line[os.write(number, line) :]
        except (OSError, ValueError):
            _dropped[FULL] += 1


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
