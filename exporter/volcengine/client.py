"""Client of the one call that this exporter makes, GetWebCastTask, and the HTTP sessions of it and of http_sd.

A client signs, keeps the budget and returns a ReadResult whatever happens. Its transport adds to requests a deadline
for the whole answer, a limit to how long an idle connection is reused, and a `close` that ends calls in flight.
"""

import http.client
import io
import ipaddress
import os
import re
import socket
import threading
from collections.abc import Callable, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from time import monotonic, time
from typing import Any, cast
from urllib.parse import SplitResult, urlsplit
from urllib.request import getproxies_environment
from weakref import WeakSet

import requests
import structlog
from requests import PreparedRequest, Response
from requests.adapters import BaseAdapter, HTTPAdapter
from requests.cookies import RequestsCookieJar
from requests.structures import CaseInsensitiveDict
from urllib3 import PoolManager, Timeout
from urllib3.connection import HTTPConnection
from urllib3.connectionpool import HTTPConnectionPool
from urllib3.exceptions import ClosedPoolError, HTTPError
from urllib3.response import HTTPResponse

from exporter import __version__
from exporter.config.credentials import CredentialSource
from exporter.config.fields import environment_proxy, is_loopback
from exporter.errors import (
    BadSchema,
    ConfigError,
    NotFound,
    Problem,
    ReadError,
    Throttled,
    Unreachable,
)
from exporter.model.credentials import Credentials
from exporter.model.target import TargetId
from exporter.model.task import ReadResult, Task
from exporter.volcengine.error_mapping import NO_CA_FILE, UnknownCode, UnknownCodes, error_of_exception, is_documented
from exporter.volcengine.rate_limiter import Interrupted, Permit, RateLimiter
from exporter.volcengine.replies import MAX_BODY, Answer, parse_answer, receive, unix_time
from exporter.volcengine.signing import RequestSigner, base_url, canonical_query, signed_host

log = structlog.stdlib.get_logger(__name__)

ACTION = "GetWebCastTask"
CONNECTIONS = 64
MAX_LOGGED_CODES = 100
DEFAULT_ADVICE = "if it stays, ask the vendor's support and give the request_id"
FIXED_HEADERS = {"Accept": "application/json", "User-Agent": f"webcast-exporter/{__version__}"}
NETWORK_ERRORS = (requests.RequestException, HTTPError, OSError, ValueError)
STOPPING = "the exporter stops; no call was made"

DEFAULT_PORTS = {"http": 80, "https": 443}

