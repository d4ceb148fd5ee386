"""Who is calling: the accounts there are, and the check of a signature over what arrived (docs 6369/1121980)."""

import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from exporter.model.credentials import Credentials
from exporter.simulator.replies import (
    INVALID_ACCESS_KEY,
    INVALID_AUTHORIZATION,
    INVALID_CREDENTIAL,
    INVALID_SECRET_TOKEN,
    INVALID_TIMESTAMP,
    MISSING_REQUEST_INFO,
    MISSING_SIGNATURE,
    MISSING_TOKEN,
    SIGNATURE_MISMATCH,
    Refusal,
)
from exporter.simulator.wire import Request, canonical
from exporter.volcengine.signing import (
    ALGORITHM,
    cached_signing_key,
    canonical_request,
    credential_scope,
    signature,
    string_to_sign,
)

LIFETIME = 900
"""Seconds for which a signature is good, before and after its X-Date (docs 6500/1285432)."""
DEFAULT_PORT = re.compile(r":(80|443)$")
X_DATE = re.compile(r"\d{8}T\d{6}Z", re.ASCII)


@dataclass(frozen=True, slots=True)
class Account:
    """One account: the key pairs it accepts and the apps it owns (none named: those that no other account names)."""

    name: str
    keys: tuple[Credentials, ...]
    app_ids: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Authorization:
    """The Authorization header, taken apart."""

    access_key: str
    scope: str
    signed_headers: tuple[str, ...]
    signature: str


def verify(request: Request, accounts: tuple[Account, ...], region: str, at: float) -> Account:
    """The account whose key signed this request; raises Refusal with the vendor's word for what is wrong."""
    authorization = _authorization(request.headers)
    date = _date(request.headers, at)
    account, key = _key(accounts, authorization.access_key)
    _check_token(key, request.headers.get("x-security-token", ""))
    if authorization.scope != credential_scope(date, region):
        raise Refusal(INVALID_CREDENTIAL, f"The credential scope {authorization.scope} is not this service's.")
    expected = _signature(request, authorization, key, date, region)
    if not hmac.compare_digest(expected.encode(), authorization.signature.encode()):
        raise Refusal(SIGNATURE_MISMATCH, "The request signature we calculated does not match.")
    return account


def owns(account: Account, app_id: str, accounts: tuple[Account, ...]) -> bool:
    """Whether an app is this account's to ask about."""
    if account.app_ids:
        return app_id in account.app_ids
    return not any(app_id in other.app_ids for other in accounts)


def _authorization(headers: Mapping[str, str]) -> Authorization:
    header = headers.get("authorization")
    if not header:
        raise Refusal(MISSING_TOKEN, "The Authorization header is missing.")
    algorithm, _, rest = header.partition(" ")
    parts = dict(part.strip().partition("=")[::2] for part in rest.split(","))
    access_key, _, scope = parts.get("Credential", "").partition("/")
    if algorithm != ALGORITHM or not access_key or not parts.get("SignedHeaders"):
        raise Refusal(INVALID_AUTHORIZATION, "The Authorization header is malformed.")
    if not parts.get("Signature"):
        raise Refusal(MISSING_SIGNATURE, "The Authorization header has no Signature.")
    return Authorization(access_key, scope, tuple(parts["SignedHeaders"].split(";")), parts["Signature"])


def _date(headers: Mapping[str, str], at: float) -> str:
    date = headers.get("x-date")
    if not date:
        raise Refusal(MISSING_REQUEST_INFO, "The X-Date header is missing.")
    try:
        signed = datetime.strptime(date if X_DATE.fullmatch(date) else "", "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    except ValueError:
        raise Refusal(INVALID_TIMESTAMP, f"X-Date {date} is malformed.") from None
    if abs(at - signed.timestamp()) > LIFETIME:
        raise Refusal(INVALID_TIMESTAMP, f"The request of {date} is expired, or its signing time is in the future.")
    return date


def _key(accounts: tuple[Account, ...], access_key: str) -> tuple[Account, Credentials]:
    for account in accounts:
        for key in account.keys:
            if key.access_key == access_key:
                return account, key
    raise Refusal(INVALID_ACCESS_KEY, f"The access key {access_key} does not exist.")


def _check_token(key: Credentials, token: str) -> None:
    if not hmac.compare_digest(key.session_token.encode(), token.encode()):
        raise Refusal(INVALID_SECRET_TOKEN, "The security token is invalid or expired.")


def _signature(request: Request, authorization: Authorization, key: Credentials, date: str, region: str) -> str:
    """The signature that this request should have had."""
    sent = {**request.headers, "host": DEFAULT_PORT.sub("", request.headers.get("host", ""))}
    names = set(authorization.signed_headers)
    needed = {"host", "x-date"} | ({"x-security-token"} & sent.keys())
    if not needed <= names <= sent.keys():
        raise Refusal(
            SIGNATURE_MISMATCH, "host, x-date and the security token must be signed, and what is signed sent."
        )
    digest = hashlib.sha256(request.body).hexdigest()
    if sent.get("x-content-sha256", digest) != digest:
        raise Refusal(SIGNATURE_MISMATCH, "X-Content-Sha256 is not that of the body.")
    headers = {name: sent[name] for name in names}
    first = canonical_request(request.method, request.path, canonical(request.pairs), headers, digest)
    to_sign = string_to_sign(date, region, first)
    return signature(cached_signing_key(key.secret_key, date[:8], region), to_sign)
