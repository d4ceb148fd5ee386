"""Which series a task has, after each thing that can happen to it (contract, sections 4 and 5)."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from exporter.enums import ReadFailure, Severity, Status, StopReason, TaskProblem
from exporter.errors import NotFound, TimedOut
from exporter.metrics.families import Group, TaskFamily, task_families
from exporter.metrics.series_cache import render
from exporter.model.run import Run
from exporter.model.target import Target, TargetId
from exporter.model.task import EventNotify, MonitorIntervals, ReadResult, Task, VideoStream
from exporter.model.task_state import ActiveProblem, Lifetimes, TaskState, accept, apply_read, expire
from exporter.volcengine.replies import parse_reply
from tests.support.task_states import NOW, after, unread

TESTS = Path(__file__).parents[1]
ROWS = task_families(Group)
LIFETIMES = Lifetimes(stale_after=120.0, linger=900.0, drain=1800.0)
RUNNING = Task(
    Status.RUNNING,
    start=NOW - 60,
    user_id="robot",
    source_host="page.example",
    max_running_time=3600,
    video=(VideoStream(1280, 720, 15, 0),),
    monitor=MonitorIntervals(5, 0, 5),
    event_notify=EventNotify(enabled=False, start_timeout=0),
)
PAGE_COUNTERS = {"webcast_task_page_refreshes_total", "webcast_task_page_reschedules_total"}
PROBLEMS = {"webcast_task_problem", "webcast_task_problem_since_timestamp_seconds"}
NOT_OF_THE_STATE = {
    "webcast_task_read_success",
    "webcast_task_read_error",
    "webcast_task_last_successful_read_timestamp_seconds",
    "webcast_task_expected_start_timestamp_seconds",
    "webcast_task_expected_end_timestamp_seconds",
    "webcast_task_info",
    *PAGE_COUNTERS,
    *PROBLEMS,
}
"""The contract's list of what stays when nothing is fresh (section 5); every other series is the state's."""


def text(known: TaskState, rows: tuple[TaskFamily, ...] = ROWS) -> str:
    return b"".join(render(known, rows)).decode()


def names(known: TaskState) -> set[str]:
    return {sample.name for family in text_string_to_metric_families(text(known)) for sample in family.samples}


def values(known: TaskState, name: str) -> dict[tuple[str, ...], float]:
    """One family's values, by the labels beside the target's."""
    (row,) = [row for row in ROWS if row.family.name == name]
    own = row.family.labels[3:]
    samples = [sample for family in text_string_to_metric_families(text(known, (row,))) for sample in family.samples]
    return {tuple(sample.labels[label] for label in own): sample.value for sample in samples}


def test_the_vendors_example_gives_the_expected_text(difference: Callable[[str, str], str]) -> None:
    """The reply that the API page prints, from its JSON to the series."""
    reply = parse_reply(json.loads((TESTS / "payloads" / "seed-example.json").read_text()))
    target = TargetId("Your_AppId", "Your_RoomId", "Your_TaskId")
    result = ReadResult(target, at=1676987500.5, server_time=1676987500.0, elapsed=0.1, outcome=reply.task)
    known = TaskState(Target(target, "default", frozenset(), {"team": "edu"}, 1676987400.0, 1676991000.0))
    actual = text(apply_read(known, result)[0], task_families(Group, ["team"]))
    expected = (TESTS / "expected" / "documented_reply.prom").read_text()
    assert difference(expected, actual) == ""


def test_a_target_has_its_info_before_it_is_read() -> None:
    """`webcast_task_info` is there from the moment the target is accepted, user and host empty; nothing else is."""
    known = unread()
    assert names(known) == {"webcast_task_info"}
    assert values(known, "webcast_task_info") == {("default", "", ""): 1.0}


def test_expected_times_are_there_while_the_task_is_not() -> None:
    """They come from the target's labels: before the first read, and while not found, each by itself."""
    known = unread(expected_start=NOW + 60)
    assert values(known, "webcast_task_expected_start_timestamp_seconds") == {(): NOW + 60}
    assert values(known, "webcast_task_expected_end_timestamp_seconds") == {}
    unknown = after(unread(expected_end=NOW), NotFound("no such task"))
    assert values(unknown, "webcast_task_expected_end_timestamp_seconds") == {(): NOW}


