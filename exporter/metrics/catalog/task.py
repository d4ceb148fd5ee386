"""Per-task families (contract, section 4): each row a pure function of what is known of one target."""

from collections.abc import Callable, Iterable

from exporter.enums import Status
from exporter.metrics.family import TARGET_LABELS, Family, Group, Kind, Sample, TaskFamily
from exporter.model.callback import Pages
from exporter.model.task import Task, VideoStream
from exporter.model.task_state import TaskState

Samples = Callable[[TaskState], Iterable[Sample]]
Sees = Callable[[TaskState], object]


def _target(known: TaskState) -> object:
    return known.target, known.user_id, known.source_host


def _latest_read(known: TaskState) -> object:
    return known.last_read is None, known.failure


def _success(known: TaskState) -> object:
    return known.last_success


def _task(known: TaskState) -> object:
    return known.task


def _task_and_time(known: TaskState) -> object:
    return known.task, known.task_time


def _pages(known: TaskState) -> object:
    return known.pages, known.last_read is None and known.run is None


def _one(value: float | None) -> Iterable[Sample]:
    """A single sample without labels of its own, or none at all when nothing was said."""
    return () if value is None else [((), float(value))]


def _each(values: Iterable[tuple[str, float | None]]) -> Iterable[Sample]:
    """A sample for each label value of which something was said."""
    return [((label,), float(value)) for label, value in values if value is not None]


def _of_task(value: Callable[[Task], float | None]) -> Samples:
    return lambda known: _one(value(known.task)) if known.task else ()


def _of_stream(value: Callable[[VideoStream], float | None]) -> Samples:
    def samples(known: TaskState) -> Iterable[Sample]:
        streams = known.task.video if known.task else ()
        return _each((str(place), value(stream)) for place, stream in enumerate(streams))

    return samples


def _read_success(known: TaskState) -> Iterable[Sample]:
    return () if known.last_read is None else _one(known.failure is None)


def _read_error(known: TaskState) -> Iterable[Sample]:
    return () if known.failure is None else [((known.failure,), 1.0)]


def _status(known: TaskState) -> Iterable[Sample]:
    task = known.task
    return _each((status, status is task.status) for status in Status) if task else ()


def _stop_reason(known: TaskState) -> Iterable[Sample]:
    reason = known.task.stop_reason if known.task else None
    return () if reason is None else [((reason,), 1.0)]


def _duration(known: TaskState) -> Iterable[Sample]:
    task = known.task
    if task is None or task.start is None:
        return ()
    until = task.end if task.status.stopped else known.task_time
    return () if until is None else _one(max(0.0, until - task.start))


def _of_pages(value: Callable[[Pages], float]) -> Samples:
    """From the first read of any kind on; over a restart the run itself is the sign that there was one."""
    return lambda known: () if known.last_read is None and known.run is None else _one(value(known.pages))


def _last_page_event(known: TaskState) -> Iterable[Sample]:
    return [((event.action, event.reason), event.at) for event in known.pages.latest]


def _problems(known: TaskState) -> object:
    return known.problems


def _monitor(known: TaskState) -> Iterable[Sample]:
    if known.task is None:
        return ()
    monitor = known.task.monitor
    return _each((("freeze", monitor.freeze), ("blank", monitor.blank), ("crash", monitor.crash)))


def _row(
    name: str,
    text: str,
    samples: Samples,
    *labels: str,
    sees: Sees = _task,
    group: Group = Group.CORE,
    kind: Kind = Kind.GAUGE,
) -> TaskFamily:
    return TaskFamily(Family(name, kind, text, (*TARGET_LABELS, *labels)), group, samples, sees)


def _info(info_labels: tuple[str, ...]) -> TaskFamily:
    def samples(known: TaskState) -> Iterable[Sample]:
        target = known.target
        chosen = (target.labels.get(name, "") for name in info_labels)
        return [((target.account, known.user_id, known.source_host, *chosen), 1.0)]

    return _row(
        "webcast_task_info",
        "Always 1. Who the task pushes as and from which host; joins a task to its account and its own labels.",
        samples,
        *("account", "user_id", "source_host", *info_labels),
        sees=_target,
    )


