"""One task's page, and the same for `explain`: what is known, when it is read, why it has series or none."""

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from exporter.enums import ReadFailure, Source, Status, StopReason
from exporter.errors import TimedOut
from exporter.model.run import Run
from exporter.model.target import Target, TargetId
from exporter.model.task import ReadResult, Task, VideoStream
from exporter.model.task_state import NextRead, TaskState, elapsed
from tests.web.conftest import TOKEN

if TYPE_CHECKING:
    from tests.web.conftest import Site

NOW = 1_768_465_805.0
ID = TargetId("app", "room", "task")
TARGET = Target(ID, "default", frozenset({Source.PUSH, Source.FILE}), {"team": "<edu>"}, expected_start=NOW - 900)
PATH = "/tasks/app/room/task"
TASK = Task(Status.RUNNING, start=NOW - 600, max_running_time=7200, video=(VideoStream(1280, 720, 15),))
RUNNING = TaskState(
    TARGET,
    accepted_at=NOW - 1000,
    task=TASK,
    task_time=NOW - 5,
    status_since=NOW - 590,
    user_id="webcast_1",
    source_host="class.example",
    last_read=NOW - 5,
    last_success=NOW - 5,
)


def told(site: "Site") -> dict[str, Any]:
    answer: dict[str, Any] = site.get(f"/api/v1{PATH}").json()["data"]
    return answer


def test_the_page_tells_all_that_is_known(site: "Site") -> None:
    """State, reads with their errors, changes, who lists it; labels as text."""
    site.exporter.states = [RUNNING]
    insight = site.exporter.queries
    insight.turns = {ID: NextRead("normal", NOW + 25)}
    insight.remembered.add_read(ReadResult(ID, NOW - 65, NOW - 65, 5.0, TimedOut("no answer within 5 s")))
    insight.remembered.add_read(ReadResult(ID, NOW - 5, NOW - 5, 0.025, TASK))
    insight.remembered.add_change(replace(RUNNING, task=replace(TASK, status=Status.NOT_STARTED)), RUNNING, NOW - 590)
    page = site.get(PATH).text
    for expected in (
        "10m of 2h",
        "webcast_1",
        "class.example",
        "file, push",
        "1280x720 at 15/s",
        "&lt;edu&gt;",
        "no answer within 5 s",
        "25 ms",
        "not started</span> → <span",
        "in 25s, at the normal interval",
        "It has all its series",
    ):
        assert expected in page


@pytest.mark.parametrize(
    ("turn", "sentence"),
    [
        (None, "no account reads it"),
        (NextRead("fast", None), "it is being read at this moment"),
        (NextRead("fast", NOW + 5), "in 5s, at the fast interval: news is likely"),
        (NextRead("", NOW - 3), "due for 3s, waiting for the budget, it was never read"),
        (
            NextRead("normal", NOW + 60, "its expected start is still to come"),
            "in 1m: its expected start is still to come",
        ),
        (NextRead("backoff", NOW + 60), "in 1m, it backs off: its own reads failed"),
    ],
)
def test_when_it_is_read_next(site: "Site", turn: NextRead | None, sentence: str) -> None:
    """The moment, and why then."""
    site.exporter.states = [RUNNING]
    site.exporter.queries.turns = {ID: turn} if turn else {}
    assert told(site)["next_read_because"] == sentence
    assert told(site)["next_read"] == (None if turn is None or turn.due is None else told(site)["next_read"])


@pytest.mark.parametrize(
    ("state", "has_series", "words"),
    [
        (RUNNING, True, "all its series"),
        (TaskState(TARGET), True, "no read of it has ended yet"),
        (TaskState(TARGET, last_read=NOW, not_found_since=NOW), True, "the API knows no such task"),
        (TaskState(TARGET, last_read=NOW, failure=ReadFailure.TLS), True, "older than stale_after"),
        (RUNNING, False, "metrics.max_tasks"),
        (
            replace(
                RUNNING,
                task=Task(Status.ENDED),
                run=Run(ID, 1.0, stopped=StopReason.LOST, end_seen=NOW - 900, last=Task(Status.ENDED)),
            ),
            False,
            "lifecycle.linger (15m) is over",
        ),
    ],
)
def test_why_it_has_series_or_none(site: "Site", state: TaskState, words: str, *, has_series: bool) -> None:
    """In a sentence that names the key of the configuration, where one decides."""
    site.exporter.states = [state]
    site.exporter.queries.without_series = set() if has_series else {ID}
    assert words in told(site)["series_because"]
    assert told(site)["has_series"] is has_series
    assert words in site.get(PATH).text


