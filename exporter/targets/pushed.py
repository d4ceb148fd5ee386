"""The targets that were pushed: a list that backends write themselves, kept in the state."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from exporter.config.times import EXPECTED_END, EXPECTED_START, time_text
from exporter.errors import BadTargets, Problem
from exporter.ledger.pushed import PushedTarget, PushedTargets
from exporter.model.target import TargetId
from exporter.targets.groups import Listed, Listing, TargetGroup, read_groups
from exporter.targets.listing import AccountOf
from exporter.vocabulary import Source

PLACE = "push"


def read_push(groups: list[TargetGroup], account_of: AccountOf) -> Mapping[TargetId, Listed]:
    """The targets that one body names; BadTargets when one of them is no target, or one that no account can read."""
    listing = read_groups(Source.PUSH, groups)
    problems = [entry.problem for entry in listing.rejected]
    orphans = {str(target) for target in listing.targets if account_of(target.app_id) is None}
    if orphans:
        problems += _of_no_account(groups, orphans)
    if problems:
        raise BadTargets(problems)
    return listing.targets


def _of_no_account(groups: list[TargetGroup], orphans: set[str]) -> list[Problem]:
    sentence = "is read by no account: its app is in no app_ids"
    return [
        Problem(f"[{index}].targets[{place}]", f"{name} {sentence}")
        for index, group in enumerate(groups)
        for place, name in enumerate(group.targets)
        if isinstance(name, str) and name in orphans
    ]


@dataclass(frozen=True, slots=True)
class Change:
    """The list as it will be once `commit` was called; StateError, and it stays as it was, when it cannot be kept."""

    listing: Listing
    commit: Callable[[], None] = field(repr=False)


class PushList:
    """The pushed targets: in memory as they are in the state. One thread at a time changes it, any may read."""

    def __init__(self, state: PushedTargets) -> None:
        self._state = state
        self._targets: Mapping[TargetId, PushedTarget] = state.all()
        groups = (TargetGroup([str(target)], said.labels) for target, said in self._targets.items())
        self.listing = read_groups(Source.PUSH, groups, PLACE)

    def renewed_at(self, target: TargetId) -> float | None:
        """When it was last named, Unix seconds; None when it is not in the list."""
        said = self._targets.get(target)
        return said.renewed_at if said else None

    def added(self, named: Mapping[TargetId, Listed], at: float) -> Change:
        """These named now, in place of what was said of them before; the others stay."""
        rows = _rows(named, at)
        return self._change({**self._targets, **rows}, {**self.listing.targets, **named}, lambda: self._state.add(rows))

    def replaced(self, named: Mapping[TargetId, Listed], at: float) -> Change:
        """These named now, and no others."""
        rows = _rows(named, at)
        return self._change(rows, named, lambda: self._state.replace(rows))

    def removed(self, targets: Iterable[TargetId]) -> Change:
        """All but these."""
        gone = frozenset(targets)
        rows = {target: said for target, said in self._targets.items() if target not in gone}
        listed = {target: said for target, said in self.listing.targets.items() if target not in gone}
        return self._change(rows, listed, lambda: self._state.remove(gone))

    def _change(
        self, targets: Mapping[TargetId, PushedTarget], listed: Mapping[TargetId, Listed], write: Callable[[], None]
    ) -> Change:
        listing = Listing(Source.PUSH, listed)

        def commit() -> None:
            write()
            self._targets, self.listing = targets, listing

        return Change(listing, commit)


def _rows(named: Mapping[TargetId, Listed], at: float) -> dict[TargetId, PushedTarget]:
    return {target: PushedTarget(_labels(said), at) for target, said in named.items()}


def _labels(said: Listed) -> dict[str, str]:
    """The labels as they can be read again: the expected times as Unix seconds."""
    times = {EXPECTED_START: said.expected_start, EXPECTED_END: said.expected_end}
    return {**said.labels, **{name: time_text(time) for name, time in times.items() if time is not None}}