_READS = (
    _row(
        "webcast_task_read_success",
        "1 if the latest read of the task succeeded, 0 if not.",
        _read_success,
        sees=_latest_read,
    ),
    _row(
        "webcast_task_read_error",
        "1 while the latest read failed, by its reason.",
        _read_error,
        "reason",
        sees=_latest_read,
    ),
    _row(
        "webcast_task_last_successful_read_timestamp_seconds",
        "When the task was last read successfully, Unix seconds.",
        lambda known: _one(known.last_success),
        sees=_success,
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
        sees=_task_and_time,
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
        "1 while the problem holds; cause is its stop reason, page reason or read error, if there is one.",
        lambda known: [((active.problem, active.cause), 1.0) for active in known.problems],
        *("problem", "cause"),
        sees=_problems,
    ),
    _row(
        "webcast_task_problem_since_timestamp_seconds",
        "Since when the problem holds, Unix seconds; by the vendor's clock where the vendor says it.",
        lambda known: [((active.problem,), active.since) for active in known.problems],
        "problem",
        sees=_problems,
    ),
)

_EXPECTED = (
    _row(
        "webcast_task_expected_start_timestamp_seconds",
        "When the class was meant to start, Unix seconds, from the target's label __expected_start__.",
        lambda known: _one(known.target.expected_start),
        sees=_target,
    ),
    _row(
        "webcast_task_expected_end_timestamp_seconds",
        "When the class was meant to end, Unix seconds, from the target's label __expected_end__.",
        lambda known: _one(known.target.expected_end),
        sees=_target,
    ),
)

_PAGES = (
    _row(
        "webcast_task_page_refreshes_total",
        "How often the vendor refreshed the page of this run.",
        _of_pages(lambda pages: pages.refreshes),
        sees=_pages,
        kind=Kind.COUNTER,
    ),
    _row(
        "webcast_task_page_reschedules_total",
        "How often the vendor rescheduled the task of this run because its page was in trouble.",
        _of_pages(lambda pages: pages.reschedules),
        sees=_pages,
        kind=Kind.COUNTER,
    ),
    _row(
        "webcast_task_last_page_event_timestamp_seconds",
        "When the vendor last did so in this run, Unix seconds by its own clock.",
        _last_page_event,
        *("event", "reason"),
        sees=_pages,
    ),
)
"""What callbacks alone tell; without them these families do not exist."""

_SETTINGS = (
    _row(
        "webcast_task_monitor_interval_seconds",
        "Seconds between two checks of the page; 0 = the check is off.",
        _monitor,
        "check",
        group=Group.MONITOR,
    ),
    _row(
        "webcast_task_video_width_pixels",
        "Width of the output stream.",
        _of_stream(lambda stream: stream.width),
        "stream",
        group=Group.VIDEO,
    ),
    _row(
        "webcast_task_video_height_pixels",
        "Height of the output stream.",
        _of_stream(lambda stream: stream.height),
        "stream",
        group=Group.VIDEO,
    ),
    _row(
        "webcast_task_video_frames_per_second",
        "Frame rate of the output stream.",
        _of_stream(lambda stream: stream.frames_per_second),
        "stream",
        group=Group.VIDEO,
    ),
    _row(
        "webcast_task_video_max_bytes_per_second",
        "Largest bit rate of the output stream, in bytes; 0 = adaptive.",
        _of_stream(lambda stream: stream.max_bytes_per_second),
        "stream",
        group=Group.VIDEO,
    ),
    _row(
        "webcast_task_event_notify_enabled",
        "1 if the page tells its own start and end (EnableEventNotify).",
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

    Those of pages are there only with `callbacks`.
    """
    wanted = {Group.CORE, *groups}
    pages = _PAGES if callbacks else ()
    rows = (*_READS, *_STATE, *_PROBLEMS, *_EXPECTED, _info(tuple(info_labels)), *pages, *_SETTINGS)
    return tuple(row for row in rows if row.group in wanted)
