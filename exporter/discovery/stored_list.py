"""Targets that are stored in the state, because no source can be asked for them again: pushed and called-back ones."""

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice

import structlog

from exporter.config.documents import MAX_PROBLEMS
from exporter.config.fields import own_labels
from exporter.config.times import EXPECTED, EXPECTED_END, EXPECTED_START, parse_expected_time, time_text
from exporter.discovery.merge import AccountOf
from exporter.discovery.sd_format import Listing, TargetEntry, TargetGroup, read_groups
from exporter.enums import Source
from exporter.errors import BadTargets, Problem, StartError
from exporter.model.target import TargetId
from exporter.store.stored_targets import StoredTarget, StoredTargets

log = structlog.stdlib.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class ListChange:
    """The list as it will be once `commit` was called; StateError, and it stays as it was, when it cannot be kept.

    `touched` are the targets of which the new list may say something else; it is the same `listing` as before when they
    are only listed until later.
    """

    listing: Listing
    touched: frozenset[TargetId]
    commit: Callable[[], None] = field(repr=False)


class StoredList:
    """One source's targets: in memory as they are in the state. One thread at a time changes it, any may read."""

    def __init__(self, state: StoredTargets, source: Source) -> None:
        self._state = state
        self._source = source
        self._targets: Mapping[TargetId, StoredTarget] = {}
        self.listing = Listing(source, {})
        self._read()

    def refresh(self) -> None:
        """Read the list anew if a change that was given up may have been committed after all; StartError."""
        if self._state.unsure:
            self._state.unsure = False
            try:
                self._read()
            except StartError:
                self._state.unsure = True
                raise

    def _read(self) -> None:
        targets = self._state.all()
        if targets != self._targets:
            listed = {target: stored_entry(target, said) for target, said in targets.items()}
            self._targets, self.listing = targets, Listing(self._source, listed)

    def __iter__(self) -> Iterator[TargetId]:
        """Every target that it lists."""
        return iter(self._targets)

    def listed_at(self, target: TargetId) -> float | None:
        """When it was last named, Unix seconds; None when it is not in the list."""
        said = self._targets.get(target)
        return said.renewed_at if said else None

    def added(self, named: Mapping[TargetId, TargetEntry], at: float) -> ListChange:
        """These named now, in place of what was said of them before; the others stay.

        A callback does not wait for its target's row: it waits for its receipt, which is written with it or after it.
        """
        rows = _rows(named, at)
        renewed = all(self.listing.targets.get(target) == said for target, said in named.items())
        listed = self.listing.targets if renewed else {**self.listing.targets, **named}
        write = self._state.keep if self._source is Source.CALLBACK else self._state.add
        return self._change({**self._targets, **rows}, listed, named, lambda: write(rows))

    def replaced(self, named: Mapping[TargetId, TargetEntry], at: float) -> ListChange:
        """These named now, and no others."""
        rows = _rows(named, at)
        touched = self._targets.keys() | named
        return self._change(rows, named, touched, lambda: self._state.replace(rows))

    def removed(self, targets: Collection[TargetId]) -> ListChange:
        """All but these."""
        gone = frozenset(targets)
        rows = {target: said for target, said in self._targets.items() if target not in gone}
        listed = {target: said for target, said in self.listing.targets.items() if target not in gone}
        return self._change(rows, listed, gone, lambda: self._state.remove(gone))

    def _change(
        self,
        targets: Mapping[TargetId, StoredTarget],
        listed: Mapping[TargetId, TargetEntry],
        touched: Collection[TargetId],
        write: Callable[[], None],
    ) -> ListChange:
        listing = self.listing if listed is self.listing.targets else Listing(self._source, listed)

        def commit() -> None:
            write()
            self._targets, self.listing = targets, listing

        return ListChange(listing, frozenset(touched), commit)


def _rows(named: Mapping[TargetId, TargetEntry], at: float) -> dict[TargetId, StoredTarget]:
    return {target: StoredTarget(stored_labels(said), at) for target, said in named.items()}


def stored_entry(target: TargetId, stored: StoredTarget) -> TargetEntry:
    """What was said of a target, from its stored labels; they were checked before they were stored."""
    start, end = (_stored_time(target, name, stored.labels.get(name)) for name in EXPECTED)
    return TargetEntry(own_labels(stored.labels), start, end)


def _stored_time(target: TargetId, name: str, value: str | None) -> float | None:
    """An expected time; None for one that an earlier release took and that is none, such as `18:30` as 1110."""
    try:
        return parse_expected_time(value) if value else None
    except ValueError as error:
        log.warning("stored time dropped", target=str(target), label=name, value=value, reason=str(error))
        return None


def stored_labels(said: TargetEntry) -> dict[str, str]:
    """The labels as they can be read again: the expected times as Unix seconds."""
    times = {EXPECTED_START: said.expected_start, EXPECTED_END: said.expected_end}
    return {**said.labels, **{name: time_text(time) for name, time in times.items() if time is not None}}


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
