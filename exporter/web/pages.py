"""The pages for people: `/`, `/tasks`, a task, stopped runs, `/status`, `/config`, `/dashboards/`, `/runbooks/`."""

import platform
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from functools import cache
from importlib.metadata import version
from itertools import groupby
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple
from urllib.parse import parse_qs

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response

from exporter import __version__
from exporter.bundle.files import ExportOptions, bundle
from exporter.config.loader import redacted
from exporter.config.schema import State
from exporter.config.times import format_duration
from exporter.enums import ReadFailure, Source, Status, StopReason, TaskProblem
from exporter.errors import StateError
from exporter.metrics.self_metrics import AccountNumbers
from exporter.model.target import TargetId
from exporter.model.task_state import DisplayStatus, TaskState, can_be_dismissed
from exporter.store.run_table import FoundRuns, RunQuery
from exporter.web.api import READ_UNAVAILABLE, exporter_of, find_runs, refuse_token, target_of
from exporter.web.endpoints import RETRY, BodyError, Busy, WorkerPool, busy, pools_of, read_body
from exporter.web.i18n import N_, Language, choose_language, clock
from exporter.web.interfaces import ExporterApi, ExporterQueries
from exporter.web.runbooks import load_runbooks, render_runbook, render_sentence
from exporter.web.serializers import explain_next_read, explain_no_target, explain_series, rfc3339, task_facts
from exporter.web.task_query import (
    PAST,
    PROBLEM,
    QueryError,
    Selection,
    Sort,
    TaskQuery,
    link,
    make_row,
    params_of,
    parse_task_query,
    select,
)

TEMPLATES = Path(__file__).parent / "templates"

SIZES = (50, 500)
"""The default and the largest number of rows of a page."""
MAX_RUNS_OF_TASK = 20
MAX_FORM_BYTES = 8 * 1024

NAVIGATION = (
    ("/tasks", N_("Tasks")),
    ("/tasks?show=stopped", N_("Stopped runs")),
    ("/status", N_("Status")),
    ("/config", N_("Configuration")),
    ("/dashboards/", N_("Dashboards")),
    ("/runbooks/", N_("Runbooks")),
    ("/metrics", N_("Metrics")),
)

LINKS = (
    ("/tasks", N_("Tasks"), N_("problems first, with everything known about each task")),
    ("/tasks?show=stopped", N_("Stopped runs"), N_("of the last days")),
    ("/metrics", N_("Metrics"), N_("of every task, of the fleet and of the exporter")),
    ("/metrics?collect[]=fleet", N_("Fleet metrics"), N_("the same without the series of single tasks")),
    ("/api/v1/targets", N_("Targets"), N_("which tasks are read, and which source lists them")),
    ("/api/v1/tasks", N_("Tasks as JSON"), N_("with the filters of the page")),
    ("/api/v1/runs", N_("Stopped runs as JSON"), N_("and as CSV with ?format=csv")),
    (
        "/dashboards/",
        N_("Dashboards and rules"),
        N_("to download, for Grafana, Prometheus and Alertmanager"),
    ),
    ("/runbooks/", N_("Runbooks"), N_("what each alert means, and what to do")),
    ("/status", N_("Status"), N_("versions, flags, and the last callbacks")),
    ("/config", N_("Configuration"), N_("the configuration in force")),
    ("/-/healthy", N_("Health"), N_("whether tasks are being read")),
    ("/-/ready", N_("Readiness"), N_("whether the exporter can serve")),
)

COLUMNS = (
    (Sort.TASK, N_("Task")),
    (Sort.STATUS, N_("Status")),
    (Sort.SINCE, N_("Since")),
    (Sort.ELAPSED, N_("Elapsed of limit")),
    (Sort.PAGE_EVENT, N_("Page event")),
    (Sort.LAST_READ, N_("Last read")),
    (Sort.SOURCE, N_("Source")),
)

DOWNLOADS = {
    "grafana": N_("Grafana: Dashboards, New, Import."),
    "prometheus": N_("Prometheus: rule_files. The two belong together."),
    "alertmanager": N_("Alertmanager: an example of routes, grouping, inhibition and messages."),
    "provisioning": N_("Grafana: what provisions the dashboards from files."),
    "kubernetes": N_("Kubernetes: the same for the Prometheus operator and Grafana's sidecar."),
}
"""What each folder of the bundled files is for."""

