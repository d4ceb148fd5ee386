"""Every account's poller over one registry: what a (re)load of the configuration replaces."""

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from threading import Lock

from exporter.config.credentials import CredentialSource
from exporter.config.schema import Account as AccountConfig
from exporter.config.schema import Config
from exporter.metrics.self_metrics import AccountNumbers, SelfMetrics
from exporter.model.clock import Clock
from exporter.model.target import TargetId
from exporter.model.task_state import NextRead, TaskState
from exporter.scheduler.poller import Poller, ReadAccount
from exporter.scheduler.registry import TaskRegistry
from exporter.scheduler.scheduler import Scheduler
from exporter.service.accounts import account_credentials, connect, in_flight
from exporter.service.settings import intervals
from exporter.volcengine.client import Client
from exporter.volcengine.error_mapping import UnknownCode
from exporter.volcengine.rate_limiter import RateLimiter

READ_INTERVAL = 1.0
"""Seconds for which one run of an account's job serves its reads; the next run goes on where it ended."""

RETIREMENT = 1.0
"""Seconds beyond its timeout that a call of a replaced client may take."""


@dataclass(frozen=True, slots=True)
class AccountPoller:
    """One account at work."""

    config: AccountConfig
    account: ReadAccount
    credentials: CredentialSource
    poller: Poller

    def forget(self, target: TargetId) -> None:
        """Read a target no more."""
        self.poller.remove(target)


