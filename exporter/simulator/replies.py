"""The vendor's replies: envelope, errors (docs 6369/68677, 6348/70426) and the forms that its pages leave open."""

from dataclasses import dataclass, field, replace
from enum import Enum, StrEnum
from http import HTTPStatus
from typing import Any, NamedTuple, Self

from exporter.model.target import TargetId
from exporter.simulator.lifecycle import TaskSettings
from exporter.volcengine.signing import SERVICE


class VendorError(NamedTuple):
    """One row of the vendor's tables; only what the gateway itself refuses has a CodeN."""

    code: str
    http_status: int = 400
    code_n: int = 0


MISSING_PARAMETER = VendorError("MissingParameter", 400, 100002)
MISSING_TOKEN = VendorError("MissingAuthenticationToken", 401, 100003)
MISSING_REQUEST_INFO = VendorError("MissingRequestInfo", 400, 100004)
MISSING_SIGNATURE = VendorError("MissingSignature", 401, 100005)
INVALID_TIMESTAMP = VendorError("InvalidTimestamp", 400, 100006)
SERVICE_NOT_FOUND = VendorError("ServiceNotFound", 404, 100007)
INVALID_ACTION = VendorError("InvalidActionOrVersion", 404, 100008)
INVALID_ACCESS_KEY = VendorError("InvalidAccessKey", 401, 100009)
SIGNATURE_MISMATCH = VendorError("SignatureDoesNotMatch", 401, 100010)
LACK_POLICY = VendorError("LackPolicy", 403, 100012)
INTERNAL_ERROR = VendorError("InternalError", 500, 100014)
INVALID_AUTHORIZATION = VendorError("InvalidAuthorization", 400)
INVALID_CREDENTIAL = VendorError("InvalidCredential", 400)
INVALID_SECRET_TOKEN = VendorError("InvalidSecretToken", 401)
LACK_PROJECT_POLICY = VendorError("LackProjectPolicy", 403)
NO_PERMISSION_FOR_APP = VendorError("AccessDenied.NoPermissionForApp", 403)
INVALID_PARAMETER = VendorError("InvalidParameter")
ILLEGAL_APP_ID = VendorError("InvalidParameter.IllegalAppId")
UNKNOWN_APP = VendorError("InvalidParameter.NotExistAppId")
ILLEGAL_ROOM_ID = VendorError("InvalidParameter.IllegalRoomID")
EMPTY_BODY = VendorError("InvalidParameter.BodyIsEmpty")
BAD_BODY = VendorError("InvalidParameter.Unmarshal")
WRONG_OWNER = VendorError("InvalidParameter.AccountIdMismatch")
TASK_NOT_FOUND = VendorError("InvalidParameter.ErrorActiveTaskNotFound")
OVER_QPS = VendorError("FlowLimitExceeded.QPSOverLimit", 200)

TASK_KEY = "WebcastTask"
"""As in the API page's sample; its table writes WebCastTask."""
ALL_ZERO = {
    "StartTime": 0,
    "EndTime": 0,
    "Status": 0,
    "StopReason": "",
    **TaskSettings(user_id="", source_url="", video=(), max_running_time=0).document(),
}


class Refusal(Exception):
    """A call the vendor answers with an error; the message is the error's Message and may echo the request."""

    def __init__(self, error: VendorError, message: str) -> None:
        super().__init__(message)
        self.error = error


class Outcome(StrEnum):
    """How a call ended; a task that is not found has been answered."""

    ANSWERED = "answered"
    THROTTLED = "throttled"
    REFUSED = "refused"
    FAILED = "failed"


class Explained(StrEnum):
    """A choice of words, each with an explanation for a person in `says`, and with `more` for the program."""

    says: str
    more: tuple[Any, ...]

    def __new__(cls, value: str, says: str = "", *more: Any) -> Self:  # noqa: D102 - an attribute of any enum
        member = str.__new__(cls, value)
        member._value_ = value
        member.says, member.more = says, more
        return member


def describe(choices: type[Explained]) -> str:
    """All choices with their explanations, one a line."""
    width = max(len(choice) for choice in choices)
    return "\n".join(f"{choice:{width}}  {choice.says}" for choice in choices)


