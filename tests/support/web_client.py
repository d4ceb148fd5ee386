"""HTTP requests of tests: never by a proxy of the environment, and patient with a loaded machine.

Each client of httpx loads the certificate authorities anew, 40 ms of CPU; these trust none, unless `verify` says so.
"""

import ssl
from typing import Any

import httpx

from tests.support.waiting import LIMIT

NO_AUTHORITIES = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
DEFAULTS: dict[str, Any] = {"trust_env": False, "timeout": LIMIT, "verify": NO_AUTHORITIES}


def client(base_url: str = "", **settings: Any) -> httpx.Client:
    """A client that keeps its connections."""
    return httpx.Client(base_url=base_url, **DEFAULTS | settings)


def request(method: str, url: str, **settings: Any) -> httpx.Response:
    """One request over a connection of its own; `settings` are those of `httpx.request`."""
    return httpx.request(method, url, **DEFAULTS | settings)


def get(url: str, **settings: Any) -> httpx.Response:
    return request("GET", url, **settings)


def post(url: str, **settings: Any) -> httpx.Response:
    return request("POST", url, **settings)
