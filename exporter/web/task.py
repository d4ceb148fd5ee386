"""`GET /tasks/APP/ROOM/TASK`: one task, with all that is known; `/api/v1/tasks/APP/ROOM/TASK` is for `explain`."""

from contextlib import suppress

from starlette.requests import Request
from starlette.responses import Response

from exporter.errors import StateError
from exporter.model.target import TargetId
from exporter.model.task_state import TaskState
from exporter.model.trouble import trouble
from exporter.store.stopped import Found, Wanted
from exporter.web.envelope import failure, success
from exporter.web.explained import explanation, next_read, no_target, why_no_target, why_series
from exporter.web.insight import Insight
from exporter.web.page import house_of, not_there, page
from exporter.web.selection import Seen
from exporter.web.task_facts import facts

MOST_RUNS = 20


def task(request: Request) -> Response:
    """The page; 404 for what is no target and has no run that is remembered."""
    insight = house_of(request).insight
    try:
        target = _target(request)
    except ValueError as error:
        return not_there(request, "task", f"There is no such task: {error}.")
    runs, recollected = _runs(insight, target), insight.recollected(target)
    context = {"now": insight.now, "target": target, "runs": runs, "recollected": recollected}
    known = insight.known(target)
    if known is None:
        context |= {"row": None, "why": why_no_target(target, insight)}
        return page(request, "task.html", context, 200 if runs.runs else 404)
    row = facts(_seen(known, insight), insight.now)
    context |= {"row": row, "why": why_series(known, insight), "next": next_read(insight.turn(known), insight.now)}
    return page(request, "task.html", context)


def task_api(request: Request) -> Response:
    """The same for `explain`; what is no target is told with 200 too, as that is the answer."""
    insight = house_of(request).insight
    try:
        target = _target(request)
    except ValueError as error:
        return failure(400, str(error))
    known = insight.known(target)
    if known is None:
        return success(no_target(target, insight))
    return success(explanation(_seen(known, insight), insight))


def _target(request: Request) -> TargetId:
    return TargetId.checked(*(request.path_params[name] for name in TargetId._fields))


def _seen(known: TaskState, insight: Insight) -> Seen:
    return Seen(known, trouble(known, insight.now, insight.lifetimes))


def _runs(insight: Insight, target: TargetId) -> Found:
    with suppress(StateError):  # a page without them is better than none
        oldest = insight.now - insight.config.lifecycle.history
        return insight.stopped_runs(Wanted(oldest, target=target, limit=MOST_RUNS))
    return Found(0, (), ())
