"""A metric family is a row: name, type, help, labels and, where it is computed, a pure function to its samples."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from enum import StrEnum

from exporter.model.task_state import TaskState

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

    `family.labels` are TARGET_LABELS and then its own; the samples give the values of its own. `sees` gives all that
    they depend on: while that is equal, so are they. `line` is a sample's line with numbered holes: the labels' values
    in the order of `family.labels`, then the sample's value.
    """

    family: Family
    group: Group
    samples: Callable[[TaskState], Iterable[Sample]]
    sees: Callable[[TaskState], object]
    line: str = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Make the line once, not at each read."""
        object.__setattr__(self, "line", _line(self.family))


def _line(family: Family) -> str:
    """The labels by name, as prometheus_client sorts them."""
    holes = sorted((label, place) for place, label in enumerate(family.labels))
    pairs = ",".join(f'{label}="{{{place}}}"' for label, place in holes)
    return f"{family.name}{{{{{pairs}}}}} {{{len(holes)}}}\n"