_time_of_date = lru_cache(maxsize=64)(unix_time)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where and how one account calls; `timeout` in seconds for the whole answer.

    `ca_file` replaces the bundled authorities and those of the environment. Without `proxy_url` the environment
    decides (see `proxies_for`).
    """

    url: str = "https://rtc.volcengineapi.com"
    region: str = "cn-north-1"
    api_version: str = "2020-12-01"
    timeout: float = 5.0
    proxy_url: str | None = field(default=None, repr=False)
    ca_file: str | None = None


@dataclass(frozen=True, slots=True)
class _Attempt:
    """Outcome of a read, the Date header of its answer (empty without one), and how many calls it took."""

    outcome: Task | ReadError
    unexpected: tuple[str, ...] = ()
    date: str = ""
    calls: int = 1


class Client:
    """Reads targets for one account. Safe for threads.

    Each attempt is signed with the `credentials` in force. The first error of each code is logged with `account`, its
    name, unless that is empty. `clock` gives Unix seconds, `stopwatch` monotonic ones. At most `connections` stay
    open. `adapter` replaces the network.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        credentials: CredentialSource,
        rate_limiter: RateLimiter,
        *,
        account: str = "",
        clock: Callable[[], float] = time,
        stopwatch: Callable[[], float] = monotonic,
        connections: int = CONNECTIONS,
        adapter: BaseAdapter | None = None,
    ) -> None:
        self._endpoint = endpoint
        self._credentials = credentials
        self._rate_limiter = rate_limiter
        self._account = account
        self._logged_codes: set[str] = set()
        self._clock = clock
        self._stopwatch = stopwatch
        self._closed = False
        self._permit = threading.local()
        self._unknown_codes = UnknownCodes()
        self._session = new_session(adapter or Transport(connections, self._confirm_send))
        self._signer = RequestSigner(signed_host(endpoint.url), endpoint.region, self._current_credentials, clock)
        self._base_url = base_url(endpoint.url)
        self._session.verify = trusted_authorities(endpoint.ca_file)
        self._session.proxies = proxies_for(endpoint.url, endpoint.proxy_url)

    def read(self, target: TargetId, permit: Permit | None = None) -> ReadResult:
        """Make one call with a permit of the rate limiter (without one it waits for one) and return its result.

        Raises nothing for what the network, the API or the credentials do. A closed client and an interrupted rate
        limiter give an Unreachable without a call.
        """
        try:
            self._refuse_if_closed()
            permit = permit or self._rate_limiter.acquire()
        except (Unreachable, Interrupted):
            return self._result(target, _Attempt(Unreachable(STOPPING)), 0.0, elapsed=0.0)
        began = self._stopwatch()
        attempt = self._attempt(target, permit)
        elapsed = self._stopwatch() - began
        if isinstance(attempt.outcome, ReadError) and attempt.outcome.code:
            self._unknown_codes.add(attempt.outcome)
            self._log_first(attempt.outcome)
        if isinstance(attempt.outcome, Throttled):
            self._rate_limiter.throttled(attempt.outcome.retry_after)
        return self._result(target, attempt, permit.waited, elapsed)

    def unknown_codes(self) -> list[UnknownCode]:
        """The undocumented error codes that came, the latest first."""
        return self._unknown_codes.latest()

    def close(self) -> None:
        """Make no further call, and end those in flight with an error; waits for none of them."""
        self._closed = True
        self._session.close()

    def _attempt(self, target: TargetId, permit: Permit) -> _Attempt:
        date, calls = "", 1
        try:
            try:
                answer = self._call(target, permit)
            except StaleConnection:
                permit, calls = self._rate_limiter.acquire(), 2
                answer = self._call(target, permit)
            date = answer.date
            reply = parse_answer(answer, self._clock())
        except ReadError as error:
            return _Attempt(error, error.unexpected if isinstance(error, BadSchema) else (), date, calls)
        except NETWORK_ERRORS as error:
            return _Attempt(error_of_exception(error), calls=calls)
        except Interrupted:
            return _Attempt(Unreachable(STOPPING), calls=calls)
        return _Attempt(reply.task, reply.unexpected, date, calls)

    def _call(self, target: TargetId, permit: Permit) -> Answer:
        """Sign and send one request, and receive its answer."""
        self._refuse_if_closed()
        self._permit.current = permit
        timeout = self._endpoint.timeout
        deadline = self._stopwatch() + timeout
        response = self._session.send(
            self._request(target),
            timeout=timeout,
            stream=True,
            allow_redirects=False,
            proxies=self._session.proxies,  # requests would look them up anew
        )
        return receive(response, lambda: self._stopwatch() > deadline)

    def _request(self, target: TargetId) -> PreparedRequest:
        """Make the signed request. Its URL is canonical already, so requests need not prepare it.

        Parameters: API page. Both API versions take the same ones (volcengine.com/docs/6348/1188209).
        """
        ids = {"AppId": target.app_id, "RoomId": target.room_id, "TaskId": target.task_id}
        query = canonical_query({"Action": ACTION, "Version": self._endpoint.api_version, **ids})
        request = PreparedRequest()
        request.method, request.url = "GET", self._base_url + query
        # A plain dict: nothing here looks for a header in another case, and requests' own takes as long as the signing.
        request.headers = cast("CaseInsensitiveDict[str]", FIXED_HEADERS.copy())
        return self._signer(request)

    def _log_first(self, error: ReadError) -> None:
        """Log the first error of each code, with what a person can do; a documented "not found" is no error."""
        documented = is_documented(error.code)
        if not self._account or (documented and isinstance(error, NotFound)):
            return
        if error.code in self._logged_codes or len(self._logged_codes) >= MAX_LOGGED_CODES:
            return
        self._logged_codes.add(error.code)
        log.warning(
            "first api error of its code",
            account=self._account,
            code=error.code,
            reason=error.failure.value,
            documented=documented,
            error=error.sentence,
            advice=error.advice or DEFAULT_ADVICE,
        )

    def _current_credentials(self) -> Credentials:
        return self._credentials.in_force

    def _refuse_if_closed(self) -> None:
        if self._closed:
            raise Unreachable(STOPPING)

    def _confirm_send(self) -> None:
        """Called by the transport when this thread's request is written next, its connection made."""
        self._refuse_if_closed()
        self._rate_limiter.confirm_send(self._permit.current)

    def _result(self, target: TargetId, attempt: _Attempt, waited: float, elapsed: float) -> ReadResult:
        at = self._clock()
        server_time = _time_of_date(attempt.date)
        return ReadResult(
            target,
            at=at,
            server_time=at if server_time is None else server_time,
            elapsed=elapsed,
            outcome=attempt.outcome,
            waited=waited,
            skew=None if server_time is None else server_time - at,
            unexpected=attempt.unexpected,
            calls=attempt.calls,
        )


