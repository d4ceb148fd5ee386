"""Requests as the vendor's own Python, Node and Go clients send them are accepted.

The Node and Go requests are made here after captured ones (`@volcengine/openapi` 1.36, volc-sdk-golang 26924eb), with
the headers that these clients sign.
"""

import hashlib
import http.client
import json
import time
import warnings
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from exporter.simulator.server import Simulation, SimulationOptions
from exporter.volcengine.signing import (
    canonical_query,
    canonical_request,
    credential_scope,
    signature,
    signing_key,
    string_to_sign,
    x_date,
)

IDS = {"AppId": "661e0000000000000000543c", "RoomId": "Room1", "TaskId": "Task1"}
NEW = {**IDS, "TaskId": "New", "BusinessId": "", "UserId": "webcast_9", "SourceURL": "https://a.example/?b=c"}
FORM = "application/x-www-form-urlencoded"
JSON = "application/json; charset=utf-8"


@pytest.fixture
def simulation() -> Iterator[Simulation]:
    """A running one on the real clock."""
    with Simulation(SimulationOptions(tasks=13, speed=1)) as running:
        yield running


def send(
    simulation: Simulation,
    query: Mapping[str, str],
    signed: str,
    *,
    body: Mapping[str, Any] | None = None,
    content_type: str = FORM,
    chunked: bool = False,
    token: str = "",
) -> Any:
    """Send a request of which the headers in `signed` are signed; the answer's document."""
    host, at = simulation.url.removeprefix("http://"), x_date(time.time())
    raw = b"" if body is None else json.dumps(body).encode()
    digest = hashlib.sha256(raw).hexdigest()
    sent = {"host": host, "x-date": at, "content-type": content_type}
    sent |= {"x-content-sha256": digest} if "x-content-sha256" in signed else {}
    sent |= {"x-security-token": token} if token else {}
    method, line = "GET" if body is None else "POST", canonical_query(query)
    first = canonical_request(method, "/", line, {name: sent[name] for name in signed.split(";")}, digest)
    key = signing_key(simulation.credentials.secret_key, at[:8], "cn-north-1")
    credential = f"{simulation.credentials.access_key}/{credential_scope(at, 'cn-north-1')}"
    mark = signature(key, string_to_sign(at, "cn-north-1", first))
    sent["authorization"] = f"HMAC-SHA256 Credential={credential}, SignedHeaders={signed}, Signature={mark}"
    connection = http.client.HTTPConnection(host, timeout=60)
    pieces = [raw[:7], raw[7:]] if chunked else raw or None
    connection.request(method, f"/?{line}", pieces, sent, encode_chunked=chunked)
    document = json.loads(connection.getresponse().read())
    connection.close()
    return document


@pytest.mark.parametrize(
    ("client", "get", "post", "chunked"),
    [
        ("node", "x-date", "x-content-sha256;x-date", False),
        ("go", "content-type;host;x-content-sha256;x-date", "content-type;host;x-content-sha256;x-date", True),
        ("python", "host;x-content-sha256;x-date", "content-type;host;x-content-sha256;x-date", False),
    ],
)
def test_get_start_and_stop_are_accepted(
    client: str, get: str, post: str, *, chunked: bool, simulation: Simulation
) -> None:
    """Content-Type may be signed or not, the host too; Go's client sends bodies in chunks."""
    read = {"Action": "GetWebCastTask", "Version": "2020-12-01", **IDS}
    assert send(simulation, read, get)["Result"]["WebcastTask"]["Status"] == 2, client
    calls = {
        action: send(
            simulation,
            {"Action": action, "Version": "2023-11-01"},
            post,
            body=body,
            content_type=JSON,
            chunked=chunked,
        )["Result"]
        for action, body in (("StartWebcast", NEW), ("StopWebcast", {**IDS, "TaskId": "New"}))
    }
    assert calls == {"StartWebcast": "ok", "StopWebcast": "ok"}


@pytest.mark.parametrize("signed", ["host;x-content-sha256", "host", "x-content-sha256"])
def test_the_date_must_be_signed(simulation: Simulation, signed: str) -> None:
    """A signature without it would be good for ever."""
    answer = send(simulation, {"Action": "GetWebCastTask", "Version": "2020-12-01", **IDS}, signed)
    assert answer["ResponseMetadata"]["Error"]["Code"] == "SignatureDoesNotMatch"


def test_a_chunked_body_is_under_the_signature(simulation: Simulation) -> None:
    """Its hash must be that of what arrived."""
    query = {"Action": "StopWebcast", "Version": "2023-11-01"}
    answer = send(simulation, query, "x-date", body={**IDS, "RoomId": "Other"}, content_type=JSON, chunked=True)
    assert answer["ResponseMetadata"]["Error"]["Code"] == "InvalidParameter.ErrorActiveTaskNotFound"


def test_the_official_python_client(simulation: Simulation) -> None:
    """`volcenginesdk-core`, which has no model of RTC, calls all three actions by its universal API."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its own, about utcnow() and collections
        import volcenginesdkcore  # noqa: PLC0415 - it warns while it is imported

        configuration = volcenginesdkcore.Configuration()
        configuration.ak, configuration.sk = simulation.credentials.access_key, simulation.credentials.secret_key
        configuration.region, configuration.scheme = "cn-north-1", "http"
        configuration.host = simulation.url.removeprefix("http://")
        api = volcenginesdkcore.UniversalApi(volcenginesdkcore.ApiClient(configuration))

        def call(method: str, action: str, body: Mapping[str, Any]) -> Any:
            content_type = "application/json" if method == "POST" else None
            return api.do_call(
                volcenginesdkcore.UniversalInfo(method, "rtc", "2023-11-01", action, content_type), dict(body)
            )

        assert call("GET", "GetWebCastTask", IDS)["WebcastTask"]["Status"] == 2
        assert call("POST", "StartWebcast", NEW) == "ok"
        assert call("POST", "StopWebcast", {**IDS, "TaskId": "New"}) == "ok"
