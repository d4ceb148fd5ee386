from collections.abc import Callable

import pytest

from exporter.errors import NotFound, ReadError
from exporter.model.known import Known, learn
from exporter.model.reading import Reading
from exporter.model.run import Run, Step, advance
from exporter.model.target import Target, TargetId
from exporter.model.task import Task

TARGET = TargetId("app", "room", "task")

Read = Callable[..., Reading]
Live = Callable[..., tuple[Run, Step]]


@pytest.fixture
def read() -> Read:
    """Make a read over at a moment; the vendor's clock says the same unless told."""

    def make(at: float, outcome: Task | ReadError | None = None, server_time: float | None = None) -> Reading:
        told = NotFound("no such task") if outcome is None else outcome
        return Reading(TARGET, at, at if server_time is None else server_time, 0.1, told)

    return make


@pytest.fixture
def live_through(read: Read) -> Live:
    """Read tasks one after the other, 10 s apart from second 1000: the last run, and all that the reads changed."""

    def live(*tasks: Task, run: Run | None = None, at: float = 1000.0) -> tuple[Run, Step]:
        steps = []
        for number, task in enumerate(tasks):
            run, step = advance(run, read(at + 10 * number, task), task)
            steps.append(step)
        assert run is not None
        return run, Step(
            tuple(run for step in steps for run in step.runs), tuple(fact for step in steps for fact in step.facts)
        )

    return live


@pytest.fixture
def known(read: Read) -> Callable[..., Known]:
    """What is known of the target after reads, 10 s apart from second 100,000; None is "no such task"."""
    unread = Known(Target(TARGET, "default"), accepted_at=100_000.0)

    def after(*outcomes: Task | ReadError | None, begin: Known = unread, at: float = 100_000.0) -> Known:
        for number, outcome in enumerate(outcomes):
            begin, _ = learn(begin, read(at + 10 * number, outcome))
        return begin

    return after
