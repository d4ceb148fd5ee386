"""`GET /tasks`: the fleet, what is wrong first; `GET /api/v1/tasks` is the same as JSON."""

from typing import NamedTuple

from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import Response

from exporter.enums import Source
from exporter.model.task_state import DisplayStatus, TaskState
from exporter.web.asked import PAST, WRONG, QueryFault, Sort, TasksAsked, tasks_asked
from exporter.web.envelope import failure, success
from exporter.web.house import House
from exporter.web.links import link, query_of
from exporter.web.page import house_of, not_there, page
from exporter.web.runs import stopped_page
from exporter.web.selection import Selection, select
from exporter.web.task_facts import facts, task_json

PATH = "/tasks"
SIZES = (50, 500)
API_SIZES = (1_000, 50_000)
"""The usual and the largest size of a page."""

COLUMNS = (
    (Sort.TASK, "Task"),
    (Sort.STATUS, "Status"),
    (Sort.SINCE, "Since"),
    (Sort.ELAPSED, "Elapsed of limit"),
    (Sort.PAGE_EVENT, "Page event"),
    (Sort.LAST_READ, "Last read"),
    (Sort.SOURCE, "Source"),
)


class Choice(NamedTuple):
    """A link to one filter or order; `chosen` is the one in force."""

    name: str
    href: str
    chosen: bool
    number: int = 0


def tasks(request: Request) -> Response:
    """The page."""
    if request.query_params.get("show") == "stopped":
        return stopped_page(request)
    house = house_of(request)
    try:
        asked = tasks_asked(request.query_params, SIZES)
    except QueryFault as fault:
        return not_there(request, "tasks", f"The address asks for what there is not: {fault}.", 400)
    now, known, found = _found(request, house, asked)
    status = _status(request.query_params)
    query = query_of(asked, status)
    context = {
        "now": now,
        "asked": asked,
        "status": status,
        "rows": [facts(seen, now) for seen in found.page],
        "found": found,
        "total": len(known),
        "chips": _chips(found, query, status),
        "columns": [_column(sort, name, asked, query) for sort, name in COLUMNS],
        "accounts": sorted(house.insight.accounts()),
        "sources": tuple(Source),
        "sort": query["sort"],
        "by_urgency": _by_urgency(asked, query),
        "before": link(PATH, query, page=found.number - 1) if found.number > 1 else "",
        "after": link(PATH, query, page=found.number + 1) if found.number < found.pages else "",
        "api": link("/api/v1/tasks", query),
    }
    return page(request, "tasks.html", context)


def tasks_api(request: Request) -> Response:
    """The same as JSON, with the same filters."""
    house = house_of(request)
    try:
        asked = tasks_asked(request.query_params, API_SIZES)
    except QueryFault as fault:
        return failure(400, str(fault))
    now, _, found = _found(request, house, asked)
    return success(
        {
            "tasks": [task_json(seen, now) for seen in found.page],
            "matching": found.matching,
            "page": found.number,
            "pages": found.pages,
        }
    )


def _found(request: Request, house: House, asked: TasksAsked) -> tuple[float, list[TaskState], Selection]:
    """One look at all tasks at a time, however many people look: a scrape shares the processor with no more."""
    with request.app.state.one_at_a_time:
        now, known = house.insight.now, house.tracked()
        return now, known, select(known, asked, now, house.insight.lifetimes)


def _status(query: QueryParams) -> str:
    return ",".join(word for word in query.getlist("status") if word)


def _chips(found: Selection, query: dict[str, str | int], status: str) -> list[Choice]:
    """All, what is wrong, and each status that there is; a status in force is always there."""
    chosen = frozenset(status.split(","))
    chips = [
        Choice("all", link(PATH, query, status=""), not status, sum(found.counts.values())),
        Choice("needs attention", link(PATH, query, status=WRONG), WRONG in chosen, found.wrong),
    ]
    for display_status in (*DisplayStatus, PAST):
        if found.counts.get(display_status) or display_status in chosen:
            href = link(PATH, query, status=display_status)
            chips.append(Choice(display_status, href, display_status in chosen, found.counts.get(display_status, 0)))
    return chips


def _column(sort: Sort, name: str, asked: TasksAsked, query: dict[str, str | int]) -> tuple[str, str, str]:
    """A heading, where it leads, and in which order its column stands now."""
    mine = asked.sort is sort
    turned = f"-{sort}" if mine and not asked.backwards else sort
    order = ("descending" if asked.backwards else "ascending") if mine else ""
    return name, link(PATH, query, sort=turned), order


def _by_urgency(asked: TasksAsked, query: dict[str, str | int]) -> str:
    """The way back to the usual order; empty when it is in force."""
    usual = asked.sort is Sort.WRONG and not asked.backwards
    return "" if usual else link(PATH, query, sort="")
