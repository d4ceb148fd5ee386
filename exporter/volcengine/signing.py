"""The vendor's signature of a request (volcengine.com/docs/6369/1121980).

It takes three strings, each made from the one before: the canonical request, the string to sign, the
signature. Each has a function of its own, so that a refused signature can be compared string by string.
"""

import hashlib
import hmac
import math
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from urllib.parse import quote, urlsplit

from requests import PreparedRequest
from requests.auth import AuthBase

from exporter.errors import CredentialsRefused
from exporter.model.credentials import Credentials

ALGORITHM = "HMAC-SHA256"
SERVICE = "rtc"
EMPTY_BODY_SHA256 = hashlib.sha256(b"").hexdigest()
DEFAULT_PORTS = frozenset({None, 80, 443})
"""The vendor's own signers leave both out of the Host header, whatever the scheme."""


def x_date(at: float) -> str:
    """Unix seconds as the X-Date header: `20260115T083005Z`."""
    return _x_date(math.floor(at))


@lru_cache(maxsize=16)
def _x_date(second: int) -> str:
    """Cached, because many calls are signed in one second."""
    return datetime.fromtimestamp(second, UTC).strftime("%Y%m%dT%H%M%SZ")


def canonical_query(params: Mapping[str, str]) -> str:
    """Sorted by name, RFC 3986 encoded: a space is %20, `/` is encoded, `~` is not. Also what must go on the wire."""
    return "&".join(f"{quote(name, safe='~')}={quote(value, safe='~')}" for name, value in sorted(params.items()))


def canonical_request(method: str, path: str, query: str, headers: Mapping[str, str], body_sha256: str) -> str:
    """Build the first string; `headers` are exactly those to sign, with lower-case names."""
    lines = [f"{name}:{headers[name].strip()}\n" for name in sorted(headers)]
    return "\n".join((method, path or "/", query, "".join(lines), ";".join(sorted(headers)), body_sha256))


def credential_scope(date: str, region: str) -> str:
    """`YYYYMMDD/region/rtc/request`."""
    return f"{date[:8]}/{region}/{SERVICE}/request"


def string_to_sign(date: str, region: str, request: str) -> str:
    """Build the second string; `request` is the first."""
    digest = hashlib.sha256(request.encode()).hexdigest()
    return "\n".join((ALGORITHM, date, credential_scope(date, region), digest))


def signing_key(secret_key: str, day: str, region: str) -> bytes:
    """The key of one day (`YYYYMMDD`): the secret is used raw, without prefix and never base64-decoded."""
    key = secret_key.encode()
    for part in (day, region, SERVICE, "request"):
        key = hmac.digest(key, part.encode(), "sha256")
    return key


cached_signing_key = lru_cache(maxsize=256)(signing_key)
"""`signing_key` with a cache: a key lives a day, and a call every 20 ms would derive it anew."""


def signature(key: bytes, to_sign: str) -> str:
    """Build the third string, lower-case hex."""
    return hmac.digest(key, to_sign.encode(), "sha256").hex()


def signed_headers(credentials: Credentials, region: str, host: str, query: str, at: float) -> dict[str, str]:
    """The headers that sign one bodiless GET of `/?query` on `host`, sent at `at` (Unix seconds)."""
    date = x_date(at)
    headers = {"host": host, "x-content-sha256": EMPTY_BODY_SHA256, "x-date": date}
    if credentials.session_token:
        headers["x-security-token"] = credentials.session_token
    to_sign = string_to_sign(date, region, canonical_request("GET", "/", query, headers, EMPTY_BODY_SHA256))
    key = cached_signing_key(credentials.secret_key, date[:8], region)
    sent = {
        "Host": host,
        "X-Content-Sha256": EMPTY_BODY_SHA256,
        "X-Date": date,
        "Authorization": (
            f"{ALGORITHM} Credential={credentials.access_key}/{credential_scope(date, region)}, "
            f"SignedHeaders={';'.join(sorted(headers))}, Signature={signature(key, to_sign)}"
        ),
    }
    if credentials.session_token:
        sent["X-Security-Token"] = credentials.session_token
    return sent


def signed_host(url: str) -> str:
    """The Host header of a URL, as the vendor's signers write it: lower case, without ports 80 and 443."""
    port = urlsplit(url).port
    return _host(url) if port in DEFAULT_PORTS else f"{_host(url)}:{port}"


def base_url(url: str) -> str:
    """The endpoint's URL in lower case, up to its query."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{_host(url)}{'' if parts.port is None else f':{parts.port}'}/?"


def _host(url: str) -> str:
    name = urlsplit(url).hostname or ""
    return f"[{name}]" if ":" in name else name


class RequestSigner(AuthBase):
    """Signs bodiless GET requests with the credentials and the time (Unix seconds) of the moment.

    Raises CredentialsRefused for a key or token that no header can carry.
    """

    def __init__(
        self, host: str, region: str, credentials: Callable[[], Credentials], clock: Callable[[], float]
    ) -> None:
        self._host = host
        self._region = region
        self._credentials = credentials
        self._clock = clock

    def __call__(self, request: PreparedRequest) -> PreparedRequest:
        """Add the signed headers; the query that is signed is byte for byte the one in the URL."""
        credentials = self._credentials()
        visible = credentials.access_key + credentials.session_token
        if not (visible.isascii() and visible.isprintable()):
            # A line break would end up in the text of an exception, and the secret with it.
            raise CredentialsRefused("the access key or the session token holds characters that no header can carry")
        query = str(request.url).partition("?")[2]
        request.headers.update(signed_headers(credentials, self._region, self._host, query, self._clock()))
        return request
