"""The vendor's envelope: a result or an error, and the errors there are (docs 6369/68677 and 6348/70426)."""

from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any, NamedTuple

from exporter.simulator.sending import Sending
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


class Refusal(Exception):
    """A call the vendor answers with an error; the message is the error's Message and may echo the request."""

    def __init__(self, error: VendorError, message: str) -> None:
        super().__init__(message)
        self.error = error


class Outcome(StrEnum):
    """What became of a call; a task that is not found has been answered."""

    ANSWERED = "answered"
    THROTTLED = "throttled"
    REFUSED = "refused"
    FAILED = "failed"


class NotFoundForm(StrEnum):
    """How a task that cannot be found is told; the vendor does not document which."""

    ERROR = "error"
    NULL_RESULT = "null"
    ALL_ZERO = "zero"


@dataclass(frozen=True, slots=True)
class Style:
    """Where the vendor's pages contradict each other or are silent, what this one does.

    `task_key`: the table of the seed page writes WebCastTask, its sample WebcastTask. `omit_zero`: as Go's omitempty,
    a zero Status included. `throttle_http_status`: 200 or 429.
    """

    task_key: str = "WebcastTask"
    not_found: NotFoundForm = NotFoundForm.ERROR
    omit_zero: bool = False
    throttle_http_status: int = 200


@dataclass(frozen=True, slots=True)
class Metadata:
    """What ResponseMetadata tells of the call."""

    request_id: str
    action: str
    version: str
    region: str

    def document(self) -> dict[str, Any]:
        """As the envelope has it."""
        return {
            "RequestId": self.request_id,
            "Action": self.action,
            "Version": self.version,
            "Service": SERVICE,
            "Region": self.region,
        }


@dataclass(frozen=True, slots=True)
class Reply:
    """What goes back: the HTTP status, the JSON document and more headers, after `delay` seconds.

    A `body` takes the place of the document; it is a page, or what was to be JSON.
    """

    status: int
    document: Any = field(repr=False)
    outcome: Outcome = Outcome.ANSWERED
    headers: tuple[tuple[str, str], ...] = ()
    delay: float = 0.0
    body: bytes | None = field(default=None, repr=False)
    content_type: str = "application/json"
    sending: Sending = Sending.WHOLE


def success(metadata: Metadata, result: object) -> Reply:
    """A result in its envelope."""
    return Reply(200, {"Result": result, "ResponseMetadata": metadata.document()})


def failure(metadata: Metadata, error: VendorError, message: str) -> Reply:
    """An error in its envelope: the gateway's has a CodeN, the product's a null Result."""
    told = {"Code": error.code, "Message": message}
    by_gateway = {"CodeN": error.code_n, **told}
    envelope = {"ResponseMetadata": {**metadata.document(), "Error": by_gateway if error.code_n else told}}
    document = envelope if error.code_n else {"Result": None, **envelope}
    return Reply(error.http_status, document, outcome_of(error))


def outcome_of(error: VendorError) -> Outcome:
    """What an error means to the account of calls."""
    if error == TASK_NOT_FOUND:
        return Outcome.ANSWERED
    if error.code == OVER_QPS.code:
        return Outcome.THROTTLED
    return Outcome.FAILED if error.http_status >= INTERNAL_ERROR.http_status else Outcome.REFUSED


def over_qps(style: Style) -> VendorError:
    """The rate error, with the HTTP status of choice."""
    return OVER_QPS._replace(http_status=style.throttle_http_status)


def without_zeros(value: Any) -> Any:
    """As Go's omitempty leaves it: no zero, false, empty text or empty list as a field; objects stay, even empty."""
    if isinstance(value, dict):
        kept = {name: without_zeros(item) for name, item in value.items()}
        return {name: item for name, item in kept.items() if item or isinstance(item, dict)}
    return [without_zeros(item) for item in value] if isinstance(value, list) else value


def delayed(reply: Reply, seconds: float) -> Reply:
    """The same reply, later."""
    return replace(reply, delay=reply.delay + seconds)
