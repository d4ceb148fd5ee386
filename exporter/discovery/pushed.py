"""What one push names: taken whole, or refused whole."""

from collections.abc import Mapping

from exporter.discovery.merge import AccountOf
from exporter.discovery.sd_format import TargetEntry, TargetGroup, read_groups
from exporter.enums import Source
from exporter.errors import BadTargets, Problem
from exporter.model.target import TargetId


def read_push(groups: list[TargetGroup], account_of: AccountOf) -> Mapping[TargetId, TargetEntry]:
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