class NotFoundForm(Explained):
    """How a task that cannot be found is answered; the vendor does not document which."""

    ERROR = "error", "InvalidParameter.ErrorActiveTaskNotFound"
    BARE_ERROR = "bare_error", "InvalidParameter, whose Message alone says it"
    NULL_RESULT = "null", "a null Result"
    EMPTY = "empty", "an empty Result"
    MISSING = "missing", "no Result"
    TEXT = "text", 'the Result ""'
    NULL_TASK = "null_task", "a null task"
    EMPTY_TASK = "empty_task", "an empty task"
    ALL_ZERO = "zero", "an all-zero task"
    ECHO = "echo", "a task that echoes the ids, and no more"
    UNKNOWN_REASON = "unknown_reason", "a task of Status 0 with UnknownStopReason"
    DEFAULTS = "defaults", "a task with the default MaxRunningTime, and no more"


class Sending(Enum):
    """What happens to an answer on its way."""

    WHOLE = "whole"
    NEVER = "never"
    DRIPPING = "dripping"
    CLOSED = "closed"
    RESET = "reset"
    RESET_HALFWAY = "reset halfway"


@dataclass(frozen=True, slots=True)
class CallMetadata:
    """What ResponseMetadata says of the call."""

    request_id: str
    action: str
    version: str
    region: str

    def document(self) -> dict[str, Any]:
        """The element of the envelope."""
        names = {"RequestId": self.request_id, "Action": self.action, "Version": self.version}
        return {**names, "Service": SERVICE, "Region": self.region}


@dataclass(frozen=True, slots=True)
class VendorReply:
    """An HTTP answer, sent after `delay` seconds; a `body` takes the place of the JSON document."""

    status: int
    document: Any = field(repr=False)
    outcome: Outcome = Outcome.ANSWERED
    headers: tuple[tuple[str, str], ...] = ()
    delay: float = 0.0
    body: bytes | None = field(default=None, repr=False)
    content_type: str = "application/json"
    sending: Sending = Sending.WHOLE


def success(metadata: CallMetadata, result: object) -> VendorReply:
    """A result in its envelope."""
    return VendorReply(200, {"Result": result, "ResponseMetadata": metadata.document()})


def failure(metadata: CallMetadata, error: VendorError, message: str) -> VendorReply:
    """An error in its envelope: the gateway's has a CodeN, the product's a null Result."""
    told = {"Code": error.code, "Message": message}
    by_gateway = {"CodeN": error.code_n, **told}
    envelope = {"ResponseMetadata": {**metadata.document(), "Error": by_gateway if error.code_n else told}}
    document = envelope if error.code_n else {"Result": None, **envelope}
    return VendorReply(error.http_status, document, outcome_of(error))


def outcome_of(error: VendorError) -> Outcome:
    """How a call ends that is answered with this error."""
    if error == TASK_NOT_FOUND:
        return Outcome.ANSWERED
    if error.code == OVER_QPS.code or error.http_status == HTTPStatus.TOO_MANY_REQUESTS:
        return Outcome.THROTTLED
    return Outcome.FAILED if error.http_status >= INTERNAL_ERROR.http_status else Outcome.REFUSED


def not_found(metadata: CallMetadata, form: NotFoundForm, target: TargetId) -> VendorReply:
    """The answer about a task that does not exist, or started more than 72 hours ago."""
    message = f"The task {target} doesn't exist or has been stopped."
    if form in (NotFoundForm.ERROR, NotFoundForm.BARE_ERROR):
        error = TASK_NOT_FOUND if form is NotFoundForm.ERROR else INVALID_PARAMETER
        return replace(failure(metadata, error, message), outcome=Outcome.ANSWERED)
    if form is NotFoundForm.MISSING:
        return VendorReply(200, {"ResponseMetadata": metadata.document()})
    app_id, room_id, task_id = target
    results: dict[NotFoundForm, object] = {
        NotFoundForm.NULL_RESULT: None,
        NotFoundForm.EMPTY: {},
        NotFoundForm.TEXT: "",
        NotFoundForm.NULL_TASK: {TASK_KEY: None},
        NotFoundForm.EMPTY_TASK: {TASK_KEY: {}},
        NotFoundForm.ALL_ZERO: {TASK_KEY: ALL_ZERO},
        NotFoundForm.ECHO: {TASK_KEY: {"AppId": app_id, "RoomId": room_id, "TaskId": task_id}},
        NotFoundForm.UNKNOWN_REASON: {TASK_KEY: {**ALL_ZERO, "StopReason": "UnknownStopReason"}},
        NotFoundForm.DEFAULTS: {TASK_KEY: {"MaxRunningTime": TaskSettings().max_running_time}},
    }
    return success(metadata, results[form])