@dataclass(frozen=True, slots=True)
class _Plan:
    """One account as the new configuration wants it; nothing of it is in force yet."""

    config: AccountConfig
    account: ReadAccount
    credentials: CredentialSource


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
        new_rate_limiter: Callable[[float], RateLimiter],
    ) -> None:
        self._environ = environ
        self._clock = clock
        self._self_metrics = self_metrics
        self._scheduler = scheduler
        self._new_rate_limiter = new_rate_limiter
        self._rate_limiters: dict[
            tuple[str, str], RateLimiter
        ] = {}  # by endpoint and access key: two names of one account share a budget
        self._pollers: dict[str, AccountPoller] = {}
        self._retired: deque[tuple[float, Client]] = deque()
        self._following = Lock()

    def plan(self, config: Config) -> list[_Plan]:
        """Connect what the configuration asks for; ConfigError when an account has no credentials."""
        return [self._plan(account, f"accounts[{index}]") for index, account in enumerate(config.accounts)]

    def swap(self, config: Config, plans: list[_Plan], registry: TaskRegistry) -> None:
        """Put the plans in force, and stop the pollers that are no longer wanted."""
        before, self._pollers = (
            self._pollers,
            {plan.config.name: self._swap_one(plan, config, registry) for plan in plans},
        )
        for name, each in before.items():
            now = self._pollers.get(name)
            if now is None:
                each.poller.stop()
                self._scheduler.cancel(_job(name))
                self._self_metrics.close_account(name)
            if now is None or now.account.client is not each.account.client:
                self._retire(each)

    def follow(self, registry: TaskRegistry) -> None:
        """Read what is tracked, each target by its account's poller, and nothing else."""
        with self._following:
            tracked = {state.target.id: state for state in registry.all()}
            for name, each in self._pollers.items():
                own = {target: state for target, state in tracked.items() if state.target.account == name}
                for target in each.poller.targets() - own.keys():
                    each.forget(target)
                for state in own.values():
                    each.poller.add(state)

    def follow_some(self, targets: Iterable[TargetId], registry: TaskRegistry) -> None:
        """Do so for these targets; all others stay as they are."""
        with self._following:
            for target in targets:
                state = registry.get(target)
                for name, each in self._pollers.items():
                    if state is not None and state.target.account == name:
                        each.poller.add(state)
                    else:
                        each.forget(target)

    def make_due(self, states: Iterable[TaskState]) -> None:
        """End the wait of these for their next read."""
        for state in states:
            if (each := self._pollers.get(state.target.account)) is not None:
                each.poller.make_due(state.target.id)

    def ask(self, state: TaskState) -> None:
        """Read this one before the others."""
        if (each := self._pollers.get(state.target.account)) is not None:
            each.poller.ask(state.target.id)

    def forget(self, targets: list[TargetId], registry: TaskRegistry) -> None:
        """Read these no more, unless they have been listed again since."""
        with self._following:
            for target in targets:
                if registry.get(target) is None:
                    for each in self._pollers.values():
                        each.forget(target)

    def close_retired(self) -> None:
        """Close the clients that were replaced, once their calls have had their time."""
        now = self._clock.monotonic()
        while self._retired and self._retired[0][0] <= now:
            self._retired.popleft()[1].close()

    def look_at_files(self) -> None:
        """Read credentials again whose files have changed."""
        for each in tuple(self._pollers.values()):
            each.credentials.look()

    @property
    def alive(self) -> bool:
        """Whether threads can be had for every account's calls."""
        return all(each.poller.alive for each in self._pollers.values())

    def interval_in_force(self, state: TaskState) -> float:
        """The interval now in force for a task, in seconds."""
        each = self._pollers.get(state.target.account)
        return each.poller.interval_in_force(state) if each else 0.0

    def next_read(self, state: TaskState) -> NextRead | None:
        """When a target will be read next; None while no account reads it."""
        each = self._pollers.get(state.target.account)
        return each.poller.next_read(state.target.id) if each else None

    def numbers(self) -> dict[str, AccountNumbers]:
        """Each account's gauges."""
        return {name: each.poller.numbers() for name, each in self._pollers.items()}

    def unknown_codes(self) -> dict[str, list[UnknownCode]]:
        """Each account's error codes that the vendor does not document, the latest first."""
        return {name: each.account.client.unknown_codes() for name, each in self._pollers.items()}

    def stop(self) -> None:
        """Send nothing more, and end the calls in flight."""
        for each in self._pollers.values():
            each.poller.stop()
            each.account.client.close()
            each.account.executor.shutdown(wait=False, cancel_futures=True)
        for _, client in self._retired:
            client.close()

    def _plan(self, config: AccountConfig, path: str) -> _Plan:
        before = self._pollers.get(config.name)
        if before is not None and before.config == config:
            return _Plan(config, before.account, before.credentials)
        credentials = account_credentials(config, self._environ, self._clock, path)
        key = config.endpoint, credentials.current().access_key
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
        account = ReadAccount(config.name, client, limiter, lambda: credentials.generation, most, executor)
        return _Plan(config, account, credentials)

    def _swap_one(self, plan: _Plan, config: Config, registry: TaskRegistry) -> AccountPoller:
        name, polling = plan.config.name, config.polling
        plan.account.rate_limiter.set_limit(plan.config.max_qps)
        before = self._pollers.get(name)
        if before is None:
            self._self_metrics.open_account(name)
            poller = Poller(
                plan.account,
                intervals(config),
                polling.stale_after,
                clock=self._clock,
                registry=registry,
                self_metrics=self._self_metrics,
            )
            serve = partial(poller.serve, READ_INTERVAL)
            self._scheduler.every(_job(name), READ_INTERVAL, serve, vital=True, instances=2)
        else:
            poller = before.poller
            poller.reconfigure(plan.account, intervals(config), polling.stale_after)
        return AccountPoller(plan.config, plan.account, plan.credentials, poller)

    def _retire(self, replaced: AccountPoller) -> None:
        """Have a client that was replaced closed once its calls in flight have had their time."""
        self._retired.append((self._clock.monotonic() + replaced.config.timeout + RETIREMENT, replaced.account.client))
        executors = [each.account.executor for each in self._pollers.values()]
        if replaced.account.executor not in executors:
            replaced.account.executor.shutdown(wait=False)


def _job(account: str) -> str:
    return f"read:{account}"
