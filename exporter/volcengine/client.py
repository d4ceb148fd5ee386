"""Client of the one call that this exporter makes: GetWebCastTask, signed and rate limited."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from time import monotonic, time

import requests
import structlog
from requests import PreparedRequest
from requests.adapters import BaseAdapter
from requests.structures import CaseInsensitiveDict
from urllib3.exceptions import HTTPError

from exporter import __version__
from exporter.errors import (
    BadSchema,
    CredentialsRefused,
    NotFound,
    ReadError,
    Throttled,
    Unreachable,
    WebcastExporterError,
)
from exporter.model.credentials import Credentials
from exporter.model.read_result import ReadResult
from exporter.model.target import TargetId
from exporter.model.task import Task
from exporter.volcengine.error_mapping import UnknownCode, UnknownCodes, error_of_exception, is_documented, unix_time
from exporter.volcengine.rate_limiter import Interrupted, Permit, RateLimiter
from exporter.volcengine.replies import Answer, parse_answer, receive
from exporter.volcengine.signing import RequestSigner, base_url, canonical_query, signed_host
from exporter.volcengine.transport import (
    StaleConnection,
    Transport,
    new_session,
    proxies_for,
    trusted_authorities,
)

log = structlog.stdlib.get_logger(__name__)

ACTION = "GetWebCastTask"
CONNECTIONS = 64
MAX_LOGGED_CODES = 100
DEFAULT_ADVICE = "if it stays, ask the vendor's support and give the request_id"
FIXED_HEADERS = CaseInsensitiveDict({"Accept": "application/json", "User-Agent": f"webcast-exporter/{__version__}"})
NETWORK_ERRORS = (requests.RequestException, HTTPError, OSError, ValueError)
STOPPING = "the exporter stops; no call was made"

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

    `credentials` is called for each attempt. The first error of each code is logged with `account`, its name, unless
    that is empty. `clock` gives Unix seconds, `stopwatch` monotonic ones. At most `connections` stay open. `adapter`
    replaces the network.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        credentials: Callable[[], Credentials],
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
        self._signer = RequestSigner(signed_host(endpoint.url), endpoint.region, self._fresh_credentials, clock)
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
        response = self._session.send(self._request(target), timeout=timeout, stream=True, allow_redirects=False)
        return receive(response, lambda: self._stopwatch() > deadline)

    def _request(self, target: TargetId) -> PreparedRequest:
        """Make the signed request. Its URL is canonical already, so requests need not prepare it.

        Parameters: seed page. Both API versions take the same ones (volcengine.com/docs/6348/1188209).
        """
        ids = {"AppId": target.app_id, "RoomId": target.room_id, "TaskId": target.task_id}
        query = canonical_query({"Action": ACTION, "Version": self._endpoint.api_version, **ids})
        request = PreparedRequest()
        request.method, request.url, request.headers = "GET", self._base_url + query, FIXED_HEADERS.copy()
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

    def _fresh_credentials(self) -> Credentials:
        try:
            return self._credentials()
        except WebcastExporterError as error:
            raise CredentialsRefused(f"the credentials cannot be had: {error}") from None

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
