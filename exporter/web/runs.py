"""`GET /api/v1/runs` and `/tasks?show=stopped`: the runs that have stopped, from the ledger, the latest first."""

import math
from enum import StrEnum
from typing import NamedTuple

from starlette.requests import Request
from starlette.responses import Response

from exporter.config.durations import format_duration
from exporter.enums import Status, StopReason
from exporter.errors import StateError
from exporter.store.stopped import Wanted
from exporter.web.asked import LAST_PAGE, LONGEST_TEXT, QueryFault, moment_asked, number_asked, one_of, text_asked
from exporter.web.envelope import failure, success
from exporter.web.house import House
from exporter.web.links import link
from exporter.web.page import house_of, not_there, page
from exporter.web.run_facts import csv_of, run_json

SIZES = (50, 500)
API_SIZES = (1_000, 10_000)
STOPPED = (Status.ENDED, Status.FAILED)
UNAVAILABLE = "the state cannot be read now, try again"


class Form(StrEnum):
    """How the runs are written."""

    JSON = "json"
    CSV = "csv"


class Asked(NamedTuple):
    """Which runs, and the page of them."""

    wanted: Wanted
    page: int


def runs_api(request: Request) -> Response:
    """JSON or CSV, a page of it: `pages` (CSV: the header `X-Pages`) says how many there are."""
    house = house_of(request)
    try:
        form = one_of(Form, request.query_params.get("format", "") or Form.JSON, "format")
        asked = _asked(request, house, API_SIZES)
        found = house.insight.stopped_runs(asked.wanted)
    except QueryFault as fault:
        return failure(400, str(fault))
    except StateError:
        return failure(503, UNAVAILABLE)
    both = zip(found.runs, found.labels, strict=True)
    rows = [run_json(run, house.insight.account_of(run.target.app_id), labels) for run, labels in both]
    pages = _pages(found.total, asked.wanted.limit)
    if form is Form.CSV:
        headers = {"Content-Disposition": 'attachment; filename="runs.csv"', "X-Pages": str(pages)}
        return Response(csv_of(rows), media_type="text/csv", headers=headers)
    return success({"runs": rows, "matching": found.total, "page": asked.page, "pages": pages})


def stopped_page(request: Request) -> Response:
    """The page of them, for the morning after."""
    house = house_of(request)
    try:
        asked = _asked(request, house, SIZES)
        found = house.insight.stopped_runs(asked.wanted)
    except QueryFault as fault:
        return not_there(request, "stopped runs", f"The address asks for what there is not: {fault}.", 400)
    except StateError:
        return not_there(request, "stopped runs", f"{UNAVAILABLE.capitalize()}.", 503)
    query: dict[str, str | int] = {"show": "stopped"}
    query |= {name: value for name, value in request.query_params.items() if name in _KEPT and value}
    pages = _pages(found.total, asked.wanted.limit)
    context = {
        "now": house.insight.now,
        "query": query,
        "runs": found.runs,
        "total": found.total,
        "statuses": STOPPED,
        "reasons": tuple(StopReason),
        "history": format_duration(house.insight.config.lifecycle.history),
        "number": asked.page,
        "pages": pages,
        "before": link("/tasks", query, page=asked.page - 1) if asked.page > 1 else "",
        "after": link("/tasks", query, page=asked.page + 1) if asked.page < pages else "",
        "api": link("/api/v1/runs", {name: value for name, value in query.items() if name != "show"}),
        "csv": link("/api/v1/runs", {name: value for name, value in query.items() if name != "show"}, format="csv"),
    }
    return page(request, "stopped.html", context)


_KEPT = ("q", "since", "until", "app_id", "status", "reason", "size")


def _asked(request: Request, house: House, sizes: tuple[int, int]) -> Asked:
    query, now = request.query_params, house.insight.now
    oldest = now - house.insight.config.lifecycle.history
    number, size = number_asked(query, "page", 1, LAST_PAGE), number_asked(query, "size", *sizes)
    wanted = Wanted(
        since=max(oldest, moment_asked(query, "since", now) or oldest),
        until=moment_asked(query, "until", now),
        app_id=query.get("app_id", "")[:LONGEST_TEXT],
        status=one_of(Status, query["status"], "status") if query.get("status") else None,
        reason=one_of(StopReason, query["reason"], "reason") if query.get("reason") else None,
        text=text_asked(query),
        limit=size,
        offset=(number - 1) * size,
    )
    return Asked(wanted, number)


def _pages(total: int, size: int) -> int:
    return max(1, math.ceil(total / size))