PROBLEM_RUNBOOKS = {
    TaskProblem.CLASS_DARK: "WebCastClassDark",
    TaskProblem.FAILED: "WebCastTaskFailed",
    TaskProblem.START_FAILED: "WebCastTaskFailed",
    TaskProblem.CUT_BY_LIMIT: "WebCastTaskStoppedUnexpectedly",
    TaskProblem.ENDED_EARLY: "WebCastClassDark",
    TaskProblem.WILL_BE_CUT: "WebCastClassWillBeCut",
    TaskProblem.OVERRUN: "WebCastClassOverrun",
    TaskProblem.NEAR_LIMIT: "WebCastTaskNearLimit",
    TaskProblem.NOT_STARTED: "WebCastTaskNotStarted",
    TaskProblem.STATUS_UNKNOWN: "WebCastTaskStatusUnknown",
    TaskProblem.PAGE_REFRESHING: "WebCastPageRefreshedRepeatedly",
    TaskProblem.PAGE_RESCHEDULING: "WebCastPageRescheduledRepeatedly",
    TaskProblem.STALE: "WebCastDataStale",
    TaskProblem.NOT_FOUND: "WebCastTaskNotFound",
    TaskProblem.READ_FAILING: "WebCastDataStale",
}
"""The runbook of each problem."""

LIBRARIES = ("prometheus-client", "requests", "apscheduler", "sqlalchemy", "starlette", "uvicorn")

Page = Callable[[Request, Language], Response]


@cache
def _environment(language: Language) -> Environment:
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        extensions=["jinja2.ext.i18n"],
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.install_gettext_translations(language.catalogue, newstyle=True)  # type: ignore[attr-defined]  # a method of the i18n extension
    environment.filters.update(clock=clock, span=language.span, rfc3339=rfc3339, ago=language.ago, word=language.word)
    environment.globals.update(language=language.tag)
    return environment


def render(
    request: Request, language: Language, template: str, context: Mapping[str, Any], status: int = 200
) -> Response:
    """A page from its template; it is not to be cached, as it shows the present."""
    here = request.url.path + ("?show=stopped" if request.query_params.get("show") == "stopped" else "")
    shared = {
        "version": __version__,
        "navigation": _at_paths(request, NAVIGATION),
        "here": here,
        "root": request.app.state.prefix,
    }
    text = _environment(language).get_template(template).render(shared | dict(context))
    headers = {"Cache-Control": "no-store", "Vary": "Accept-Language", "Content-Language": language.tag}
    return HTMLResponse(text, status, headers)


def _at_paths(request: Request, links: Iterable[tuple[str, ...]]) -> list[tuple[str, ...]]:
    """Links with `/metrics` replaced by --web.telemetry-path."""
    telemetry = request.app.state.telemetry_path
    return [
        (telemetry + href.removeprefix("/metrics") if href.startswith("/metrics") else href, *r) for href, *r in links
    ]


def message_page(request: Request, heading: str, sentence: str, status: int, **headers: str) -> Response:
    """A page with one sentence; both texts are messages of the catalogues."""
    language = language_of(request)
    _ = language.gettext
    context = {"heading": _(heading), "sentence": _(sentence)}
    response = render(request, language, "message.html", context, status)
    response.headers.update({name.replace("_", "-"): value for name, value in headers.items()})
    return response


def language_of(request: Request) -> Language:
    """The reader's language."""
    return choose_language(request.headers.get("accept-language", ""))


def page(work: Page, pool: Callable[[Request], WorkerPool] = lambda request: pools_of(request).pages) -> Any:
    """An endpoint that makes a page on a thread; 503 when too many pages are being made."""

    async def endpoint(request: Request) -> Response:
        language = language_of(request)
        try:
            return await pool(request).run(work, request, language)
        except Busy:
            return busy()  # no page: it must cost nothing
        except QueryError as error:
            text = language.gettext(N_("This address has a wrong parameter: {error}.")).format(error=error)
            return message_page(request, N_("Bad request"), text, 400)
        except StateError:
            return message_page(request, N_("State unavailable"), READ_UNAVAILABLE.capitalize() + ".", 503)

    return endpoint


