"""All lists of targets together, and what a person should know of the entries that are not read."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from exporter.config.schema import Config
from exporter.discovery.merge import Accepted, AccountOf, accept
from exporter.discovery.sd_format import Listing
from exporter.model.run import Run
from exporter.model.target import Target, TargetId


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
