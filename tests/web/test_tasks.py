"""The fleet's page and its JSON: filters, order, pages, and nothing from outside as markup."""

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from exporter.enums import PageAction, PageReason, ReadFailure, Source, Status, StopReason
from exporter.model.run import Run
from exporter.model.target import Target, TargetId
from exporter.model.task import PageEvent, Pages, Task
from exporter.model.task_state import TaskState

if TYPE_CHECKING:
    from tests.web.conftest import Site

NOW = 1_768_465_805.0
ODD = '<b onclick="x">'


def task_state(name: str, status: Status | None, *, account: str = "default", **task: Any) -> TaskState:
    """A task that was read 5 s ago, and came to its status a minute ago."""
    target = Target(TargetId("app", "room", name), account, frozenset({Source.HTTP}), {"team": ODD})
    if status is None:
        return TaskState(target)
    at, read = NOW - 5, replace(Task(status), **task)
    return TaskState(
        target,
        task=read,
        last_task=read,
        last_answer=at,
        task_time=at,
        status_since=NOW - 60,
        source_host="class.example",
        last_read=at,
        last_success=at,
    )


def fleet() -> list[TaskState]:
    """One of each kind that matters here."""
    events = tuple(PageEvent(PageAction.REFRESH, PageReason.FREEZE, NOW - ago) for ago in (50, 40, 30))
    pages = Pages(3, 0, events[-1:], events)
    run = Run(TargetId("app", "room", "page"), 1.0, entered=frozenset({Status.RUNNING}), pages=pages)
    return [
        task_state("calm", Status.RUNNING, start=NOW - 1800, max_running_time=7200),
        task_state("over", Status.ENDED, start=NOW - 100, end=NOW - 60, stop_reason=StopReason.STOP_BY_API),
        replace(task_state("page", Status.RUNNING, start=NOW - 600), run=run),
        replace(
            task_state("dumb", Status.RUNNING, account="other"),
            failure=ReadFailure.TIMEOUT,
            last_read=NOW - 1,
            failing_since=NOW - 200,
        ),
        task_state("dead", Status.FAILED, stop_reason=StopReason.START_TASK_FAILED),
        task_state("new", None),
    ]


@pytest.fixture
def site(site: "Site") -> "Site":
    """With a fleet."""
    site.exporter.states = fleet()
    return site


def names(site: "Site", query: str) -> list[str]:
    return [task["task_id"] for task in site.get(f"/api/v1/tasks?{query}").json()["data"]["tasks"]]


def test_what_is_wrong_stands_first(site: "Site") -> None:
    """On the page as in the JSON."""
    assert names(site, "") == ["dead", "page", "dumb", "new", "calm", "over"]
    page = site.get("/tasks").text
    places = [page.index(f"/tasks/app/room/{name}") for name in names(site, "")]
    assert places == sorted(places)
    for told in (
        "StartTaskFailed",
        "reads fail: timeout",
        "page refreshed repeatedly: frozen (PageFreeze)",
        "30m of 2h",
        "5s ago",
    ):
        assert told in page
    assert '<progress max="7200" value="1800"' in page


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("q=DEA", ["dead"]),
        ("q=room+onclick&status=ended", ["over"]),
        ("q=class.example&status=failed", ["dead"]),
        ("status=failed", ["dead"]),
        ("status=failed,ended", ["dead", "over"]),
        ("status=failed&status=unread", ["dead", "new"]),
        ("status=problem", ["dead", "page", "dumb"]),
        ("problem=start_failed", ["dead"]),
        ("problem=class_dark", []),
        ("account=other", ["dumb"]),
        ("app_id=unknown-app", []),
        ("source=push", []),
        ("sort=task", ["calm", "dead", "dumb", "new", "over", "page"]),
        ("sort=-task", ["page", "over", "new", "dumb", "dead", "calm"]),
        ("sort=elapsed&size=2", ["calm", "page"]),
        ("sort=last_read&size=1", ["dumb"]),
        ("sort=page_event&size=1", ["page"]),
        ("sort=status&size=1", ["calm"]),
        ("sort=since&size=1&page=6", ["new"]),
        ("sort=source&size=1", ["calm"]),
        ("sort=task&size=4&page=2", ["over", "page"]),
        ("sort=task&size=4&page=99", ["over", "page"]),
    ],
)
def test_filters_orders_and_pages(site: "Site", query: str, expected: list[str]) -> None:
    """Each by itself and together; a page after the last is the last."""
    assert names(site, query) == expected
    assert site.get(f"/tasks?{query}").status_code == 200