def test_a_running_task_has_all_but_an_end() -> None:
    """What has not happened has no series."""
    known = after(unread(), RUNNING)
    absent = {row.family.name for row in ROWS} - names(known)
    assert absent == {
        "webcast_task_read_error",
        "webcast_task_end_timestamp_seconds",
        "webcast_task_stop_reason",
        "webcast_task_expected_start_timestamp_seconds",
        "webcast_task_expected_end_timestamp_seconds",
        "webcast_task_last_page_event_timestamp_seconds",
        *PROBLEMS,
    }


def test_a_failed_read_keeps_the_state() -> None:
    """Last known state stays, `read_success` is 0 and `read_error` names the reason; the next success ends both."""
    known = after(unread(), RUNNING)
    failed = after(known, TimedOut("too slow"), at=NOW + 30)
    assert names(failed) == names(known) | {"webcast_task_read_error"}
    assert values(failed, "webcast_task_read_success") == {(): 0.0}
    assert values(failed, "webcast_task_read_error") == {("timeout",): 1.0}
    assert values(failed, "webcast_task_last_successful_read_timestamp_seconds") == {(): NOW}
    assert values(failed, "webcast_task_duration_seconds") == {(): 60.0}
    again = after(failed, RUNNING, at=NOW + 60)
    assert names(again) == names(known)
    assert values(again, "webcast_task_read_success") == {(): 1.0}


@pytest.mark.parametrize("failure", ReadFailure)
def test_each_reason_of_a_failed_read_is_a_label_value(failure: ReadFailure) -> None:
    known = replace(unread(), last_read=NOW, failure=failure)
    assert values(known, "webcast_task_read_error") == {(failure.value,): 1.0}
    expected = {"webcast_task_info", "webcast_task_read_success", "webcast_task_read_error", *PAGE_COUNTERS}
    assert names(known) == expected


def test_a_task_that_is_not_found_has_no_state() -> None:
    """The reads' own series stay, and info keeps the user and the host it once had."""
    known = after(after(unread(), RUNNING), NotFound("no such task"), at=NOW + 30)
    assert values(known, "webcast_task_read_error") == {("not_found",): 1.0}
    assert names(known) <= NOT_OF_THE_STATE
    assert values(known, "webcast_task_info") == {("default", "robot", "page.example"): 1.0}


def test_of_a_stale_task_only_the_reads_and_the_target_are_left() -> None:
    """Nothing fresh for `stale_after`: the state goes, `read_*`, the last success, expected times and info stay."""
    target = unread(expected_start=NOW, expected_end=NOW + 60)
    known = after(after(target, RUNNING), TimedOut("too slow"), at=NOW + 30)
    fresh, _ = expire(known, NOW + 119.9, LIFETIMES)
    stale, _ = expire(known, NOW + 120, LIFETIMES)
    assert fresh is not None
    assert stale is not None
    assert names(fresh) - names(stale) == {row.family.name for row in ROWS} - NOT_OF_THE_STATE - {
        "webcast_task_end_timestamp_seconds",
        "webcast_task_stop_reason",
        "webcast_task_last_page_event_timestamp_seconds",
    }
    assert names(stale) == NOT_OF_THE_STATE - PROBLEMS


def test_a_run_that_stopped_before_a_restart_shows_its_stored_state() -> None:
    """Within its linger, without a new read: the last state, read when its end was seen."""
    ended = replace(RUNNING, status=Status.ENDED, end=NOW, stop_reason=StopReason.OTHER)
    target = unread().target
    run = Run(target.id, NOW - 60, NOW - 60, frozenset(Status), StopReason.OTHER, NOW + 1, ended)
    known = accept(target, run, NOW + 10)
    assert values(known, "webcast_task_stop_reason") == {("Other",): 1.0}
    assert values(known, "webcast_task_duration_seconds") == {(): 60.0}
    assert values(known, "webcast_task_last_successful_read_timestamp_seconds") == {(): NOW + 1}


@pytest.mark.parametrize("status", Status)
def test_a_status_is_one_of_five(status: Status) -> None:
    """1 for the state it is in and 0 for the four others, so that a change needs no series to vanish."""
    known = after(unread(), Task(status))
    assert values(known, "webcast_task_status") == {(each.value,): float(each is status) for each in Status}


@pytest.mark.parametrize("reason", StopReason)
def test_a_stop_reason_is_one_sample(reason: StopReason) -> None:
    known = after(unread(), Task(Status.FAILED, stop_reason=reason))
    assert values(known, "webcast_task_stop_reason") == {(reason.value,): 1.0}