class AccountRow(NamedTuple):
    """One account: its figures, its share of the budget, seconds since its oldest due read, and why its calls fail."""

    name: str
    numbers: AccountNumbers
    share: float
    overdue: float
    failure: str = ""
    sentence: str = ""


def _landing(request: Request, language: Language) -> Response:
    exporter = exporter_of(request)
    queries = exporter.queries
    context = {
        "now": queries.now,
        "statuses": _counts(exporter),
        "problems": sum(bool(state.problems) for state in exporter.tracked()),
        "accounts": _account_rows(exporter),
        "sources": [(source, number) for source, number in queries.by_source().items() if number],
        "rejected": [(reason, number) for reason, number in queries.rejected().items() if number],
        "reload": queries.reload,
        "not_ready": exporter.not_ready,
        "alive": exporter.alive,
        "links": _at_paths(request, LINKS),
    }
    return render(request, language, "landing.html", context)


def _counts(exporter: ExporterApi) -> list[tuple[str, int]]:
    by_status: Counter[str] = Counter()
    for labels, number in exporter.counts().items():
        by_status[labels.display_status] += number
    return [(status.value, by_status[status]) for status in DisplayStatus]


def _account_rows(exporter: ExporterApi) -> list[AccountRow]:
    queries = exporter.queries
    accounts = sorted(queries.accounts().items())
    down = {name for name, numbers in accounts if numbers.up is False}
    failing = [state for state in exporter.tracked() if state.target.account in down and state.failure] if down else []
    return [_account_row(name, numbers, failing, queries) for name, numbers in accounts]


def _account_row(
    name: str, numbers: AccountNumbers, failing: Iterable[TaskState], queries: ExporterQueries
) -> AccountRow:
    """With the sentence of the latest failed read, of the kind that fails most."""
    overdue = 0.0 if numbers.oldest_due is None else max(0.0, queries.now - numbers.oldest_due)
    row = AccountRow(name, numbers, numbers.demand / numbers.configured_rate, overdue)
    mine = [state for state in failing if state.target.account == name and state.failure != ReadFailure.NOT_FOUND]
    if not mine:
        return row
    ((failure, _),) = Counter(state.failure for state in mine).most_common(1)
    latest = max((state for state in mine if state.failure == failure), key=lambda state: state.last_read or 0.0)
    sentences = (read.error for read in queries.history(latest.target.id).reads if read.failure == failure)
    return row._replace(failure=failure or "", sentence=next(sentences, ""))


class Choice(NamedTuple):
    """A link to one filter; `chosen` is the one in force."""

    name: str
    href: str
    chosen: bool
    number: int = 0


def _tasks(request: Request, language: Language) -> Response:
    exporter = exporter_of(request)
    queries, states = exporter.queries, exporter.tracked()
    query = parse_task_query(request.query_params, SIZES)
    now = queries.now
    found = select(states, query, now, queries.lifetimes)
    status = ",".join(word for word in request.query_params.getlist("status") if word)
    path, params = _path(request, "/tasks"), params_of(query, status)
    usual_order = query.sort is Sort.PROBLEM and not query.backwards
    context = {
        "now": now,
        "query": query,
        "status": status,
        "rows": [task_facts(row, now) for row in found.rows],
        "found": found,
        "total": len(states),
        "choices": _choices(found, path, params, status),
        "columns": [_column(sort, name, query, path, params) for sort, name in COLUMNS],
        "accounts": sorted(queries.accounts()),
        "sources": tuple(Source),
        "sort": params["sort"],
        "by_problem": "" if usual_order else link(path, params, sort=""),
        **_pager(path, params, found.page, found.pages),
        "api": link(_path(request, "/api/v1/tasks"), params),
    }
    return render(request, language, "tasks.html", context)


def _path(request: Request, path: str) -> str:
    """A path of this site behind the prefix of --web.external-url."""
    return f"{request.app.state.prefix}{path}"


def _pager(path: str, params: Mapping[str, str | int], number: int, pages: int) -> dict[str, Any]:
    return {
        "number": number,
        "pages": pages,
        "before": link(path, params, page=number - 1) if number > 1 else "",
        "after": link(path, params, page=number + 1) if number < pages else "",
    }


