"""Where an account's calls go, and the request that goes there."""

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from urllib.parse import SplitResult, urlsplit

from requests import PreparedRequest
from requests.utils import get_environ_proxies

from exporter import __version__
from exporter.errors import CredentialsRefused
from exporter.model.credentials import Credentials
from exporter.model.target import TargetId
from exporter.volcengine.signing import canonical_query, signed_headers

ACTION = "GetWebCastTask"
MOST_QUERIES = 50_000
DEFAULT_PORTS = frozenset({None, 80, 443})
"""The vendor's own signers leave both out of the Host header, whatever the scheme."""
FIXED_HEADERS = MappingProxyType({"Accept": "application/json", "User-Agent": f"webcast-exporter/{__version__}"})


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where and how one account calls; `timeout` in seconds for the whole answer.

    `ca_file` replaces the bundled authorities. Without `proxy_url` the environment's HTTPS_PROXY, HTTP_PROXY and
    NO_PROXY decide, but never for a loopback host; an empty one means no proxy.
    """

    url: str = "https://rtc.volcengineapi.com"
    region: str = "cn-north-1"
    api_version: str = "2020-12-01"
    timeout: float = 5.0
    proxy_url: str | None = field(default=None, repr=False)
    ca_file: str | None = None

    @property
    def proxies(self) -> dict[str, str]:
        """The proxy by the endpoint's scheme, as requests has it; reads the environment."""
        parts = urlsplit(self.url)
        if self.proxy_url is not None:
            return {parts.scheme: self.proxy_url} if self.proxy_url else {}
        if _is_loopback(parts.hostname or ""):
            return {}
        return {scheme: url for scheme, url in get_environ_proxies(self.url).items() if scheme == parts.scheme}


class _Signed(PreparedRequest):
    """A request that is prepared already: nothing of it is looked for again in its URL, or copied."""

    path_url: str = ""

    def __init__(self, url: str, path_url: str, headers: Mapping[str, str]) -> None:
        super().__init__()
        self.method = "GET"
        self.url = url
        self.path_url = path_url
        self.headers = headers  # type: ignore[assignment]  # no name stands there twice, in whatever case


class Requests:
    """Makes the signed request for a target; what does not change from call to call is kept until `forget`."""

    def __init__(self, endpoint: Endpoint) -> None:
        parts = urlsplit(endpoint.url)
        self._host = _host(parts, shown_port=None if parts.port in DEFAULT_PORTS else parts.port)
        self._base = f"{parts.scheme}://{_host(parts, shown_port=parts.port)}/?"
        self._endpoint = endpoint
        self._queries: dict[TargetId, str] = {}

    def signed(self, target: TargetId, credentials: Credentials, at: float) -> PreparedRequest:
        """The request sent at `at` (Unix seconds); its query is byte for byte the signed one.

        Raises CredentialsRefused for a key or token that no header can carry.
        """
        query = self._query(target)
        signed = signed_headers(_sendable(credentials), self._endpoint.region, self._host, query, at)
        return _Signed(self._base + query, "/?" + query, {**FIXED_HEADERS, **signed})

    def forget(self, target: TargetId) -> None:
        """Drop what is kept of a target that will not be read again."""
        self._queries.pop(target, None)

    def _query(self, target: TargetId) -> str:
        query = self._queries.get(target)
        if query is None:
            if len(self._queries) >= MOST_QUERIES:
                self._queries.clear()
            query = self._queries[target] = canonical_query(_parameters(target, self._endpoint.api_version))
        return query


def _parameters(target: TargetId, api_version: str) -> Mapping[str, str]:
    """Seed page, request parameters. The API's two versions take the same ones (volcengine.com/docs/6348/1188209)."""
    return {
        "Action": ACTION,
        "Version": api_version,
        "AppId": target.app_id,
        "RoomId": target.room_id,
        "TaskId": target.task_id,
    }


def _sendable(credentials: Credentials) -> Credentials:
    """A line break in a header would end up in an exception's text, and the secret with it."""
    shown = credentials.access_key + credentials.session_token
    if not (shown.isascii() and shown.isprintable()):
        raise CredentialsRefused("the access key or the session token holds characters that no header can carry")
    return credentials


def _host(parts: SplitResult, shown_port: int | None) -> str:
    name = parts.hostname or ""
    name = f"[{name}]" if ":" in name else name
    return name if shown_port is None else f"{name}:{shown_port}"


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
