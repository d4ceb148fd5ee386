"""Faults on demand: what each makes of the reply to a call that is in order, and which one is in force."""

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from email.utils import formatdate
from typing import Any

from exporter.model.target import ID_PATTERN, TargetId
from exporter.simulator import replies
from exporter.simulator.replies import (
    CallMetadata,
    Explained,
    NotFoundForm,
    Outcome,
    Sending,
    VendorError,
    VendorReply,
    failure,
    not_found,
    outcome_of,
)

CANARY = "canary-vendor-message"
"""Part of vendor texts that echo a request; it must appear nowhere behind the exporter."""
HTML_PAGE = f"<!DOCTYPE html>\n<html><head><title>Sign in</title></head><body><p>{CANARY}</p></body></html>\n".encode()
PADDING = b', "Padding": "' + b"x" * (8 * 1024 * 1024) + b'"}'
MAX_SECONDS = 86_400.0


@dataclass(frozen=True, slots=True)
class Incident:
    """A call in order: the reply it would have had, and what another one is made of. `at` is in Unix seconds."""

    reply: VendorReply
    metadata: CallMetadata
    target: TargetId
    at: float
    latency: float
    retry_after: int


Fault = Callable[[Incident], VendorReply]


def _none(incident: Incident) -> VendorReply:
    return incident.reply


def _late(incident: Incident) -> VendorReply:
    return replace(incident.reply, delay=incident.reply.delay + incident.latency)


def _refusal(error: VendorError) -> Fault:
    return lambda incident: failure(incident.metadata, error, f"Refused: {CANARY}")


def _plain(status: int, *headers: tuple[str, str]) -> Fault:
    """An answer of what stands before the vendor's gateway."""
    outcome = outcome_of(VendorError("", status))
    body = f"{status} {CANARY}\n".encode()
    return lambda _: VendorReply(status, None, outcome, headers, body=body, content_type="text/plain")


def _too_many(*, as_date: bool) -> Fault:
    def fault(incident: Incident) -> VendorReply:
        date = formatdate(incident.at + incident.retry_after, usegmt=True)
        return _plain(429, ("Retry-After", date if as_date else str(incident.retry_after)))(incident)

    return fault


def _not_found(form: NotFoundForm) -> Fault:
    return lambda incident: not_found(incident.metadata, form, incident.target)


def _document(change: Callable[[Any], Any]) -> Fault:
    """Replace the document; the call still counts as answered."""
    return lambda incident: replace(incident.reply, document=change(incident.reply.document))


def _body(make: Callable[[Any], bytes], content_type: str = "application/json") -> Fault:
    def fault(incident: Incident) -> VendorReply:
        body = make(incident.reply.document)
        return replace(incident.reply, outcome=Outcome.FAILED, body=body, content_type=content_type)

    return fault


def _sent(sending: Sending) -> Fault:
    return lambda incident: replace(incident.reply, outcome=Outcome.FAILED, sending=sending)


