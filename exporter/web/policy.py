"""What the web config file asks for, ready to be put to use."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from exporter.config.web_config import WebConfig
from exporter.web.allowance import Allowance
from exporter.web.passwords import Passwords
from exporter.web.tls import Tls, make_tls


@dataclass(frozen=True)
class Policy:
    """How the listeners speak, whom they answer, and with which headers besides or instead of their own.

    `tls` is the main listener's, `door_tls` that of the one for callbacks alone. A blank header is not sent.
    """

    tls: Tls | None = None
    door_tls: Tls | None = None
    passwords: Passwords = field(default_factory=lambda: Passwords({}))
    allowance: Allowance | None = None
    headers: Mapping[bytes, bytes] = field(default_factory=dict)


PolicyNow = Callable[[], Policy]
"""The policy in force; it is asked at each connection and each request."""

WIDE_OPEN = Policy()
"""Without a web config file: plain HTTP, for everybody."""


def wide_open() -> Policy:
    """The policy in force where there is no file."""
    return WIDE_OPEN


def make_policy(config: WebConfig) -> Policy:
    """From the file; ConfigError when a certificate cannot be used."""
    tls, door_tls = make_tls(config.tls_server_config) if config.tls_server_config else (None, None)
    hashes = {name: each.get_secret_value().encode() for name, each in config.basic_auth_users.items()}
    limit = config.rate_limit
    headers = config.http_server_config.headers
    return Policy(
        tls,
        door_tls,
        Passwords(hashes),
        Allowance(1 / limit.interval, float(limit.burst)) if limit.interval else None,
        {name.lower().encode("ascii"): value.encode("ascii") for name, value in headers.items()},
    )