def test_what_is_no_target(site: "Site") -> None:
    """404 for a person, unless a run of it is remembered; `explain` gets the reason."""
    assert site.get(PATH).status_code == 404
    assert (told(site)["is_target"], told(site)["account"]) == (False, "default")
    assert "no source lists it" in told(site)["series_because"]
    site.exporter.queries.orphaned = {"app"}
    assert "app_ids" in told(site)["series_because"]
    site.exporter.queries.runs = [Run(ID, 1.0, stopped=StopReason.LOST, end_seen=NOW - 60)]
    answer = site.get(PATH)
    assert answer.status_code == 200
    assert "Lost, seen" in answer.text


def test_what_can_be_no_task(site: "Site") -> None:
    """An id that the vendor does not allow is told as such."""
    assert site.get("/tasks/app/ro%20om/task").status_code == 404
    answer = site.get("/api/v1/tasks/app/ro%20om/task")
    assert answer.status_code == 400
    assert "room id" in answer.json()["error"]


def test_a_stale_task_shows_its_last_state(site: "Site") -> None:
    """What it was last read as, since when nothing is known, and why."""
    stale = replace(RUNNING, task=None, last_task=TASK, failure=ReadFailure.TIMEOUT, failing_since=NOW - 600)
    site.exporter.states = [replace(stale, last_success=NOW - 600, last_answer=NOW - 600)]
    for path in ("/tasks", PATH):
        page = site.get(path).text
        for told in ("stale", "last read as running", "stale: timeout"):
            assert told in page
    task = site.get("/api/v1/tasks").json()["data"]["tasks"][0]
    assert (task["status"], task["last_status"]) == ("stale", "running")
    assert [each["problem"] for each in task["problems"]] == ["stale", "read_failing"]


def test_a_stopped_task_has_no_deadline_and_no_bar(site: "Site") -> None:
    """It will run no longer; what failed is not drawn as progress."""
    failed = replace(TASK, status=Status.FAILED, end=NOW - 60, stop_reason=StopReason.UNKNOWN)
    site.exporter.states = [replace(RUNNING, task=failed, last_task=failed, status_since=NOW - 60)]
    page = site.get(PATH).text
    assert "May run until" not in page
    assert "<progress" not in page
    assert 'href="/runbooks/WebCastTaskFailed"' in page


def test_a_stopped_task_can_be_removed(site: "Site") -> None:
    """By the button of its page, with a push token; the button is there only where it works."""
    assert 'action="/tasks/app/room/task/dismiss"' not in site.get(PATH).text
    failed = replace(TASK, status=Status.FAILED, end=NOW - 60, stop_reason=StopReason.UNKNOWN)
    site.exporter.states = [replace(RUNNING, task=failed, last_task=failed, status_since=NOW - 60)]
    assert 'action="/tasks/app/room/task/dismiss"' in site.get(PATH).text

    def press(token: str, path: str = PATH) -> tuple[int, str]:
        answer = site.client.post(f"{path}/dismiss", data={"token": token})
        return answer.status_code, answer.headers.get("location", "")

    assert [press("wrong"), press("")] == [(401, ""), (401, "")]
    assert press("x" * 10_000)[0] == 400
    assert site.exporter.dismissed == []
    assert press(TOKEN) == (303, "/tasks")
    assert press(TOKEN, "/tasks/app/room/other")[0] == 404
    assert site.exporter.dismissed == [ID, TargetId("app", "room", "other")]
    del site.exporter.secrets[Source.PUSH]
    assert press(TOKEN)[0] == 404
    assert "/dismiss" not in site.get(PATH).text


@pytest.mark.parametrize(
    ("state", "seconds"),
    [
        (TaskState(TARGET), None),
        (RUNNING, 600.0),
        (replace(RUNNING, task_time=NOW + 25), 630.0),
        (replace(RUNNING, task=replace(TASK, status=Status.ENDED, end=NOW - 20)), 580.0),
        (replace(RUNNING, task=replace(TASK, status=Status.ENDED)), None),
    ],
)
def test_elapsed(state: TaskState, seconds: float | None) -> None:
    """Until the end, or until now by the vendor's clock; nothing before the start."""
    assert elapsed(state, NOW) == seconds
