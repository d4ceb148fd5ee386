"""Each account's credentials, client and poller, all of which a (re)load of the configuration replaces."""

import math
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from threading import Lock

from exporter.config.credentials import CredentialSource
from exporter.config.schema import Account as AccountConfig
from exporter.config.schema import Config
from exporter.metrics.self_metrics import AccountNumbers, SelfMetrics
from exporter.model.clock import Clock
from exporter.model.target import TargetId
from exporter.model.task import ReadResult
from exporter.scheduler.poller import Poller, ReadAccount
from exporter.scheduler.registry import TaskRegistry
from exporter.scheduler.scheduler import Scheduler
from exporter.service.settings import intervals
from exporter.volcengine.client import Client, Endpoint
from exporter.volcengine.rate_limiter import RateLimiter

MAX_IN_FLIGHT = 300
"""Calls of one account that may be on their way at once: 60 a second, each as long as a timeout of 5 s."""

READ_INTERVAL = 1.0
"""Seconds for which one run of an account's job serves its reads; the next run goes on where it ended."""

RETIREMENT = 1.0
"""Seconds beyond its timeout that a call of a replaced client may take."""


def in_flight(config: AccountConfig) -> int:
    """How many calls may be in flight: as many as the rate needs when each takes its whole timeout."""
    return min(math.ceil(config.max_qps * config.timeout) + 1, MAX_IN_FLIGHT)


def endpoint(config: AccountConfig) -> Endpoint:
    """The endpoint that an account's configuration names."""
    return Endpoint(
        url=config.endpoint,
        region=config.region,
        api_version=config.api_version,
        timeout=config.timeout,
        proxy_url=config.proxy_url.get_secret_value() if config.proxy_url else None,
        ca_file=str(config.tls_config.ca_file) if config.tls_config.ca_file else None,
    )


def connect(
    config: AccountConfig, credentials: CredentialSource, rate_limiter: RateLimiter, clock: Clock, *, logs: bool = True
) -> Client:
    """The account's client."""
    return Client(
        endpoint(config),
        credentials,
        rate_limiter,
        account=config.name if logs else "",
        clock=clock.unix,
        stopwatch=clock.monotonic,
        connections=in_flight(config),
    )


def read_once(account: AccountConfig, target: TargetId, environ: Mapping[str, str], place: str = "") -> ReadResult:
    """Make one signed call. ConfigError when the account has no credentials."""
    credentials = CredentialSource(account, environ, place)
    with closing(connect(account, credentials, RateLimiter(account.max_qps), Clock(), logs=False)) as client:
        return client.read(target)


@dataclass(frozen=True, slots=True)
class _ConnectedAccount:
    """One account as a configuration wants it, able to call."""

    config: AccountConfig
    credentials: CredentialSource
    account: ReadAccount


