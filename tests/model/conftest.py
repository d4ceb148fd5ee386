from collections.abc import Callable

import pytest

from exporter.errors import NotFound, ReadError
from exporter.model.run import Run, StateChange
from exporter.model.target import Target, TargetId
from exporter.model.task import ReadResult, Task
from exporter.model.task_state import TaskState, apply_read

TARGET = TargetId("app", "room", "task")

Read = Callable[..., ReadResult]
Live = Callable[..., tuple[Run, StateChange]]


@pytest.fixture
def read() -> Read:
    """Make a read over at a moment; the vendor's clock says the same unless told."""

    def make(at: float, outcome: Task | ReadError | None = None, server_time: float | None = None) -> ReadResult:
        told = NotFound("no such task") if outcome is None else outcome
        return ReadResult(TARGET, at, at if server_time is None else server_time, 0.1, told)

    return make


@pytest.fixture
def live_through(read: Read) -> Live:
    """Read tasks one after the other, 10 s apart from second 1000: the last run, and all that the reads changed."""

    def live(*tasks: Task, run: Run | None = None, at: float = 1000.0) -> tuple[Run, StateChange]:
        state, change = TaskState(Target(TARGET, "default"), run=run), StateChange()
        for number, task in enumerate(tasks):
            state, more = apply_read(state, read(at + 10 * number, task))
            change += more
        assert state.run is not None
        return state.run, change

    return live


@pytest.fixture
def known(read: Read) -> Callable[..., TaskState]:
    """What is known of the target after reads, 10 s apart from second 100,000; None is "no such task"."""
    unread = TaskState(Target(TARGET, "default"), accepted_at=100_000.0)

    def after(*outcomes: Task | ReadError | None, begin: TaskState = unread, at: float = 100_000.0) -> TaskState:
        for number, outcome in enumerate(outcomes):
            begin, _ = apply_read(begin, read(at + 10 * number, outcome))
        return begin

    return after
