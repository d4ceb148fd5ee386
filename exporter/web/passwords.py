"""Names and passwords of whoever may look, checked against bcrypt hashes without paying for each request."""

import asyncio
import secrets
from base64 import b64decode
from collections.abc import Mapping
from concurrent.futures import Future
from hashlib import sha256
from hmac import compare_digest, digest
from typing import Final, NamedTuple

import bcrypt
from anyio import CapacityLimiter
from anyio.to_thread import run_sync

COUNTED: Final = 72
"""Bytes of a password that bcrypt looks at; htpasswd and Go leave the rest out too."""

MOST_WAITING: Final = 16
"""Passwords that wait to be checked, one at a time; more are sent away, so that guessing holds nobody else up."""


class Login(NamedTuple):
    """A name and a password, as a client sends them."""

    name: str
    password: bytes

    def __repr__(self) -> str:
        """Neither."""
        return "Login()"


class TooMany(Exception):
    """So many passwords wait to be checked that this one was not."""


def read_login(authorization: str) -> Login | None:
    """What an Authorization header says, None when it is no good Basic one."""
    scheme, _, encoded = authorization.partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        name, colon, password = b64decode(encoded.strip(), validate=True).decode().partition(":")
    except ValueError:
        return None
    return Login(name, password.encode()) if colon else None


class Passwords:
    """The hashes by name. What was found good is remembered, one password a name, as a digest under a key of its own.

    An unknown name is checked too, always against the same other's hash: the time does not tell who is known.
    """

    def __init__(self, hashes: Mapping[str, bytes]) -> None:
        self._hashes = dict(hashes)
        self._decoys = [*self._hashes.values()]
        self._key = secrets.token_bytes(32)
        self._good: dict[str, bytes] = {}
        self._waiting: dict[bytes, Future[bool]] = {}
        self._one_at_a_time = CapacityLimiter(1)

    def __repr__(self) -> str:
        """How many there are, and no more."""
        return f"Passwords({len(self._hashes)})"

    def __bool__(self) -> bool:
        """Whether there is anybody."""
        return bool(self._hashes)

    async def admit(self, login: Login) -> bool:
        """Whether the password is the name's; TooMany when it could not be checked now."""
        mark = self._mark(login)
        if compare_digest(self._good.get(login.name, b""), mark):
            return True
        if mark in self._waiting:
            return await asyncio.wrap_future(self._waiting[mark])
        if len(self._waiting) >= MOST_WAITING:
            raise TooMany
        return await self._weighed(login, mark)

    async def _weighed(self, login: Login, mark: bytes) -> bool:
        """Have it checked; whoever comes with the same meanwhile waits for the same verdict."""
        verdict = self._waiting[mark] = Future()
        verdict.set_running_or_notify_cancel()  # so that one who stops waiting does not cancel it for all
        try:
            good = await run_sync(self._fits, login, limiter=self._one_at_a_time)
        except BaseException:
            verdict.set_exception(TooMany())
            raise
        finally:
            del self._waiting[mark]
        if good:
            self._good[login.name] = mark
        verdict.set_result(good)
        return good

    def _fits(self, login: Login) -> bool:
        known = self._hashes.get(login.name)
        decoy = self._decoys[self._digest(login.name.encode())[0] % len(self._decoys)]
        return bcrypt.checkpw(login.password[:COUNTED], known or decoy) and known is not None

    def _mark(self, login: Login) -> bytes:
        return self._digest(sha256(login.name.encode()).digest() + login.password)

    def _digest(self, content: bytes) -> bytes:
        return digest(self._key, content, "sha256")
