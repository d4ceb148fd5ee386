"""All lists together: the targets to be read, each with its account and its merged labels."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from exporter.config.accounts import Account
from exporter.discovery.groups import Listing, TargetEntry
from exporter.enums import Rejection, Source
from exporter.model.target import Target, TargetId

WEAKEST_FIRST = {source: rank for rank, source in enumerate(Source)}


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
    """Merge what the sources list. Labels merge key by key, and a stronger source wins (contract, "Labels on targets").

    The order of the targets is that of their first appearance, weakest source first.
    """
    account_of = AccountOf(accounts)
    targets: dict[TargetId, Target] = {}
    orphans: set[TargetId] = set()
    rejected = Counter(dict.fromkeys(Rejection, 0))
    for listing in sorted(listings, key=lambda listing: WEAKEST_FIRST[listing.source]):
        rejected.update(entry.reason for entry in listing.rejected)
        alone = frozenset({listing.source})
        for target, listed in listing.targets.items():
            account = account_of(target.app_id)
            if account is None:
                orphans.add(target)
                continue
            weaker = targets.get(target)
            targets[target] = _merged(weaker, listed, listing.source) if weaker else _of(target, account, listed, alone)
    rejected[Rejection.NO_ACCOUNT] += len(orphans)
    return Accepted(targets, dict(rejected), frozenset(orphans))


def _of(target: TargetId, account: str, listed: TargetEntry, sources: frozenset[Source]) -> Target:
    return Target(target, account, sources, listed.labels, listed.expected_start, listed.expected_end)


def _merged(target: Target, listed: TargetEntry, source: Source) -> Target:
    start, end = _expected(target, listed)
    return replace(
        target,
        sources=target.sources | {source},
        labels={**target.labels, **listed.labels},
        expected_start=start,
        expected_end=end,
    )


def _expected(weaker: Target, stronger: TargetEntry) -> tuple[float | None, float | None]:
    """Start and end; when two sources together would end it before it starts, the stronger one's alone."""
    start = weaker.expected_start if stronger.expected_start is None else stronger.expected_start
    end = weaker.expected_end if stronger.expected_end is None else stronger.expected_end
    if start is not None and end is not None and end < start:
        return stronger.expected_start, stronger.expected_end
    return start, end
