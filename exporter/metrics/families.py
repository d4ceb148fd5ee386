"""Metric families; each per-task family is a pure function of one task's state."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from operator import attrgetter

from prometheus_client.utils import floatToGoString

from exporter.enums import Status
from exporter.model.task import Pages, Task, VideoStream
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

Samples = Callable[[TaskState], Iterable[Sample]]
DependsOn = Callable[[TaskState], object]

_target: DependsOn = attrgetter("target", "user_id", "source_host")
_success: DependsOn = attrgetter("last_success")
_task: DependsOn = attrgetter("task")
_task_and_time: DependsOn = attrgetter("task", "task_time")
_problems: DependsOn = attrgetter("problems")


@dataclass(frozen=True, slots=True)
class TaskFamily:
    """One per-task family, its group, and the pure function from a task's state to its samples.

    `family.labels` are TARGET_LABELS and then its own. `depends_on` returns everything that the samples depend on: the
    text is rendered again only when that has changed.
    """

    family: Family
    group: Group
    samples: Samples
    depends_on: DependsOn
    _line: str = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Make the format of a line once: labels by name, as prometheus_client sorts them, then the value."""
        labels = sorted((label, number) for number, label in enumerate(self.family.labels))
        pairs = ",".join(f'{label}="{{{number}}}"' for label, number in labels)
        object.__setattr__(self, "_line", f"{self.family.name}{{{{{pairs}}}}} {{{len(labels)}}}\n")

    def text(self, state: TaskState, target: Sequence[str]) -> bytes:
        """The lines of one task, as prometheus_client would write them; `target` are its ids, escaped."""
        lines = [
            self._line.format(*target, *map(escaped, values), floatToGoString(value))
            for values, value in self.samples(state)
        ]
        # A lone surrogate has no UTF-8 form; one label of one target must not cost the others their scrape.
        return "".join(lines).encode(errors="replace")


def escaped(value: str) -> str:
    """A label's value as both formats write it."""
    return value.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")


def _latest_read(state: TaskState) -> object:
    return state.last_read is None, state.failure


def _pages(state: TaskState) -> object:
    return state.pages, state.last_read is None and state.run is None


def _one(value: float | None) -> Iterable[Sample]:
    """A single sample without labels of its own; none if there is no value."""
    return () if value is None else [((), float(value))]


def _each(values: Iterable[tuple[str, float | None]]) -> Iterable[Sample]:
    """A sample for each label value that has a value."""
    return [((label,), float(value)) for label, value in values if value is not None]


def _of_task(value: Callable[[Task], float | None]) -> Samples:
    return lambda state: _one(value(state.task)) if state.task else ()


def _of_stream(value: Callable[[VideoStream], float | None]) -> Samples:
    def samples(state: TaskState) -> Iterable[Sample]:
        streams = state.task.video if state.task else ()
        return _each((str(number), value(stream)) for number, stream in enumerate(streams))

    return samples


def _status(state: TaskState) -> Iterable[Sample]:
    task = state.task
    return _each((status, status is task.status) for status in Status) if task else ()


def _stop_reason(state: TaskState) -> Iterable[Sample]:
    reason = state.task.stop_reason if state.task else None
    return () if reason is None else [((reason,), 1.0)]


def _duration(state: TaskState) -> Iterable[Sample]:
    task = state.task
    if task is None or task.start is None:
        return ()
    until = task.end if task.stopped else state.task_time
    return () if until is None else _one(max(0.0, until - task.start))


def _of_pages(value: Callable[[Pages], float]) -> Samples:
    """A page counter, from the first read on, good or bad; a run in the state shows that there was one."""
    return lambda state: () if state.last_read is None and state.run is None else _one(value(state.pages))


def _monitor(state: TaskState) -> Iterable[Sample]:
    if state.task is None:
        return ()
    monitor = state.task.monitor
    return _each((("freeze", monitor.freeze), ("blank", monitor.blank), ("crash", monitor.crash)))


def _row(
    name: str,
    text: str,
    samples: Samples,
    *labels: str,
    depends_on: DependsOn = _task,
    group: Group = Group.CORE,
    kind: Kind = Kind.GAUGE,
) -> TaskFamily:
    return TaskFamily(Family(name, kind, text, (*TARGET_LABELS, *labels)), group, samples, depends_on)


def _info(info_labels: tuple[str, ...]) -> TaskFamily:
    def samples(state: TaskState) -> Iterable[Sample]:
        target = state.target
        chosen = (target.labels.get(name, "") for name in info_labels)
        return [((target.account, state.user_id, state.source_host, *chosen), 1.0)]

    return _row(
        "webcast_task_info",
        "Always 1. Who the task pushes as and from which host; joins a task to its account and its own labels.",
        samples,
        *("account", "user_id", "source_host", *info_labels),
        depends_on=_target,
    )


_READS = (
    _row(
        "webcast_task_read_success",
        "1 if the latest read of the task succeeded, 0 if not.",
        lambda state: () if state.last_read is None else _one(state.failure is None),
        depends_on=_latest_read,
    ),
    _row(
        "webcast_task_read_error",
        "1 while the latest read failed, by its reason.",
        lambda state: () if state.failure is None else [((state.failure,), 1.0)],
        "reason",
        depends_on=_latest_read,
    ),
    _row(
        "webcast_task_last_successful_read_timestamp_seconds",
        "When the task was last read successfully, Unix seconds.",
        lambda state: _one(state.last_success),
        depends_on=_success,
    ),
)

