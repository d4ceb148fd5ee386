"""A task as one reply of GetWebCastTask describes it, in Prometheus's base units."""

from dataclasses import dataclass

from exporter.enums import Status, StopReason


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
    def deadline(self) -> float | None:
        """When the vendor will stop it (StartTime + MaxRunningTime, Unix seconds), if both are known."""
        if self.start is None or self.max_running_time is None:
            return None
        return self.start + self.max_running_time