MAX_POOLS = 4
"""Servers whose connections one transport keeps."""
MAX_IDLE = 2.0
"""Seconds without a request after which a connection is not reused: a NAT on the way may have forgotten it."""
CA_VARIABLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR")
"""Environment variables of requests, curl and OpenSSL that name trusted authorities; the first one set counts."""


SUSPECT_IDLE = 0.5
"""Seconds of idle time after which silence on a reused connection is taken for a NAT that drops its packets."""


class StaleConnection(requests.ConnectionError):
    """A reused connection failed before any byte of the answer; the call may be repeated on a fresh one."""


class _Session(requests.Session):
    """A session that does not look at redirects: requests would read their whole bodies, however large."""

    def get_redirect_target(self, resp: Response) -> str | None:  # noqa: ARG002 - requests calls it so
        return None


class _NoCookies(RequestsCookieJar):
    """Keeps no cookie, and does not look for one in an answer."""

    def extract_cookies(self, response: Any, request: Any) -> None:
        """Do nothing."""


def new_session(adapter: BaseAdapter) -> requests.Session:
    """A session that sends with `adapter`, follows no redirects, keeps no cookies and ignores the environment."""
    session = _Session()
    session.trust_env = False  # netrc would replace the signature
    session.cookies = _NoCookies()
    session.headers.clear()
    session.adapters.clear()
    session.mount("https://", adapter)
    session.mount("http://", adapter)
    return session


def proxies_for(url: str, proxy_url: str | None) -> dict[str, str]:
    """The proxy for a URL, keyed by its scheme as requests wants it.

    Without `proxy_url` the environment's HTTPS_PROXY, HTTP_PROXY, ALL_PROXY and NO_PROXY decide, but never for a
    loopback host; an empty one means no proxy. ConfigError when the environment's cannot be used.
    """
    parts = urlsplit(url)
    if proxy_url is not None:
        return {parts.scheme: proxy_url} if proxy_url else {}
    found = getproxies_environment()
    if is_loopback(parts.hostname or "") or _is_in_no_proxy(parts, found.get("no", "")):
        return {}
    for name in (parts.scheme, "all"):
        if found.get(name):
            try:
                return {parts.scheme: environment_proxy(found[name])}
            except ValueError as error:
                raise ConfigError([Problem(f"${name.upper()}_PROXY", str(error))]) from None
    return {}


def trusted_authorities(ca_file: str | None) -> str | bool:
    """The `verify` of requests: the CA file, else the environment's, else True for the bundled authorities."""
    return ca_file or next((path for name in CA_VARIABLES if (path := os.environ.get(name))), True)


def _is_in_no_proxy(url: SplitResult, no_proxy: str) -> bool:
    """Whether NO_PROXY names the URL's host, in a form of requests, curl or Go: each of them knows others."""
    return any(_names_host(entry, url) for entry in no_proxy.lower().replace(",", " ").split())


def _names_host(entry: str, url: SplitResult) -> bool:
    host = (url.hostname or "").rstrip(".")
    name, colon, digits = entry.rpartition(":")
    if not colon or not digits.isdecimal() or (":" in name and not name.endswith("]")):
        name = entry
    elif int(digits) != (url.port or DEFAULT_PORTS.get(url.scheme)):
        return False
    name = name.replace("[", "").replace("]", "").removeprefix("*").strip(".")
    try:
        return ipaddress.ip_address(host) in ipaddress.ip_network(name, strict=False)
    except ValueError:  # at least one of them is a name
        return not name or host == name or host.endswith(f".{name}")


class _Call(threading.local):
    """What is known of the call that a thread makes at this moment."""

    deadline = 0.0
    fresh = False
    """Whether no connection may be reused."""
    idle: float | None = None
    """Seconds for which the connection was idle; None for a new one."""
    answered = False


