"""The faults there are, each with what it does, as a person is told."""

from enum import StrEnum
from typing import Self


class FaultMode(StrEnum):
    """A fault; `says` is what it does to a call that is in order."""

    says: str

    def __new__(cls, value: str, says: str) -> Self:  # noqa: D102 - as any enum's
        member = str.__new__(cls, value)
        member._value_ = value
        member.says = says
        return member

    NONE = "none", "no fault"
    LATENCY = "latency", "the right answer, late"

    THROTTLE = "throttle", "FlowLimitExceeded.QPSOverLimit, on HTTP 200 unless the style says otherwise"
    THROTTLE_SECONDS = "throttle_seconds", "HTTP 429 without an envelope, Retry-After in seconds"
    THROTTLE_DATE = "throttle_date", "HTTP 429 without an envelope, Retry-After as a date"
    SERVER_ERROR = "server_error", "InternalError, HTTP 500"

    INVALID_ACCESS_KEY = "invalid_access_key", "InvalidAccessKey"
    INVALID_SIGNATURE = "invalid_signature", "SignatureDoesNotMatch"
    INVALID_AUTHORIZATION = "invalid_authorization", "InvalidAuthorization"
    INVALID_CREDENTIAL = "invalid_credential", "InvalidCredential"
    NO_SIGNATURE = "no_signature", "MissingAuthenticationToken, as behind a proxy that drops headers"
    EXPIRED_TOKEN = "expired_token", "InvalidSecretToken"
    LACK_POLICY = "lack_policy", "LackPolicy"
    CLOCK = "clock", "the simulator's clock is an hour ahead: InvalidTimestamp, and its Date says why"

    APP_DENIED = "app_denied", "AccessDenied.NoPermissionForApp"
    APP_OF_ANOTHER_PROJECT = "app_of_another_project", "LackProjectPolicy"
    APP_OF_ANOTHER_ACCOUNT = "app_of_another_account", "InvalidParameter.AccountIdMismatch"
    APP_UNKNOWN = "app_unknown", "InvalidParameter.NotExistAppId"

    NOT_FOUND_ERROR = "not_found_error", "no such task: InvalidParameter.ErrorActiveTaskNotFound"
    NOT_FOUND_NULL = "not_found_null", "no such task: a null result"
    NOT_FOUND_EMPTY = "not_found_empty", "no such task: an empty one"
    NOT_FOUND_ZERO = "not_found_zero", "no such task: an all-zero one"

    HTTP_400 = "http_400", "a plain 400"
    HTTP_403 = "http_403", "a plain 403, as a firewall's"
    HTTP_404 = "http_404", "a plain 404"
    HTTP_500 = "http_500", "a plain 500"
    HTTP_502 = "http_502", "a plain 502"
    HTTP_503 = "http_503", "a plain 503 with Retry-After"
    REDIRECT = "redirect", "a 302 to another path"

    HTML = "html", "a page in place of JSON, as a captive portal's"
    EMPTY = "empty", "no body"
    CUT_JSON = "cut_json", "half a document, told as a whole one"
    LIST = "list", "the document in a list"
    STRANGE_JSON = "strange_json", "somebody else's document"
    WRONG_TYPES = "wrong_types", "no field of the type that it should have"
    ODD_FIELDS = "odd_fields", "the same, but for Status"
    NUMBERS_AS_TEXT = "numbers_as_text", "every number written as text"
    HUGE = "huge", "8 MiB"

    STALL = "stall", "no answer, on a connection that stays"
    TRICKLE = "trickle", "a byte now and then"
    CLOSE = "close", "the connection is closed before an answer"
    RESET = "reset", "the connection is reset before an answer"
    RESET_HALFWAY = "reset_halfway", "the connection is reset in the middle of an answer"

    CONNECTION_REFUSED = "connection_refused", "nobody listens (Linux)"
    NO_TLS = "no_tls", "a plain answer on the port of an https endpoint"
    UNKNOWN_CA = "unknown_ca", "an https endpoint's certificate is a stranger's"


AT_THE_DOOR = frozenset({FaultMode.CONNECTION_REFUSED, FaultMode.NO_TLS, FaultMode.UNKNOWN_CA})
"""Those that a caller meets before its request is read, whatever it asks for."""

NEED_TLS = frozenset({FaultMode.NO_TLS, FaultMode.UNKNOWN_CA})


def described_modes() -> str:
    """All of them, one a line."""
    width = max(len(mode) for mode in FaultMode)
    return "\n".join(f"{mode:{width}}  {mode.says}" for mode in FaultMode)
