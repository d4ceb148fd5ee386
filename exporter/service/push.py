"""The push API at work: who may push, and what comes of it."""

from collections.abc import Iterable
from contextlib import suppress

from exporter.config.schema import Config
from exporter.discovery.merge import AccountOf
from exporter.discovery.sd_format import TargetGroup
from exporter.discovery.stored_list import ListChange, read_push
from exporter.enums import Source
from exporter.errors import BadTargets, Problem, StartError, StateError
from exporter.model.target import TargetId
from exporter.model.task_state import can_be_dismissed
from exporter.service.components import Components
from exporter.service.stored_lists import ApplyChanges, Secrets


def admits(secrets: Secrets, token: str) -> bool:
    """Whether it is one of the tokens."""
    tokens = secrets.get(Source.PUSH)
    return tokens is not None and tokens.matches(token)


class PushApi:
    """What the push API asks for, done; and the end of listings that end by themselves."""

    def __init__(self, parts: Components, commit_changes: ApplyChanges) -> None:
        self._kept = parts.stored_lists
        self._tracker = parts.registry
        self._drains = parts.drains
        self._pollers = parts.pollers
        self._clock = parts.clock
        self._carry_out = commit_changes

    @property
    def on(self) -> bool:
        """Whether targets can be pushed."""
        return Source.PUSH in self._kept.secrets

    def admits(self, token: str) -> bool:
        """Whether this token may push."""
        return admits(self._kept.secrets, token)

    def name(self, groups: list[TargetGroup], *, whole: bool) -> int:
        """Add and renew what the groups name, and let go of all else if they are the `whole` list; how many they name.

        BadTargets, StateError: nothing has changed.
        """
        named: set[TargetId] = set()

        def change(config: Config) -> list[ListChange]:
            targets = read_push(groups, AccountOf(config.accounts))
            named.update(targets)
            pushed, at = self._kept[Source.PUSH], self._clock.unix()
            return [pushed.replaced(targets, at) if whole else pushed.added(targets, at)]

        self._carry_out(change)
        self._read_stopped(named)
        return len(named)

    def release(self, target: TargetId, *, now: bool) -> bool:
        """End a target's listing by push and by callback, `now` without a drain.

        A task that has stopped or is dark is removed, whatever lists it. False when it is not tracked; BadTargets when
        another source lists it and it goes on. StateError: it stays.
        """
        listed = self._carry_out(lambda _: self._kept.without([target]))
        state = self._tracker.get(target)
        if state is None:
            return listed
        released = listed or state.drain_until is not None
        if now and state.drain_until is not None:
            self._tracker.end_drain(target)
            self._drains.keep({target: self._tracker.get(target)})
        elif (released and not now) or can_be_dismissed(state, self._clock.unix(), self._tracker.lifetimes):
            self._tracker.dismiss(target)  # a person says so: not even a dark class is shown any longer
        elif not released:
            sources = " and ".join(sorted(state.target.sources))
            sentence = f"is listed by {sources}: take it from that list, or remove it here once it has stopped"
            raise BadTargets([Problem(str(target), sentence)])
        return True

    def sweep(self) -> None:
        """Let go of the targets whose listing has ended by itself; what cannot be written is tried again next time."""
        if self._ended():
            with suppress(StartError, StateError):  # the ledger has counted it and told of it
                self._carry_out(lambda _: self._kept.without(self._ended()))

    def _ended(self) -> list[TargetId]:
        long_ago = self._clock.unix() - self._tracker.lifetimes.ttl
        return [*self._tracker.expired_listings(), *self._kept.forgotten(self._tracker.get, long_ago)]

    def _read_stopped(self, named: Iterable[TargetId]) -> None:
        """Read stopped targets again: a push that names one means a new run of it (docs/behaviour.md, "Runs")."""
        known = (self._tracker.get(target) for target in named)
        self._pollers.make_due(each for each in known if each is not None and each.run is not None and not each.live)