class AccountPollers:
    """The pollers of all accounts. A reload first connects all that is new, which may fail, and only then swaps.

    A rate limiter outlives its account's configuration, so that the budget holds across a reload, another name for the
    account included.
    """

    def __init__(
        self,
        environ: Mapping[str, str],
        clock: Clock,
        self_metrics: SelfMetrics,
        scheduler: Scheduler,
        registry: TaskRegistry,
        *,
        new_rate_limiter: Callable[[float], RateLimiter],
    ) -> None:
        self._environ = environ
        self._clock = clock
        self._self_metrics = self_metrics
        self._scheduler = scheduler
        self._registry = registry
        self._new_rate_limiter = new_rate_limiter
        # By endpoint and access key, so that two names of one account share a budget.
        self._rate_limiters: dict[tuple[str, str], RateLimiter] = {}
        self.by_account: dict[str, Poller] = {}
        self._connected: dict[str, _ConnectedAccount] = {}
        self._retired: deque[tuple[float, Client]] = deque()
        self._following = Lock()

    def plan(self, config: Config) -> list[_ConnectedAccount]:
        """Connect what the configuration asks for; ConfigError when an account has no credentials."""
        return [self._connect(account, f"accounts[{index}]") for index, account in enumerate(config.accounts)]

    def swap(self, config: Config, accounts: list[_ConnectedAccount]) -> None:
        """Put the accounts in force, and stop the pollers that are no longer wanted."""
        pollers, connected = self.by_account, self._connected
        self.by_account = {each.config.name: self._swap_one(each, config) for each in accounts}
        self._connected = {each.config.name: each for each in accounts}
        for name, old in connected.items():
            now = self._connected.get(name)
            if now is None:
                pollers[name].stop()
                self._scheduler.cancel(_job(name))
                self._self_metrics.close_account(name)
            if now is None or now.account.client is not old.account.client:
                self._retire(old)

    def refresh_credentials(self) -> None:
        """Look at the files of credentials; calls that the old ones failed are tried at once with new ones."""
        for name, each in self._connected.items():
            if each.credentials.refresh() and (poller := self.by_account.get(name)) is not None:
                poller.try_at_once()

    def follow(self) -> None:
        """Read what is tracked, each target by its account's poller, and nothing else."""
        with self._following:
            tracked = {state.target.id: state for state in self._registry.all()}
            for name, poller in self.by_account.items():
                own = {target: state for target, state in tracked.items() if state.target.account == name}
                for target in poller.targets() - own.keys():
                    poller.remove(target)
                for state in own.values():
                    poller.add(state)

    def follow_some(self, targets: Iterable[TargetId]) -> None:
        """Bring the pollers of these targets up to date with the registry; all others stay as they are."""
        with self._following:
            for target in targets:
                state = self._registry.get(target)
                for name, poller in self.by_account.items():
                    if state is not None and state.target.account == name:
                        poller.add(state)
                    else:
                        poller.remove(target)

    def forget(self, targets: list[TargetId]) -> None:
        """Read these no more, unless they have been listed again since."""
        with self._following:
            for target in targets:
                if self._registry.get(target) is None:
                    for poller in self.by_account.values():
                        poller.remove(target)

    def close_retired(self) -> None:
        """Close the clients that were replaced, once their calls have had their time."""
        now = self._clock.monotonic()
        while self._retired and self._retired[0][0] <= now:
            self._retired.popleft()[1].close()

    def numbers(self) -> dict[str, AccountNumbers]:
        """Each account's gauges."""
        return {name: poller.numbers() for name, poller in self.by_account.items()}

    def stop(self) -> None:
        """Send nothing more, and end the calls in flight."""
        for poller in self.by_account.values():
            poller.stop()
        for each in self._connected.values():
            each.account.client.close()
            each.account.executor.shutdown(wait=False, cancel_futures=True)
        for _, client in self._retired:
            client.close()

    def _connect(self, config: AccountConfig, path: str) -> _ConnectedAccount:
        before = self._connected.get(config.name)
        if before is not None and before.config == config:
            return before
        credentials = CredentialSource(config, self._environ, path)
        key = config.endpoint, credentials.in_force.access_key
        limiter = before.account.rate_limiter if before else self._rate_limiters.get(key)
        if limiter is None:
            limiter = self._new_rate_limiter(config.max_qps)
        self._rate_limiters[key] = limiter
        client = connect(config, credentials, limiter, self._clock)
        most = in_flight(config)
        if before is not None and before.account.max_in_flight == most:
            executor = before.account.executor
        else:
            executor = ThreadPoolExecutor(most, thread_name_prefix=f"read-{config.name}")
        return _ConnectedAccount(config, credentials, ReadAccount(config.name, client, limiter, most, executor))

    def _swap_one(self, connected: _ConnectedAccount, config: Config) -> Poller:
        name, account, stale_after = connected.config.name, connected.account, config.polling.stale_after
        account.rate_limiter.set_limit(connected.config.max_qps)
        if (before := self.by_account.get(name)) is not None:
            before.reconfigure(account, intervals(config), stale_after)
            return before
        self._self_metrics.open_account(name)
        poller = Poller(
            account,
            intervals(config),
            stale_after,
            clock=self._clock,
            registry=self._registry,
            self_metrics=self._self_metrics,
        )
        self._scheduler.every(_job(name), READ_INTERVAL, partial(poller.serve, READ_INTERVAL), vital=True, instances=2)
        return poller

    def _retire(self, replaced: _ConnectedAccount) -> None:
        """Have a client that was replaced closed once its calls in flight have had their time."""
        self._retired.append((self._clock.monotonic() + replaced.config.timeout + RETIREMENT, replaced.account.client))
        if all(each.account.executor is not replaced.account.executor for each in self._connected.values()):
            replaced.account.executor.shutdown(wait=False)


def _job(account: str) -> str:
    return f"read:{account}"