class Transport(HTTPAdapter):
    """Sends without retries over at most `connections` kept connections.

    `timeout` in seconds bounds connection and answer together; it bounds neither name resolution nor several addresses
    tried in turn. `before_send` is called by the calling thread just before a request is written, its connection made.
    """

    def __init__(self, connections: int, before_send: Callable[[], None]) -> None:
        self._call = _Call()
        self._sockets = _OpenSockets()
        self._connection_members = {
            "call": self._call,
            "sockets": self._sockets,
            "before_send": staticmethod(before_send),
            "response_class": type("BoundedAnswer", (_BoundedAnswer,), {"call": self._call}),
        }
        self._pools: dict[tuple[str, ...], _BoundedPool] = {}
        super().__init__(pool_connections=MAX_POOLS, pool_maxsize=connections, max_retries=0, pool_block=False)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        """Make the pool manager, with bounded connections."""
        super().init_poolmanager(*args, **kwargs)
        self._bound(self.poolmanager)

    def proxy_manager_for(self, proxy: str, **proxy_kwargs: Any) -> Any:
        """Return the pool manager of a proxy, with bounded connections."""
        is_new = proxy not in self.proxy_manager
        manager = super().proxy_manager_for(proxy, **proxy_kwargs)
        if is_new:
            self._bound(manager)
        return manager

    def get_connection_with_tls_context(self, request: PreparedRequest, *args: Any, **kwargs: Any) -> "_BoundedPool":
        """Return the connection pool for a URL; requests looks it up at each call, which costs a tenth of the call."""
        key = (*str(request.url).split("/", 3)[:3], repr(args), repr(kwargs))
        pool = self._pools.get(key)  # looked up once: another thread may clear the pools
        if pool is None:
            if len(self._pools) >= MAX_POOLS:
                self._pools.clear()  # the pool manager closes the one used longest ago
            found = super().get_connection_with_tls_context(request, *args, **kwargs)
            pool = self._pools[key] = cast("_BoundedPool", found)
        return pool

    def cert_verify(self, conn: Any, url: str, verify: bool | str, cert: Any) -> None:  # noqa: FBT001 - requests passes it by position
        """Refuse authorities that are a pipe or a device: OpenSSL would read them for ever, whatever the timeout."""
        if isinstance(verify, str) and not (Path(verify).is_file() or Path(verify).is_dir()):
            raise OSError(NO_CA_FILE)
        super().cert_verify(conn, url, verify, cert)  # type: ignore[no-untyped-call]  # types-requests leaves it out

    def request_url(self, request: PreparedRequest, proxies: Mapping[str, str] | None) -> str:
        """Return the URL to send; requests looks for a proxy in an empty mapping at length."""
        return super().request_url(request, proxies) if proxies else request.path_url

    def build_response(self, req: PreparedRequest, resp: Any) -> Response:
        """Build the response without its cookies and guessed encoding, which nothing here uses."""
        response = Response()
        response.request, response.raw = req, resp
        response.status_code, response.headers = resp.status, resp.headers  # they are found in any case as they are
        return response

    def send(self, request: PreparedRequest, *args: Any, **kwargs: Any) -> Response:
        """Send a request. Raises StaleConnection when the thread's next call should be a repetition of this one."""
        call, seconds = self._call, kwargs["timeout"]
        call.idle, call.answered = None, False
        call.deadline = monotonic() + seconds
        try:
            response = self._send_on_kept(request, **kwargs)
            if response is None:
                kwargs["timeout"] = Timeout(total=seconds)
                response = super().send(request, *args, **kwargs)
        except (requests.ConnectionError, requests.ReadTimeout) as error:
            call.fresh = self._is_stale(error)
            if call.fresh:
                raise StaleConnection(error) from error
            raise
        call.fresh = False
        return response

    def close(self) -> None:
        """Close idle connections and shut down those in use, so that their calls end with an error; waits for none."""
        super().close()
        self._sockets.shut_down()

    def _send_on_kept(
        self, request: PreparedRequest, *, verify: bool | str, cert: Any, proxies: Mapping[str, str] | None, **_: Any
    ) -> Response | None:
        """Send over a kept connection, without all that urllib3 does for a new one; None when there is none to use.

        It takes a third of the CPU time. Calls through a proxy and requests with a body go urllib3's way.
        """
        if proxies or request.body is not None or self._call.fresh:
            return None
        pool = self.get_connection_with_tls_context(request, verify, proxies=proxies, cert=cert)
        try:
            answer, body = pool.exchange_on_kept(request) or (None, b"")
        except TimeoutError as error:
            raise requests.ReadTimeout(error) from error
        except (OSError, http.client.HTTPException) as error:
            raise requests.ConnectionError(error) from error
        if answer is None:
            return None
        response = self.build_response(request, answer)
        response.raw = io.BytesIO(body)
        if "Content-Encoding" in answer.headers:
            response.raw = HTTPResponse(response.raw, dict(answer.headers.items()), preload_content=False)
        return response

    def _is_stale(self, error: requests.RequestException) -> bool:
        """Whether the call failed because the network had forgotten its connection."""
        idle = self._call.idle
        if idle is None or self._call.answered:
            return False
        if not isinstance(error, requests.Timeout):
            return True
        if idle >= SUSPECT_IDLE:  # each such discovery costs a whole timeout, so that it is made once
            self._sockets.max_idle = min(self._sockets.max_idle, idle / 2)
        return idle >= SUSPECT_IDLE

    def _bound(self, manager: PoolManager) -> None:
        """Have a pool manager use bounded connections; a SOCKS manager has classes of its own."""
        pools: dict[str, Any] = dict(manager.pool_classes_by_scheme)
        for scheme, pool in pools.items():
            bases = (_BoundedConnection, pool.ConnectionCls)
            connection = type("BoundedConnection", bases, self._connection_members)
            bounded = type("BoundedPool", (_BoundedPool, pool), {"ConnectionCls": connection})
            manager.pool_classes_by_scheme = {**manager.pool_classes_by_scheme, scheme: bounded}


