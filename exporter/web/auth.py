"""Access by the web config file: bcrypt passwords, request rates, and the policy that holds for each request."""

import asyncio
import secrets
import time
from base64 import b64decode
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from hashlib import sha256
from hmac import compare_digest, digest
from threading import Lock
from typing import Final, NamedTuple

import bcrypt
from anyio import CapacityLimiter
from anyio.to_thread import run_sync
from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Scope

from exporter.config.web_config import WebConfig
from exporter.web.tls import Tls, make_tls

BCRYPT_BYTES: Final = 72
"""bcrypt looks at this many bytes of a password; htpasswd and Go cut the rest off too."""

MAX_WAITING: Final = 16
"""Passwords of one known user that wait to be checked, and of all unknown users together; more are answered 429."""

KNOWN_AT_ONCE: Final = 2
"""Threads that check passwords of known users; one more checks those of unknown users."""

PUSH_PATH = "/api/v1/targets"
PUSH_METHODS = frozenset({"POST", "PUT", "DELETE"})

UNAUTHORIZED = PlainTextResponse(
    "Unauthorized\n",
    status_code=401,
    headers={"WWW-Authenticate": 'Basic realm="webcast-exporter", charset="UTF-8"'},
)
TOO_MANY_REQUESTS = PlainTextResponse("Too Many Requests\n", status_code=429, headers={"Retry-After": "1"})


