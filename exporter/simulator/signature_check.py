"""Check of a request's signature as the vendor's gateway does it (docs 6369/1121980), and who may read which app."""

import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from urllib.parse import parse_qsl

from exporter.model.credentials import Credentials
from exporter.simulator import replies
from exporter.simulator.replies import Refusal
from exporter.volcengine.signing import (
    ALGORITHM,
    cached_signing_key,
    canonical_query,
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
class ApiRequest:
    """A request as it arrived. Header names are lower-case, `query` is as on the wire."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(default=b"", repr=False)

    @property
    def pairs(self) -> list[tuple[str, str]]:
        """The query, decoded."""
        return parse_qsl(self.query, keep_blank_values=True)


@dataclass(frozen=True, slots=True)
class SimulatedAccount:
    """An account: the key pairs it accepts and the apps it owns (none named: those that no other account names)."""

    name: str
    keys: tuple[Credentials, ...]
    app_ids: frozenset[str] = frozenset()


def canonical(pairs: list[tuple[str, str]]) -> str:
    """The canonical query of decoded pairs; a repeated name keeps its order (docs 6971/174333)."""
    return "&".join(canonical_query({name: value}) for name, value in sorted(pairs, key=lambda pair: pair[0]))


def check_signature(
    request: ApiRequest, accounts: tuple[SimulatedAccount, ...], region: str, at: float
) -> SimulatedAccount:
    """The account whose key signed this request; raises Refusal with the vendor's code for what is wrong."""
    access_key, scope, names, given = _authorization(request.headers)
    date = _date(request.headers, at)
    account, key = _key(accounts, access_key)
    if not hmac.compare_digest(key.session_token.encode(), request.headers.get("x-security-token", "").encode()):
        raise Refusal(replies.INVALID_SECRET_TOKEN, "The security token is invalid or expired.")
    if scope != credential_scope(date, region):
        raise Refusal(replies.INVALID_CREDENTIAL, f"The credential scope {scope} is not this service's.")
    if not hmac.compare_digest(_signature(request, names, key, date, region).encode(), given.encode()):
        raise Refusal(replies.SIGNATURE_MISMATCH, "The request signature we calculated does not match.")
    return account


def owns(account: SimulatedAccount, app_id: str, accounts: tuple[SimulatedAccount, ...]) -> bool:
    """Whether an account may read an app."""
    if account.app_ids:
        return app_id in account.app_ids
    return not any(app_id in other.app_ids for other in accounts)


def _authorization(headers: Mapping[str, str]) -> tuple[str, str, set[str], str]:
    """Access key, scope, names of the signed headers and signature."""
    header = headers.get("authorization")
    if not header:
        raise Refusal(replies.MISSING_TOKEN, "The Authorization header is missing.")
    algorithm, _, rest = header.partition(" ")
    parts = dict(part.strip().partition("=")[::2] for part in rest.split(","))
    access_key, _, scope = parts.get("Credential", "").partition("/")
    if algorithm != ALGORITHM or not access_key or not parts.get("SignedHeaders"):
        raise Refusal(replies.INVALID_AUTHORIZATION, "The Authorization header is malformed.")
    if not parts.get("Signature"):
        raise Refusal(replies.MISSING_SIGNATURE, "The Authorization header has no Signature.")
    return access_key, scope, set(parts["SignedHeaders"].split(";")), parts["Signature"]


def _date(headers: Mapping[str, str], at: float) -> str:
    date = headers.get("x-date")
    if not date:
        raise Refusal(replies.MISSING_REQUEST_INFO, "The X-Date header is missing.")
    try:
        signed = datetime.strptime(date if X_DATE.fullmatch(date) else "", "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    except ValueError:
        raise Refusal(replies.INVALID_TIMESTAMP, f"X-Date {date} is malformed.") from None
    if abs(at - signed.timestamp()) > LIFETIME:
        raise Refusal(replies.INVALID_TIMESTAMP, f"The request of {date} is expired, or signed in the future.")
    return date


def _key(accounts: tuple[SimulatedAccount, ...], access_key: str) -> tuple[SimulatedAccount, Credentials]:
    for account in accounts:
        for key in account.keys:
            if key.access_key == access_key:
                return account, key
    raise Refusal(replies.INVALID_ACCESS_KEY, f"The access key {access_key} does not exist.")


def _signature(request: ApiRequest, names: set[str], key: Credentials, date: str, region: str) -> str:
    """The signature that this request should have. The official Node client does not sign the host."""
    sent = {**request.headers, "host": DEFAULT_PORT.sub("", request.headers.get("host", ""))}
    if not {"x-date"} | ({"x-security-token"} & sent.keys()) <= names <= sent.keys():
        raise Refusal(replies.SIGNATURE_MISMATCH, "X-Date and the security token must be signed, what is signed sent.")
    digest = hashlib.sha256(request.body).hexdigest()
    if sent.get("x-content-sha256", digest) != digest:
        raise Refusal(replies.SIGNATURE_MISMATCH, "X-Content-Sha256 is not that of the body.")
    headers = {name: sent[name] for name in names}
    first = canonical_request(request.method, request.path, canonical(request.pairs), headers, digest)
    return signature(cached_signing_key(key.secret_key, date[:8], region), string_to_sign(date, region, first))
