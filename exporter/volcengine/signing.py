"""The vendor's request signature, as pure functions (volcengine.com/docs/6369/1121980).

Three strings follow from each other: the canonical request, the string to sign, the signature. Each is a function
of its own, so that a refused signature can be compared string by string.
"""

import hashlib
import hmac
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
from urllib.parse import quote

from exporter.model.credentials import Credentials

ALGORITHM = "HMAC-SHA256"
SERVICE = "rtc"
EMPTY_BODY_SHA256 = hashlib.sha256(b"").hexdigest()


def x_date(at: float) -> str:
    """Unix seconds as the X-Date header: `20260115T083005Z`."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y%m%dT%H%M%SZ")


def canonical_query(params: Mapping[str, str]) -> str:
    """Sorted by name, RFC 3986 encoded: a space is %20, `/` is encoded, `~` is not. Also what must go on the wire."""
    return "&".join(f"{quote(name, safe='~')}={quote(value, safe='~')}" for name, value in sorted(params.items()))


def canonical_request(method: str, path: str, query: str, headers: Mapping[str, str], body_sha256: str) -> str:
    """The first string; `headers` are exactly those to sign, with lower-case names."""
    lines = [f"{name}:{headers[name].strip()}\n" for name in sorted(headers)]
    return "\n".join((method, path or "/", query, "".join(lines), ";".join(sorted(headers)), body_sha256))


def credential_scope(date: str, region: str) -> str:
    """`YYYYMMDD/region/rtc/request`."""
    return f"{date[:8]}/{region}/{SERVICE}/request"


def string_to_sign(date: str, region: str, request: str) -> str:
    """The second string; `request` is the first."""
    digest = hashlib.sha256(request.encode()).hexdigest()
    return "\n".join((ALGORITHM, date, credential_scope(date, region), digest))


def signing_key(secret_key: str, day: str, region: str) -> bytes:
    """The key of one day (`YYYYMMDD`): the secret is used raw, without prefix and never base64-decoded."""
    key = secret_key.encode()
    for part in (day, region, SERVICE, "request"):
        key = hmac.digest(key, part.encode(), "sha256")
    return key


cached_signing_key = lru_cache(maxsize=256)(signing_key)
"""The same, kept: a key lives a day, and a call every 20 ms would derive it anew."""


def signature(key: bytes, to_sign: str) -> str:
    """The third string, lower-case hex."""
    return hmac.digest(key, to_sign.encode(), "sha256").hex()


def signed_headers(credentials: Credentials, region: str, host: str, query: str, at: float) -> dict[str, str]:
    """The headers that sign one bodiless GET of `/?query` on `host`, sent at `at` (Unix seconds)."""
    date = x_date(at)
    headers = {"host": host, "x-content-sha256": EMPTY_BODY_SHA256, "x-date": date}
    if credentials.session_token:
        headers["x-security-token"] = credentials.session_token
    to_sign = string_to_sign(date, region, canonical_request("GET", "/", query, headers, EMPTY_BODY_SHA256))
    key = cached_signing_key(credentials.secret_key, date[:8], region)
    shown = {
        "Host": host,
        "X-Content-Sha256": EMPTY_BODY_SHA256,
        "X-Date": date,
        "Authorization": (
            f"{ALGORITHM} Credential={credentials.access_key}/{credential_scope(date, region)}, "
            f"SignedHeaders={';'.join(sorted(headers))}, Signature={signature(key, to_sign)}"
        ),
    }
    if credentials.session_token:
        shown["X-Security-Token"] = credentials.session_token
    return shown
