"""The push API at work: who may push, and what comes of it."""

from collections.abc import Callable, Iterable
from contextlib import suppress

from exporter.app.fleet import Desks
from exporter.config.push import Push as PushConfig
from exporter.config.schema import Config
from exporter.config.tokens import TokenFile
from exporter.errors import StartError, StateError
from exporter.ledger.ledger import Ledger
from exporter.ledger.pushed import PushedTargets
from exporter.model.clock import Clock
from exporter.model.target import TargetId
from exporter.polling.tracker import Tracker
from exporter.targets.groups import Listing, TargetGroup
from exporter.targets.listing import AccountOf
from exporter.targets.pushed import Change, PushList, read_push
from exporter.vocabulary import Source

SWEEP = 1.0
"""Seconds between two looks for targets whose listing by push has ended by itself."""

CarryOut = Callable[[Callable[[Config], Change | None]], bool]
"""Has a change made, committed and put in force while nothing else changes the lists; False when there is none to make.

StartError or StateError when the state cannot be used; then nothing has changed.
"""


class Pushed:
    """The pushed list and the tokens in force. With push off the list stays in the state, and is no source.

    StartError when the state cannot be read.
    """

    def __init__(self, ledger: Ledger, clock: Clock) -> None:
        self.list = PushList(PushedTargets(ledger, Source.PUSH))
        self.tokens: TokenFile | None = None
        self._clock = clock

    def plan(self, config: PushConfig) -> TokenFile | None:
        """The tokens that a configuration asks for, None for push off; ConfigError when their file cannot be used."""
        return TokenFile(config.token_file, self._clock.monotonic) if config.token_file else None

    def listings(self) -> list[Listing]:
        """The pushed list, if it counts."""
        return [self.list.listing] if self.tokens else []

    def renewed_at(self, target: TargetId) -> float | None:
        """When a push last named a target that one lists."""
        return self.list.renewed_at(target) if self.tokens else None


class PushDesk:
    """What the push API asks for, done."""

    def __init__(self, pushed: Pushed, tracker: Tracker, desks: Desks, clock: Clock, carry_out: CarryOut) -> None:
        self._pushed = pushed
        self._tracker = tracker
        self._desks = desks
        self._clock = clock
        self._carry_out = carry_out

    @property
    def on(self) -> bool:
        """Whether targets can be pushed."""
        return self._pushed.tokens is not None

    def admits(self, token: str) -> bool:
        """Whether whoever shows this token may push."""
        tokens = self._pushed.tokens
        return tokens is not None and tokens.accepts(token)

    def name(self, groups: list[TargetGroup], *, whole: bool) -> int:
        """Add and renew what the groups name, and let go of all else if they are the `whole` list; how many they name.

        BadTargets, StateError: nothing has changed.
        """
        named: set[TargetId] = set()

        def change(config: Config) -> Change:
            targets = read_push(groups, AccountOf(config.accounts))
            named.update(targets)
            at = self._clock.unix()
            return self._pushed.list.replaced(targets, at) if whole else self._pushed.list.added(targets, at)

        self._carry_out(change)
        self._read_stopped(named)
        return len(named)

    def release(self, target: TargetId, *, now: bool) -> bool:
        """End a target's listing by push, `now` without a drain; False when no push lists it. StateError: it stays."""
        if not self._carry_out(lambda _: self._without([target])):
            return False
        if now:
            self._tracker.cut_short(target)
        return True

    def sweep(self) -> None:
        """Let go of the targets whose listing has ended by itself; what cannot be written is tried again next time."""
        if self._tracker.lapsed():
            with suppress(StartError, StateError):  # the ledger has counted it and told of it
                self._carry_out(lambda _: self._without(self._tracker.lapsed()))

    def _without(self, targets: Iterable[TargetId]) -> Change | None:
        listed = [target for target in targets if self._pushed.list.renewed_at(target) is not None]
        return self._pushed.list.removed(listed) if listed else None

    def _read_stopped(self, named: Iterable[TargetId]) -> None:
        """Whoever names a target that has stopped means a new run of it (contract, section 5)."""
        known = (self._tracker.get(target) for target in named)
        self._desks.ask(each for each in known if each is not None and each.run is not None and not each.live)
