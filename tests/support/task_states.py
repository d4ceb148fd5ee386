"""Task states after reads, for tests of what is shown of them."""

from dataclasses import replace

from exporter.enums import STOPPED_STATUSES, Status, StopReason
from exporter.errors import NotFound, ReadError
from exporter.model.target import Target, TargetId
from exporter.model.task import ReadResult, Task
from exporter.model.task_state import DisplayStatus, TaskState, apply_read

NOW = 1_700_000_000.0


def unread(task_id: str = "Task1", app_id: str = "App1", account: str = "default", **of_target: object) -> TaskState:
    """A target that was never read: `unread("Task1", account="default", labels={...})`."""
    return TaskState(replace(Target(TargetId(app_id, "Room1", task_id), account), **of_target))  # type: ignore[arg-type]  # any field


def after(state: TaskState, outcome: Task | ReadError, at: float = NOW) -> TaskState:
    return apply_read(state, ReadResult(state.target.id, at=at, server_time=at, elapsed=0.1, outcome=outcome))[0]


def shown_as(
    wanted: DisplayStatus, task_id: str = "Task1", *, end: float | None = None, **of_target: object
) -> TaskState:
    """A task with this display status: `shown_as(DisplayStatus.ENDED, "Task1", end=NOW)`."""
    state = unread(task_id, **of_target)  # type: ignore[arg-type]  # any field of a target
    if wanted is DisplayStatus.UNREAD:
        return state
    if wanted is DisplayStatus.NOT_FOUND:
        return after(state, NotFound("no such task"))
    if wanted is DisplayStatus.STALE:
        return replace(after(state, Task(Status.RUNNING)), task=None)
    status = Status(wanted.value)
    reason = StopReason.STOP_BY_API if status in STOPPED_STATUSES else None
    return after(state, Task(status, start=NOW - 60, end=end, stop_reason=reason))
