"""The tables of all metric families. To add a metric, add a row to the table it belongs to."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from prometheus_client.utils import floatToGoString

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

    def heading(self, *, openmetrics: bool) -> bytes:
        """HELP and TYPE; OpenMetrics names a counter without the `_total` of its samples."""
        name = self.name.removesuffix("_total") if openmetrics else self.name
        return f"# HELP {name} {self.help}\n# TYPE {name} {self.kind}\n".encode()


Sample = tuple[tuple[str, ...], float]
"""Values of a per-task family's own labels (those beside TARGET_LABELS), and the sample's value."""


@dataclass(frozen=True, slots=True)
class TaskFamily:
    """One per-task family, its group, and the pure function from a task's state to its samples.

    `family.labels` are TARGET_LABELS and then its own. `depends_on` returns everything that the samples depend on: the
    text is rendered again only when that has changed.
    """

    family: Family
    group: Group
    samples: Callable[[TaskState], Iterable[Sample]]
    depends_on: Callable[[TaskState], object]
    _line: str = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Make the format of a line once: labels by name, as prometheus_client sorts them, then the value."""
        labels = sorted((label, number) for number, label in enumerate(self.family.labels))
        pairs = ",".join(f'{label}="{{{number}}}"' for label, number in labels)
        object.__setattr__(self, "_line", f"{self.family.name}{{{{{pairs}}}}} {{{len(labels)}}}\n")

    def text(self, state: TaskState, target: Sequence[str]) -> bytes:
        """The lines of one task, as prometheus_client would write them; `target` are its ids, escaped."""
        lines = [
            self._line.format(*target, *map(escaped, values), floatToGoString(value))  # type: ignore[no-untyped-call]
            for values, value in self.samples(state)
        ]
        # A lone surrogate has no UTF-8 form; one label of one target must not cost the others their scrape.
        return "".join(lines).encode(errors="replace")


def escaped(value: str) -> str:
    """A label's value as both formats write it."""
    return value.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")