class TokenBucket:
    """Admits `per_second` events in the long run, `burst` at once. Thread-safe; `monotonic` is a clock in seconds."""

    def __init__(self, per_second: float, burst: float, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._per_second = per_second
        self._burst = burst
        self._monotonic = monotonic
        self._lock = Lock()
        self._tokens = burst
        self._updated_at = monotonic()

    def try_acquire(self) -> bool:
        """Take one token; False when there is none."""
        with self._lock:
            now = self._monotonic()
            self._tokens = min(self._burst, self._tokens + (now - self._updated_at) * self._per_second)
            self._updated_at = now
            if self._tokens < 1.0:
                return False
            self._tokens -= 1.0
            return True


class Login(NamedTuple):
    """A user name and a password."""

    name: str
    password: bytes

    def __repr__(self) -> str:
        """Shows neither."""
        return "Login()"


class TooManyLogins(Exception):
    """The password was not checked: too many wait."""


def read_login(authorization: str) -> Login | None:
    """Parse a Basic Authorization header; None when it is none."""
    scheme, _, encoded = authorization.partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        name, colon, password = b64decode(encoded.strip(), validate=True).decode().partition(":")
    except ValueError:
        return None
    return Login(name, password.encode()) if colon else None


class PasswordChecker:
    """Checks passwords against bcrypt hashes by user name.

    A good password is remembered, one for each name, as a digest under a random key: a scrape pays for bcrypt once. An
    unknown name is checked too, always against the same other user's hash, so that the time does not tell which
    names exist. Each known name has a queue of its own and unknown names share one: made-up names delay no known user.
    """

    def __init__(self, hashes: Mapping[str, bytes]) -> None:
        self._hashes = dict(hashes)
        self._decoys = [*self._hashes.values()]
        self._key = secrets.token_bytes(32)
        self._good: dict[str, bytes] = {}
        self._waiting: dict[bytes, Future[bool]] = {}
        self._queued: dict[str | None, int] = {}
        self._queues = {name: CapacityLimiter(1) for name in (*self._hashes, None)}
        self._known_threads = CapacityLimiter(KNOWN_AT_ONCE)
        self._unknown_thread = CapacityLimiter(1)

    def __repr__(self) -> str:
        """Shows the number of users only."""
        return f"PasswordChecker({len(self._hashes)})"

    def __bool__(self) -> bool:
        """Whether there are users."""
        return bool(self._hashes)

    async def check(self, login: Login) -> bool:
        """Whether the password is the user's; TooManyLogins when it was not checked."""
        mark = self._mark(login)
        if compare_digest(self._good.get(login.name, b""), mark):
            return True
        if mark in self._waiting:
            return await asyncio.wrap_future(self._waiting[mark])
        queue = login.name if login.name in self._hashes else None
        if self._queued.get(queue, 0) >= MAX_WAITING:
            raise TooManyLogins
        self._queued[queue] = self._queued.get(queue, 0) + 1
        try:
            return await self._check_in_queue(login, mark, queue)
        finally:
            self._queued[queue] -= 1

    async def _check_in_queue(self, login: Login, mark: bytes, queue: str | None) -> bool:
        """Check it on a thread; requests with the same login that come meanwhile wait for the same result."""
        outcome = self._waiting[mark] = Future()
        outcome.set_running_or_notify_cancel()  # so that a client that leaves does not cancel it for the others
        threads = self._unknown_thread if queue is None else self._known_threads
        try:
            async with self._queues[queue]:
                good = await run_sync(self._matches, login, limiter=threads)
        except BaseException:
            outcome.set_exception(TooManyLogins())
            raise
        finally:
            del self._waiting[mark]
        if good:
            self._good[login.name] = mark
        outcome.set_result(good)
        return good

    def _matches(self, login: Login) -> bool:
        known = self._hashes.get(login.name)
        decoy = self._decoys[self._digest(login.name.encode())[0] % len(self._decoys)]
        return bcrypt.checkpw(login.password[:BCRYPT_BYTES], known or decoy) and known is not None

    def _mark(self, login: Login) -> bytes:
        return self._digest(sha256(login.name.encode()).digest() + login.password)

    def _digest(self, content: bytes) -> bytes:
        return digest(self._key, content, "sha256")


@dataclass(frozen=True)
class WebPolicy:
    """The web config file, ready for use.

    `tls` is the main listener's, `callback_tls` that of the listener for callbacks. `headers` replace the exporter's
    own; one with an empty value is not sent.
    """

    tls: Tls | None = None
    callback_tls: Tls | None = None
    passwords: PasswordChecker = field(default_factory=lambda: PasswordChecker({}))
    rate: TokenBucket | None = None
    headers: Mapping[bytes, bytes] = field(default_factory=dict)


class CurrentPolicy:
    """The policy in force: `now` is read for each connection and each request, and replaced whole.

    By default nothing is protected: plain HTTP for everybody.
    """

    def __init__(self) -> None:
        self.now = WebPolicy()


def make_policy(config: WebConfig) -> WebPolicy:
    """Build the policy of a web config file; ConfigError when a certificate cannot be used."""
    tls, callback_tls = make_tls(config.tls_server_config) if config.tls_server_config else (None, None)
    hashes = {name: each.get_secret_value().encode() for name, each in config.basic_auth_users.items()}
    limit = config.rate_limit
    headers = config.http_server_config.headers
    return WebPolicy(
        tls,
        callback_tls,
        PasswordChecker(hashes),
        TokenBucket(1 / limit.interval, float(limit.burst)) if limit.interval else None,
        {name.lower().encode("ascii"): value.encode("ascii") for name, value in headers.items()},
    )


async def refusal(scope: Scope, policy: WebPolicy) -> ASGIApp | None:
    """The answer to a request without a good password (401) or above the rate (429); None when it may go on."""
    if policy.rate and not policy.rate.try_acquire():
        return TOO_MANY_REQUESTS
    if not policy.passwords or _needs_push_token(scope):
        return None
    login = read_login(Headers(scope=scope).get("authorization", ""))
    try:
        return None if login and await policy.passwords.check(login) else UNAUTHORIZED
    except TooManyLogins:
        return TOO_MANY_REQUESTS


def _needs_push_token(scope: Scope) -> bool:
    """Whether the push API asks for its own token in place of the password."""
    path = scope["path"]
    return scope["method"] in PUSH_METHODS and (path == PUSH_PATH or path.startswith(f"{PUSH_PATH}/"))
