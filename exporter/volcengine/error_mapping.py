"""Maps whatever goes wrong with a call to one error of the tree in exporter/errors.py.

The vendor's codes: volcengine.com/docs/6369/68677 (gateway) and docs/6348/70426 (RTC). The sentences are ours: what the
libraries and the vendor's Message say may repeat the URL, the request or a proxy's password.
"""

import errno
import http.client
import re
import socket
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from http import HTTPStatus
from threading import Lock

import requests
from urllib3 import exceptions as urllib3

from exporter.errors import (
    CLOCK_CODE,
    AppRefused,
    CredentialsRefused,
    NotFound,
    NotJson,
    ReadError,
    Rejected,
    ServerFailed,
    Throttled,
    TimedOut,
    TlsFailed,
    Unreachable,
)

MAX_NAME_CHARS = 128
MAX_MESSAGE_CHARS = 1000
MAX_UNKNOWN_CODES = 50


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a code means: the class of the error, the sentence for a person, and what that person can do."""

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
    "attach the policy RTCReadOnlyAccess to its user in IAM",
)
_CLOCK = Meaning(
    CredentialsRefused,
    "the API does not accept the time of the request; is this machine's clock right?",
    "set it by NTP",
)
_DENIED = Meaning(AppRefused, "the access key may not read this app", "give its user the app, or its project, in IAM")
_NOT_ENABLED = Meaning(
    AppRefused, "the service is not enabled for this app", "enable RTC and WebCast for the app in the console"
)
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

_MEANINGS_BY_CODES = {
    "InvalidAccessKey": _KEY,
    "SignatureDoesNotMatch": _SIGNATURE,
    "InvalidAuthorization InvalidCredential": _AUTHORIZATION,
    "MissingAuthenticationToken MissingSignature": _UNSIGNED,
    "InvalidSecretToken": _TOKEN,
    "LackPolicy": _POLICY,
    CLOCK_CODE: _CLOCK,
    "AccessDenied LackProjectPolicy NoPermissionForApp": _DENIED,
    "ServiceNotEnabled RecordNotEnabled": _NOT_ENABLED,
    "AccountIdMismatch": _NOT_OURS,
    "NotExistAppId IllegalAppId": _NO_APP,
    "ErrorActiveTaskNotFound": _NO_TASK,
    "InvalidParameter MissingParameter MissingRequestInfo IllegalRoomID EmptyAccountId": _REJECTED,
    "BodyIsEmpty Unmarshal OutofTimeRange StartTimeAfterEndTime": _REJECTED,
    "ServiceNotFound InvalidActionOrVersion": _NO_ACTION,
    "FlowLimitExceeded QPSOverLimit TaskNumberOverLimit": _THROTTLED,
    "InternalError InternalServiceTimeout ServiceUnavailable GenerateTokenFailed": _FAILED,
    "GetAutoTriggerPolicyFailed": _FAILED,
}
MEANINGS = {code.lower(): meaning for codes, meaning in _MEANINGS_BY_CODES.items() for code in codes.split()}
"""Meaning of each code, of the part before its first dot (its family) or of the part after its last dot."""

_WORDS = tuple(
    (re.compile(pattern, re.IGNORECASE), meaning)
    for pattern, meaning in (
        (r"flowlimit|ratelimit|requestlimit|throttl|toomanyrequests|qps", _THROTTLED),
        (r"app(_?id)?_?not_?(found|exist)|not_?(found|exist)_?app", _NO_APP),
        (r"task(_?id)?_?not_?(found|exist)|(not_?(found|exist)|no_?such)[._]?\w*task", _NO_TASK),
        (r"(resource|webcast|room|^|\.)(_?id)?_?not_?(found|exists?)$", _NO_TASK),
    )
)
"""Words in a code that is not documented."""
_FAMILY_BEGINNINGS = (("internal", _FAILED), ("serviceunavailable", _FAILED), ("invalidparameter", _REJECTED))

_GONE = re.compile(
    r"(?:not|n['\u2019]?t)\s*(?:be\s+)?(?:exist|find|found|running|active)|(?:non-?|in)existent|no\s+such"
    r"|unknown\s+task|no\s+(?:active\s+)?(?:web\s?cast\s+)?task|(?:is|has|have|been|already|task)\s+(?:been\s+)?"
    r"(?:stopped|ended|finished|expired)"
    r"|不存在|未找到|未查询?到|[找查询]不到|没有?(?:找到|查询?到|任务)|无此任务|已经?(?:停止|结束|过期)",
    re.IGNORECASE,
)
_OF_THE_REQUEST = re.compile(
    r"(?:param(?:eter)?s?\s+\S+|account\S*(?:\s+\S+)?)\s+(?:not|does|is|has|was)|field|argument|header|action|version"
    r"|字段|账号",
    re.IGNORECASE,
)
_APP = re.compile(r"\bapp|应用", re.IGNORECASE)
_TASK = re.compile(r"task|任务", re.IGNORECASE)

CODE_OF_NUMBER = {
    "100002": "MissingParameter",
    "100003": "MissingAuthenticationToken",
    "100004": "MissingRequestInfo",
    "100005": "MissingSignature",
    "100006": CLOCK_CODE,
    "100007": "ServiceNotFound",
    "100008": "InvalidActionOrVersion",
    "100009": "InvalidAccessKey",
    "100010": "SignatureDoesNotMatch",
    "100012": "LackPolicy",
    "100013": "AccessDenied",
    "100014": "InternalError",
    "100016": "InternalServiceTimeout",
}
"""The gateway's CodeN, for an error that comes without its Code; an unknown one stands for itself."""

