"""The targets in force, and how many there are under each source: all lists merged, anew as far as one has changed."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from typing import NamedTuple

from exporter.config.accounts import Account
from exporter.discovery.groups import Listing
from exporter.discovery.listing import Accepted, accept
from exporter.enums import Rejection, Source
from exporter.model.target import Target, TargetId


class Difference(NamedTuple):
    """What a change of some lists comes to: targets that are (still) in force, and ids that no source lists now."""

    listed: Mapping[TargetId, Target]
    gone: frozenset[TargetId]


class TargetIndex:
    """Not safe for threads: whoever changes the lists holds a lock."""

    def __init__(self) -> None:
        self._targets: dict[TargetId, Target] = {}
        self._orphans: set[TargetId] = set()
        self._rejected: Counter[Rejection] = Counter()
        self.by_source: Counter[Source] = Counter()

    @property
    def rejected(self) -> Mapping[Rejection, int]:
        """How many are listed and not accepted, for every reason there is."""
        return {**self._rejected, Rejection.NO_ACCOUNT: len(self._orphans)}

    def replace(self, accepted: Accepted) -> None:
        """All lists were merged anew."""
        self._targets = dict(accepted.targets)
        self._orphans = set(accepted.without_account)
        self._rejected = Counter(accepted.rejected)
        self.by_source = Counter(source for target in self._targets.values() for source in target.sources)

    def change(self, difference: Difference, orphans: Iterable[TargetId]) -> None:
        """Some targets are said to be something else; `orphans` are those of the gone that no account reads."""
        touched = difference.listed.keys() | difference.gone
        before = [self._targets.pop(target) for target in touched if target in self._targets]
        self.by_source.subtract(source for target in before for source in target.sources)
        self._targets.update(difference.listed)
        self.by_source.update(source for target in difference.listed.values() for source in target.sources)
        self._orphans = (self._orphans - touched) | set(orphans)


def merged(touched: Collection[TargetId], listings: Iterable[Listing], accounts: Iterable[Account]) -> Accepted:
    """What all lists together say of a few targets."""
    few = [
        Listing(listing.source, {target: listing.targets[target] for target in touched if target in listing.targets})
        for listing in listings
    ]
    return accept(few, tuple(accounts))
