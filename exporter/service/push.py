"""The push API: what a push and a release change."""

from collections.abc import Iterable
from contextlib import suppress

from exporter.config.schema import Config
from exporter.discovery.merge import AccountOf
from exporter.discovery.sd_format import TargetGroup
from exporter.enums import Source
from exporter.errors import BadTargets, Problem, StartError, StateError
from exporter.model.target import TargetId
from exporter.model.task_state import can_be_dismissed
from exporter.service.components import Components
from exporter.service.stored_lists import ListChange, read_push
from exporter.service.target_manager import TargetManager


class PushApi:
    """Applies pushes and releases, and ends listings that have expired."""

    def __init__(self, components: Components, target_manager: TargetManager) -> None:
        self._components = components
        self._stored_lists = components.stored_lists
        self._registry = components.registry
        self._targets = target_manager

    def update(self, groups: list[TargetGroup], *, replace: bool) -> int:
        """Add and renew the targets of the groups, and with `replace` release all others; return their number.

        BadTargets, StateError: nothing has changed.
        """
        pushed: set[TargetId] = set()

        def change(config: Config) -> list[ListChange]:
            targets = read_push(groups, AccountOf(config.accounts))
            listed, at = self._stored_lists.lists[Source.PUSH], self._components.clock.unix()
            pushed.update(targets)
            return [listed.replaced(targets, at) if replace else listed.added(targets, at)]

        self._targets.commit_changes(change)
        self._read_stopped(pushed)
        return len(pushed)

    def release(self, target: TargetId, *, now: bool) -> bool:
        """End a target's listing by push and by callback, `now` without a drain.

        A task that has stopped or is dark is removed, whatever lists it. False when it is not tracked; BadTargets when
        another source lists it and it goes on. StateError: it stays.
        """
        listed = self._targets.commit_changes(lambda _: self._stored_lists.without([target]))
        state = self._registry.get(target)
        if state is None:
            return listed
        released = listed or state.drain_until is not None
        if now and state.drain_until is not None:
            self._registry.end_drain(target)
            self._components.drains.keep({target: self._registry.get(target)})
        elif (released and not now) or can_be_dismissed(state, self._components.clock.unix(), self._registry.lifetimes):
            self._registry.dismiss(target)  # a person says so: not even a dark class is shown any longer
        elif not released:
            sources = " and ".join(sorted(state.target.sources))
            sentence = f"is listed by {sources}: take it from that list, or remove it here once it has stopped"
            raise BadTargets([Problem(str(target), sentence)])
        return True

    def sweep(self) -> None:
        """Release the targets whose listing has ended by itself; what cannot be written is tried again next time."""
        if self._registry.clock_is_proven and self._ended():
            with suppress(StartError, StateError):  # the store has counted and logged it
                self._targets.commit_changes(lambda _: self._stored_lists.without(self._ended()))

    def _ended(self) -> list[TargetId]:
        before = self._components.clock.unix() - self._registry.lifetimes.ttl
        return [*self._registry.expired_listings(), *self._stored_lists.forgotten(self._registry.get, before)]

    def _read_stopped(self, pushed: Iterable[TargetId]) -> None:
        """Read stopped targets again: a push that lists one means a new run of it (docs/behaviour.md, "Runs")."""
        for state in filter(None, map(self._registry.get, pushed)):
            poller = self._components.pollers.by_account.get(state.target.account)
            if poller is not None and state.run is not None and not state.live:
                poller.make_due(state.target.id)