_STATUSES = {
    401: Meaning(CredentialsRefused, "the API refuses the credentials"),
    403: Meaning(CredentialsRefused, "the API refuses the credentials"),
    407: Meaning(Unreachable, "the proxy does not accept its user or password"),
    408: _FAILED,
    429: _THROTTLED,
}
_HUNDREDS = {3: Meaning(Rejected, "the API answered with a redirect, which is not followed"), 5: _FAILED}


def meaning_of_code(code: str) -> Meaning | None:
    """What a code means, looked up whole, by its last part, by its words, then by its family; None when unknown.

    A family of refusals comes before the words: `InvalidAccessKey.NotFound` says nothing of a task.
    """
    whole = code.lower()
    family, last = whole.partition(".")[0], whole.rpartition(".")[2]
    exact = MEANINGS.get(whole) or MEANINGS.get(last)
    if not exact and (of_family := MEANINGS.get(family)) and of_family.kind in (CredentialsRefused, AppRefused):
        return of_family
    by_word = (meaning for pattern, meaning in _WORDS if pattern.search(code))
    by_beginning = (meaning for beginning, meaning in _FAMILY_BEGINNINGS if family.startswith(beginning))
    return exact or next(by_word, None) or MEANINGS.get(family) or next(by_beginning, None)


def is_documented(code: str) -> bool:
    """Whether the vendor documents the code, or its part after the last dot."""
    return code.lower() in MEANINGS or code.lower().rpartition(".")[2] in MEANINGS


