"""The simulated vendor's gateway: from a request and a time to a reply, in the order in which the vendor checks.

Beside the API it has pages for people and scripts, unsigned: `/` and `/task/...` for rehearsals, `/fault`, `/targets`
and `/truth`.
"""

import json
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping
from html import escape
from itertools import islice
from threading import Lock
from typing import Any, NamedTuple
from uuid import uuid4

from exporter.model.target import ID_PATTERN, TargetId
from exporter.simulator import replies
from exporter.simulator.faults import Faults
from exporter.simulator.fleet import Action, Fleet, state_document, truth_document
from exporter.simulator.lifecycle import RunPlan, begin_run, queryable, read_settings, run_state, task_document
from exporter.simulator.replies import CallMetadata, Outcome, Refusal, ReplyStyle, VendorReply
from exporter.simulator.signature_check import ApiRequest, SimulatedAccount, check_signature, owns

GET_TASK = "GetWebCastTask"
VERSIONS = frozenset({"2020-12-01", "2023-11-01"})
QPS = {GET_TASK: 60, "StartWebcast": 150, "StopWebcast": 150}
START_DELAY = 1.0
"""Seconds from StartWebcast until the task runs."""
STARTED_ALREADY = "The task has been started. Please do not call the startup task interface repeatedly"
ILLEGAL_ID = {"AppId": replies.ILLEGAL_APP_ID, "RoomId": replies.ILLEGAL_ROOM_ID, "TaskId": replies.INVALID_PARAMETER}
MAX_CALLS_KEPT = 200_000
MAX_TASKS_SHOWN = 500
PAGE = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>Simulated WebCast tasks</title><style>
body {{ font: 14px sans-serif; margin: 2em }} td, th {{ padding: 2px 8px; text-align: left }} form {{ display: inline }}
</style></head><body><h1>Simulated WebCast tasks</h1>
<p>Break a task, look at the exporter's pages and alerts, then heal it with start. {note}</p>
<table><tr><th>Task</th><th>Status</th><th>StopReason</th><th>Do</th></tr>
{rows}</table></body></html>
"""


class SlidingWindowLimit:
    """At most `limit` admissions in any second [t, t+1). Refused calls do not count, or a steady 61/s would starve."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._admitted: deque[float] = deque()
        self._lock = Lock()

    def admit(self, at: float) -> bool:
        """Whether a call at `at` (Unix seconds) is within the limit; if so it counts."""
        with self._lock:
            while self._admitted and at - self._admitted[0] >= 1:
                self._admitted.popleft()
            if len(self._admitted) >= self.limit:
                return False
            self._admitted.append(at)
            return True


class CallRecord(NamedTuple):
    """One call of GetWebCastTask: its arrival (Unix seconds), account ("" if unknown), task, outcome and X-Date."""

    at: float
    account: str
    target: TargetId
    outcome: Outcome
    signed: str = ""


class CallLog:
    """The latest calls of GetWebCastTask, and how many there were by outcome in all."""

    def __init__(self) -> None:
        self._log: deque[CallRecord] = deque(maxlen=MAX_CALLS_KEPT)
        self._counts: Counter[Outcome] = Counter()
        self._lock = Lock()

    def record(self, call: CallRecord) -> None:
        """Add a call."""
        with self._lock:
            self._log.append(call)
            self._counts[call.outcome] += 1

    @property
    def log(self) -> tuple[CallRecord, ...]:
        """The calls kept, in the order of their arrival."""
        with self._lock:
            return tuple(sorted(self._log, key=lambda call: call.at))

    @property
    def counts(self) -> dict[Outcome, int]:
        """How many calls ended so; every outcome is there."""
        with self._lock:
            return {outcome: self._counts[outcome] for outcome in Outcome}

    def reads_of(self, target: TargetId) -> tuple[float, ...]:
        """When a task was asked for (Unix seconds)."""
        return tuple(call.at for call in self.log if call.target == target)

    def max_calls_in_a_second(self, account: str | None = None) -> int:
        """The largest number of calls in any second [t, t+1), of one account or of all."""
        return busiest_second(call.at for call in self.log if account is None or call.account == account)


def busiest_second(times: Iterable[float]) -> int:
    """The largest number of ascending `times` (seconds) that one interval [t, t+1) holds."""
    window: deque[float] = deque()
    most = 0
    for at in times:
        window.append(at)
        while at - window[0] >= 1:
            window.popleft()
        most = max(most, len(window))
    return most