@pytest.mark.parametrize(
    "query", ["status=nonsense", "sort=size", "page=0", "page=x", "size=0", "source=x", "size=1e9"]
)
def test_a_query_for_what_there_is_not(site: "Site", query: str) -> None:
    """400 with what it could be."""
    answer = site.get(f"/api/v1/tasks?{query}")
    assert (answer.status_code, answer.json()["errorType"]) == (400, "bad_data")
    assert query.split("=", maxsplit=1)[0] in answer.json()["error"]
    assert site.get(f"/tasks?{query}").status_code == 400


def test_what_is_past_counts_as_that(site: "Site") -> None:
    """Once its linger is over a failed task is no failed one any more, as in `webcast_tasks`; it stays listed."""
    dead = site.exporter.states[4]
    ended = Run(dead.target.id, 1.0, stopped=StopReason.UNKNOWN, end_seen=NOW - 900, last=dead.task)
    site.exporter.states = [replace(dead, run=ended), *site.exporter.states[:4]]
    assert names(site, "status=failed") == []
    assert names(site, "status=past") == ["dead"]
    assert names(site, "")[-1] == "dead"
    page = site.get("/tasks").text
    assert 'href="/tasks?status=past"' in page
    assert 'href="/tasks?status=failed"' not in page


def test_the_json_of_a_task(site: "Site") -> None:
    """Times are RFC 3339, words those of the metrics."""
    answer = site.get("/api/v1/tasks?q=calm").json()["data"]
    assert (answer["matching"], answer["page"], answer["pages"]) == (1, 1, 1)
    task = answer["tasks"][0]
    assert task["target"] == "app/room/calm"
    assert (task["status"], task["problems"]) == ("running", [])
    assert (task["since"], task["elapsed_seconds"]) == ("2026-01-15T08:00:05.000Z", 1800.0)
    assert task["deadline"] == "2026-01-15T10:00:05.000Z"
    assert task["sources"] == ["http"]
    page = site.get("/api/v1/tasks?q=page").json()["data"]["tasks"][0]
    assert page["problems"] == [
        {
            "problem": "page_refreshing",
            "severity": "warning",
            "since": "2026-01-15T08:29:35.000Z",
            "cause": "PageFreeze",
        }
    ]
    assert page["last_page_event"] == {
        "event": "refresh",
        "reason": "PageFreeze",
        "time": "2026-01-15T08:29:35.000Z",
    }


def test_a_link_keeps_what_it_does_not_change(site: "Site") -> None:
    """A filter's link keeps text and order, a heading's keeps the filter; both begin at the first page."""
    page = site.get("/tasks?q=room&status=running&sort=task&size=1&page=2").text
    assert "/tasks?q=room&amp;status=failed&amp;sort=task&amp;size=1" in page
    assert "/tasks?q=room&amp;status=running&amp;sort=-task&amp;size=1" in page
    assert 'name="status" value="running"' in page
    assert "Page 2 of 3" in page


def test_nothing_from_outside_is_markup(site: "Site") -> None:
    """Labels, filters, whatever: all of it is text."""
    for path in ("/tasks/app/room/calm", "/tasks?q=<script>alert(1)</script>", f"/tasks?account={ODD}&status=ended"):
        page = site.get(path).text
        assert ODD not in page
        assert "<script>" not in page


def test_no_page_has_anything_inline(site: "Site") -> None:
    """As the Content-Security-Policy would refuse it."""
    for path in ("/tasks", "/tasks?show=stopped", "/tasks/app/room/calm", "/", "/status", "/config"):
        page = site.get(path).text
        assert " style=" not in page
        assert "<style" not in page
        assert page.count("<script") == page.count('<script src="/static/live.js" defer>')


def test_without_any_task(site: "Site") -> None:
    """It says where targets come from; a filter that nothing fits says so."""
    assert "No matching tasks" in site.get("/tasks?q=no-such-text").text
    site.exporter.states = []
    assert "There is no target yet." in site.get("/tasks").text


def test_twenty_thousand_tasks(site: "Site") -> None:
    """The page works with as many as the exporter is made for."""
    site.exporter.states = [task_state(f"t{number}", Status(list(Status)[number % 5])) for number in range(20_000)]
    page = site.get("/tasks?q=t1&sort=-elapsed&status=running").text
    assert "2,222 of 20,000 tasks" in page