class _BoundedPool(HTTPConnectionPool):
    """A pool of bounded connections."""

    def exchange_on_kept(self, request: PreparedRequest) -> tuple[http.client.HTTPResponse, bytes] | None:
        """Send a request over a kept connection and read its answer; None when no connection is kept."""
        try:
            connection: Any = self._get_conn()
        except ClosedPoolError:
            return None
        try:
            return None if connection.sock is None else connection.exchange(request)
        except BaseException:
            connection.close()
            raise
        finally:
            self._put_conn(connection)


MAX_LINE = 65536
MAX_HEADERS = 100
"""The limits of http.client."""
CONTINUE = 100
INTERIM = {*range(100, 200)} - {101}
"""Statuses before that of the answer, asked for or not; 101 ends HTTP."""
WITHOUT_BODY = (204, 304)
_STATUS_LINE = re.compile(rb"HTTP/1\.([0-9])\s+([1-9][0-9]{2})(?:\s.*)?", re.DOTALL)


class _OpenSockets:
    """The connected sockets of one transport, and how long they may be idle."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._sockets: WeakSet[socket.socket] = WeakSet()
        self.max_idle = MAX_IDLE

    def add(self, sock: socket.socket) -> None:
        with self._lock:
            self._sockets.add(sock)

    def shut_down(self) -> None:
        with self._lock:
            sockets = list(self._sockets)
        for sock in sockets:
            with suppress(OSError):
                socket.socket.shutdown(sock, socket.SHUT_RDWR)  # not SSLSocket's, which takes the TLS state away


class _BoundedAnswer(http.client.HTTPResponse):
    """An answer whose reads, of headers too, share the deadline of its call."""

    call: _Call

    def __init__(self, sock: socket.socket, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        self.fp = io.BufferedReader(_UntilDeadline(self.fp.detach(), sock, self.call))

    def begin(self) -> None:
        """Read the status line and the headers, without the email package: it is slow, and stops at odd lines."""
        self.status = CONTINUE
        while self.status in INTERIM:
            line = self.fp.readline(MAX_LINE)
            if not line:
                raise http.client.RemoteDisconnected("closed without an answer")
            found = _STATUS_LINE.fullmatch(line)
            if found is None:
                raise http.client.BadStatusLine(repr(line))
            minor, self.status = found[1], int(found[2])
            self.headers = self.msg = self._read_headers()
        self.code, self.reason, self.version = self.status, "", 10 if minor == b"0" else 11
        connection = self.headers.get("Connection", "").lower()
        lengths = {*", ".join(self.headers.get_all("Content-Length", [])).split(", ")}
        if len(lengths) > 1:
            raise http.client.HTTPException("several lengths")
        length = lengths.pop()
        self.chunked = self.headers.get("Transfer-Encoding", "").lower() == "chunked"
        self.chunk_left = None
        self.length = int(length) if length.isdecimal() and not self.chunked else None
        if self.status in WITHOUT_BODY:
            self.length = 0
        stays = "close" not in connection if self.version == 11 else "keep-alive" in connection  # noqa: PLR2004 - 11 is HTTP/1.1
        self.will_close = not (stays and (self.chunked or self.length is not None))

    def _read_headers(self) -> http.client.HTTPMessage:
        headers = http.client.HTTPMessage()
        for _ in range(MAX_HEADERS):
            line = self.fp.readline(MAX_LINE).decode("latin-1")
            if line in ("\r\n", "\n"):
                return headers
            if len(line) == MAX_LINE:
                raise http.client.LineTooLong("header line")
            if not line.endswith("\n"):
                raise http.client.IncompleteRead(b"")
            name, _, value = line.partition(":")
            headers[name] = value.strip()
        raise http.client.HTTPException("too many headers")


class _BoundedConnection(HTTPConnection):
    """A connection whose socket can be shut down, that ages, and whose answers have a deadline."""

    call: _Call
    sockets: _OpenSockets
    before_send: Callable[[], None]
    response_class: type[_BoundedAnswer]
    used_at = 0.0
    putheader = http.client.HTTPConnection.putheader  # urllib3's looks for a mark that no header here has

    @property
    def is_connected(self) -> bool:
        fresh = not self.call.fresh and monotonic() - self.used_at < self.sockets.max_idle
        return fresh and super().is_connected

    def _new_conn(self) -> socket.socket:
        sock = super()._new_conn()
        self.sockets.add(sock)  # before the TLS handshake and the proxy's answer, which can hang
        return sock

    def connect(self) -> None:
        super().connect()
        self.sockets.add(getattr(self.sock, "socket", self.sock))  # TLS within that of a proxy is no socket itself
        self.used_at = 0.0

    def request(self, *args: Any, **kwargs: Any) -> None:
        if self.sock is None:
            self.connect()
        self._confirm_send()
        super().request(*args, **kwargs)

    def exchange(self, request: PreparedRequest) -> tuple[http.client.HTTPResponse, bytes]:
        """Send a bodiless request and read its answer, of a large one the first MAX_BODY + 1 bytes."""
        self._confirm_send()
        self.sock.settimeout(max(0.001, self.call.deadline - monotonic()))
        self.send(head(request))
        with closing(self.response_class(self.sock, method=request.method)) as answer:
            answer.begin()
            body = answer.read(MAX_BODY + 1)
        too_large = len(body) > MAX_BODY
        if answer.length and not too_large:
            raise http.client.IncompleteRead(body, answer.length)
        if answer.will_close or too_large:
            self.close()
        return answer, body

    def _confirm_send(self) -> None:
        self.call.idle = monotonic() - self.used_at if self.used_at else None
        self.before_send()
        self.used_at = monotonic()


def head(request: PreparedRequest) -> bytes:
    """The request line and the headers of a bodiless request, as urllib3 would write them."""
    path = str(request.url).split("/", 3)[3]
    lines = [f"{request.method} /{path} HTTP/1.1"]
    if "Accept-Encoding" not in request.headers:
        lines.append("Accept-Encoding: identity")
    lines += [f"{name}: {value}" for name, value in request.headers.items()]
    text = "\r\n".join(lines)
    if len(text.splitlines()) != len(lines):
        raise ValueError("a header holds a line break")
    return f"{text}\r\n\r\n".encode("latin-1")


class _UntilDeadline(io.RawIOBase):
    """A socket's stream whose reads get what is left of the call's time."""

    def __init__(self, stream: io.RawIOBase, sock: socket.socket, call: _Call) -> None:
        self._stream = stream
        self._sock = sock
        self._call = call
        self._deadline = call.deadline

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        left = self._deadline - monotonic()
        if left <= 0:
            raise TimeoutError
        self._sock.settimeout(left)
        count = self._stream.readinto(buffer)
        if count:
            self._call.answered = True
        return count

    def close(self) -> None:
        self._stream.close()
        super().close()