class Gateway:
    """Answers for a fleet. `accounts`, `style` and `faults` may be changed while it works.

    `qps` is the limit of GetWebCastTask for each account. `/truth` shows what `callback_counts` gives; `tls` says that
    the endpoint is https.
    """

    def __init__(
        self,
        fleet: Fleet,
        accounts: tuple[SimulatedAccount, ...],
        *,
        region: str = "cn-north-1",
        qps: int = QPS[GET_TASK],
        style: ReplyStyle | None = None,
    ) -> None:
        self.fleet = fleet
        self.accounts = accounts
        self.region = region
        self.style = style or ReplyStyle()
        self.faults = Faults()
        self.calls = CallLog()
        self.callback_counts: Callable[[], Mapping[str, int]] | None = None
        self.tls = False
        self.pages: dict[str, Callable[[float], object]] = {"/targets": self._targets, "/truth": self._truth}
        self._qps = {**QPS, GET_TASK: qps}
        self._limits: dict[tuple[str, str], SlidingWindowLimit] = {}

    def answer(self, request: ApiRequest, at: float) -> VendorReply:
        """The reply to a request that arrived at `at` (Unix seconds)."""
        if (page := self._page(request, at)) is not None:
            return page
        params = dict(request.pairs)
        action = params.get("Action", "")
        metadata = CallMetadata(uuid4().hex, action, params.get("Version", ""), self.region)
        target = TargetId(params.get("AppId", ""), params.get("RoomId", ""), params.get("TaskId", ""))
        account = None
        try:
            _check_action(request, params)
            account = check_signature(request, self.accounts, self.region, at + self.faults.clock_ahead)
            reply = self._call(account, request, params, metadata, at)
        except Refusal as refusal:
            reply = replies.failure(metadata, refusal.error, str(refusal))
        if action == GET_TASK:
            if account is not None:
                reply = self.faults.apply(reply, metadata, self.style, target, at)
            signed = request.headers.get("x-date", "")
            self.calls.record(CallRecord(at, account.name if account else "", target, reply.outcome, signed))
        return reply

    def _call(
        self,
        account: SimulatedAccount,
        request: ApiRequest,
        params: Mapping[str, str],
        metadata: CallMetadata,
        at: float,
    ) -> VendorReply:
        fields = _fields(request.body) if request.method == "POST" else params
        target = target_of(fields)
        if not owns(account, target.app_id, self.accounts):
            raise Refusal(replies.WRONG_OWNER, "Check owner failed")
        action = metadata.action
        limit = self._limits.setdefault((action, account.name), SlidingWindowLimit(self._qps[action]))
        if not limit.admit(at):
            status = self.style.throttle_http_status
            raise Refusal(replies.OVER_QPS._replace(http_status=status), "The request exceeds the QPS limit.")
        if action == GET_TASK:
            return get_task(self.fleet, target, at, self.style, metadata)
        if action == "StartWebcast":
            return replies.success(metadata, _start(self.fleet, target, fields, at))
        if not self.fleet.stop(target):
            raise Refusal(replies.TASK_NOT_FOUND, f"The task {target} does not exist or has been stopped.")
        return replies.success(metadata, "ok")

    def _page(self, request: ApiRequest, at: float) -> VendorReply | None:
        """The answer of an unsigned page; None when the request is for the API."""
        if request.method == "GET" and request.path in self.pages:
            return VendorReply(200, self.pages[request.path](at))
        if request.method == "GET" and request.path == "/" and not request.query:
            return VendorReply(200, None, body=self._task_page(at).encode(), content_type="text/html; charset=utf-8")
        if request.path == "/fault" and request.method in ("GET", "POST"):
            try:
                if request.method == "POST":
                    self.faults.configure(dict(request.pairs), at, tls=self.tls)
            except ValueError as error:
                return refused(400, str(error))
            return VendorReply(200, self.faults.document(at))
        return self._act(request) if request.path.startswith("/task/") else None

    def _act(self, request: ApiRequest) -> VendorReply:
        """`POST /task/APP/ROOM/TASK?do=ACTION`."""
        if request.method != "POST":
            return refused(405, "POST /task/APP_ID/ROOM_ID/TASK_ID?do=ACTION changes a task; GET / lists the tasks.")
        do = dict(request.pairs).get("do", "")
        if do not in list(Action):
            return refused(400, f"do={do[:50]} is none of {', '.join(Action)}.")
        try:
            target = TargetId.parse(request.path.removeprefix("/task/"))
        except ValueError as error:
            return refused(404, f"There is no such task: {error}.")
        state = self.fleet.act(target, next(action for action in Action if action == do))
        if state is None:
            return refused(404, f"There is no task {target}; GET /targets lists the tasks.")
        if "text/html" in request.headers.get("accept", ""):
            return VendorReply(303, None, body=b"", headers=(("Location", "/"),))
        return VendorReply(200, {"task": str(target), "did": do, **state_document(state)})

    def _task_page(self, at: float) -> str:
        now, every = int(at * 1000), self.fleet.targets()
        runs = [(target, self.fleet.run(target, now)) for target in islice(every, MAX_TASKS_SHOWN)]
        rows = []
        for target, state in [(target, run_state(run, now)) for target, run in runs if run is not None]:
            buttons = "".join(
                f'<form method="post" action="/task/{escape(str(target))}?do={action}">'
                f'<button title="{escape(action.says)}">{action}</button></form>'
                for action in Action
            )
            cells = (escape(str(target)), state.status.value, escape(state.reason), buttons)
            rows.append(f"<tr>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>\n")
        note = f"Only {MAX_TASKS_SHOWN} of {len(every)} tasks are shown." if len(every) > MAX_TASKS_SHOWN else ""
        return PAGE.format(rows="".join(rows), note=note)

    def _targets(self, _at: float) -> list[dict[str, Any]]:
        """The list that Prometheus's http_sd reads."""
        return [{"targets": [str(target)], "labels": labels} for target, labels in self.fleet.targets().items()]

    def _truth(self, at: float) -> dict[str, Any]:
        counts = {outcome.value: count for outcome, count in self.calls.counts.items()}
        calls = {**counts, "max_in_a_second": self.calls.max_calls_in_a_second()}
        callbacks = {} if self.callback_counts is None else {"callbacks": self.callback_counts()}
        return {**truth_document(self.fleet, at), "calls": calls, **callbacks}


