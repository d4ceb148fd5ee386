"""The stopped runs over HTTP: JSON, CSV, and a page for the morning after."""

import csv
import re
from html import unescape
from typing import TYPE_CHECKING

import pytest

from exporter.enums import Status, StopReason
from exporter.errors import StateError
from exporter.model.run import Run
from exporter.model.target import Target, TargetId
from exporter.model.task import Pages, Task
from exporter.model.task_state import TaskState
from exporter.store.run_table import RunCursor

if TYPE_CHECKING:
    from tests.web.conftest import Site

NOW = 1_768_465_805.0
DAY = 86_400.0
WEEK = 7 * DAY


def run(name: str, reason: StopReason, status: Status | None) -> Run:
    """One that ran for an hour and ended a minute ago."""
    last = Task(status, start=NOW - 3660, end=NOW - 60, stop_reason=reason) if status else None
    target = TargetId("app", "room", name)
    return Run(target, NOW - 3600, NOW - 3660, frozenset({Status.RUNNING}), reason, NOW - 55, last, pages=Pages(2, 1))


@pytest.fixture
def site(site: "Site") -> "Site":
    """With three runs that stopped."""
    site.exporter.queries.runs = [
        run("good", StopReason.STOP_BY_API, Status.ENDED),
        run("-bad", StopReason.UNKNOWN, Status.FAILED),
        run("lost", StopReason.LOST, None),
    ]
    site.exporter.queries.labels = {"team": "=1+1"}
    return site


def test_a_run_as_json(site: "Site") -> None:
    """Everything in the state about it, the labels of its target among it."""
    data = site.get("/api/v1/runs").json()["data"]
    assert (data["matching"], data["page"], data["pages"]) == (3, 1, 1)
    assert data["runs"][0] == {
        "app_id": "app",
        "room_id": "room",
        "task_id": "good",
        "account": "default",
        "status": "ended",
        "reason": "StopByAPI",
        "start": "2026-01-15T07:29:05.000Z",
        "end": "2026-01-15T08:29:05.000Z",
        "duration_seconds": 3600.0,
        "page_refreshes": 2,
        "page_reschedules": 1,
        "first_seen": "2026-01-15T07:30:05.000Z",
        "end_seen": "2026-01-15T08:29:10.000Z",
        "labels": {"team": "=1+1"},
    }
    assert (data["runs"][2]["status"], data["runs"][2]["end"]) == (None, None)


def test_as_csv(site: "Site") -> None:
    """A line of names, a line a run; no cell is a formula to a spreadsheet."""
    answer = site.get("/api/v1/runs?format=csv&size=2&page=1")
    assert answer.headers["content-type"].startswith("text/csv")
    assert answer.headers["x-pages"] == "2"
    rows = list(csv.DictReader(answer.text.splitlines()))
    assert [row["task_id"] for row in rows] == ["good", "'-bad"]
    assert (rows[0]["labels"], rows[0]["duration_seconds"]) == ("team==1+1", "3600.0")


@pytest.mark.parametrize(
    ("query", "since", "until"),
    [
        ("", NOW - WEEK, None),
        ("since=24h", NOW - DAY, None),
        ("since=4w&until=1h", NOW - WEEK, NOW - 3600),
        ("since=2026-01-15T08:00:00Z", 1_768_464_000.0, None),
        ("since=1768464000&until=1768465000", 1_768_464_000.0, 1_768_465_000.0),
    ],
)
def test_since_and_until(site: "Site", query: str, since: float, until: float | None) -> None:
    """A time, or so long ago; never before the history that is kept."""
    assert site.get(f"/api/v1/runs?{query}").status_code == 200
    wanted = site.exporter.queries.wanted[-1]
    assert (wanted.since, wanted.until) == (since, until)


def test_the_filters_are_handed_on(site: "Site") -> None:
    site.get("/api/v1/runs?app_id=app&status=failed&reason=Lost&q=x&size=2&page=2")
    wanted = site.exporter.queries.wanted[-1]
    assert wanted[2:6] == ("app", Status.FAILED, StopReason.LOST, "x")
    assert (wanted.limit, wanted.offset) == (2, 2)


@pytest.mark.parametrize("text", ["\0", "a\0b", "%", "_", "'", "é" * 200, "\\"])
def test_any_text_can_be_looked_for(site: "Site", text: str) -> None:
    """The state gets the very text; what is too long for it is refused."""
    for path, params in (("/api/v1/runs", {}), ("/tasks", {"show": "stopped"})):
        assert site.client.get(path, params={**params, "q": text, "app_id": text}).status_code == 200
        assert site.exporter.queries.wanted[-1].text == text
        assert site.client.get(path, params={**params, "q": text + "x" * 400}).status_code == 400


def test_a_search_that_time_ended_goes_on_where_it_ended(site: "Site") -> None:
    """JSON, CSV and the page name the place, and take it."""
    older = RunCursor(NOW - 60, ("app", "room", "good", NOW - 3600))
    site.exporter.queries.older = older
    data = site.get("/api/v1/runs?q=room").json()["data"]
    assert (data["next"], data["complete"]) == (str(older), False)
    assert site.get("/api/v1/runs?q=room&format=csv").headers["x-next"] == str(older)
    page = site.get("/tasks?show=stopped&q=room").text
    link = re.search(r'href="(/tasks[^"]*after=[^"]*)">Search older runs', page)
    assert link is not None
    assert "At least 3 runs" in page
    site.exporter.queries.older = None
    for path in (unescape(link[1]), f"/api/v1/runs?q=room&after={data['next']}"):
        answer = site.get(path)
        assert (site.exporter.queries.wanted[-1].after, site.exporter.queries.wanted[-1].text) == (older, "room")
        assert "Search older" not in answer.text
    assert site.get("/api/v1/runs").json()["data"]["next"] is None


@pytest.mark.parametrize(
    "query",
    ["format=xml", "since=yesterday", "status=bad", "reason=bad", "page=0", "size=99999", "after=yesterday"],
)
def test_a_query_for_what_there_is_not(site: "Site", query: str) -> None:
    """400 with what it could be."""
    answer = site.get(f"/api/v1/runs?{query}")
    assert answer.status_code == 400
    assert query.split("=", maxsplit=1)[0] in answer.json()["error"]
    assert site.get(f"/tasks?show=stopped&{query}").status_code == (200 if "format" in query else 400)


def test_the_page_of_the_morning_after(site: "Site") -> None:
    """Each run with its reason, and links to the same as JSON and CSV."""
    page = site.get("/tasks?show=stopped&since=24h&status=failed&size=2").text
    for told in ("3 runs", "UnknownStopReason", "2 refreshed, 1 rescheduled", "1h", "/tasks/app/room/good"):
        assert told in page
    assert "/api/v1/runs?since=24h&amp;status=failed&amp;size=2&amp;format=csv" in page
    assert "/tasks?show=stopped&amp;since=24h&amp;status=failed&amp;size=2&amp;page=2" in page
    site.exporter.queries.runs = []
    assert "No matching runs" in site.get("/tasks?show=stopped").text


def test_while_the_state_cannot_be_read(site: "Site") -> None:
    """503 with what to do; a task's page does without."""
    site.exporter.queries.breaks = StateError("locked")
    site.exporter.states = [TaskState(Target(TargetId("app", "room", "good"), "default"))]
    for path in ("/api/v1/runs", "/tasks?show=stopped"):
        answer = site.get(path)
        assert answer.status_code == 503
        assert "state cannot be read now" in answer.text.lower().replace("the ", "")
    assert site.get("/tasks/app/room/good").status_code == 200
