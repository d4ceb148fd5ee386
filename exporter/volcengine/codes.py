"""What the vendor's error codes mean for us (volcengine.com/docs/6369/68677, docs/6348/70426; contract, section 5).

A code is looked up whole, then by its words, then by its part before the first dot; the HTTP status comes last.
"""

import re
from dataclasses import dataclass

from exporter.errors import (
    AppRefused,
    CredentialsRefused,
    NotFound,
    ReadError,
    Rejected,
    ServerFailed,
    Throttled,
    Unreachable,
)


@dataclass(frozen=True, slots=True)
class Meaning:
    """The class of the error, the sentence for a person, and what that person can do."""

    kind: type[ReadError]
    sentence: str
    advice: str = ""


_KEY = Meaning(
    CredentialsRefused,
    "the API does not accept the access key",
    "look in the console (IAM) whether this key exists and is enabled",
)
_UNSIGNED = Meaning(CredentialsRefused, "the API found no signature in the request; does a proxy drop headers?")
_AUTHORIZATION = Meaning(
    CredentialsRefused,
    "the API does not accept the authorization header",
    "accounts[].region must be the one of accounts[].endpoint",
)
_SIGNATURE = Meaning(
    CredentialsRefused,
    "the API does not accept the signature; is it the secret of this access key?",
    "if it is, look at accounts[].region",
)
_TOKEN = Meaning(
    CredentialsRefused,
    "the API does not accept the session token; has it expired?",
    "it goes with its own temporary key: get all three anew",
)
_POLICY = Meaning(
    CredentialsRefused,
    "the access key has no right to call GetWebCastTask",
    "attach a policy with the action rtc:GetWebCastTask (a guess: the vendor names it nowhere) to its user in IAM",
)
_CLOCK = Meaning(
    CredentialsRefused,
    "the API does not accept the time of the request; is this machine's clock right?",
    "set it by NTP",
)
_DENIED = Meaning(AppRefused, "the access key may not read this app", "give its user the app, or its project, in IAM")
_NOT_OURS = Meaning(
    AppRefused,
    "the app belongs to another account",
    "call with that account's key: another element of accounts, with the app in its app_ids",
)
_NO_APP = Meaning(AppRefused, "the API knows no such app", "compare the AppId with the console's")
_NO_TASK = Meaning(NotFound, "the API knows no such task", NotFound.advice)
_THROTTLED = Meaning(Throttled, "too many calls for the account's limit")
_FAILED = Meaning(ServerFailed, "the API failed inside")
_REJECTED = Meaning(Rejected, "the API rejects the request")
_NO_ACTION = Meaning(Rejected, "the API offers no GetWebCastTask; are endpoint and api_version right?")

MEANINGS = {
    "InvalidAccessKey": _KEY,
    "SignatureDoesNotMatch": _SIGNATURE,
    "InvalidAuthorization": _AUTHORIZATION,
    "InvalidCredential": _AUTHORIZATION,
    "MissingAuthenticationToken": _UNSIGNED,
    "MissingSignature": _UNSIGNED,
    "InvalidSecretToken": _TOKEN,
    "LackPolicy": _POLICY,
    "InvalidTimestamp": _CLOCK,
    "AccessDenied": _DENIED,
    "LackProjectPolicy": _DENIED,
    "InvalidParameter.AccountIdMismatch": _NOT_OURS,
    "InvalidParameter.NotExistAppId": _NO_APP,
    "InvalidParameter.ErrorActiveTaskNotFound": _NO_TASK,
    "InvalidParameter": _REJECTED,
    "MissingParameter": _REJECTED,
    "MissingRequestInfo": _REJECTED,
    "ServiceNotFound": _NO_ACTION,
    "InvalidActionOrVersion": _NO_ACTION,
    "FlowLimitExceeded": _THROTTLED,
    "InternalError": _FAILED,
    "InternalServiceTimeout": _FAILED,
    "ServiceUnavailable": _FAILED,
}
"""By whole code or by the part before its first dot."""

_WORDS = tuple(
    (re.compile(pattern, re.IGNORECASE), meaning)
    for pattern, meaning in (
        (r"flowlimit|ratelimit|requestlimit|throttl|toomanyrequests|qps", _THROTTLED),
        (r"app(_?id)?_?not_?(found|exist)|not_?(found|exist)_?app", _NO_APP),
        (r"task(_?id)?_?not_?(found|exist)|(not_?(found|exist)|no_?such)[._]?\w*task", _NO_TASK),
        (r"(resource|webcast|room|^|\.)(_?id)?_?not_?(found|exists?)$", _NO_TASK),
    )
)
_BEGINNINGS = (("InternalError", _FAILED), ("ServiceUnavailable", _FAILED), ("InvalidParameter", _REJECTED))

CODE_OF_NUMBER = {
    100002: "MissingParameter",
    100003: "MissingAuthenticationToken",
    100004: "MissingRequestInfo",
    100005: "MissingSignature",
    100006: "InvalidTimestamp",
    100007: "ServiceNotFound",
    100008: "InvalidActionOrVersion",
    100009: "InvalidAccessKey",
    100010: "SignatureDoesNotMatch",
    100012: "LackPolicy",
    100013: "AccessDenied",
    100014: "InternalError",
    100016: "InternalServiceTimeout",
}
"""The gateway's CodeN, for an error that comes without its Code."""

_STATUSES = {
    401: Meaning(CredentialsRefused, "the API refuses the credentials"),
    403: Meaning(CredentialsRefused, "the API refuses the credentials"),
    407: Meaning(Unreachable, "the proxy does not accept its user or password"),
    408: _FAILED,
    429: _THROTTLED,
}
_HUNDREDS = {3: Meaning(Rejected, "the API answered with a redirect, which is not followed"), 5: _FAILED}


def of_code(code: str) -> Meaning | None:
    """What a code means, or None when nothing is known of it."""
    if code in MEANINGS:
        return MEANINGS[code]
    family = code.partition(".")[0]
    rows = (
        *(meaning for pattern, meaning in _WORDS if pattern.search(code)),
        *(MEANINGS[name] for name in (family,) if name in MEANINGS),
        *(meaning for beginning, meaning in _BEGINNINGS if family.startswith(beginning)),
    )
    return rows[0] if rows else None


def of_status(http_status: int) -> Meaning:
    """What an HTTP status means when no known code comes with it."""
    return _STATUSES.get(http_status) or _HUNDREDS.get(http_status // 100) or _REJECTED
