"""The signature against three vectors that both official signers and an independent one agree on, string by string."""

import hashlib
import hmac
from dataclasses import dataclass, field

import pytest

from exporter.model.credentials import Credentials
from exporter.volcengine.signing import (
    EMPTY_BODY_SHA256,
    cached_signing_key,
    canonical_query,
    canonical_request,
    credential_scope,
    signature,
    signed_headers,
    signing_key,
    string_to_sign,
    x_date,
)

ACCESS_KEY = "AKLTexampleexampleexample0000001"
SECRET_KEY = "WkdWdGJ5MXpaV055WlhRdFptOXlMWFJsYzNRPQ=="
REGION = "cn-north-1"
HOST = "rtc.volcengineapi.com"
AT = 1768465805.0
DATE = "20260115T083005Z"
SCOPE = "20260115/cn-north-1/rtc/request"
EMPTY_SHA256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
SIGNING_KEY = "1c79eacf2ce141ebe525a18ffe0579a7f4bbc82249b1602844ba0f6548e35720"
APP_ID = "661e0000000000000000543c"


@dataclass(frozen=True)
class Vector:
    """One request and each string on its way to the signature."""

    params: dict[str, str]
    query: str
    signed: str
    request_sha256: str
    signature: str
    extra: dict[str, str] = field(default_factory=dict)

    @property
    def headers(self) -> dict[str, str]:
        """What is signed, with lower-case names."""
        return {"host": HOST, "x-content-sha256": EMPTY_SHA256, "x-date": DATE, **self.extra}

    @property
    def request(self) -> str:
        """The first string, as the code under test makes it."""
        return canonical_request("GET", "/", self.query, self.headers, EMPTY_SHA256)

    @property
    def to_sign(self) -> str:
        """The second string, as the vendor's page writes it."""
        return f"HMAC-SHA256\n{DATE}\n{SCOPE}\n{self.request_sha256}"


PLAIN_PARAMS = {
    "Action": "GetWebCastTask",
    "Version": "2020-12-01",
    "AppId": APP_ID,
    "RoomId": "Room1",
    "TaskId": "Task1",
}
PLAIN_QUERY = f"Action=GetWebCastTask&AppId={APP_ID}&RoomId=Room1&TaskId=Task1&Version=2020-12-01"
PLAIN = Vector(
    params=PLAIN_PARAMS,
    query=PLAIN_QUERY,
    signed="host;x-content-sha256;x-date",
    request_sha256="841e427a3470feab50bfe2fdf0563d38735e79794d84f6759c8f40da37d0daa5",
    signature="9f9d2474aea522b740155f96f59bfb0c1fc78b22742c667f2e538826d328aebf",
)
TEMPORARY = Vector(
    params={**PLAIN_PARAMS, "Version": "2023-11-01", "RoomId": "room@a.b-c_1", "TaskId": "task ~+/=&*'会"},
    query=f"Action=GetWebCastTask&AppId={APP_ID}&RoomId=room%40a.b-c_1"
    "&TaskId=task%20~%2B%2F%3D%26%2A%27%E4%BC%9A&Version=2023-11-01",
    signed="host;x-content-sha256;x-date;x-security-token",
    request_sha256="893d336ba10dd2fbd8331c0a489b4cae68146b22573bc5f269b8ad7a07b752eb",
    signature="f804dd5c4861e3ac80e115ad770fafdf68a4de585f51a8d9bd1fdf640b2d82e3",
    extra={"x-security-token": "STSeyJMVEFjY2Vzc0tleUlkIjoiQUtMVCJ9+/=example"},
)
WITH_CONTENT_TYPE = Vector(
    params=PLAIN_PARAMS,
    query=PLAIN_QUERY,
    signed="content-type;host;x-content-sha256;x-date",
    request_sha256="61e7258f25e53b47781313caa448601a0e377617507667f957182cccd76b21cc",
    signature="eb10bf3b42db07301acbe9d5714d4f3b3be88041560bcf4f173339d78013b8ea",
    extra={"content-type": "application/x-www-form-urlencoded; charset=utf-8"},
)
VECTORS = pytest.mark.parametrize(
    "vector", [PLAIN, TEMPORARY, WITH_CONTENT_TYPE], ids=["plain", "temporary", "content-type"]
)


@VECTORS
def test_the_query_is_sorted_and_strictly_encoded(vector: Vector) -> None:
    """Names in ASCII order; a space is %20, a slash %2F, a tilde stays."""
    assert vector.query == canonical_query(vector.params)


@VECTORS
def test_the_canonical_request_is_the_vectors(vector: Vector) -> None:
    """The first string has the vector's hash, and names the signed headers in order."""
    assert vector.request_sha256 == hashlib.sha256(vector.request.encode()).hexdigest()
    assert vector.signed == vector.request.splitlines()[-2]


