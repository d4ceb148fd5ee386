"""From an account's configuration to its client, for the pollers and for single reads."""

import math
from collections.abc import Mapping
from contextlib import closing
from functools import partial

from exporter.config.credentials import CredentialSource
from exporter.config.schema import Account as AccountConfig
from exporter.model.clock import Clock
from exporter.model.read_result import ReadResult
from exporter.model.target import TargetId
from exporter.scheduler.ports import Account
from exporter.volcengine.client import Client, Endpoint
from exporter.volcengine.rate_limiter import RateLimiter

MOST_IN_FLIGHT = 300
"""Calls of one account that may be on their way at once: 60 a second, each as long as a timeout of 5 s."""


def in_flight(config: AccountConfig) -> int:
    """As many calls as the rate needs when each takes its whole timeout."""
    return min(math.ceil(config.max_qps * config.timeout) + 1, MOST_IN_FLIGHT)


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


def connect(
    config: AccountConfig,
    environ: Mapping[str, str],
    rate_limiter: RateLimiter,
    clock: Clock,
    place: str = "",
    *,
    logs: bool = True,
) -> tuple[Account, Client]:
    """The account as polling sees it, and its client. ConfigError when its credentials cannot be had."""
    source = CredentialSource(config, environ, clock.monotonic, place)
    source.current()
    client = Client(
        endpoint(config),
        source.current,
        rate_limiter,
        account=config.name if logs else "",
        clock=clock.unix,
        stopwatch=clock.monotonic,
        connections=in_flight(config),
    )
    return Account(config.name, client, rate_limiter, partial(_generation, source), in_flight(config)), client


def _generation(source: CredentialSource) -> int:
    """Look at the files (once a second at most), and say which set is in force."""
    source.current()
    return source.generation


def read_once(account: AccountConfig, target: TargetId, environ: Mapping[str, str], place: str = "") -> ReadResult:
    """One signed call. ConfigError when the account has no credentials."""
    _, client = connect(account, environ, RateLimiter(account.max_qps), Clock(), place, logs=False)
    with closing(client):
        return client.read(target)