@pytest.mark.parametrize(
    ("task", "duration"),
    [
        (Task(Status.ENDED, start=NOW - 100, end=NOW - 40), {(): 60.0}),
        (Task(Status.FAILED, start=NOW - 100, end=NOW - 40), {(): 60.0}),
        (Task(Status.ENDED, start=NOW, end=NOW - 1), {(): 0.0}),
        (Task(Status.RUNNING, start=NOW - 100), {(): 97.0}),
        (Task(Status.UNKNOWN, start=NOW - 100), {(): 97.0}),
        (Task(Status.RUNNING, start=NOW + 100), {(): 0.0}),
        (Task(Status.NOT_STARTED), {}),
        (Task(Status.RUNNING), {}),
        (Task(Status.FAILED, end=NOW), {}),
        (Task(Status.FAILED, start=NOW - 100), {}),
    ],
)
def test_a_duration_ends_at_the_end_or_at_the_read_by_the_vendors_clock(
    task: Task, duration: dict[tuple[str, ...], float]
) -> None:
    """Never negative; absent without a start, and for a stopped task whose end was not said."""
    known = unread()
    result = ReadResult(known.target.id, at=NOW, server_time=NOW - 3, elapsed=0.1, outcome=task)
    assert values(apply_read(known, result)[0], "webcast_task_duration_seconds") == duration


@pytest.mark.parametrize(
    ("part", "absent"),
    [
        ({"video": ()}, "webcast_task_video_"),
        ({"video": (VideoStream(),)}, "webcast_task_video_"),
        ({"monitor": MonitorIntervals()}, "webcast_task_monitor_"),
        ({"event_notify": EventNotify(enabled=True)}, "webcast_task_start_event_timeout_seconds"),
        ({"event_notify": EventNotify(start_timeout=2)}, "webcast_task_event_notify_enabled"),
        ({"max_running_time": None}, "webcast_task_max_running_time_seconds"),
        ({"start": None}, ("webcast_task_start_timestamp_seconds", "webcast_task_duration_seconds")),
    ],
)
def test_what_was_not_said_has_no_series(part: dict[str, object], absent: str | tuple[str, ...]) -> None:
    """One unusable field costs its own series and no other."""
    whole = names(after(unread(), RUNNING))
    known = after(unread(), replace(RUNNING, **part))  # type: ignore[arg-type]  # any field of a task
    assert names(known) == {name for name in whole if not name.startswith(absent)}


def test_each_stream_and_each_check_is_a_sample_and_zero_is_a_value() -> None:
    """Streams are `0` and `1`, whichever of them say something; 0 = off, adaptive or without a limit, not absent."""
    streams = (VideoStream(width=1920), VideoStream(width=640, max_bytes_per_second=0))
    known = after(unread(), replace(RUNNING, video=streams, monitor=MonitorIntervals(freeze=0, crash=30)))
    assert values(known, "webcast_task_video_width_pixels") == {("0",): 1920.0, ("1",): 640.0}
    assert values(known, "webcast_task_video_max_bytes_per_second") == {("1",): 0.0}
    assert values(known, "webcast_task_monitor_interval_seconds") == {("freeze",): 0.0, ("crash",): 30.0}
    assert values(known, "webcast_task_event_notify_enabled") == {(): 0.0}
    assert values(known, "webcast_task_start_event_timeout_seconds") == {(): 0.0}


def test_info_shows_the_named_labels_and_no_other() -> None:
    """`metrics.info_labels` are allowed onto info, in their own names; one that the target lacks is empty."""
    known = unread(labels={"team": "edu", "secret": "x"})
    rows = tuple(row for row in task_families([], ["team", "zone"]) if row.family.name == "webcast_task_info")
    (family,) = text_string_to_metric_families(text(known, rows))
    assert family.samples[0].labels == {
        "app_id": "App1",
        "room_id": "Room1",
        "task_id": "Task1",
        "account": "default",
        "user_id": "",
        "source_host": "",
        "team": "edu",
        "zone": "",
    }


def test_problems_have_their_cause_and_since_when() -> None:
    """One series each while it holds, with an empty cause where there is none to name."""
    problems = (
        ActiveProblem(TaskProblem.CLASS_DARK, Severity.CRITICAL, NOW, "not_found"),
        ActiveProblem(TaskProblem.STALE, Severity.WARNING, NOW + 5),
    )
    known = replace(unread(), problems=problems)
    assert values(known, "webcast_task_problem") == {("class_dark", "not_found"): 1.0, ("stale", ""): 1.0}
    assert values(known, "webcast_task_problem_since_timestamp_seconds") == {
        ("class_dark",): NOW,
        ("stale",): NOW + 5,
    }
