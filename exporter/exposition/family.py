"""A metric family is a row: name, type, help, labels and, where it is computed, a pure function to its samples."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum

from exporter.model.known import Known

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


Sample = tuple[tuple[str, ...], float]
"""Values of a task family's own labels (those beside the target's three), and the sample's value."""


@dataclass(frozen=True, slots=True)
class TaskFamily:
    """One per-task family: what it is, which group it belongs to, and how its samples follow from what is known.

    `family.labels` are TARGET_LABELS and then its own; the samples give the values of its own.
    """

    family: Family
    group: Group
    samples: Callable[[Known], Iterable[Sample]]
