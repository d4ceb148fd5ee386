"""Lists that are stored in the state: pushed and called-back targets, which no source repeats, and drains."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from typing import NamedTuple

import structlog

from exporter.config.credentials import CALLBACK_SECRETS, PUSH_TOKENS, TokenFile, token_files
from exporter.config.documents import MAX_PROBLEMS
from exporter.config.fields import own_labels
from exporter.config.schema import Config
from exporter.config.times import EXPECTED, EXPECTED_END, EXPECTED_START, parse_expected_time, time_text
from exporter.discovery.merge import AccountOf
from exporter.discovery.sd_format import Listing, TargetEntry, TargetGroup, read_groups
from exporter.enums import Source
from exporter.errors import BadTargets, Problem, StartError
from exporter.model.target import Target, TargetId
from exporter.model.task_state import ListingTimes, TaskState
from exporter.store.store import Store, StoredTarget, StoredTargets

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
    """One source's targets as they are in the state. One thread at a time changes it, any may read."""

    def __init__(self, stored: StoredTargets, source: Source) -> None:
        self.stored = stored
        self._source = source
        self.listing = Listing(source, {})
        self._read()

    def refresh(self) -> None:
        """Read the list anew if a change that was given up may have been committed after all; StartError."""
        if self.stored.unsure:
            self.stored.unsure = False
            try:
                self._read()
            except StartError:
                self.stored.unsure = True
                raise

    def _read(self) -> None:
        before = self.stored.rows
        if (rows := self.stored.load()) != before:
            self.listing = Listing(self._source, {target: stored_entry(target, row) for target, row in rows.items()})

    def listed_at(self, target: TargetId) -> float | None:
        """When it was last listed, Unix seconds; None when it is not in the list."""
        row = self.stored.rows.get(target)
        return row.renewed_at if row else None

    def added(self, entries: Mapping[TargetId, TargetEntry], at: float) -> ListChange:
        """A change that lists these now, in place of their entries before; the others stay.

        A callback does not wait for its target's row: it waits for its receipt, which is written with it or after it.
        """
        renewed = all(self.listing.targets.get(target) == entry for target, entry in entries.items())
        listed = self.listing.targets if renewed else {**self.listing.targets, **entries}
        write = self.stored.keep if self._source is Source.CALLBACK else self.stored.add
        return self._change(listed, entries, partial(write, _rows(entries, at)))

    def replaced(self, entries: Mapping[TargetId, TargetEntry], at: float) -> ListChange:
        """A change that lists these now, and no others."""
        touched = self.stored.rows.keys() | entries
        return self._change(entries, touched, partial(self.stored.replace, _rows(entries, at)))

    def removed(self, targets: Collection[TargetId]) -> ListChange:
        """A change that lists all but these."""
        gone = frozenset(targets)
        listed = {target: entry for target, entry in self.listing.targets.items() if target not in gone}
        return self._change(listed, gone, partial(self.stored.remove, gone))

    def _change(
        self, listed: Mapping[TargetId, TargetEntry], touched: Collection[TargetId], write: Callable[[], None]
    ) -> ListChange:
        listing = self.listing if listed is self.listing.targets else Listing(self._source, listed)

        def commit() -> None:
            write()
            self.listing = listing

        return ListChange(listing, frozenset(touched), commit)


def _rows(entries: Mapping[TargetId, TargetEntry], at: float) -> dict[TargetId, StoredTarget]:
    return {target: StoredTarget(stored_labels(entry), at) for target, entry in entries.items()}


def stored_entry(target: TargetId, stored: StoredTarget) -> TargetEntry:
    """A target's entry, from its stored labels; they were checked before they were stored."""
    start, end = (_stored_time(target, name, stored.labels.get(name)) for name in EXPECTED)
    return TargetEntry(own_labels(stored.labels), start, end)


def _stored_time(target: TargetId, name: str, value: str | None) -> float | None:
    """An expected time; None for one that an earlier release took and that is none, such as `18:30` as 1110."""
    try:
        return parse_expected_time(value) if value else None
    except ValueError as error:
        log.warning("stored time dropped", target=str(target), label=name, value=value, reason=str(error))
        return None


def stored_labels(entry: TargetEntry) -> dict[str, str]:
    """The labels as they can be read again: the expected times as Unix seconds."""
    times = {EXPECTED_START: entry.expected_start, EXPECTED_END: entry.expected_end}
    return {**entry.labels, **{name: time_text(time) for name, time in times.items() if time is not None}}


MAX_PUSHED_TARGETS = 50_000
"""Of one push: more than twice what an account's 48 calls a second can read at any useful interval."""


def read_push(groups: list[TargetGroup], account_of: AccountOf) -> Mapping[TargetId, TargetEntry]:
    """Return the targets of one body; BadTargets, with MAX_PROBLEMS problems and one more at most, when one is bad."""
    number = sum(len(group.targets) for group in groups)
    if number > MAX_PUSHED_TARGETS:
        raise BadTargets([Problem("", f"the body names {number:,} targets; {MAX_PUSHED_TARGETS:,} are the most")])
    listing = read_groups(Source.PUSH, groups)
    problems = [entry.problem for entry in listing.rejected]
    if problems or any(account_of(target.app_id) is None for target in listing.targets):
        problems += islice(_unread(groups, account_of), max(0, MAX_PROBLEMS + 1 - len(problems)))
    if problems:
        raise BadTargets(problems)
    return listing.targets


