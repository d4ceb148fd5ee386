"""Who may call: signatures over what arrived."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from exporter.model.credentials import Credentials
from exporter.simulator.replies import Refusal
from exporter.simulator.signature_check import ApiRequest, SimulatedAccount, check_signature, owns

REGION = "cn-north-1"
TOKEN = "STSeyJMVEFjY2Vzc0tleUlkIjoiQUtMVCJ9+/=example"
EMPTY = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
BASE = {"host": "rtc.volcengineapi.com", "x-content-sha256": EMPTY, "x-date": "20260115T083005Z"}
PLAIN_QUERY = "Action=GetWebCastTask&Version=2020-12-01&AppId=661e0000000000000000543c&RoomId=Room1&TaskId=Task1"
AWKWARD_QUERY = (
    "TaskId=task%20~%2B%2F%3D%26%2A%27%E4%BC%9A&Action=GetWebCastTask&AppId=661e0000000000000000543c"
    "&RoomId=room%40a.b-c_1&Version=2023-11-01"
)
CONTENT_TYPE = {"content-type": "application/x-www-form-urlencoded; charset=utf-8"}
STS = {"x-security-token": TOKEN}
VECTORS = [
    (PLAIN_QUERY, {}, "", "9f9d2474aea522b740155f96f59bfb0c1fc78b22742c667f2e538826d328aebf"),
    (AWKWARD_QUERY, STS, TOKEN, "f804dd5c4861e3ac80e115ad770fafdf68a4de585f51a8d9bd1fdf640b2d82e3"),
    (PLAIN_QUERY, CONTENT_TYPE, "", "eb10bf3b42db07301acbe9d5714d4f3b3be88041560bcf4f173339d78013b8ea"),
]

Signed = Callable[..., ApiRequest]


def refused(request: ApiRequest, accounts: tuple[SimulatedAccount, ...], now: float) -> tuple[str, int, int]:
    """Code, CodeN and HTTP status of a refusal."""
    with pytest.raises(Refusal) as refusal:
        check_signature(request, accounts, REGION, now)
    error = refusal.value.error
    return error.code, error.code_n, error.http_status


@pytest.fixture
def accounts(credentials: Credentials) -> tuple[SimulatedAccount, ...]:
    """One account with one key."""
    return (SimulatedAccount("default", (credentials,)),)


@pytest.mark.parametrize(("query", "extra", "token", "signature"), VECTORS)
def test_signatures_of_three_implementations_are_accepted(
    *, query: str, extra: dict[str, str], token: str, signature: str, credentials: Credentials, now: float
) -> None:
    """The published vectors: plain, with a session token and awkward characters, and with Go's Content-Type."""
    headers = {**BASE, **extra}
    authorization = (
        f"HMAC-SHA256 Credential={credentials.access_key}/20260115/cn-north-1/rtc/request, "
        f"SignedHeaders={';'.join(sorted(headers))}, Signature={signature}"
    )
    request = ApiRequest("GET", "/", query, {**headers, "authorization": authorization})
    account = SimulatedAccount("default", (replace(credentials, session_token=token),))
    assert account == check_signature(request, (account,), REGION, now)


def test_any_changed_character_of_a_signature_is_refused(
    signed: Signed, accounts: tuple[SimulatedAccount, ...], now: float
) -> None:
    """Each of the 64 characters counts."""
    request = signed()
    header = request.headers["authorization"]
    for place in range(1, 65):
        wrong = "0" if header[-place] != "0" else "1"
        changed = header[: len(header) - place] + wrong + header[len(header) - place + 1 :]
        forged = replace(request, headers={**request.headers, "authorization": changed})
        assert refused(forged, accounts, now) == ("SignatureDoesNotMatch", 100010, 401)


@pytest.mark.parametrize(
    "change",
    [
        {"query": PLAIN_QUERY.replace("Task1", "Task2")},
        {"path": "/other"},
        {"method": "POST"},
        {"body": b"{}"},
    ],
)
def test_what_is_signed_cannot_be_changed(
    change: dict[str, Any], signed: Signed, accounts: tuple[SimulatedAccount, ...], now: float
) -> None:
    """Query, path, method and body are all under the signature."""
    assert refused(replace(signed(), **change), accounts, now) == ("SignatureDoesNotMatch", 100010, 401)


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("authorization", None, ("MissingAuthenticationToken", 100003, 401)),
        ("authorization", "Bearer x", ("InvalidAuthorization", 0, 400)),
        ("authorization", "HMAC-SHA256 Credential=a/b, Signature=c", ("InvalidAuthorization", 0, 400)),
        ("authorization", "HMAC-SHA256 Credential=a/b, SignedHeaders=host", ("MissingSignature", 100005, 401)),
        (
            "authorization",
            "HMAC-SHA256 Credential=a/b, SignedHeaders=host, Signature=c",
            ("InvalidAccessKey", 100009, 401),
        ),
        ("x-date", None, ("MissingRequestInfo", 100004, 400)),
        ("x-date", "2026-01-15T08:30:05Z", ("InvalidTimestamp", 100006, 400)),
        ("x-date", "20261315T083005Z", ("InvalidTimestamp", 100006, 400)),
        ("x-date", "20260115T083006Z", ("SignatureDoesNotMatch", 100010, 401)),
        ("host", "elsewhere.example", ("SignatureDoesNotMatch", 100010, 401)),
        ("host", None, ("SignatureDoesNotMatch", 100010, 401)),
        ("x-content-sha256", "0" * 64, ("SignatureDoesNotMatch", 100010, 401)),
        ("x-security-token", "unasked", ("InvalidSecretToken", 0, 401)),
    ],
)
def test_each_fault_has_its_code(
    *,
    name: str,
    value: str | None,
    expected: tuple[str, int, int],
    signed: Signed,
    accounts: tuple[SimulatedAccount, ...],
    now: float,
) -> None:
    """The vendor's table of gateway codes: what is missing, malformed, unknown or wrong."""
    request = signed()
    headers = {key: text for key, text in {**request.headers, name: value}.items() if text is not None}
    assert expected == refused(replace(request, headers=headers), accounts, now)


