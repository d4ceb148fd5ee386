"""The simulated vendor's gateway: from a request and a time to a reply, in the order in which the vendor checks.

A signature is checked as docs 6369/1121980 say. Beside the API there are pages for people and scripts, unsigned: `/`
and `/task/...` for rehearsals, `/fault`, `/targets` and `/truth`.
"""

import hashlib
import hmac
import json
import re
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from html import escape
from itertools import islice
from threading import Lock
from typing import Any, NamedTuple
from urllib.parse import parse_qsl
from uuid import uuid4

from exporter.model.credentials import Credentials
from exporter.model.target import ID_PATTERN, TargetId
from exporter.simulator import replies
from exporter.simulator.faults import Faults
from exporter.simulator.fleet import Action, Fleet, state_document, truth_document
from exporter.simulator.lifecycle import RunPlan, begin_run, queryable, read_settings, run_state, task_document
from exporter.simulator.replies import CallMetadata, NotFoundForm, Outcome, Refusal, VendorReply
from exporter.volcengine.signing import (
    ALGORITHM,
    cached_signing_key,
    canonical_query,
    canonical_request,
    credential_scope,
    signature,
    string_to_sign,
)

GET_TASK = "GetWebCastTask"
VERSIONS = frozenset({"2020-12-01", "2023-11-01"})
QPS = {GET_TASK: 60, "StartWebcast": 150, "StopWebcast": 150}
START_DELAY = 1.0
"""Seconds from StartWebcast until the task runs."""
STARTED_ALREADY = "The task has been started. Please do not call the startup task interface repeatedly"
ILLEGAL_ID = {"AppId": replies.ILLEGAL_APP_ID, "RoomId": replies.ILLEGAL_ROOM_ID, "TaskId": replies.INVALID_PARAMETER}
LIFETIME = 900
"""Seconds for which a signature is good, before and after its X-Date (docs 6500/1285432)."""
DEFAULT_PORT = re.compile(r":(80|443)$")
X_DATE = re.compile(r"\d{8}T\d{6}Z", re.ASCII)
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


@dataclass(frozen=True, slots=True)
class ApiRequest:
    """A request as it arrived. Header names are lower-case, `query` is as on the wire."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(default=b"", repr=False)

    @property
    def pairs(self) -> list[tuple[str, str]]:
        """The query, decoded."""
        return parse_qsl(self.query, keep_blank_values=True)


@dataclass(frozen=True, slots=True)
class SimulatedAccount:
    """An account: the key pairs it accepts and the apps it owns (none named: those that no other account names)."""

    name: str
    keys: tuple[Credentials, ...]
    app_ids: frozenset[str] = frozenset()


class SlidingWindowLimit:
    """At most `limit` calls in any second [t, t+1). Refused calls do not count, or a steady 61/s would starve."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._admitted: deque[float] = deque()
        self._lock = Lock()

    def allow(self, at: float) -> bool:
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
    """The simulated API over a fleet. `accounts`, `not_found` and `faults` may be changed while it works.

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
        not_found: NotFoundForm = NotFoundForm.ERROR,
    ) -> None:
        self.fleet = fleet
        self.accounts = accounts
        self.region = region
        self.not_found = not_found
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
                reply = self.faults.apply(reply, metadata, target, at)
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
        if not limit.allow(at):
            raise Refusal(replies.OVER_QPS, "The request exceeds the QPS limit.")
        if action == GET_TASK:
            return get_task(self.fleet, target, at, self.not_found, metadata)
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
    """The answer to a request for a page that cannot be had so."""
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


def get_task(fleet: Fleet, target: TargetId, at: float, form: NotFoundForm, metadata: CallMetadata) -> VendorReply:
    """GetWebCastTask: the latest run of a task, within 72 hours of its start. `at` is in Unix seconds."""
    now = int(at * 1000)
    run = fleet.run(target, now)
    if run is None or not queryable(run, now):
        return replies.not_found(metadata, form, target)
    return replies.success(metadata, {replies.TASK_KEY: task_document(run, now)})


def _start(fleet: Fleet, target: TargetId, fields: Mapping[str, Any], at: float) -> str:
    """StartWebcast: a new run, unless the latest goes on. It is on the real clock, whatever the fleet's speed."""
    try:
        settings = read_settings(fields)
    except ValueError:
        raise Refusal(replies.INVALID_PARAMETER, "A parameter is missing or malformed.") from None
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