def _cut(document: Any) -> bytes:
    whole = json.dumps(document).encode()
    return whole[: len(whole) // 2]


def _fields(change: Callable[[str, Any], Any]) -> Fault:
    """Apply `change` to each field of the task; an answer without a task stays as it is."""

    def changed(document: Any) -> Any:
        result = document.get("Result")
        if not isinstance(result, dict):
            return document
        tasks = {key: {name: change(name, value) for name, value in task.items()} for key, task in result.items()}
        return {**document, "Result": tasks}

    return _document(changed)


def _of_another_type(_name: str, value: Any) -> Any:
    if isinstance(value, (str, bool)):
        return 7
    return "none of these" if isinstance(value, (int, float, list)) else [value]


def _odd_field(name: str, value: Any) -> Any:
    return value if name == "Status" else _of_another_type(name, value)


def _as_text(name: str, value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _as_text(key, item) for key, item in value.items()}
    if isinstance(value, list):
        return [_as_text(name, item) for item in value]
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


class FaultMode(Explained):
    """A fault: `says` explains what `apply` does to a call that is in order."""

    NONE = "none", "no fault"
    LATENCY = "latency", "the right answer, late", _late

    THROTTLE = "throttle", "FlowLimitExceeded.QPSOverLimit, on HTTP 200", _refusal(replies.OVER_QPS)
    THROTTLE_SECONDS = ("throttle_seconds", "a plain HTTP 429, Retry-After in seconds", _too_many(as_date=False))
    THROTTLE_DATE = "throttle_date", "a plain HTTP 429, Retry-After as a date", _too_many(as_date=True)
    SERVER_ERROR = "server_error", "InternalError, HTTP 500", _refusal(replies.INTERNAL_ERROR)

    INVALID_ACCESS_KEY = "invalid_access_key", "InvalidAccessKey", _refusal(replies.INVALID_ACCESS_KEY)
    INVALID_SIGNATURE = "invalid_signature", "SignatureDoesNotMatch", _refusal(replies.SIGNATURE_MISMATCH)
    INVALID_AUTHORIZATION = "invalid_authorization", "InvalidAuthorization", _refusal(replies.INVALID_AUTHORIZATION)
    INVALID_CREDENTIAL = "invalid_credential", "InvalidCredential", _refusal(replies.INVALID_CREDENTIAL)
    NO_SIGNATURE = "no_signature", "MissingAuthenticationToken, as if a proxy drops it", _refusal(replies.MISSING_TOKEN)
    EXPIRED_TOKEN = "expired_token", "InvalidSecretToken", _refusal(replies.INVALID_SECRET_TOKEN)
    LACK_POLICY = "lack_policy", "LackPolicy", _refusal(replies.LACK_POLICY)
    CLOCK = "clock", "the simulator's clock is an hour ahead: InvalidTimestamp, and its Date says why"

    APP_DENIED = "app_denied", "AccessDenied.NoPermissionForApp", _refusal(replies.NO_PERMISSION_FOR_APP)
    APP_OF_ANOTHER_PROJECT = "app_of_another_project", "LackProjectPolicy", _refusal(replies.LACK_PROJECT_POLICY)
    APP_OF_ANOTHER_ACCOUNT = "app_of_another_account", replies.WRONG_OWNER.code, _refusal(replies.WRONG_OWNER)
    APP_UNKNOWN = "app_unknown", "InvalidParameter.NotExistAppId", _refusal(replies.UNKNOWN_APP)

    NOT_FOUND_ERROR = "not_found_error", "no such task: an error of its own", _not_found(NotFoundForm.ERROR)
    NOT_FOUND_BARE_ERROR = "not_found_bare_error", "no such task: an error", _not_found(NotFoundForm.BARE_ERROR)
    NOT_FOUND_NULL = "not_found_null", "no such task: a null result", _not_found(NotFoundForm.NULL_RESULT)
    NOT_FOUND_EMPTY = "not_found_empty", "no such task: an empty task", _not_found(NotFoundForm.EMPTY_TASK)
    NOT_FOUND_ZERO = "not_found_zero", "no such task: an all-zero task", _not_found(NotFoundForm.ALL_ZERO)

    HTTP_400 = "http_400", "a plain 400", _plain(400)
    HTTP_403 = "http_403", "a plain 403, as a firewall's", _plain(403)
    HTTP_404 = "http_404", "a plain 404", _plain(404)
    HTTP_500 = "http_500", "a plain 500", _plain(500)
    HTTP_502 = "http_502", "a plain 502", _plain(502)
    HTTP_503 = "http_503", "a plain 503 with Retry-After", _plain(503, ("Retry-After", "1"))
    REDIRECT = "redirect", "a 302 to another path", _plain(302, ("Location", "/elsewhere"))

    HTML = "html", "a page in place of JSON, as a captive portal's", _body(lambda _: HTML_PAGE, "text/html")
    EMPTY = "empty", "no body", _body(lambda _: b"")
    CUT_JSON = "cut_json", "half a document with the right length", _body(_cut)
    LIST = "list", "the document in a list", _document(lambda document: [document])
    STRANGE_JSON = "strange_json", "JSON of another API", _document(lambda _: {"message": CANARY})
    WRONG_TYPES = "wrong_types", "no field of the right type", _fields(_of_another_type)
    ODD_FIELDS = "odd_fields", "no field of the right type, except Status", _fields(_odd_field)
    NUMBERS_AS_TEXT = "numbers_as_text", "every number written as text", _fields(_as_text)
    HUGE = "huge", "8 MiB", _body(lambda document: json.dumps(document).encode()[:-1] + PADDING)

    STALL = "stall", "no answer, on a connection that stays", _sent(Sending.NEVER)
    TRICKLE = "trickle", "a byte now and then", _sent(Sending.DRIPPING)
    CLOSE = "close", "the connection is closed before an answer", _sent(Sending.CLOSED)
    RESET = "reset", "the connection is reset before an answer", _sent(Sending.RESET)
    RESET_HALFWAY = "reset_halfway", "the connection is reset in an answer's middle", _sent(Sending.RESET_HALFWAY)

    CONNECTION_REFUSED = "connection_refused", "no process listens (Linux)"
    NO_TLS = "no_tls", "a plain answer on the port of an https endpoint"
    UNKNOWN_CA = "unknown_ca", "an https endpoint shows a certificate of another authority"

    def apply(self, incident: Incident) -> VendorReply:
        """The answer in place of the right one."""
        fault: Fault = self.more[0] if self.more else _none
        return fault(incident)


CONNECTION_FAULTS = frozenset({FaultMode.CONNECTION_REFUSED, FaultMode.NO_TLS, FaultMode.UNKNOWN_CA})
"""Faults that a caller meets before its request is read, whatever it asks for."""
TLS_FAULTS = frozenset({FaultMode.NO_TLS, FaultMode.UNKNOWN_CA})


@dataclass(slots=True)
class Faults:
    """The fault in force, which may be changed at any time.

    `only` names an app, or a task as `APP/ROOM/TASK`; others meet no fault, unless it is of the connection. Seconds:
    `latency` of late answers, `retry_after` of throttled ones, `ahead` of the clock. It ends at `until` (Unix seconds).
    """

    mode: FaultMode = FaultMode.NONE
    latency: float = 2.0
    retry_after: int = 3
    ahead: float = 3600.0
    only: str = ""
    until: float = math.inf

    def apply(self, reply: VendorReply, metadata: CallMetadata, target: TargetId, at: float) -> VendorReply:
        """The answer to a call for `target` that arrived at `at` (Unix seconds) and would have had `reply`."""
        if self.only not in ("", target.app_id, str(target)):
            return reply
        return self.mode.apply(Incident(reply, metadata, target, at, self.latency, self.retry_after))

    @property
    def clock_ahead(self) -> float:
        """By how many seconds the clock of the signature check is wrong now."""
        return self.ahead if self.mode is FaultMode.CLOCK else 0.0

    @property
    def of_connection(self) -> FaultMode:
        """The fault in force if it is one of the connection, else none."""
        mode = self.mode
        return mode if mode in CONNECTION_FAULTS else FaultMode.NONE

    def begin(self, mode: FaultMode, *, only: str = "", until: float = math.inf) -> None:
        """Put a fault in force."""
        self.only, self.until, self.mode = only, until, mode

    def expire(self, now: float) -> None:
        """End the fault when its time is over."""
        if now >= self.until:
            self.begin(FaultMode.NONE)

    def configure(self, query: Mapping[str, str], at: float, *, tls: bool) -> None:
        """Put the fault of a `POST /fault` in force; ValueError with a sentence, and nothing is changed."""
        names = {"mode", "only", "seconds", "latency", "retry_after", "ahead"}
        if unknown := query.keys() - names:
            raise ValueError(f"{min(unknown)} is none of {', '.join(sorted(names))}")
        if query.get("mode") not in list(FaultMode):
            raise ValueError("mode is none of those that GET /fault lists")
        mode, only = next(mode for mode in FaultMode if mode == query["mode"]), query.get("only", "")
        seconds = _seconds(query, "seconds", math.inf)
        if mode in CONNECTION_FAULTS and (only or seconds == math.inf):
            raise ValueError(
                f"{mode} takes `seconds`, because HTTP cannot end it, and no `only`: it is for all callers"
            )
        if mode in TLS_FAULTS and not tls:
            raise ValueError(f"{mode} needs an https endpoint: start it with --tls")
        if only and not all(ID_PATTERN.fullmatch(part) for part in only.split("/")):
            raise ValueError("only names an app, or a task as APP/ROOM/TASK")
        latency = _seconds(query, "latency", self.latency)
        retry_after = int(_seconds(query, "retry_after", self.retry_after))
        self.ahead = _seconds(query, "ahead", self.ahead, least=-MAX_SECONDS)
        self.latency, self.retry_after = latency, retry_after
        self.begin(mode, only=only, until=at + seconds)

    def document(self, at: float) -> dict[str, Any]:
        """The fault in force and those there are, for `GET /fault`."""
        return {
            "mode": self.mode,
            "only": self.only,
            "seconds_left": None if self.until == math.inf else max(0.0, self.until - at),
            "modes": {mode.value: mode.says for mode in FaultMode},
        }


def _seconds(query: Mapping[str, str], name: str, default: float, least: float = 0.0) -> float:
    try:
        value = float(query[name]) if name in query else default
    except ValueError:
        value = math.nan
    if name in query and not least <= value <= MAX_SECONDS:
        raise ValueError(f"{name} must be a number of seconds from {least:g} to {MAX_SECONDS:g}")
    return value
