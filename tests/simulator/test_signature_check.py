"""Who may call: signatures over what arrived."""

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from exporter.simulator.gateway import ApiRequest, SimulatedAccount, canonical, check_signature, owns
from exporter.simulator.replies import Refusal
from tests.simulator.conftest import KEY, NOW

if TYPE_CHECKING:
    from tests.simulator.conftest import Vendor

ACCOUNTS = (SimulatedAccount("default", (KEY,)),)
STS_KEY = replace(KEY, session_token="STSeyJMVEFjY2Vzc0tleUlkIjoiQUtMVCJ9+/=example")
STS_ACCOUNTS = (SimulatedAccount("default", (STS_KEY,)),)
EMPTY = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
BASE = {"host": "rtc.volcengineapi.com", "x-content-sha256": EMPTY, "x-date": "20260115T083005Z"}
PLAIN_QUERY = "Action=GetWebCastTask&Version=2020-12-01&AppId=661e0000000000000000543c&RoomId=Room1&TaskId=Task1"
AWKWARD_QUERY = (
    "TaskId=task%20~%2B%2F%3D%26%2A%27%E4%BC%9A&Action=GetWebCastTask&AppId=661e0000000000000000543c"
    "&RoomId=room%40a.b-c_1&Version=2023-11-01"
)
CONTENT_TYPE = {"content-type": "application/x-www-form-urlencoded; charset=utf-8"}
STS = {"x-security-token": STS_KEY.session_token}
MISMATCH = ("SignatureDoesNotMatch", 100010, 401)


def refused(
    request: ApiRequest, accounts: tuple[SimulatedAccount, ...] = ACCOUNTS, at: float = NOW
) -> tuple[str, int, int] | None:
    """Code, CodeN and HTTP status of a refusal; None when the signature is accepted."""
    try:
        assert check_signature(request, accounts, "cn-north-1", at) == accounts[0]
    except Refusal as refusal:
        return refusal.error.code, refusal.error.code_n, refusal.error.http_status
    return None


@pytest.mark.parametrize(
    ("query", "extra", "accounts", "signature"),
    [
        (PLAIN_QUERY, {}, ACCOUNTS, "9f9d2474aea522b740155f96f59bfb0c1fc78b22742c667f2e538826d328aebf"),
        (AWKWARD_QUERY, STS, STS_ACCOUNTS, "f804dd5c4861e3ac80e115ad770fafdf68a4de585f51a8d9bd1fdf640b2d82e3"),
        (PLAIN_QUERY, CONTENT_TYPE, ACCOUNTS, "eb10bf3b42db07301acbe9d5714d4f3b3be88041560bcf4f173339d78013b8ea"),
    ],
)
def test_signatures_of_three_implementations_are_accepted(
    query: str, extra: dict[str, str], accounts: tuple[SimulatedAccount, ...], signature: str
) -> None:
    """The published vectors: plain, with a session token and awkward characters, and with Go's Content-Type."""
    headers = {**BASE, **extra}
    authorization = (
        f"HMAC-SHA256 Credential={KEY.access_key}/20260115/cn-north-1/rtc/request, "
        f"SignedHeaders={';'.join(sorted(headers))}, Signature={signature}"
    )
    assert refused(ApiRequest("GET", "/", query, {**headers, "authorization": authorization}), accounts) is None


def test_any_changed_character_of_a_signature_is_refused(vendor: "Vendor") -> None:
    """Each of the 64 characters counts."""
    request = vendor.request()
    header = request.headers["authorization"]
    for place in range(1, 65):
        wrong = "0" if header[-place] != "0" else "1"
        changed = header[: len(header) - place] + wrong + header[len(header) - place + 1 :]
        assert refused(replace(request, headers={**request.headers, "authorization": changed})) == MISMATCH


@pytest.mark.parametrize(
    "change",
    [
        {"query": PLAIN_QUERY.replace("Task1", "Task2")},
        {"path": "/other"},
        {"method": "POST"},
        {"body": b"{}"},
    ],
)
def test_what_is_signed_cannot_be_changed(change: dict[str, Any], vendor: "Vendor") -> None:
    """Query, path, method and body are all under the signature."""
    assert refused(replace(vendor.request(), **change)) == MISMATCH