def canonical(pairs: list[tuple[str, str]]) -> str:
    """The canonical query of decoded pairs; a repeated name keeps its order (docs 6971/174333)."""
    return "&".join(canonical_query({name: value}) for name, value in sorted(pairs, key=lambda pair: pair[0]))


def check_signature(
    request: ApiRequest, accounts: tuple[SimulatedAccount, ...], region: str, at: float
) -> SimulatedAccount:
    """The account whose key signed this request; raises Refusal with the vendor's code for what is wrong."""
    access_key, scope, names, given = _authorization(request.headers)
    date = _date(request.headers, at)
    account, key = _key(accounts, access_key)
    if not hmac.compare_digest(key.session_token.encode(), request.headers.get("x-security-token", "").encode()):
        raise Refusal(replies.INVALID_SECRET_TOKEN, "The security token is invalid or expired.")
    if scope != credential_scope(date, region):
        raise Refusal(replies.INVALID_CREDENTIAL, f"The credential scope {scope} is not this service's.")
    if not hmac.compare_digest(_signature(request, names, key, date, region).encode(), given.encode()):
        raise Refusal(replies.SIGNATURE_MISMATCH, "The request signature we calculated does not match.")
    return account


def owns(account: SimulatedAccount, app_id: str, accounts: tuple[SimulatedAccount, ...]) -> bool:
    """Whether an account may read an app."""
    if account.app_ids:
        return app_id in account.app_ids
    return not any(app_id in other.app_ids for other in accounts)


def _authorization(headers: Mapping[str, str]) -> tuple[str, str, set[str], str]:
    """Access key, scope, names of the signed headers and signature."""
    header = headers.get("authorization")
    if not header:
        raise Refusal(replies.MISSING_TOKEN, "The Authorization header is missing.")
    algorithm, _, rest = header.partition(" ")
    parts = dict(part.strip().partition("=")[::2] for part in rest.split(","))
    access_key, _, scope = parts.get("Credential", "").partition("/")
    if algorithm != ALGORITHM or not access_key or not parts.get("SignedHeaders"):
        raise Refusal(replies.INVALID_AUTHORIZATION, "The Authorization header is malformed.")
    if not parts.get("Signature"):
        raise Refusal(replies.MISSING_SIGNATURE, "The Authorization header has no Signature.")
    return access_key, scope, set(parts["SignedHeaders"].split(";")), parts["Signature"]


def _date(headers: Mapping[str, str], at: float) -> str:
    date = headers.get("x-date")
    if not date:
        raise Refusal(replies.MISSING_REQUEST_INFO, "The X-Date header is missing.")
    try:
        signed = datetime.strptime(date if X_DATE.fullmatch(date) else "", "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    except ValueError:
        raise Refusal(replies.INVALID_TIMESTAMP, f"X-Date {date} is malformed.") from None
    if abs(at - signed.timestamp()) > LIFETIME:
        raise Refusal(replies.INVALID_TIMESTAMP, f"The request of {date} is expired, or signed in the future.")
    return date


def _key(accounts: tuple[SimulatedAccount, ...], access_key: str) -> tuple[SimulatedAccount, Credentials]:
    for account in accounts:
        for key in account.keys:
            if key.access_key == access_key:
                return account, key
    raise Refusal(replies.INVALID_ACCESS_KEY, f"The access key {access_key} does not exist.")


def _signature(request: ApiRequest, names: set[str], key: Credentials, date: str, region: str) -> str:
    """The signature that this request should have. The official Node client does not sign the host."""
    sent = {**request.headers, "host": DEFAULT_PORT.sub("", request.headers.get("host", ""))}
    if not {"x-date"} | ({"x-security-token"} & sent.keys()) <= names <= sent.keys():
        raise Refusal(replies.SIGNATURE_MISMATCH, "X-Date and the security token must be signed, what is signed sent.")
    digest = hashlib.sha256(request.body).hexdigest()
    if sent.get("x-content-sha256", digest) != digest:
        raise Refusal(replies.SIGNATURE_MISMATCH, "X-Content-Sha256 is not that of the body.")
    headers = {name: sent[name] for name in names}
    first = canonical_request(request.method, request.path, canonical(request.pairs), headers, digest)
    return signature(cached_signing_key(key.secret_key, date[:8], region), string_to_sign(date, region, first))
