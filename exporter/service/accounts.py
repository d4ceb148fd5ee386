"""From an account's configuration to its client, for the pollers and for single reads."""

import math
from collections.abc import Mapping
from contextlib import closing

from exporter.config.credentials import CredentialSource
from exporter.config.schema import Account as AccountConfig
from exporter.model.clock import Clock
from exporter.model.target import TargetId
from exporter.model.task import ReadResult
from exporter.volcengine.client import Client, Endpoint
from exporter.volcengine.rate_limiter import RateLimiter

MAX_IN_FLIGHT = 300
"""Calls of one account that may be on their way at once: 60 a second, each as long as a timeout of 5 s."""


def in_flight(config: AccountConfig) -> int:
    """As many calls as the rate needs when each takes its whole timeout."""
    return min(math.ceil(config.max_qps * config.timeout) + 1, MAX_IN_FLIGHT)


def endpoint(config: AccountConfig) -> Endpoint:
    """Where and how the account calls."""
    return Endpoint(
        url=config.endpoint,
        region=config.region,
        api_version=config.api_version,
        timeout=config.timeout,
        proxy_url=config.proxy_url.get_secret_value() if config.proxy_url else None,
        ca_file=str(config.tls_config.ca_file) if config.tls_config.ca_file else None,
    )


def account_credentials(
    config: AccountConfig, environ: Mapping[str, str], clock: Clock, path: str = ""
) -> CredentialSource:
    """The account's credentials; ConfigError when they cannot be had."""
    source = CredentialSource(config, environ, clock.monotonic, path)
    source.current()
    return source


def connect(
    config: AccountConfig, credentials: CredentialSource, rate_limiter: RateLimiter, clock: Clock, *, logs: bool = True
) -> Client:
    """The account's client."""
    return Client(
        endpoint(config),
        credentials.current,
        rate_limiter,
        account=config.name if logs else "",
        clock=clock.unix,
        stopwatch=clock.monotonic,
        connections=in_flight(config),
    )


def read_once(account: AccountConfig, target: TargetId, environ: Mapping[str, str], place: str = "") -> ReadResult:
    """One signed call. ConfigError when the account has no credentials."""
    credentials = account_credentials(account, environ, Clock(), place)
    client = connect(account, credentials, RateLimiter(account.max_qps), Clock(), logs=False)
    with closing(client):
        return client.read(target)
