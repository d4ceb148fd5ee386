"""A bounded queue between the log calls and standard error.

A pipe that is not read blocks its writer. Only the writer thread writes here; every other thread appends to
the queue, and a line for which there is no room is dropped and counted.
"""

import logging
import os
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping
from typing import Final, NamedTuple, TextIO

MAX_QUEUED_BYTES: Final = 1024 * 1024
MAX_LINE_BYTES: Final = 64 * 1024
MAX_KINDS: Final = 1_000
BLOCKED_AFTER: Final = 1.0
FLUSH_SECONDS: Final = 0.5
"""How long `flush` waits: a stop must not hang on a log that is not read."""


class KindLimit(NamedTuple):
    """So many lines of one kind at once, then `per_second`."""

    burst: int
    per_second: float


USUAL_LIMIT: Final = KindLimit(200, 10.0)
STRANGERS_LIMIT: Final = KindLimit(10, 0.1)
STRANGERS: Final = ("exporter.web", "exporter.service.callbacks", "uvicorn", "asyncio")
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


class _Allowance:
    """What one kind of line may still write."""

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

    A kind of line is its logger and its event (or unformatted message). Debug lines are not limited by kind.
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
        self._kinds: dict[tuple[str, str], _Allowance] = {}

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
        event = record.msg.get("event", "") if isinstance(record.msg, dict) else record.msg
        kind = record.name, str(event)[:200]
        now = self._clock()
        allowance = self._kinds.get(kind)
        if allowance is None:
            if len(self._kinds) >= MAX_KINDS:
                self._kinds.clear()
            limit = STRANGERS_LIMIT if record.name.startswith(STRANGERS) else USUAL_LIMIT
            allowance = self._kinds[kind] = _Allowance(limit, now)
        if not allowance.take(now):
            _dropped[LIMITED] += 1
            return False
        record.suppressed, allowance.suppressed = allowance.suppressed, 0
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
                self.waits_since = time.time() if self._lines else None
                unreported, self._unreported = (self._unreported, 0) if not self._lines else (0, self._unreported)
                self._changed.notify_all()
            if unreported:
                logging.getLogger(__name__).warning({"event": "log lines dropped", "reason": FULL, "lines": unreported})

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
