"""The accounts' pollers over one tracker: what a (re)load of the configuration replaces."""

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from threading import Lock

from exporter.config.schema import Account as AccountConfig
from exporter.config.schema import Config
from exporter.metrics.self_metrics import AccountNumbers, SelfMetrics
from exporter.model.clock import Clock
from exporter.model.target import TargetId
from exporter.model.task_state import NextRead, TaskState
from exporter.scheduler.poller import LOOK_AHEAD, Poller
from exporter.scheduler.ports import Account, Ports
from exporter.scheduler.registry import TaskRegistry
from exporter.service.accounts import connect
from exporter.service.settings import intervals
from exporter.volcengine.client import Client
from exporter.volcengine.error_mapping import UnknownCode
from exporter.volcengine.rate_limiter import RateLimiter

RETIREMENT = 1.0
"""Seconds beyond its timeout that a call of a replaced client may take."""


@dataclass(frozen=True, slots=True)
class AccountPoller:
    """One account at work."""

    config: AccountConfig
    rate_limiter: RateLimiter
    client: Client
    poller: Poller


@dataclass(frozen=True, slots=True)
class _Plan:
    """One account as the new configuration wants it; nothing of it is in force yet."""

    config: AccountConfig
    rate_limiter: RateLimiter
    account: Account
    client: Client


class AccountPollers:
    """Every account's desk. A reload first connects all that is new, which may fail, and only then swaps.

    A pacer outlives its account's configuration, so that the budget holds across a reload.
    """

    def __init__(
        self,
        environ: Mapping[str, str],
        clock: Clock,
        self_metrics: SelfMetrics,
        ports: Ports,
        new_pacer: Callable[[float], RateLimiter],
    ) -> None:
        self._environ = environ
        self._clock = clock
        self._instruments = self_metrics
        self._ports = ports
        self._new_pacer = new_pacer
        self._desks: dict[str, AccountPoller] = {}
        self._retired: deque[tuple[float, Client]] = deque()
        self._following = Lock()

    def plan(self, config: Config) -> list[_Plan]:
        """Connect what the configuration asks for; ConfigError when an account has no credentials."""
        return [self._planned(account, f"accounts[{index}]") for index, account in enumerate(config.accounts)]

    def swap(self, config: Config, plans: list[_Plan]) -> None:
        """Put the plans in force, and let go of the desks that are no longer wanted."""
        before, self._desks = self._desks, {plan.config.name: self._desk(plan, config) for plan in plans}
        for name, desk in before.items():
            now = self._desks.get(name)
            if now is None:
                desk.poller.stop()
                self._instruments.close_account(name)
            if now is None or now.client is not desk.client:
                self._retire(desk)

    def follow(self, registry: TaskRegistry) -> None:
        """Read what is tracked, each target at its account's desk, and nothing else."""
        with self._following:
            tracked = {known.target.id: known for known in registry.all()}
            for name, desk in self._desks.items():
                mine = {target: known for target, known in tracked.items() if known.target.account == name}
                for target in desk.poller.targets() - mine.keys():
                    self._forget(desk, target)
                for known in mine.values():
                    desk.poller.add(known)

    def follow_some(self, targets: Iterable[TargetId], registry: TaskRegistry) -> None:
        """The same for these targets, where all others stay as they are."""
        with self._following:
            for target in targets:
                known = registry.get(target)
                for name, desk in self._desks.items():
                    if known is not None and known.target.account == name:
                        desk.poller.add(known)
                    else:
                        self._forget(desk, target)

    def make_due(self, known: Iterable[TaskState]) -> None:
        """Let these wait for their next read no longer."""
        for each in known:
            if (desk := self._desks.get(each.target.account)) is not None:
                desk.poller.make_due(each.target.id)

    def ask(self, known: TaskState) -> None:
        """Read this one before the others."""
        if (desk := self._desks.get(known.target.account)) is not None:
            desk.poller.ask(known.target.id)

    def forget(self, targets: list[TargetId], registry: TaskRegistry) -> None:
        """Read these no more, unless they have been listed again since."""
        with self._following:
            for target in targets:
                if registry.get(target) is None:
                    for desk in self._desks.values():
                        self._forget(desk, target)

    def hand_out(self) -> None:
        """Send off the calls of one beat; an account that cannot has the others go on."""
        now = self._clock.monotonic()
        for name, desk in self._desks.items():
            try:
                desk.poller.hand_out(now + LOOK_AHEAD)
            except Exception as error:  # noqa: BLE001 - the edge between accounts
                self._ports.failed(f"the round of account {name}", error)
        while self._retired and self._retired[0][0] <= now:
            self._retired.popleft()[1].close()

    def in_force(self, known: TaskState) -> float:
        """The interval now in force for a task, in seconds."""
        desk = self._desks.get(known.target.account)
        return desk.poller.in_force(known) if desk else 0.0

    def turn(self, known: TaskState) -> NextRead | None:
        """When a task will be read next; None while no account reads it."""
        desk = self._desks.get(known.target.account)
        return desk.poller.turn(known.target.id) if desk else None

    def numbers(self) -> dict[str, AccountNumbers]:
        """What each account's polling says of itself."""
        return {name: desk.poller.numbers() for name, desk in self._desks.items()}

    def unknown_codes(self) -> dict[str, list[UnknownCode]]:
        """Each account's error codes that the vendor does not document, the latest first."""
        return {name: desk.client.unknown_codes() for name, desk in self._desks.items()}

    def stop(self) -> None:
        """Hand out nothing more, and end the calls in flight."""
        for desk in self._desks.values():
            desk.poller.stop()
            desk.client.close()
        for _, client in self._retired:
            client.close()

    def _planned(self, config: AccountConfig, place: str) -> _Plan:
        desk = self._desks.get(config.name)
        if desk is not None and desk.config == config:
            return _Plan(config, desk.rate_limiter, desk.poller.account, desk.client)
        rate_limiter = desk.rate_limiter if desk else self._new_pacer(config.max_qps)
        account, client = connect(config, self._environ, rate_limiter, self._clock, place)
        return _Plan(config, rate_limiter, account, client)

    def _desk(self, plan: _Plan, config: Config) -> AccountPoller:
        name = plan.config.name
        plan.rate_limiter.set_limit(plan.config.max_qps)
        desk = self._desks.get(name)
        if desk is None:
            self._instruments.open_account(name)
            poller = Poller(plan.account, intervals(config), config.polling.stale_after, self._clock, self._ports)
        else:
            poller = desk.poller
            poller.reconfigure(plan.account, intervals(config), config.polling.stale_after)
        return AccountPoller(plan.config, plan.rate_limiter, plan.client, poller)

    def _retire(self, desk: AccountPoller) -> None:
        """Have a client that was replaced closed once its calls in flight have had their time."""
        self._retired.append((self._clock.monotonic() + desk.config.timeout + RETIREMENT, desk.client))

    @staticmethod
    def _forget(desk: AccountPoller, target: TargetId) -> None:
        desk.poller.remove(target)
        desk.client.forget(target)
