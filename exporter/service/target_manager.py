"""The targets in force: what all sources say together, applied to the registry and the account pollers."""

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from threading import RLock
from typing import NamedTuple

from exporter.config.schema import Config
from exporter.discovery.kept import Change
from exporter.discovery.merge import Accepted, AccountOf, Difference, TargetIndex, accept, merged
from exporter.discovery.sd_format import Listing
from exporter.enums import Rejection, Source
from exporter.model.run import Run
from exporter.model.target import Target, TargetId
from exporter.service.components import Components


class Lists(NamedTuple):
    """The targets in force, and a remark for each listed entry that is not among them."""

    accepted: Accepted
    remarks: tuple[str, ...]


def take_lists(listings: Iterable[Listing], config: Config) -> Lists:
    """Merge what the sources say, for the accounts of `config`."""
    listings = tuple(listings)
    accepted = accept(listings, config.accounts)
    orphans = sorted(accepted.without_account)
    return Lists(
        accepted,
        (
            *(str(entry.problem) for listing in listings for entry in listing.rejected),
            *(f"{orphan} is read by no account: its app is in no app_ids" for orphan in orphans),
        ),
    )


def left_live(config: Config, remembered: Mapping[TargetId, Run]) -> list[Target]:
    """Targets whose run was live when the last process ended, and that an account can read."""
    account_of = AccountOf(config.accounts)
    found = ((run.target, account_of(run.target.app_id)) for run in remembered.values() if run.live)
    return [Target(target, account) for target, account in found if account is not None]


log = logging.getLogger(__name__)

MOST_REMARKS = 20
"""Remarks on a configuration that are logged at a load; 20,000 targets could make as many."""


class TargetManager:
    """Takes over what the lists say. `changing` is held while they change, and by whoever changes the configuration.

    `feeds` gives the lists that the configuration names or has fetched.
    """

    def __init__(self, parts: Components, feeds: Callable[[], list[Listing]]) -> None:
        self.config = Config()
        self.changing = RLock()
        self._parts = parts
        self._feeds = feeds
        self._roster = TargetIndex()
        self._remarked: frozenset[str] = frozenset()

    def replace(self, remembered: Mapping[TargetId, Run]) -> None:
        """Put in force what all lists say now; `remembered` are the latest runs of what is new among it."""
        accepted, remarks = take_lists([*self._feeds(), *self._parts.kept.listings()], self.config)
        self._parts.registry.replace_targets(accepted.targets, remembered)
        self._parts.desks.follow(self._parts.registry)
        self._parts.drains.keep({known.target.id: known for known in self._parts.registry.all()})
        self._roster.replace(accepted)
        self._count()
        warn([remark for remark in remarks if remark not in self._remarked])
        self._remarked = frozenset(remarks)

    @property
    def by_source(self) -> Mapping[Source, int]:
        """How many targets each source lists; a target counts under each that lists it."""
        return dict(self._roster.by_source)

    @property
    def rejected(self) -> Mapping[Rejection, int]:
        """How many listed entries are not accepted."""
        return self._roster.rejected

    def feeds_changed(self) -> None:
        """A list was fetched that says something else than before."""
        with self.changing:
            listed = [target for listing in self._feeds() for target in listing.targets]
            self.replace(self._latest_runs(listed))

    def carry_out(self, make: Callable[[Config], Sequence[Change]]) -> bool:
        """Have changes of the kept lists made and committed, and put them in force; False when there are none to make.

        What fails before or in a commit has changed nothing.
        """
        with self.changing:
            changes = make(self.config)
            if changes:
                self._carry_out(changes)
            return bool(changes)

    def _carry_out(self, changes: Sequence[Change]) -> None:
        kept = {listing.source: listing for listing in self._parts.kept.listings()}
        kept |= {change.listing.source: change.listing for change in changes}
        touched = frozenset(target for change in changes for target in change.touched)
        accepted = merged(touched, [*self._feeds(), *kept.values()], self.config.accounts)
        remembered = self._latest_runs(accepted.targets)
        for change in changes:
            change.commit()
        difference = Difference(accepted.targets, touched - accepted.targets.keys())
        self._parts.registry.change_targets(difference.listed, difference.gone, remembered)
        self._parts.desks.follow_some(touched, self._parts.registry)
        self._parts.drains.keep({target: self._parts.registry.get(target) for target in touched})
        self._roster.change(difference, accepted.without_account)
        self._count()

    def _latest_runs(self, targets: Iterable[TargetId]) -> Mapping[TargetId, Run]:
        return self._parts.store.latest_runs([target for target in targets if self._parts.registry.get(target) is None])

    def _count(self) -> None:
        self._parts.self_metrics.listed(self._roster.by_source, self._roster.rejected)


def warn(remarks: Sequence[str]) -> None:
    """Log remarks on the configuration and its lists."""
    for remark in remarks[:MOST_REMARKS]:
        log.warning("configuration: %s", remark)
    if len(remarks) > MOST_REMARKS:
        log.warning("configuration: and %d more; `check` lists them all", len(remarks) - MOST_REMARKS)