@VECTORS
def test_the_string_to_sign_is_the_vectors(vector: Vector) -> None:
    """The second string holds algorithm, date, scope and the hash of the first."""
    assert vector.to_sign == string_to_sign(DATE, REGION, vector.request)


@VECTORS
def test_the_signature_is_the_vectors(vector: Vector) -> None:
    """The third string is the HMAC of the second with the day's key."""
    assert vector.signature == signature(bytes.fromhex(SIGNING_KEY), vector.to_sign)


@pytest.mark.parametrize("vector", [PLAIN, TEMPORARY], ids=["plain", "temporary"])
def test_the_headers_are_exactly_those_signed(vector: Vector) -> None:
    """What goes on the wire is what was signed and the Authorization, with a token only for temporary keys."""
    credentials = Credentials(ACCESS_KEY, SECRET_KEY, vector.extra.get("x-security-token", ""))
    token = {"X-Security-Token": credentials.session_token} if credentials.session_token else {}
    expected = {
        "Host": HOST,
        "X-Content-Sha256": EMPTY_SHA256,
        "X-Date": DATE,
        "Authorization": (
            f"HMAC-SHA256 Credential={ACCESS_KEY}/{SCOPE}, SignedHeaders={vector.signed}, Signature={vector.signature}"
        ),
        **token,
    }
    assert expected == signed_headers(credentials, REGION, HOST, vector.query, AT)


@pytest.mark.parametrize(
    ("depth", "expected"),
    [
        (1, "d70dd4aa53efdd7f75d31e3a880d42f7ef5489a5d093e129d65e81b59aa591d9"),
        (2, "08bd862c3e9466cd31ce901a5286b21f64ad72a4809713347ea6d213213bb050"),
        (3, "41d33979c5abffd023558bc70422ecfde30f238a2eb413846fa6b1a767155bc8"),
        (4, SIGNING_KEY),
    ],
    ids=["kDate", "kRegion", "kService", "kSigning"],
)
def test_the_key_is_derived_in_four_steps(depth: int, expected: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Day, region, service and "request" in turn; the secret is used raw although it looks like base64."""
    steps: list[bytes] = []
    real = hmac.digest

    def watched(key: bytes, message: bytes, digest: str) -> bytes:
        steps.append(real(key, message, digest))
        return steps[-1]

    monkeypatch.setattr(hmac, "digest", watched)
    assert signing_key(SECRET_KEY, "20260115", REGION).hex() == SIGNING_KEY
    assert len(steps) == 4
    assert expected == steps[depth - 1].hex()


def test_the_scope_is_the_day_region_and_service() -> None:
    """The literal at its end is "request", not another vendor's word."""
    assert credential_scope(DATE, REGION) == SCOPE


@pytest.mark.parametrize(
    ("at", "date"), [(AT, DATE), (AT + 0.999, DATE), (0.0, "19700101T000000Z"), (1767225599.5, "20251231T235959Z")]
)
def test_the_date_is_utc_in_whole_seconds(at: float, date: str) -> None:
    """A begun second counts as its start, and no time zone of the machine shows."""
    assert date == x_date(at)


def test_an_empty_path_and_untrimmed_headers_are_made_canonical() -> None:
    """The vendor signs "/" for no path, sorts the headers by name and trims their values."""
    request = canonical_request("GET", "", "a=b", {"x-date": f" {DATE} ", "host": HOST}, EMPTY_BODY_SHA256)
    assert request == f"GET\n/\na=b\nhost:{HOST}\nx-date:{DATE}\n\nhost;x-date\n{EMPTY_SHA256}"


def test_a_new_day_and_a_new_secret_have_keys_of_their_own() -> None:
    """The kept key is that of its day, secret and region; midnight and a rotation are felt at once."""
    asked = [(SECRET_KEY, "20260115", REGION), (SECRET_KEY, "20260116", REGION), (SECRET_KEY + "x", "20260115", REGION)]
    asked.append((SECRET_KEY, "20260115", "ap-southeast-1"))
    assert [signing_key(*parts) for parts in asked] == [cached_signing_key(*parts) for parts in asked]
    assert len({cached_signing_key(*parts) for parts in asked}) == 4


def test_no_secret_shows() -> None:
    """Neither the secret key nor the token is in a repr, in what is cached, or in a header other than the token's."""
    credentials = Credentials(ACCESS_KEY, SECRET_KEY, "token-of-a-session")
    headers = signed_headers(credentials, REGION, HOST, PLAIN_QUERY, AT)
    assert headers.pop("X-Security-Token") == "token-of-a-session"
    shown = f"{credentials!r} {credentials} {cached_signing_key!r} {cached_signing_key.cache_info()} {headers}"
    assert [secret for secret in (SECRET_KEY, "token-of-a-session", SIGNING_KEY) if secret in shown] == []
    assert ACCESS_KEY in repr(credentials)