AUTHORIZATION = "HMAC-SHA256 Credential=a/b, "


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("authorization", None, ("MissingAuthenticationToken", 100003, 401)),
        ("authorization", "Bearer x", ("InvalidAuthorization", 0, 400)),
        ("authorization", f"{AUTHORIZATION}Signature=c", ("InvalidAuthorization", 0, 400)),
        ("authorization", f"{AUTHORIZATION}SignedHeaders=host", ("MissingSignature", 100005, 401)),
        ("authorization", f"{AUTHORIZATION}SignedHeaders=host, Signature=c", ("InvalidAccessKey", 100009, 401)),
        ("x-date", None, ("MissingRequestInfo", 100004, 400)),
        ("x-date", "2026-01-15T08:30:05Z", ("InvalidTimestamp", 100006, 400)),
        ("x-date", "20261315T083005Z", ("InvalidTimestamp", 100006, 400)),
        ("x-date", "20260115T083006Z", MISMATCH),
        ("host", "elsewhere.example", MISMATCH),
        ("host", None, MISMATCH),
        ("x-content-sha256", "0" * 64, MISMATCH),
        ("x-security-token", "unasked", ("InvalidSecretToken", 0, 401)),
    ],
)
def test_each_fault_has_its_code(
    name: str, value: str | None, expected: tuple[str, int, int], vendor: "Vendor"
) -> None:
    """The vendor's table of gateway codes: what is missing, malformed, unknown or wrong."""
    request = vendor.request()
    headers = {key: text for key, text in {**request.headers, name: value}.items() if text is not None}
    assert refused(replace(request, headers=headers)) == expected


@pytest.mark.parametrize(("age", "fine"), [(900, True), (-900, True), (900.5, False), (-901, False), (86_400, False)])
def test_a_signature_lives_900_seconds(*, age: float, fine: bool, vendor: "Vendor") -> None:
    """X-Date may be 900 s old or as far ahead, not more."""
    assert refused(vendor.request(), at=NOW + age) == (None if fine else ("InvalidTimestamp", 100006, 400))


@pytest.mark.parametrize(
    "scope",
    [
        "20260114/cn-north-1/rtc/request",
        "20260115/us-east-1/rtc/request",
        "20260115/cn-north-1/iam/request",
        "20260115/cn-north-1/rtc/aws4_request",
        "20260115",
    ],
)
def test_the_scope_is_this_services(scope: str, vendor: "Vendor") -> None:
    """A credential scope that is not day/region/rtc/request is refused."""
    assert refused(vendor.request(scope=scope)) == ("InvalidCredential", 0, 400)


@pytest.mark.parametrize("left_out", ["x-date", "x-security-token"])
def test_what_must_be_signed(left_out: str, vendor: "Vendor") -> None:
    """x-date and a sent x-security-token must be among the signed headers; host may be left out."""
    assert refused(vendor.request(by=STS_KEY, unsigned=("host", "x-content-sha256")), STS_ACCOUNTS) is None
    assert refused(vendor.request(by=STS_KEY, unsigned=(left_out,)), STS_ACCOUNTS) == MISMATCH


def test_a_sent_body_hash_is_the_body_s(vendor: "Vendor") -> None:
    """X-Content-Sha256 may be left out, but not be another's, even under a signature that fits."""
    assert refused(vendor.request(extra={"x-content-sha256": "0" * 64})) == MISMATCH


def test_a_temporary_key_needs_its_own_token(vendor: "Vendor") -> None:
    """An STS key with another token, or without one, is InvalidSecretToken; with its own it is accepted."""
    assert refused(vendor.request(by=STS_KEY), STS_ACCOUNTS) is None
    for token in ("wrong", ""):
        request = vendor.request(by=replace(STS_KEY, session_token=token))
        assert refused(request, STS_ACCOUNTS) == ("InvalidSecretToken", 0, 401)


@pytest.mark.parametrize(("port", "expected"), [(":443", None), (":80", None), (":8443", MISMATCH)])
def test_a_scheme_s_own_port_is_no_part_of_the_host(port: str, expected: object, vendor: "Vendor") -> None:
    """SDKs leave :80 and :443 out of what they sign, so the vendor must too; other ports count."""
    request = vendor.request()
    sent = replace(request, headers={**request.headers, "host": request.headers["host"] + port})
    assert refused(sent) == expected


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("b=2&a=1", "a=1&b=2"),
        ("a=+&b=%20", "a=%20&b=%20"),
        ("a=x%2fy&b=~", "a=x%2Fy&b=~"),
        ("a=2&a=1&B=", "B=&a=2&a=1"),
    ],
)
def test_the_canonical_query_is_made_of_what_arrived(query: str, expected: str) -> None:
    """Decoded and encoded anew: order, plus signs and lower-case escapes on the wire make no difference."""
    assert expected == canonical(ApiRequest("GET", "/", query, {}).pairs)


def test_several_accounts_own_their_apps() -> None:
    """An app that an account names is its own and no other's; other apps are of accounts that name none."""
    open_one, school = both = (SimulatedAccount("open", ()), SimulatedAccount("school", (), frozenset({"s"})))
    expected = [(True, False), (False, True)]
    assert expected == [(owns(open_one, app, both), owns(school, app, both)) for app in ("x", "s")]


def test_no_secret_in_a_repr(vendor: "Vendor") -> None:
    """Neither an account nor a request shows a secret key or a token."""
    shown = repr(STS_ACCOUNTS) + repr(vendor.request(by=STS_KEY))
    assert [secret in shown for secret in (KEY.secret_key, STS_KEY.session_token)] == [False, False]