def _choices(found: Selection, path: str, params: Mapping[str, str | int], status: str) -> list[Choice]:
    """All tasks, those with problems, and each status that occurs or is chosen."""
    chosen = frozenset(status.split(","))
    choices = [
        Choice("all", link(path, params, status=""), not status, sum(found.counts.values())),
        Choice(PROBLEM, link(path, params, status=PROBLEM), PROBLEM in chosen, found.with_problem),
    ]
    occurring = [each for each in (*DisplayStatus, PAST) if found.counts.get(each) or each in chosen]
    choices += [
        Choice(each, link(path, params, status=each), each in chosen, found.counts.get(each, 0)) for each in occurring
    ]
    return choices


def _column(
    sort: Sort, name: str, query: TaskQuery, path: str, params: Mapping[str, str | int]
) -> tuple[str, str, str]:
    """A heading, the link that sorts by it, and its order now (empty for none)."""
    sorted_by = query.sort is sort
    reversed_sort = f"-{sort}" if sorted_by and not query.backwards else sort
    order = ("descending" if query.backwards else "ascending") if sorted_by else ""
    return name, link(path, params, sort=reversed_sort), order


def _stopped_runs(request: Request, language: Language) -> Response:
    exporter = exporter_of(request)
    found = find_runs(request, SIZES)
    names = ("q", "since", "until", "app_id", "status", "reason", "size", "after")
    filters: dict[str, str | int] = {name: value for name in names if (value := request.query_params.get(name, ""))}
    params = {"show": "stopped", **filters}
    path, api = _path(request, "/tasks"), _path(request, "/api/v1/runs")
    context = {
        "now": exporter.queries.now,
        "query": {name: filters.get(name, "") for name in names},
        "runs": found.found.runs,
        "total": found.found.total,
        "complete": found.found.complete,
        "older": link(path, params, after=str(found.found.next)) if found.found.next else "",
        "statuses": (Status.ENDED, Status.FAILED),
        "reasons": tuple(StopReason),
        "history": format_duration(exporter.config.lifecycle.history),
        **_pager(path, params, found.number, found.pages),
        "api": link(api, filters),
        "csv": link(api, filters, format="csv"),
    }
    return render(request, language, "stopped.html", context)


def _task(request: Request, language: Language) -> Response:
    exporter = exporter_of(request)
    queries = exporter.queries
    try:
        target = target_of(request)
    except ValueError as error:
        return message_page(request, N_("Task"), f"{error}.", 404)
    runs, history = _runs_of(exporter, target), queries.history(target)
    context: dict[str, Any] = {"now": queries.now, "target": target, "runs": runs.runs, "history": history}
    context["can_dismiss"] = False
    state = queries.task_state(target)
    if state is None:
        context |= {"row": None, "series": explain_no_target(target, queries, language)}
        return render(request, language, "task.html", context, 200 if runs.runs else 404)
    row = make_row(state, queries.now, queries.lifetimes)
    may_dismiss = can_be_dismissed(state, queries.now, queries.lifetimes)
    context |= {
        "row": task_facts(row, queries.now),
        "series": explain_series(state, queries, language),
        "runbooks": PROBLEM_RUNBOOKS,
        "can_dismiss": may_dismiss and Source.PUSH in exporter.secrets,
        "next": explain_next_read(queries.next_read(state), queries.now, language),
    }
    return render(request, language, "task.html", context)


def _runs_of(exporter: ExporterApi, target: TargetId) -> FoundRuns:
    with suppress(StateError):  # a page without them is better than none
        oldest = exporter.queries.now - exporter.config.lifecycle.history
        return exporter.queries.stopped_runs(RunQuery(oldest, target=target, limit=MAX_RUNS_OF_TASK))
    return FoundRuns(0, (), ())


def _status(request: Request, language: Language) -> Response:
    exporter = exporter_of(request)
    queries = exporter.queries
    context = {
        "now": queries.now,
        "uptime": exporter.uptime,
        "reload": queries.reload,
        "state": _state_place(exporter.config.state),
        "not_ready": exporter.not_ready,
        "alive": exporter.alive,
        "flags": exporter.flags,
        "versions": {"webcast-exporter": __version__, "Python": platform.python_version(), **_library_versions()},
        "accounts": _account_rows(exporter),
        "jobs": queries.jobs(),
        "callbacks_on": Source.CALLBACK in exporter.secrets,
        "callbacks": exporter.callbacks.recent(),
        "unknown_codes": [(account, code) for account, codes in queries.unknown_codes().items() for code in codes],
    }
    return render(request, language, "status.html", context)


