"""Targets that no source lists any more, kept in the state so that a restart goes on with their drain."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from exporter.config.schema import Config
from exporter.discovery.kept import kept_labels, listed_again
from exporter.discovery.merge import AccountOf
from exporter.discovery.sd_format import TargetEntry
from exporter.model.target import Target, TargetId
from exporter.model.task_state import TaskState
from exporter.store.store import Store
from exporter.store.stored_targets import StoredTarget, StoredTargets

DRAINED = "drained"
"""Stands in the state where the others have their source."""


class Drained(NamedTuple):
    """A target as it was last listed, and until when it is read on (Unix seconds)."""

    target: Target
    until: float


class Drains:
    """What is being drained, as the state has it."""

    def __init__(self, store: Store) -> None:
        self._state = StoredTargets(store, DRAINED)
        self._kept: set[TargetId] = set()

    def left(self, config: Config) -> dict[TargetId, Drained]:
        """What the last process left, as far as an account can read it; StartError when the state cannot be read."""
        account_of = AccountOf(config.accounts)
        found: dict[TargetId, Drained] = {}
        rows = self._state.all()
        self._kept = set(rows)
        for target, row in rows.items():
            account, said = account_of(target.app_id), listed_again(target, row.labels)
            if account is not None and said is not None:
                drained = Target(target, account, frozenset(), said.labels, said.expected_start, said.expected_end)
                found[target] = Drained(drained, row.renewed_at)
        return found

    def keep(self, known: Mapping[TargetId, TaskState | None]) -> None:
        """Write down which of these are being drained now; None is one that is tracked no more."""
        draining = {target: one for target, one in known.items() if one is not None and one.drain_until is not None}
        begun = {target: _row(one) for target, one in draining.items() if target not in self._kept}
        over = [target for target in known if target in self._kept and target not in draining]
        self._write(begun, over)

    def forget_all_but(self, known: Iterable[TaskState]) -> None:
        """Drop those that are tracked no more."""
        tracked = {one.target.id for one in known}
        self._write({}, [target for target in self._kept if target not in tracked])

    def _write(self, begun: Mapping[TargetId, StoredTarget], over: Iterable[TargetId]) -> None:
        gone = list(over)
        if begun:
            self._state.keep(begun)
            self._kept |= begun.keys()
        if gone:
            self._state.drop(gone)
            self._kept.difference_update(gone)


def _row(known: TaskState) -> StoredTarget:
    target = known.target
    said = TargetEntry(target.labels, target.expected_start, target.expected_end)
    return StoredTarget(kept_labels(said), known.drain_until or 0.0)
