import difflib
import re
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
from prometheus_client import CollectorRegistry, disable_created_metrics, enable_created_metrics

from exporter.enums import Status, StopReason
from exporter.errors import NotFound, ReadError
from exporter.model.read_result import ReadResult
from exporter.model.target import Target, TargetId
from exporter.model.task import Task
from exporter.model.task_state import DisplayStatus, TaskState, apply_read

NOW = 1_700_000_000.0
PAIR = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')


@pytest.fixture
def registry() -> Iterator[CollectorRegistry]:
    """An empty registry, without `_created` series as the composition root has it."""
    disable_created_metrics()  # type: ignore[no-untyped-call]  # untyped in the library
    yield CollectorRegistry()
    enable_created_metrics()  # type: ignore[no-untyped-call]  # untyped in the library


@pytest.fixture
def unread() -> Callable[..., TaskState]:
    """A target that was never read: `unread("Task1", account="default", labels={...})`."""

    def made(task_id: str = "Task1", app_id: str = "App1", account: str = "default", **of_target: object) -> TaskState:
        return TaskState(replace(Target(TargetId(app_id, "Room1", task_id), account), **of_target))  # type: ignore[arg-type]  # any field

    return made


@pytest.fixture
def after() -> Callable[..., TaskState]:
    """What is known after one more read: `after(known, task_or_error, at=...)`."""

    def made(known: TaskState, outcome: Task | ReadError, at: float = NOW) -> TaskState:
        return apply_read(known, ReadResult(known.target.id, at=at, server_time=at, elapsed=0.1, outcome=outcome))[0]

    return made


@pytest.fixture
def display_status(unread: Callable[..., TaskState], after: Callable[..., TaskState]) -> Callable[..., TaskState]:
    """A task as it counts so: `standing(Standing.ENDED, "Task1", end=NOW)`."""

    def made(
        wanted: DisplayStatus, task_id: str = "Task1", *, end: float | None = None, **of_target: object
    ) -> TaskState:
        known = unread(task_id, **of_target)
        if wanted is DisplayStatus.UNREAD:
            return known
        if wanted is DisplayStatus.NOT_FOUND:
            return after(known, NotFound("no such task"))
        if wanted is DisplayStatus.STALE:
            return replace(after(known, Task(Status.RUNNING)), task=None)
        status = Status(wanted.value)
        reason = StopReason.STOP_BY_API if status.stopped else None
        return after(known, Task(status, start=NOW - 60, end=end, stop_reason=reason))

    return made


def _normal(text: str) -> list[str]:
    """Lines in an order of their own, labels sorted, values as floats: what two equal expositions share."""
    lines = []
    for line in text.splitlines():
        if line.startswith("#"):
            lines.append(line)
        elif line.strip():
            series, _, value = line.rpartition(" ")
            name, _, labels = series.partition("{")
            pairs = ",".join(f'{label}="{text}"' for label, text in sorted(PAIR.findall(labels)))
            lines.append(f"{name}{{{pairs}}} {float(value)}")
    return sorted(lines)


@pytest.fixture
def difference() -> Callable[[str, str], str]:
    """The difference of two expositions, empty when they say the same (after kube-state-metrics' way to compare)."""

    def told(expected: str, actual: str) -> str:
        lines = difflib.unified_diff(_normal(expected), _normal(actual), "expected", "actual", lineterm="", n=0)
        return "\n".join(lines)

    return told