@cache
def _library_versions() -> dict[str, str]:
    return {library: version(library) for library in LIBRARIES}


def _state_place(state: State) -> str:
    return str(state.url.path or state.url) if state.url.path or state.url.is_shared else ""


def _configuration(request: Request, language: Language) -> Response:
    exporter = exporter_of(request)
    context = {"now": exporter.queries.now, "text": redacted(exporter.config), "reload": exporter.queries.reload}
    return render(request, language, "config.html", context)


@cache
def _bundled(language: str, external_url: str) -> Mapping[str, str]:
    return bundle(ExportOptions(language=language, exporter_url=external_url))


def _downloads(request: Request, language: Language) -> Response:
    files = _bundled(language.tag, request.app.state.external_url)
    inside = [PurePosixPath(name) for name in files if "/" in name]
    folders = {folder: [*names] for folder, names in groupby(inside, lambda name: name.parts[0])}
    context = {"folders": [(folder, purpose, folders.get(folder, [])) for folder, purpose in DOWNLOADS.items()]}
    return render(request, language, "downloads.html", context)


def _runbooks(request: Request, language: Language) -> Response:
    root = request.app.state.prefix
    found = [(each, render_sentence(each.meaning, root)) for each in load_runbooks(language.tag).values()]
    return render(request, language, "runbooks.html", {"runbooks": found})


def _runbook(request: Request, language: Language) -> Response:
    found = load_runbooks(language.tag).get(request.path_params["name"].removesuffix(".md"))
    if found is None:
        return message_page(request, N_("Runbook"), N_("There is no such runbook."), 404)
    html = render_runbook(found, request.app.state.prefix)
    return render(request, language, "runbook.html", {"runbook": found, "html": html})


async def download(request: Request) -> Response:
    """One bundled file, in the reader's language."""
    files = _bundled(language_of(request).tag, request.app.state.external_url)
    text = files.get(request.path_params["name"])
    if text is None:
        return PlainTextResponse("no such file: see /dashboards/\n", status_code=404)
    name = PurePosixPath(request.path_params["name"]).name
    return PlainTextResponse(text, headers={"Content-Disposition": f'attachment; filename="{name}"'})


landing = page(_landing)
task_list = page(_tasks, lambda request: pools_of(request).fleet)
stopped_runs = page(_stopped_runs, lambda request: pools_of(request).state)
task = page(_task, lambda request: pools_of(request).state)
status = page(_status)
configuration = page(_configuration)
downloads = page(_downloads)
runbook_index = page(_runbooks)
runbook = page(_runbook)


async def dismiss(request: Request) -> Response:
    """`POST` of the button on a task's page: remove a stopped or dark task; the form holds a push token."""
    exporter, heading = exporter_of(request), N_("Remove the task")
    try:
        target, body = target_of(request), await read_body(request, MAX_FORM_BYTES)
    except (ValueError, BodyError) as error:
        return message_page(request, heading, f"{error}.", 400, Connection="close")
    if (tokens := exporter.secrets.get(Source.PUSH)) is None:
        return message_page(request, heading, N_("Pushing is off: the configuration has no push.token_file."), 404)
    token = parse_qs(body.decode("utf-8", "replace")).get("token", [""])[0].strip()
    try:
        refusal = await refuse_token(request, tokens, token)
        if refusal is not None:
            return message_page(request, heading, N_("This is not a push token."), refusal.status_code)
        found = await pools_of(request).pushes.run(exporter.dismiss, target)
    except Busy:
        return message_page(request, heading, N_("Too many requests at once; try again."), 503, **RETRY)
    if not found:
        return message_page(request, heading, N_("It is no target any more."), 404)
    return RedirectResponse(_path(request, "/tasks"), 303)


async def tasks(request: Request) -> Response:
    """`GET /tasks`; `?show=stopped` is the page of stopped runs."""
    chosen = stopped_runs if request.query_params.get("show") == "stopped" else task_list
    response: Response = await chosen(request)
    return response
