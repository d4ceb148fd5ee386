"""What one read says of a task, in Prometheus's base units, and the outcome of the read."""

from dataclasses import dataclass

from exporter.enums import STOPPED_STATUSES, Status, StopReason
from exporter.errors import ReadError
from exporter.model.target import TargetId


@dataclass(frozen=True, slots=True)
class MonitorIntervals:
    """Seconds between two checks of the page; 0 = the check is off, None = not said."""

    freeze: int | None = None
    blank: int | None = None
    crash: int | None = None


@dataclass(frozen=True, slots=True)
class VideoStream:
    """One output stream: pixels, frames per second, bytes per second (0 = adaptive); None = not said."""

    width: int | None = None
    height: int | None = None
    frames_per_second: int | None = None
    max_bytes_per_second: int | None = None


@dataclass(frozen=True, slots=True)
class EventNotify:
    """Whether the page tells its own start and end, and how many seconds its start is waited for (0 = no limit)."""

    enabled: bool | None = None
    start_timeout: int | None = None


@dataclass(frozen=True, slots=True)
class Task:
    """One successful read. None always means "not said"; it is never a number in disguise.

    `start` and `end` are Unix seconds; `end` and `stop_reason` are set only when the task has stopped.
    `source_host` is all that is ever kept of SourceURL, whose query may carry authentication.
    """

    status: Status
    start: float | None = None
    end: float | None = None
    stop_reason: StopReason | None = None
    user_id: str = ""
    source_host: str = ""
    max_running_time: int | None = None
    video: tuple[VideoStream, ...] = ()
    monitor: MonitorIntervals = MonitorIntervals()
    event_notify: EventNotify = EventNotify()

    @property
    def stopped(self) -> bool:
        """Whether the vendor says that it is over."""
        return self.status in STOPPED_STATUSES

    @property
    def deadline(self) -> float | None:
        """When the vendor will stop it (StartTime + MaxRunningTime, Unix seconds), if both are known."""
        if self.start is None or self.max_running_time is None:
            return None
        return self.start + self.max_running_time


@dataclass(frozen=True, slots=True)
class ReadResult:
    """One read of one target. `calls` were made for it: two when the first one met a stale connection.

    `at` is the local clock when it was over and `server_time` the vendor's clock at that moment (its Date header;
    equal to `at` without one), both Unix seconds. `elapsed` is from sending to the whole answer and `waited` the time
    spent waiting for the budget, in seconds. `skew` is the server's clock minus ours, None without a Date header.
    `unexpected` names the reply's fields whose value is missing or not what the vendor documents.
    """

    target: TargetId
    at: float
    server_time: float
    elapsed: float
    outcome: Task | ReadError
    waited: float = 0.0
    skew: float | None = None
    unexpected: tuple[str, ...] = ()
    calls: int = 1

    @property
    def task(self) -> Task | None:
        """The task, if the read succeeded."""
        return self.outcome if isinstance(self.outcome, Task) else None

    @property
    def error(self) -> ReadError | None:
        """The error, if it failed."""
        return self.outcome if isinstance(self.outcome, ReadError) else None
