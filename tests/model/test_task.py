"""What follows from a task's values."""

import pytest

from exporter.enums import Status
from exporter.model.task import Task


@pytest.mark.parametrize(
    ("start", "max_running_time", "deadline"),
    [(1676987478.0, 3600, 1676991078.0), (None, 3600, None), (1676987478.0, None, None)],
)
def test_the_deadline_needs_both_start_and_longest_run(
    start: float | None, max_running_time: int | None, deadline: float | None
) -> None:
    """The vendor stops a task at StartTime + MaxRunningTime; without one of them the time is unknown."""
    assert deadline == Task(Status.RUNNING, start=start, max_running_time=max_running_time).deadline
