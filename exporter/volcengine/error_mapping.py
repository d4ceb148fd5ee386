"""Whatever went wrong with a call, as one error of the tree in exporter/errors.py.

The sentences are ours: what the libraries say of an error holds the URL, and a proxy's password with it.
"""

import errno
import http.client
import re
import socket
import ssl
from collections.abc import Iterator, Mapping
from email.utils import parsedate_to_datetime
from http import HTTPStatus

import requests
from urllib3 import exceptions as urllib3

from exporter.errors import NotJson, ReadError, Throttled, TimedOut, TlsFailed, Unreachable
from exporter.volcengine.codes import CODE_OF_NUMBER, of_code, of_status

SUCCESS = range(200, 300)
LONGEST_NAME = 128
_UNSAFE = re.compile(r"[^A-Za-z0-9._:-]")
_TUNNEL = re.compile(r"Tunnel connection failed: (\d{3})\b")
_NO_CA_FILE = "Could not find a suitable TLS CA certificate bundle"
_LONGEST_CHAIN = 16

_TIMEOUTS = (requests.Timeout, urllib3.TimeoutError, TimeoutError)
_CONNECT_TIMEOUTS = (requests.ConnectTimeout, urllib3.ConnectTimeoutError)
_PROXY = (requests.exceptions.ProxyError, urllib3.ProxyError)
_TLS = (requests.exceptions.SSLError, urllib3.SSLError, ssl.SSLError, ssl.CertificateError)
_KINDS: tuple[tuple[tuple[type[BaseException], ...], type[ReadError], str], ...] = (
    ((requests.exceptions.ContentDecodingError, urllib3.DecodeError), NotJson, "the answer cannot be decompressed"),
    ((requests.exceptions.InvalidProxyURL, urllib3.ProxySchemeUnknown), Unreachable, "the proxy's URL cannot be used"),
    ((requests.exceptions.InvalidURL, urllib3.LocationValueError), Unreachable, "the endpoint's URL cannot be used"),
    ((socket.gaierror, urllib3.NameResolutionError), Unreachable, "the host name does not resolve"),
    ((http.client.RemoteDisconnected,), Unreachable, "the connection was closed before an answer"),
    ((ConnectionRefusedError,), Unreachable, "connection refused"),
    ((ConnectionError,), Unreachable, "the connection was reset"),
    ((http.client.IncompleteRead,), Unreachable, "the answer stopped half way"),
    ((http.client.HTTPException,), Unreachable, "the answer is no HTTP"),
)
_NUMBERS = {
    errno.EHOSTUNREACH: "no route to the host",
    errno.ENETUNREACH: "the network is unreachable",
    errno.EMFILE: "too many open files in this process",
    errno.ENFILE: "too many open files on this machine",
}


def of_exception(error: BaseException) -> ReadError:
    """What a failure of requests, urllib3 or the socket below them means; never raises."""
    chain = tuple(_chain(error))
    return _timeout(chain) or _proxy(chain) or _tls(chain) or _known(chain) or Unreachable("the call failed")


def of_answer(http_status: int, retry_after: str | None, document: object, now: float) -> ReadError | None:
    """The error that an answer tells, None when it tells none.

    `document` is the decoded body (None without one), `retry_after` that header and `now` Unix seconds. An error in
    the envelope counts on HTTP 200 too (volcengine.com/docs/6348/1178322).
    """
    told = _metadata(document).get("Error")
    if not told and http_status in SUCCESS:
        return None
    code = _code(told)
    meaning = of_code(code) or of_status(http_status)
    error = meaning.kind(meaning.sentence, code=code, request_id=request_id(document), http_status=http_status)
    error.advice = meaning.advice or error.advice
    if isinstance(error, Throttled):
        error.retry_after = seconds_until(retry_after, now)
    return error


def request_id(document: object) -> str:
    """The vendor's name for the call, safe to show; empty without one."""
    return _safe(_metadata(document).get("RequestId"))


def seconds_until(retry_after: str | None, now: float) -> float | None:
    """`Retry-After` in either form, seconds or an HTTP date; None when it is absent, past or neither."""
    text = (retry_after or "").strip()[:LONGEST_NAME]
    if re.fullmatch(r"[0-9]+(\.[0-9]+)?", text):
        return float(text)
    moment = unix_time(text)
    return moment - now if moment is not None and moment >= now else None


def unix_time(http_date: str) -> float | None:
    """An HTTP date (RFC 9110, section 5.6.7) as Unix seconds; None when it is none."""
    try:
        moment = parsedate_to_datetime(http_date)
        return moment.timestamp() if moment.tzinfo else None
    except (ValueError, OverflowError):
        return None


def _metadata(document: object) -> Mapping[str, object]:
    metadata = document.get("ResponseMetadata") if isinstance(document, dict) else None
    return metadata if isinstance(metadata, dict) else {}


def _code(told: object) -> str:
    """The error's Code, else the one that its CodeN stands for; empty when the error is of an unknown shape."""
    if isinstance(told, str):
        return _safe(told) if of_code(told) else ""
    if not isinstance(told, dict):
        return ""
    number = told.get("CodeN")
    return _safe(told.get("Code")) or (CODE_OF_NUMBER.get(number, "") if isinstance(number, int) else "")


def _safe(name: object) -> str:
    return _UNSAFE.sub("", name[:LONGEST_NAME]) if isinstance(name, str) else ""


def _chain(error: BaseException) -> Iterator[BaseException]:
    """The error and those that it wraps: requests and urllib3 keep them in args, reason and __cause__."""
    waiting, seen = [error], set[int]()
    while waiting and len(seen) < _LONGEST_CHAIN:
        link = waiting.pop(0)
        if id(link) in seen:
            continue
        seen.add(id(link))
        yield link
        wrapped = (*link.args, getattr(link, "reason", None), link.__cause__)
        waiting += [inner for inner in wrapped if isinstance(inner, BaseException)]


def _timeout(chain: tuple[BaseException, ...]) -> ReadError | None:
    """urllib3 counts a refused connection among its timeouts; we do not."""
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
        return Unreachable(of_status(status).sentence if unknown else "the proxy refused", http_status=status)
    if not any(isinstance(link, _PROXY) for link in chain):
        return None
    reason = _known(chain)
    return Unreachable(f"the proxy cannot be reached: {reason.what}" if reason else "the proxy cannot be reached")


def _tls(chain: tuple[BaseException, ...]) -> ReadError | None:
    for link in chain:
        if isinstance(link, ssl.SSLCertVerificationError):
            return TlsFailed(f"the certificate is not trusted: {link.verify_message[:LONGEST_NAME]}")
        if isinstance(link, OSError) and str(link).startswith(_NO_CA_FILE):
            return TlsFailed("the CA file cannot be read")
    if not any(isinstance(link, _TLS) for link in chain):
        return None
    words = [link.reason for link in chain if isinstance(link, ssl.SSLError) and link.reason]
    return TlsFailed(f"no TLS connection ({_safe(words[0])})" if words else "no TLS connection")


def _known(chain: tuple[BaseException, ...]) -> ReadError | None:
    """The innermost link says most: what wraps it is mostly a plain ConnectionError."""
    for link in reversed(chain):
        if isinstance(link, OSError) and (sentence := _NUMBERS.get(link.errno or 0)):
            return Unreachable(sentence)
        for types, kind, sentence in _KINDS:
            if isinstance(link, types):
                return kind(sentence)
    return None