_STATE = (
    _row("webcast_task_status", "1 for the status the task is in, 0 for the four others.", _status, "status"),
    _row(
        "webcast_task_start_timestamp_seconds",
        "When the task started, Unix seconds; absent until then.",
        _of_task(lambda task: task.start),
    ),
    _row(
        "webcast_task_end_timestamp_seconds",
        "When the task ended, Unix seconds; absent until then.",
        _of_task(lambda task: task.end),
    ),
    _row(
        "webcast_task_duration_seconds",
        "How long the task ran: to its end, or to the latest successful read by the vendor's clock.",
        _duration,
        depends_on=_task_and_time,
    ),
    _row(
        "webcast_task_max_running_time_seconds",
        "MaxRunningTime: how long the task may run before the vendor stops it.",
        _of_task(lambda task: task.max_running_time),
    ),
    _row("webcast_task_stop_reason", "1 for the reason the task stopped; absent until then.", _stop_reason, "reason"),
)

_PROBLEMS = (
    _row(
        "webcast_task_problem",
        "1 while the problem holds; cause is its stop reason, page reason or read error, status_unknown, or empty.",
        lambda state: [((active.problem, active.cause), 1.0) for active in state.problems],
        *("problem", "cause"),
        depends_on=_problems,
    ),
    _row(
        "webcast_task_problem_since_timestamp_seconds",
        "Since when the problem holds, Unix seconds; by the vendor's clock where the vendor says it.",
        lambda state: [((active.problem,), active.since) for active in state.problems],
        "problem",
        depends_on=_problems,
    ),
)

_EXPECTED = (
    _row(
        "webcast_task_expected_start_timestamp_seconds",
        "When the class was meant to start, Unix seconds, from the target's label __expected_start__.",
        lambda state: _one(state.target.expected_start),
        depends_on=_target,
    ),
    _row(
        "webcast_task_expected_end_timestamp_seconds",
        "When the class was meant to end, Unix seconds, from the target's label __expected_end__.",
        lambda state: _one(state.target.expected_end),
        depends_on=_target,
    ),
)

_PAGES = (
    _row(
        "webcast_task_page_refreshes_total",
        "How often the vendor refreshed the page of this run.",
        _of_pages(lambda pages: pages.refreshes),
        depends_on=_pages,
        kind=Kind.COUNTER,
    ),
    _row(
        "webcast_task_page_reschedules_total",
        "How often the vendor rescheduled the task of this run because of its page.",
        _of_pages(lambda pages: pages.reschedules),
        depends_on=_pages,
        kind=Kind.COUNTER,
    ),
    _row(
        "webcast_task_last_page_event_timestamp_seconds",
        "When the vendor last took this action on the page for this reason, Unix seconds by the vendor's clock.",
        lambda state: [((event.action, event.reason), event.at) for event in state.pages.latest],
        *("event", "reason"),
        depends_on=_pages,
    ),
)
"""Only callbacks report page events; without them these families do not exist."""

_VIDEO: tuple[tuple[str, str, Callable[[VideoStream], float | None]], ...] = (
    ("width_pixels", "Width of the output stream.", attrgetter("width")),
    ("height_pixels", "Height of the output stream.", attrgetter("height")),
    ("frames_per_second", "Frame rate of the output stream.", attrgetter("frames_per_second")),
    (
        "max_bytes_per_second",
        "Largest bit rate of the output stream, in bytes; 0 = adaptive.",
        attrgetter("max_bytes_per_second"),
    ),
)

_SETTINGS = (
    _row(
        "webcast_task_monitor_interval_seconds",
        "Seconds between two checks of the page; 0 = the check is off.",
        _monitor,
        "check",
        group=Group.MONITOR,
    ),
    *(
        _row(f"webcast_task_video_{name}", text, _of_stream(value), "stream", group=Group.VIDEO)
        for name, text, value in _VIDEO
    ),
    _row(
        "webcast_task_event_notify_enabled",
        "1 if the page reports its own start and end (EnableEventNotify).",
        _of_task(lambda task: task.event_notify.enabled),
        group=Group.EVENT_NOTIFY,
    ),
    _row(
        "webcast_task_start_event_timeout_seconds",
        "How long the page's start event is waited for (StartTimeout); 0 = without limit.",
        _of_task(lambda task: task.event_notify.start_timeout),
        group=Group.EVENT_NOTIFY,
    ),
)


def task_families(
    groups: Iterable[str], info_labels: Iterable[str] = (), *, callbacks: bool = True
) -> tuple[TaskFamily, ...]:
    """The per-task families in force: `core` and the named groups, with `info_labels` on webcast_task_info.

    The families of page events need `callbacks`.
    """
    wanted = {Group.CORE, *groups}
    pages = _PAGES if callbacks else ()
    rows = (*_READS, *_STATE, *_PROBLEMS, *_EXPECTED, _info(tuple(info_labels)), *pages, *_SETTINGS)
    return tuple(row for row in rows if row.group in wanted)
