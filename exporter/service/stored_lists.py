"""The stored lists in force: pushed and called-back targets, and those that are drained."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

from exporter.config.credentials import CALLBACK_SECRETS, PUSH_TOKENS, TokenFile, token_files
from exporter.config.schema import Config
from exporter.discovery.merge import AccountOf
from exporter.discovery.sd_format import Listing, TargetEntry
from exporter.discovery.stored_list import ListChange, StoredList, stored_entry, stored_labels
from exporter.enums import Source
from exporter.model.target import Target, TargetId
from exporter.model.task_state import ListingTimes, TaskState
from exporter.store.store import Store
from exporter.store.stored_targets import StoredTarget, StoredTargets

KEY_OF_SOURCE = {Source.PUSH: PUSH_TOKENS, Source.CALLBACK: CALLBACK_SECRETS}

Secrets = Mapping[Source, TokenFile]
"""Whose word is taken, by the source that is on."""

ApplyChanges = Callable[[Callable[[Config], Sequence[ListChange]]], bool]
"""Has changes made, committed and put in force while nothing else changes the lists; False when there are none to make.

StartError or StateError when the state cannot be used; then nothing has changed.
"""


def secrets_of(config: Config) -> Secrets:
    """The secrets that a configuration asks for; ConfigError when a file of them cannot be used."""
    files = token_files(config)
    return {source: TokenFile(key, files[key]) for source, key in KEY_OF_SOURCE.items() if key in files}


class StoredLists:
    """The lists, and the secrets in force. One that is switched off stays in the state, and is no source.

    StartError when the state cannot be read.
    """

    def __init__(self, store: Store) -> None:
        self._lists = {source: StoredList(StoredTargets(store, source), source) for source in KEY_OF_SOURCE}
        self.secrets: Secrets = {}

    def plan(self, config: Config) -> Secrets:
        """The secrets that a configuration asks for; ConfigError when a file of them cannot be used."""
        return secrets_of(config)

    def __getitem__(self, source: Source) -> StoredList:
        """One source's list, whether it counts or not."""
        return self._lists[source]

    def refresh(self) -> None:
        """Read anew what may have been committed after its caller gave up; StartError."""
        for each in self._lists.values():
            each.refresh()

    def listings(self) -> list[Listing]:
        """The lists that count."""
        return [self._lists[source].listing for source in self.secrets]

    def listing_times(self, target: TargetId) -> ListingTimes:
        """When a push and a callback last listed a target."""
        by_push, by_callback = (
            each.listed_at(target) if source in self.secrets else None for source, each in self._lists.items()
        )
        return ListingTimes(by_push, by_callback)

    def without(self, targets: Iterable[TargetId]) -> list[ListChange]:
        """What ends these targets' listing, by whatever source that is on."""
        gone = frozenset(targets)
        lists = [self._lists[source] for source in self.secrets]
        listed = [(each, [target for target in gone if each.listed_at(target) is not None]) for each in lists]
        return [each.removed(found) for each, found in listed if found]

    def forgotten(self, tracked: Callable[[TargetId], object], before: float) -> list[TargetId]:
        """Those that no account reads any more, and that nothing has named since `before` (Unix seconds)."""
        lists = [self._lists[source] for source in self.secrets]
        return [
            target
            for each in lists
            for target in each
            if (each.listed_at(target) or 0.0) < before and tracked(target) is None
        ]


DRAINED = "drained"
"""Stands in the state where the others have their source."""


class DrainedTarget(NamedTuple):
    """A target as it was last listed, and until when it is read on (Unix seconds)."""

    target: Target
    until: float


class Drains:
    """What is being drained, as the state has it."""

    def __init__(self, store: Store) -> None:
        self._state = StoredTargets(store, DRAINED)
        self._kept: set[TargetId] = set()

    def left(self, config: Config) -> dict[TargetId, DrainedTarget]:
        """What the last process left, as far as an account can read it; StartError when the state cannot be read."""
        account_of = AccountOf(config.accounts)
        found: dict[TargetId, DrainedTarget] = {}
        rows = self._state.all()
        self._kept = set(rows)
        for target, row in rows.items():
            if (account := account_of(target.app_id)) is not None:
                said = stored_entry(target, row)
                drained = Target(target, account, frozenset(), said.labels, said.expected_start, said.expected_end)
                found[target] = DrainedTarget(drained, row.renewed_at)
        return found

    def keep(self, states: Mapping[TargetId, TaskState | None]) -> None:
        """Write down which of these are being drained now; None is one that is tracked no more."""
        draining = {target: one for target, one in states.items() if one is not None and one.drain_until is not None}
        begun = {target: _row(one) for target, one in draining.items() if target not in self._kept}
        over = [target for target in states if target in self._kept and target not in draining]
        self._write(begun, over)

    def forget_all_but(self, states: Iterable[TaskState]) -> None:
        """Drop those that are tracked no more."""
        tracked = {one.target.id for one in states}
        self._write({}, [target for target in self._kept if target not in tracked])

    def _write(self, begun: Mapping[TargetId, StoredTarget], over: Iterable[TargetId]) -> None:
        gone = list(over)
        if begun:
            self._state.keep(begun)
            self._kept |= begun.keys()
        if gone:
            self._state.drop(gone)
            self._kept.difference_update(gone)


def _row(state: TaskState) -> StoredTarget:
    target = state.target
    said = TargetEntry(target.labels, target.expected_start, target.expected_end)
    return StoredTarget(stored_labels(said), state.drain_until or 0.0)