@pytest.mark.parametrize(("age", "fine"), [(900, True), (-900, True), (900.5, False), (-901, False), (86_400, False)])
def test_a_signature_lives_900_seconds(
    *,
    age: float,
    fine: bool,
    signed: Signed,
    accounts: tuple[SimulatedAccount, ...],
    now: float,
) -> None:
    """X-Date may be 900 s old or as far ahead, not more."""
    if fine:
        assert accounts[0] == check_signature(signed(), accounts, REGION, now + age)
    else:
        assert refused(signed(), accounts, now + age) == ("InvalidTimestamp", 100006, 400)


@pytest.mark.parametrize(
    "scope",
    [
        "20260114/cn-north-1/rtc/request",
        "20260115/us-east-1/rtc/request",
        "20260115/cn-north-1/iam/request",
        "20260115/cn-north-1/rtc/aws4_request",
    ],
)
def test_the_scope_is_of_this_day_region_and_service(
    scope: str, signed: Signed, accounts: tuple[SimulatedAccount, ...], now: float
) -> None:
    """A credential scope that is not day/region/rtc/request is refused."""
    assert refused(signed(scope=scope), accounts, now) == ("InvalidCredential", 0, 400)


@pytest.mark.parametrize("left_out", ["x-date", "x-security-token"])
def test_what_must_be_signed(left_out: str, signed: Signed, credentials: Credentials, now: float) -> None:
    """x-date and a sent x-security-token must be among the signed headers; host may be left out."""
    key = replace(credentials, session_token="token")
    accounts = (SimulatedAccount("default", (key,)),)
    assert check_signature(signed(by=key, unsigned=("host", "x-content-sha256")), accounts, REGION, now) == accounts[0]
    assert refused(signed(by=key, unsigned=(left_out,)), accounts, now) == ("SignatureDoesNotMatch", 100010, 401)


def test_a_sent_body_hash_is_the_body_s(signed: Signed, accounts: tuple[SimulatedAccount, ...], now: float) -> None:
    """X-Content-Sha256 may be left out, but not be another's, even under a signature that fits."""
    request = signed(extra={"x-content-sha256": "0" * 64})
    assert refused(request, accounts, now) == ("SignatureDoesNotMatch", 100010, 401)


def test_a_temporary_key_needs_its_own_token(signed: Signed, credentials: Credentials, now: float) -> None:
    """An STS key with another token, or without one, is InvalidSecretToken; with its own it is accepted."""
    key = replace(credentials, session_token="right")
    accounts = (SimulatedAccount("default", (key,)),)
    assert accounts[0] == check_signature(signed(by=key), accounts, REGION, now)
    for token in ("wrong", ""):
        request = signed(by=replace(key, session_token=token))
        assert refused(request, accounts, now) == ("InvalidSecretToken", 0, 401)


def test_a_wrong_secret_is_a_mismatch(signed: Signed, credentials: Credentials, now: float) -> None:
    """A known key with another secret does not match."""
    accounts = (SimulatedAccount("default", (replace(credentials, secret_key="another"),)),)
    assert refused(signed(), accounts, now) == ("SignatureDoesNotMatch", 100010, 401)


def test_a_scheme_s_own_port_is_no_part_of_the_host(
    signed: Signed, accounts: tuple[SimulatedAccount, ...], now: float
) -> None:
    """SDKs leave :80 and :443 out of what they sign, so the vendor must too; other ports count."""
    request = signed()
    for port in (":443", ":80"):
        sent = replace(request, headers={**request.headers, "host": request.headers["host"] + port})
        assert accounts[0] == check_signature(sent, accounts, REGION, now)
    sent = replace(request, headers={**request.headers, "host": request.headers["host"] + ":8443"})
    assert refused(sent, accounts, now) == ("SignatureDoesNotMatch", 100010, 401)


def test_several_accounts_own_their_apps() -> None:
    """An app that an account names is its own and no other's; one that nobody names is of those that name none."""
    open_one, school = SimulatedAccount("open", ()), SimulatedAccount("school", (), frozenset({"s"}))
    both = (open_one, school)
    expected = [(True, False), (False, True)]
    assert expected == [(owns(open_one, app, both), owns(school, app, both)) for app in ("x", "s")]


def test_no_secret_in_a_repr(credentials: Credentials, signed: Signed) -> None:
    """Neither an account nor a request shows a secret key or a token."""
    key = replace(credentials, session_token="canary-token")
    shown = repr(SimulatedAccount("default", (key,))) + repr(signed(by=key))
    assert [secret in shown for secret in (key.secret_key, "canary-token")] == [False, False]
