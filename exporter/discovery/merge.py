"""Merge what all sources list: one target an id, with its account, its labels and its sources."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from exporter.config.schema import Account
from exporter.discovery.sd_format import MAX_LABEL_BYTES, MAX_TARGETS, Listing, TargetEntry, bytes_of_labels
from exporter.enums import Rejection, Source
from exporter.model.target import Target, TargetId

SOURCE_PRIORITY = {source: rank for rank, source in enumerate(Source)}


@dataclass(frozen=True, slots=True)
class Accepted:
    """The targets in force, and how many listed ones are not among them, for every reason there is.

    `without_account` are the well-formed ones whose app is no account's.
    """

    targets: Mapping[TargetId, Target]
    rejected: Mapping[Rejection, int]
    without_account: frozenset[TargetId] = frozenset()


class AccountOf:
    """Which account reads an app: the one whose `app_ids` hold it, or the only one when it has none."""

    def __init__(self, accounts: Sequence[Account]) -> None:
        self._holders = {app_id: account.name for account in accounts for app_id in account.app_ids}
        self._only = accounts[0].name if len(accounts) == 1 and not accounts[0].app_ids else None

    def __call__(self, app_id: str) -> str | None:
        """The account's name; None when no account has the app."""
        return self._holders.get(app_id, self._only)


def accept(listings: Iterable[Listing], accounts: Sequence[Account]) -> Accepted:
    """Merge what the sources list. Labels merge key by key, and a stronger source wins (docs/behaviour.md).

    The order of the targets is that of their first appearance, weakest source first. In this order those that are over
    the limits of all lists together are left out.
    """
    account_of = AccountOf(accounts)
    targets: dict[TargetId, Target] = {}
    orphans: set[TargetId] = set()
    rejected = Counter(dict.fromkeys(Rejection, 0))
    for listing in sorted(listings, key=lambda listing: SOURCE_PRIORITY[listing.source]):
        for entry in listing.rejected:
            rejected[entry.reason] += entry.targets
        alone = frozenset({listing.source})
        for target, listed in listing.targets.items():
            account = account_of(target.app_id)
            if account is None:
                orphans.add(target)
                continue
            if target in targets:
                targets[target] = _merged(targets[target], listed, listing.source)
            else:
                times = listed.expected_start, listed.expected_end
                targets[target] = Target(target, account, alone, listed.labels, *times)
    rejected[Rejection.NO_ACCOUNT] += len(orphans)
    kept = _within_limits(targets)
    rejected[Rejection.OVER_LIMIT] += len(targets) - len(kept)
    return Accepted(kept, dict(rejected), frozenset(orphans))


def _within_limits(targets: Mapping[TargetId, Target]) -> Mapping[TargetId, Target]:
    if _allowed(len(targets), _label_bytes(targets.values())):
        return targets
    kept: dict[TargetId, Target] = {}
    size = 0
    for target, listed in targets.items():
        more = _label_bytes([listed])
        if _allowed(len(kept) + 1, size + more):
            kept[target] = listed
            size += more
    return kept


def _allowed(number: int, size: int) -> bool:
    """Whether one process may hold so many targets with so many bytes of labels."""
    return number <= MAX_TARGETS and size <= MAX_LABEL_BYTES


def _label_bytes(targets: Iterable[Target]) -> int:
    return sum(bytes_of_labels(each.labels) for each in targets)


def _merged(target: Target, stronger: TargetEntry, source: Source) -> Target:
    """Let what a stronger source says win; when both together would end a class before it starts, its times alone."""
    start = target.expected_start if stronger.expected_start is None else stronger.expected_start
    end = target.expected_end if stronger.expected_end is None else stronger.expected_end
    if start is not None and end is not None and end < start:
        start, end = stronger.expected_start, stronger.expected_end
    labels = {**target.labels, **stronger.labels}
    return Target(target.id, target.account, target.sources | {source}, labels, start, end)


class Difference(NamedTuple):
    """The effect of a change of some lists: targets that are (still) in force, and ids that no source lists now."""

    listed: Mapping[TargetId, Target]
    gone: frozenset[TargetId]


class TargetIndex:
    """The accepted targets of all lists, and how many each source lists. The caller holds a lock."""

    def __init__(self) -> None:
        self._targets: dict[TargetId, Target] = {}
        self._orphans: set[TargetId] = set()
        self._rejected: Counter[Rejection] = Counter()
        self._label_bytes = 0
        self.by_source: Counter[Source] = Counter()

    @property
    def rejected(self) -> Mapping[Rejection, int]:
        """How many are listed and not accepted, for every reason there is."""
        return {**self._rejected, Rejection.NO_ACCOUNT: len(self._orphans)}

    def replace(self, accepted: Accepted) -> None:
        """Replace all targets: the lists were merged anew."""
        self._targets = dict(accepted.targets)
        self._orphans = set(accepted.without_account)
        self._rejected = Counter(accepted.rejected)
        self._label_bytes = _label_bytes(self._targets.values())
        self.by_source = Counter(source for target in self._targets.values() for source in target.sources)

    def allows(self, difference: Difference) -> bool:
        """Whether a change of some targets stays within the limits of all lists together, or makes them no larger."""
        touched = difference.listed.keys() | difference.gone
        before = [self._targets[target] for target in touched if target in self._targets]
        number = len(difference.listed) - len(before)
        size = _label_bytes(difference.listed.values()) - _label_bytes(before)
        larger = number > 0 or size > 0
        return not larger or _allowed(len(self._targets) + number, self._label_bytes + size)

    def change(self, difference: Difference, orphans: Iterable[TargetId]) -> None:
        """Apply a difference; `orphans` are those of the gone that no account reads."""
        touched = difference.listed.keys() | difference.gone
        before = [self._targets.pop(target) for target in touched if target in self._targets]
        self.by_source.subtract(source for target in before for source in target.sources)
        self._targets.update(difference.listed)
        self._label_bytes += _label_bytes(difference.listed.values()) - _label_bytes(before)
        self.by_source.update(source for target in difference.listed.values() for source in target.sources)
        self._orphans = (self._orphans - touched) | set(orphans)


def merged(touched: Collection[TargetId], listings: Iterable[Listing], accounts: Iterable[Account]) -> Accepted:
    """Merge what all lists say of a few targets."""
    few = [
        Listing(listing.source, {target: listing.targets[target] for target in touched if target in listing.targets})
        for listing in listings
    ]
    return accept(few, tuple(accounts))