def refused(status: int, sentence: str) -> VendorReply:
    """A request for a page that cannot be granted."""
    return VendorReply(status, {"error": sentence}, Outcome.REFUSED)


def target_of(fields: Mapping[str, Any]) -> TargetId:
    """The three ids, checked; raises Refusal."""
    for name, illegal in ILLEGAL_ID.items():
        value = fields.get(name)
        if not value:
            raise Refusal(replies.MISSING_PARAMETER, f"The required parameter {name} is missing.")
        if not isinstance(value, str) or not ID_PATTERN.fullmatch(value):
            raise Refusal(illegal, f"{name} {value!r} is illegal.")
    return TargetId(*(fields[name] for name in ILLEGAL_ID))


def get_task(fleet: Fleet, target: TargetId, at: float, style: ReplyStyle, metadata: CallMetadata) -> VendorReply:
    """GetWebCastTask: the latest run of a task, within 72 hours of its start. `at` is in Unix seconds."""
    now = int(at * 1000)
    run = fleet.run(target, now)
    if run is None or not queryable(run, now):
        return replies.not_found(metadata, style, target)
    return replies.success(metadata, style.result(task_document(run, now)))


def _start(fleet: Fleet, target: TargetId, fields: Mapping[str, Any], at: float) -> str:
    """StartWebcast: a new run, unless the latest goes on. It is on the real clock, whatever the fleet's speed."""
    try:
        settings = read_settings(fields)
    except ValueError as error:
        raise Refusal(replies.INVALID_PARAMETER, f"{error} is missing or out of range.") from None
    return "ok" if fleet.start(target, begin_run(RunPlan(settings, starts=START_DELAY), at)) else STARTED_ALREADY


def _check_action(request: ApiRequest, params: Mapping[str, str]) -> None:
    if request.path != "/":
        raise Refusal(replies.SERVICE_NOT_FOUND, f"There is nothing at {request.path}.")
    action = params.get("Action")
    method = "GET" if action == GET_TASK else "POST"
    if action not in QPS or params.get("Version") not in VERSIONS or request.method != method:
        raise Refusal(replies.INVALID_ACTION, "Could not find this action and version for this method.")


def _fields(body: bytes) -> Mapping[str, Any]:
    if not body:
        raise Refusal(replies.EMPTY_BODY, "The body is empty.")
    try:
        fields = json.loads(body)
    except (ValueError, RecursionError):
        fields = None
    if not isinstance(fields, dict):
        raise Refusal(replies.BAD_BODY, "The body is no JSON object.")
    return fields