def meaning_of_status(http_status: int) -> Meaning:
    """What an HTTP status means when no known code comes with it."""
    return _STATUSES.get(http_status) or _HUNDREDS.get(http_status // 100) or _REJECTED


def error_of_answer(http_status: int, error: object) -> ReadError:
    """What an answer that reports an error means; `error` is its ResponseMetadata.Error, None without one."""
    code = _code(error)
    meaning = _meaning(code, http_status, message_of(error))
    read_error = meaning.kind(meaning.sentence, code=code, http_status=http_status)
    read_error.advice = meaning.advice or read_error.advice
    return read_error


@dataclass(frozen=True, slots=True)
class UnknownCode:
    """A code that the vendor does not document: what it was taken for, how often it came, and the latest RequestId."""

    code: str
    reason: str
    count: int = 0
    request_id: str = ""


class UnknownCodes:
    """Counts undocumented error codes, at most MAX_UNKNOWN_CODES of them. Safe for threads."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._codes: dict[str, UnknownCode] = {}

    def add(self, error: ReadError) -> None:
        """Count the error's code if it is undocumented; the code seen longest ago makes room for a new one."""
        if not error.code or is_documented(error.code):
            return
        with self._lock:
            count = self._codes.pop(error.code, UnknownCode("", "")).count + 1
            self._codes[error.code] = UnknownCode(error.code, error.failure, count, error.request_id)
            if len(self._codes) > MAX_UNKNOWN_CODES:
                del self._codes[next(iter(self._codes))]

    def latest(self) -> list[UnknownCode]:
        """The unknown codes, the one seen last first."""
        with self._lock:
            return list(reversed(self._codes.values()))


def _code(error: object) -> str:
    """The error's Code, else what its CodeN stands for, else the CodeN; empty when its shape is unknown."""
    if isinstance(error, str):
        return safe_name(error) if meaning_of_code(error) else ""
    if not isinstance(error, dict):
        return ""
    for value in (error.get("Code"), error.get("CodeN")):
        name = safe_name(str(value) if type(value) is int else value)
        if name.strip("0"):
            return CODE_OF_NUMBER.get(name, name)
    return ""


def message_of(error: object) -> str:
    """The Message, to be looked at and never shown: it may repeat the request."""
    message = error.get("Message") if isinstance(error, dict) else None
    return message[:MAX_MESSAGE_CHARS] if isinstance(message, str) else ""


def _meaning(code: str, http_status: int, message: str) -> Meaning:
    """The meaning of a code, else of the status. A Message decides only what no code says more exactly."""
    known = meaning_of_code(code)
    meaning = known or meaning_of_status(http_status)
    if meaning is not _REJECTED or (known and not code.lower().startswith("invalidparameter")):
        return meaning
    if not says_gone(message):
        return meaning
    return _NO_APP if _APP.search(message) and not _TASK.search(message) else _NO_TASK


def says_gone(message: str) -> bool:
    """Whether a sentence of the vendor's says that what was asked for does not exist, or is over."""
    return bool(_GONE.search(message)) and not _OF_THE_REQUEST.search(message)


def safe_name(name: object) -> str:
    """A name of the vendor's without what could break a line or a page; empty when it is no text."""
    return re.sub(r"[^A-Za-z0-9._:-]", "", name[:MAX_NAME_CHARS]) if isinstance(name, str) else ""


_MAX_CHAIN = 16
_TUNNEL = re.compile(r"Tunnel connection failed: (\d{3})\b")
NO_CA_FILE = "Could not find a suitable TLS CA certificate bundle"
_TIMEOUTS = (requests.Timeout, urllib3.TimeoutError, TimeoutError)
_CONNECT_TIMEOUTS = (requests.ConnectTimeout, urllib3.ConnectTimeoutError)
_PROXY = (requests.exceptions.ProxyError, urllib3.ProxyError)
_TLS = (requests.exceptions.SSLError, urllib3.SSLError, ssl.SSLError, ssl.CertificateError)
_KINDS: tuple[tuple[tuple[type[BaseException], ...], type[ReadError], str], ...] = (
    ((requests.exceptions.ContentDecodingError, urllib3.DecodeError), NotJson, "the answer cannot be decompressed"),
    ((requests.exceptions.InvalidProxyURL, urllib3.ProxySchemeUnknown), Unreachable, "the proxy's URL cannot be used"),
    ((requests.exceptions.InvalidSchema,), Unreachable, "the proxy's kind is not supported"),
    ((requests.exceptions.InvalidURL, urllib3.LocationValueError), Unreachable, "the endpoint's URL cannot be used"),
    ((socket.gaierror, urllib3.NameResolutionError), Unreachable, "the host name does not resolve"),
    ((http.client.RemoteDisconnected,), Unreachable, "the connection was closed before an answer"),
    ((ConnectionRefusedError,), Unreachable, "connection refused"),
    ((ConnectionError,), Unreachable, "the connection was reset"),
    ((http.client.IncompleteRead,), Unreachable, "the answer stopped half way"),
    ((http.client.HTTPException,), Unreachable, "the answer is no HTTP"),
)
_ERRNOS = {
    errno.EHOSTUNREACH: "no route to the host",
    errno.ENETUNREACH: "the network is unreachable",
    errno.EMFILE: "too many open files in this process",
    errno.ENFILE: "too many open files on this machine",
}
_ADVICE = {
    "the proxy's URL cannot be used": "look at proxy_url, HTTPS_PROXY and HTTP_PROXY; http, https and socks5 will do",
    "the proxy's kind is not supported": "a SOCKS proxy needs the package PySocks: pip install 'requests[socks]'",
}
_SOCKS_ANSWERS = {"SOCKS5AuthError": _STATUSES[407].sentence, "SOCKS5Error": "the proxy refused"}
_OWN_CA = "if the network or a proxy uses a CA of its own, name its certificate in tls_config.ca_file"
_NOT_NOW = "it must be renewed, unless this machine's clock is wrong"
_OTHER_HOST = "the URL must have a host name of the certificate; or does something on the way answer in its place?"
_OF_VERIFY_CODE = {9: _NOT_NOW, 10: _NOT_NOW, 62: _OTHER_HOST, 64: _OTHER_HOST}
"""Advice for the codes of OpenSSL that another CA would not help: not yet valid, expired, host name, IP address."""
_CA_SOURCES = "it is named by tls_config.ca_file, REQUESTS_CA_BUNDLE, CURL_CA_BUNDLE, SSL_CERT_FILE or SSL_CERT_DIR"


def error_of_exception(error: BaseException) -> ReadError:
    """What a failure of requests, urllib3 or the socket below them means; never raises."""
    chain = tuple(_chain(error))
    return _timeout(chain) or _proxy(chain) or _tls(chain) or _known(chain) or Unreachable("the call failed")


def _chain(error: BaseException) -> Iterator[BaseException]:
    """The error and those that it wraps: requests and urllib3 keep them in args, reason and __cause__."""
    waiting, seen = [error], set[int]()
    while waiting and len(seen) < _MAX_CHAIN:
        link = waiting.pop(0)
        if id(link) in seen:
            continue
        seen.add(id(link))
        yield link
        wrapped = [*link.args, getattr(link, "reason", None), getattr(link, "socket_err", None), link.__cause__]
        if isinstance(link, urllib3.NewConnectionError):
            wrapped.append(link.__context__)  # of a SOCKS proxy it is the cause
        waiting += [inner for inner in wrapped if isinstance(inner, BaseException)]


def _timeout(chain: tuple[BaseException, ...]) -> ReadError | None:
    """Urllib3 counts a refused connection among its timeouts; this does not."""
    links = [link for link in chain if isinstance(link, _TIMEOUTS) and not isinstance(link, urllib3.NewConnectionError)]
    if not links:
        return None
    connecting = any(isinstance(link, _CONNECT_TIMEOUTS) for link in links)
    return TimedOut("no connection within the timeout" if connecting else "no whole answer within the timeout")


def _proxy(chain: tuple[BaseException, ...]) -> ReadError | None:
    refusal = next((found for link in chain if (found := _TUNNEL.match(str(link)))), None)
    if refusal:
        status = int(refusal[1])
        unknown = status == HTTPStatus.PROXY_AUTHENTICATION_REQUIRED
        return Unreachable(meaning_of_status(status).sentence if unknown else "the proxy refused", http_status=status)
    socks = [type(link).__name__ for link in chain if type(link).__module__ == "socks"]
    if answer := next((answer for name, answer in _SOCKS_ANSWERS.items() if name in socks), None):
        return Unreachable(answer)
    if not socks and not any(isinstance(link, _PROXY) for link in chain):
        return None
    reason = _tls(chain) or _known(chain)
    if reason is None:
        return Unreachable("the proxy cannot be reached")
    return _advised(Unreachable(f"the proxy cannot be reached: {reason.what}"), reason.advice)


def _tls(chain: tuple[BaseException, ...]) -> ReadError | None:
    for link in chain:
        if isinstance(link, ssl.SSLCertVerificationError):
            reason = link.verify_message[:MAX_NAME_CHARS].rstrip(".")
            advice = _OF_VERIFY_CODE.get(link.verify_code, _OWN_CA)
            return _advised(TlsFailed(f"the certificate is not trusted: {reason}"), advice)
        if isinstance(link, OSError) and str(link).startswith(NO_CA_FILE):
            return _advised(TlsFailed("the CA file cannot be read"), _CA_SOURCES)
    if not any(isinstance(link, _TLS) for link in chain):
        return None
    errors = [link for link in chain if isinstance(link, ssl.SSLError)]
    words = [word for each in errors if (word := getattr(each, "reason", None))]
    flaw = "holds no certificate" if "NO_CERTIFICATE_OR_CRL_FOUND" in words else ""
    if any(isinstance(link, PermissionError) for link in chain):
        flaw = "cannot be read"
    elif not words and any(getattr(each, "library", None) == "X509" for each in errors):
        flaw = "holds a damaged certificate"
    if flaw:
        return _advised(TlsFailed(f"the CA file {flaw}"), _CA_SOURCES)
    return TlsFailed(f"no TLS connection ({safe_name(words[0])})" if words else "no TLS connection")


def _known(chain: tuple[BaseException, ...]) -> ReadError | None:
    """Map the innermost known link: those that wrap it are mostly a plain ConnectionError."""
    for link in reversed(chain):
        if isinstance(link, OSError) and (sentence := _ERRNOS.get(link.errno or 0)):
            return Unreachable(sentence)
        for types, kind, sentence in _KINDS:
            if isinstance(link, types):
                return _advised(kind(sentence), _ADVICE.get(sentence, ""))
    return None


def _advised(error: ReadError, advice: str) -> ReadError:
    error.advice = advice
    return error