def _unread(groups: list[TargetGroup], account_of: AccountOf) -> Iterator[Problem]:
    """The places of targets whose app is no account's, of groups with bad labels too."""
    sentence = "is read by no account: its app is in no app_ids"
    for index, group in enumerate(groups):
        for place, name in enumerate(group.targets):
            with suppress(ValueError):  # read_groups has named it already
                if account_of(TargetId.parse(name).app_id) is None:
                    yield Problem(f"[{index}].targets[{place}]", f"{name} {sentence}")


KEY_OF_SOURCE = {Source.PUSH: PUSH_TOKENS, Source.CALLBACK: CALLBACK_SECRETS}

Secrets = Mapping[Source, TokenFile]
"""The tokens and secrets, by the source that is switched on."""


def secrets_of(config: Config) -> Secrets:
    """The secrets that a configuration asks for; ConfigError when a file of them cannot be used."""
    files = token_files(config)
    return {source: TokenFile(key, files[key]) for source, key in KEY_OF_SOURCE.items() if key in files}


class StoredLists:
    """The lists, and the secrets in force. One that is switched off stays in the state, and is no source.

    StartError when the state cannot be read.
    """

    def __init__(self, store: Store) -> None:
        self.lists = {source: StoredList(StoredTargets(store, source), source) for source in KEY_OF_SOURCE}
        self.secrets: Secrets = {}

    def swap(self, secrets: Secrets) -> None:
        """Put the secrets in force, and with them the lists that count."""
        self.secrets = secrets

    def refresh(self) -> None:
        """Read anew what may have been committed after its caller gave up; StartError."""
        for each in self.lists.values():
            each.refresh()

    def listings(self) -> list[Listing]:
        """The lists that count."""
        return [each.listing for each in self._in_force()]

    def listing_times(self, target: TargetId) -> ListingTimes:
        """When a push and a callback last listed a target."""
        by_push, by_callback = (
            each.listed_at(target) if source in self.secrets else None for source, each in self.lists.items()
        )
        return ListingTimes(by_push, by_callback)

    def without(self, targets: Iterable[TargetId]) -> list[ListChange]:
        """Changes that end these targets' listing by every source that is on."""
        gone = frozenset(targets)
        listed = [(each, gone & each.stored.rows.keys()) for each in self._in_force()]
        return [each.removed(found) for each, found in listed if found]

    def forgotten(self, tracked: Callable[[TargetId], object], before: float) -> list[TargetId]:
        """Targets that no account reads any more, and that nothing has listed since `before` (Unix seconds)."""
        return [
            target
            for each in self._in_force()
            for target, row in tuple(each.stored.rows.items())  # which other threads change
            if row.renewed_at < before and tracked(target) is None
        ]

    def _in_force(self) -> list[StoredList]:
        return [self.lists[source] for source in self.secrets]


DRAINED = "drained"
"""Value of the column `source` for drained targets."""


class DrainedTarget(NamedTuple):
    """A target as it was last listed, and until when it is read on (Unix seconds)."""

    target: Target
    until: float


class Drains:
    """The drained targets that are stored in the state."""

    def __init__(self, store: Store) -> None:
        self._stored = StoredTargets(store, DRAINED)

    def left(self, config: Config) -> dict[TargetId, DrainedTarget]:
        """Drained targets that the last process left, of accounts that exist; StartError when they cannot be read."""
        account_of = AccountOf(config.accounts)
        found: dict[TargetId, DrainedTarget] = {}
        for target, row in self._stored.load().items():
            if (account := account_of(target.app_id)) is not None:
                entry = stored_entry(target, row)
                drained = Target(target, account, frozenset(), entry.labels, entry.expected_start, entry.expected_end)
                found[target] = DrainedTarget(drained, row.renewed_at)
        return found

    def keep(self, states: Mapping[TargetId, TaskState | None]) -> None:
        """Write down which of these are being drained now; None is one that is tracked no more."""
        draining = {target: one for target, one in states.items() if one is not None and one.drain_until is not None}
        stored = self._stored.rows
        if begun := {target: _row(one) for target, one in draining.items() if target not in stored}:
            self._stored.keep(begun)
        self._drop([target for target in states if target in stored and target not in draining])

    def forget_all_but(self, states: Iterable[TaskState]) -> None:
        """Drop those that are tracked no more."""
        tracked = {one.target.id for one in states}
        self._drop([target for target in tuple(self._stored.rows) if target not in tracked])

    def _drop(self, targets: list[TargetId]) -> None:
        if targets:
            self._stored.drop(targets)


def _row(state: TaskState) -> StoredTarget:
    target = state.target
    entry = TargetEntry(target.labels, target.expected_start, target.expected_end)
    return StoredTarget(stored_labels(entry), state.drain_until or 0.0)
