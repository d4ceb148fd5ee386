"""The tables of all metric families. To add a metric, add a row to the table it belongs to."""

from dataclasses import dataclass
from enum import StrEnum

TARGET_LABELS = ("app_id", "room_id", "task_id")


class Kind(StrEnum):
    """The types of the exposition formats that are used here; `_info` families are gauges."""

    GAUGE = "gauge"
    COUNTER = "counter"
    HISTOGRAM = "histogram"


class Group(StrEnum):
    """Groups of per-task families; `core` is always there, the others are named by `metrics.groups`."""

    CORE = "core"
    MONITOR = "monitor"
    VIDEO = "video"
    EVENT_NOTIFY = "event_notify"


@dataclass(frozen=True, slots=True)
class Family:
    """One family. A counter's name ends in `_total`, as its samples do; `buckets` are a histogram's upper bounds."""

    name: str
    kind: Kind
    help: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()

    def heading(self, *, openmetrics: bool) -> bytes:
        """HELP and TYPE; OpenMetrics names a counter without the `_total` of its samples."""
        name = self.name.removesuffix("_total") if openmetrics else self.name
        return f"# HELP {name} {self.help}\n# TYPE {name} {self.kind}\n".encode()
