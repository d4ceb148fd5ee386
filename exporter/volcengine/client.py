"""The one call that this exporter makes: GetWebCastTask, signed, paced, and never repeated here."""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from time import monotonic, time

import requests
from requests.adapters import BaseAdapter
from urllib3.exceptions import HTTPError

from exporter.errors import BadSchema, CredentialsRefused, ReadError, Throttled, Unreachable, WebcastExporterError
from exporter.model.credentials import Credentials
from exporter.model.read_result import ReadResult
from exporter.model.target import TargetId
from exporter.model.task import Task
from exporter.volcengine.answer import Answer, receive, understand
from exporter.volcengine.endpoint import Endpoint, Requests
from exporter.volcengine.error_mapping import of_exception, unix_time
from exporter.volcengine.rate_limiter import Interrupted, Permit, RateLimiter
from exporter.volcengine.transport import Transport

CONNECTIONS = 64
NETWORK_ERRORS = (requests.RequestException, HTTPError, OSError, ValueError)
STOPPING = "the exporter stops; no call was made"

_time_of_date = lru_cache(maxsize=64)(unix_time)


@dataclass(frozen=True, slots=True)
class _Attempt:
    """What came of one call, and the vendor's Date header when it came to an answer."""

    outcome: Task | ReadError
    unexpected: tuple[str, ...] = ()
    date: str = ""


class Client:
    """Reads targets for one account; any thread may call it.

    `credentials` is asked at each attempt. `clock` gives Unix seconds, `stopwatch` monotonic ones. `connections` are
    kept open at most. `adapter` takes the place of the network.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        credentials: Callable[[], Credentials],
        rate_limiter: RateLimiter,
        *,
        clock: Callable[[], float] = time,
        stopwatch: Callable[[], float] = monotonic,
        connections: int = CONNECTIONS,
        adapter: BaseAdapter | None = None,
    ) -> None:
        self._endpoint = endpoint
        self._credentials = credentials
        self._pacer = rate_limiter
        self._clock = clock
        self._stopwatch = stopwatch
        self._requests = Requests(endpoint)
        self._proxies = endpoint.proxies
        self._adapter = adapter or Transport(connections, self._leaves)
        self._closed = False
        self._call = threading.local()

    def read(self, target: TargetId, permit: Permit | float | None = None) -> ReadResult:
        """Make one call with a permit of the rate limiter (without one it waits for one) and return its result.

        Raises nothing for what the network, the API or the credentials do. A closed client and an interrupted pacer
        give an Unreachable without a call.
        """
        try:
            self._refuse_if_closed()
            if permit is None:
                permit = self._pacer.acquire()
            elif not isinstance(permit, Permit):
                permit = self._pacer.wait(permit)
        except (Unreachable, Interrupted):
            return self._reading(target, _Attempt(Unreachable(STOPPING)), 0.0, elapsed=0.0)
        self._call.permit = permit
        began = self._stopwatch()
        attempt = self._attempt(target)
        if isinstance(attempt.outcome, Throttled):
            self._pacer.throttled(attempt.outcome.retry_after)
        return self._reading(target, attempt, permit.waited, elapsed=self._stopwatch() - began)

    def forget(self, target: TargetId) -> None:
        """Drop what is kept of a target that will not be read again."""
        self._requests.forget(target)

    def close(self) -> None:
        """Make no further call, and end those in flight with an error."""
        self._closed = True
        self._adapter.close()

    def _attempt(self, target: TargetId) -> _Attempt:
        date = ""
        try:
            answer = self._answer(target)
            date = answer.date
            reply = understand(answer, self._clock())
        except ReadError as error:
            return _Attempt(error, error.unexpected if isinstance(error, BadSchema) else (), date)
        except NETWORK_ERRORS as error:
            return _Attempt(of_exception(error))
        except Interrupted:
            return _Attempt(Unreachable(STOPPING))
        return _Attempt(reply.task, reply.unexpected, date)

    def _answer(self, target: TargetId) -> Answer:
        """Sign and send; both happen as late as they can."""
        request = self._requests.signed(target, self._fresh_credentials(), self._clock())
        self._refuse_if_closed()
        timeout = self._endpoint.timeout
        deadline = self._stopwatch() + timeout
        verify = self._endpoint.ca_file or True
        response = self._adapter.send(request, stream=True, timeout=timeout, verify=verify, proxies=self._proxies)
        return receive(response, lambda: self._stopwatch() > deadline)

    def _fresh_credentials(self) -> Credentials:
        try:
            return self._credentials()
        except WebcastExporterError as error:
            raise CredentialsRefused(f"the credentials cannot be had: {error}") from None

    def _refuse_if_closed(self) -> None:
        if self._closed:
            raise Unreachable(STOPPING)

    def _leaves(self) -> None:
        """Called when this thread's call is about to be written, its connection made."""
        self._pacer.confirm_send(self._call.permit)

    def _reading(self, target: TargetId, attempt: _Attempt, waited: float, elapsed: float) -> ReadResult:
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
        )
