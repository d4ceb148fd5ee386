"""The targets that one push names: accepted as a whole, or refused as a whole."""

from collections.abc import Iterator, Mapping
from itertools import islice

from exporter.discovery.merge import AccountOf
from exporter.discovery.sd_format import MAX_PROBLEMS, TargetEntry, TargetGroup, read_groups
from exporter.enums import Source
from exporter.errors import BadTargets, Problem
from exporter.model.target import TargetId

MAX_TARGETS = 50_000
"""Of one push: more than twice what an account's 48 calls a second can read at any useful interval."""


def read_push(groups: list[TargetGroup], account_of: AccountOf) -> Mapping[TargetId, TargetEntry]:
    """Return the targets of one body; BadTargets, with MAX_PROBLEMS problems and one more at most, when one is bad."""
    number = sum(len(group.targets) for group in groups)
    if number > MAX_TARGETS:
        raise BadTargets([Problem("", f"the body names {number:,} targets; {MAX_TARGETS:,} are the most")])
    listing = read_groups(Source.PUSH, groups)
    problems = [entry.problem for entry in listing.rejected]
    if len(problems) <= MAX_PROBLEMS:
        unread = {str(target) for target in listing.targets if account_of(target.app_id) is None}
        problems += islice(_unread(groups, unread), MAX_PROBLEMS + 1 - len(problems))
    if problems:
        raise BadTargets(problems)
    return listing.targets


def _unread(groups: list[TargetGroup], unread: set[str]) -> Iterator[Problem]:
    """The places of targets whose app is no account's."""
    sentence = "is read by no account: its app is in no app_ids"
    for index, group in enumerate(groups):
        for place, name in enumerate(group.targets):
            if isinstance(name, str) and name in unread:
                yield Problem(f"[{index}].targets[{place}]", f"{name} {sentence}")
