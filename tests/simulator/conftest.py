"""A vendor on a fake clock, and a client that signs."""

import hashlib
from collections.abc import Callable
from typing import Any

import pytest

from exporter.model.credentials import Credentials
from exporter.model.target import TargetId
from exporter.rtc.signing import (
    canonical_query,
    canonical_request,
    credential_scope,
    signature,
    signing_key,
    string_to_sign,
    x_date,
)
from exporter.simulator.authority import Account
from exporter.simulator.fleet import Fleet
from exporter.simulator.gateway import Gateway
from exporter.simulator.lives import Plan
from exporter.simulator.replies import Reply
from exporter.simulator.wire import Request

NOW = 1768465805.0
HOST = "rtc.volcengineapi.com"
TRIPLE = {"AppId": "661e0000000000000000543c", "RoomId": "Room1", "TaskId": "Task1"}


@pytest.fixture
def now() -> float:
    """Unix seconds of 2026-01-15T08:30:05Z, the time of the published vectors."""
    return NOW


@pytest.fixture
def target() -> TargetId:
    """The task of all examples."""
    return TargetId(*TRIPLE.values())


@pytest.fixture
def credentials() -> Credentials:
    """The made-up key pair of the vectors."""
    return Credentials("AKLTexampleexampleexample0000001", "WkdWdGJ5MXpaV055WlhRdFptOXlMWFJsYzNRPQ==")


@pytest.fixture
def gateway(credentials: Credentials, target: TargetId) -> Gateway:
    """A gateway over one task that has just begun to run, and one account."""
    fleet = Fleet(lambda: NOW)
    fleet.begin(target, Plan(), age=10)
    return Gateway(fleet, (Account("default", (credentials,)),))


@pytest.fixture
def signed(credentials: Credentials) -> Callable[..., Request]:
    """Make a signed request; `extra` headers are signed too, `unsigned` ones only sent; a None param is left out."""

    def make(
        params: dict[str, str | None] | None = None,
        *,
        by: Credentials = credentials,
        at: float = NOW,
        method: str = "GET",
        path: str = "/",
        body: bytes = b"",
        extra: dict[str, str] | None = None,
        scope: str | None = None,
        unsigned: tuple[str, ...] = (),
    ) -> Request:
        given = {"Action": "GetWebCastTask", "Version": "2020-12-01", **TRIPLE, **(params or {})}
        query = canonical_query({name: value for name, value in given.items() if value is not None})
        digest = hashlib.sha256(body).hexdigest()
        date = x_date(at)
        headers = {"host": HOST, "x-date": date, "x-content-sha256": digest, **(extra or {})}
        if by.session_token:
            headers["x-security-token"] = by.session_token
        names = sorted(headers.keys() - set(unsigned))
        first = canonical_request(method, path, query, {name: headers[name] for name in names}, digest)
        mark = signature(signing_key(by.secret_key, date[:8], "cn-north-1"), string_to_sign(date, "cn-north-1", first))
        headers["authorization"] = (
            f"HMAC-SHA256 Credential={by.access_key}/{scope or credential_scope(date, 'cn-north-1')}, "
            f"SignedHeaders={';'.join(names)}, Signature={mark}"
        )
        return Request(method, path, query, headers, body)

    return make


@pytest.fixture
def error() -> Callable[[Reply], dict[str, Any]]:
    """The Error of a reply, without its Message, and the HTTP status."""

    def look(reply: Reply) -> dict[str, Any]:
        told = dict(reply.document["ResponseMetadata"]["Error"])
        assert told.pop("Message")
        return {"http": reply.status, **told}

    return look
