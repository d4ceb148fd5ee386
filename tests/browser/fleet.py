"""Made-up tasks of every kind, for a browser to look at."""

from collections.abc import Iterator
from dataclasses import replace

from exporter.enums import PageAction, PageReason, ReadFailure, Source, Status, StopReason
from exporter.model.run import Run
from exporter.model.target import Target, TargetId
from exporter.model.task import PageEvent, Pages, Task, VideoStream
from exporter.model.task_state import TaskState

NOW = 1_768_465_805.0
APPS = ("661e0000000000000000543c", "661e0000000000000000543d")
LIMIT = 7200
ROOMS = ("Algebra", "Biology", "Chinese", "Drawing", "English", "French", "Geometry", "History")


def task_state(
    number: int, task: Task | None, *, since: float, read: float = 8.0, source: Source = Source.HTTP
) -> TaskState:
    """Task `number`, as it was read a few seconds ago."""
    room = f"{ROOMS[number % len(ROOMS)]}-{number}"
    ids = TargetId(APPS[number % 4 // 3], room, "record")
    target = Target(ids, "default", frozenset({source}), {"team": "edu"})
    if task is None:
        return TaskState(target, accepted_at=NOW - since)
    at, read_task = NOW - read, replace(task, max_running_time=LIMIT, video=(VideoStream(1280, 720, 15, 250_000),))
    return TaskState(
        target,
        accepted_at=NOW - since - 60,
        task=read_task,
        last_task=read_task,
        last_answer=at,
        task_time=at,
        status_since=NOW - since,
        user_id=f"webcast_{number:03d}",
        source_host="classroom.example.com",
        last_read=at,
        last_success=at,
    )


def running(number: int, ran: float) -> TaskState:
    """One that has run for so long."""
    return task_state(number, Task(Status.RUNNING, start=NOW - ran), since=ran, read=number % 25)


def with_page(state: TaskState, action: PageAction, reason: PageReason, ago: float) -> TaskState:
    """Its page was refreshed or rescheduled three times."""
    events = tuple(PageEvent(action, reason, NOW - ago - 60 * number) for number in (2, 1, 0))
    counts = (3, 0) if action is PageAction.REFRESH else (0, 3)
    pages = Pages(*counts, events[-1:], events)
    run = Run(state.target.id, NOW - 3600, entered=frozenset({Status.RUNNING}), pages=pages)
    return replace(state, run=run)


def stopped(number: int, status: Status, reason: StopReason, ago: float, ran: float) -> TaskState:
    """One that stopped some time ago."""
    task = Task(status, start=NOW - ago - ran, end=NOW - ago, stop_reason=reason)
    return task_state(number, task, since=ago)


def dark(number: int) -> TaskState:
    """One that ended early, in the middle of its class."""
    state = stopped(number, Status.ENDED, StopReason.STOP_BY_API, 1260, 1700)
    target = replace(state.target, expected_start=NOW - 3000, expected_end=NOW + 1500)
    run = Run(target.id, NOW - 2960, entered=frozenset({Status.RUNNING, Status.ENDED}), end_seen=NOW - 1255)
    return replace(state, target=target, run=replace(run, stopped=StopReason.STOP_BY_API, last=state.task))


def stale(number: int, ran: float) -> TaskState:
    """One that has not been read for five minutes."""
    state = task_state(number, Task(Status.RUNNING, start=NOW - ran), since=ran, read=300)
    return replace(state, task=None, failure=ReadFailure.TIMEOUT, failing_since=NOW - 270, last_read=NOW - 3)


def morning() -> list[TaskState]:
    """A school in the morning: most is well, some is not."""
    lost = task_state(5, Task(Status.RUNNING, start=NOW - 5000), since=5000)
    return [
        stopped(0, Status.FAILED, StopReason.START_TASK_FAILED, 95, 0),
        stopped(1, Status.FAILED, StopReason.UNKNOWN, 340, 2710),
        dark(2),
        task_state(3, Task(Status.UNKNOWN), since=900),
        stale(4, 4000),
        replace(lost, task=None, not_found_since=NOW - 700, failure=ReadFailure.NOT_FOUND),
        stopped(6, Status.ENDED, StopReason.EXCEED_MAX_RUNNING_TIME, 600, LIMIT),
        with_page(running(7, 1200), PageAction.RESCHEDULE, PageReason.CRASH, 42),
        with_page(running(8, 2600), PageAction.REFRESH, PageReason.FREEZE, 260),
        task_state(9, None, since=2),
        task_state(10, Task(Status.NOT_STARTED), since=60, source=Source.PUSH),
        *(running(number, 300.0 + 173 * (number - 11)) for number in range(11, 40)),
        *(stopped(number, Status.ENDED, StopReason.STOP_BY_API, 100.0 + number, 2700) for number in range(40, 52)),
    ]


def many(number: int) -> Iterator[TaskState]:
    """So many that run."""
    return (running(each, 60.0 + each % 7000) for each in range(number))


def runs_that_stopped() -> list[Run]:
    found = []
    for state in morning():
        if state.task is not None and state.task.stopped and state.status_since is not None:
            entered = frozenset({Status.RUNNING, state.task.status})
            reason, since = state.task.stop_reason, state.status_since
            run = Run(state.target.id, since - 3000, state.task.start, entered, reason, since, state.task)
            found.append(run)
    return found
