"""The targets in force: what all sources say together, applied to the registry and the account pollers.

What is desired (the lists) is compared with what is in force (the registry) after each change, and again every second
until both are equal: a change that meets an unusable state is not lost. While a source has not answered since the
start, no target is released, because that source may list it.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from threading import RLock
from typing import NamedTuple

import structlog

from exporter.config.schema import Config
from exporter.discovery.merge import Accepted, AccountOf, Difference, TargetIndex, accept, merged
from exporter.discovery.sd_format import MAX_LABEL_BYTES, MAX_TARGETS, Listing, SDSource
from exporter.discovery.sources import Sources
from exporter.enums import Rejection, Source
from exporter.errors import BadTargets, Problem, StartError, StateError
from exporter.model.run import Run
from exporter.model.target import Target, TargetId
from exporter.scheduler.scheduler import Scheduler
from exporter.service.components import Components
from exporter.service.stored_lists import ListChange
from exporter.store.store import holding

log = structlog.stdlib.get_logger(__name__)

MAX_LOGGED_PROBLEMS = 20
"""Problems of one document that are logged at a load; 20,000 targets could make as many."""
DOCUMENT = re.compile(r"(?:file|http)_sd_configs\[\d+\](?: \(.*?\))?|static_configs")
"""The start of a problem that names its document: `file_sd_configs[0] (a.yml)`."""

APPLY_INTERVAL = 1.0
"""Seconds between two comparisons of what is desired with what is in force."""

CHANGE_TIMEOUT = 2.0
"""Seconds that a push or a callback waits for another change of the lists, whose commit may wait for the state."""

OVER_LIMIT = f"more than {MAX_TARGETS:,} targets, or {MAX_LABEL_BYTES:,} bytes of labels, in all lists together"

BATCH = 500
"""Targets that are applied at a time; the registry is free for reads and scrapes between two batches."""


class MergedLists(NamedTuple):
    """The accepted targets, and a sentence for each listed entry that is not among them."""

    accepted: Accepted
    problems: tuple[str, ...]


def merge_lists(listings: Iterable[Listing], config: Config) -> MergedLists:
    """Merge what the sources list, for the accounts of `config`."""
    listings = tuple(listings)
    accepted = accept(listings, config.accounts)
    return MergedLists(
        accepted,
        (
            *(str(entry.problem) for listing in listings for entry in listing.rejected),
            *(
                f"{target} is read by no account: its app is in no app_ids"
                for target in sorted(accepted.without_account)
            ),
            *(
                [f"{over:,} targets are not read, because there are {OVER_LIMIT}: list fewer, or with fewer labels"]
                if (over := accepted.rejected[Rejection.OVER_LIMIT])
                else ()
            ),
        ),
    )


class TargetManager:
    """Owns the sources and applies their lists. `changing` is held while a list or the configuration changes."""

    def __init__(self, components: Components, scheduler: Scheduler) -> None:
        self.config = Config()
        self.changing = RLock()
        self._components = components
        self._scheduler = scheduler
        self._sources = Sources(Config())
        self._index = TargetIndex()
        self._applied: DesiredTargets | None = None
        self._reported: frozenset[str] = frozenset()
        self._failure = ""

    @property
    def by_source(self) -> Mapping[Source, int]:
        """How many targets each source lists; a target counts under each that lists it."""
        return dict(self._index.by_source)

    @property
    def rejected(self) -> Mapping[Rejection, int]:
        """How many listed entries are not accepted."""
        return self._index.rejected

    @property
    def tried_all(self) -> bool:
        """Whether every source has been tried once."""
        return self._sources.tried_all

    def plan(self, config: Config) -> Sources:
        """The sources of a configuration, with the lists of those that stay the same."""
        return Sources(config, self._sources)

    def swap(self, config: Config, sources: Sources) -> None:
        """Put a configuration and its sources in force: old refresh jobs end, new ones begin at once."""
        self.config = config
        before, self._sources = self._sources, sources
        self_metrics = self._components.self_metrics
        for source in before:
            self._scheduler.cancel(_job(source))
        stay = {(source.source, source.place) for source in sources}
        for gone in {(source.source, source.place) for source in before} - stay:
            self_metrics.close_source(*gone)
        for source in sources:
            self_metrics.open_source(source.source, source.place)
            self._scheduler.every(_job(source), source.refresh_interval, partial(self.refresh, sources, source))
        self._scheduler.every("apply-targets", APPLY_INTERVAL, self.apply)
        before.close()

    def close(self) -> None:
        """Refresh nothing more, and break off what is under way."""
        self._sources.close()

    def refresh(self, sources: Sources, source: SDSource) -> None:
        """Fetch one list anew, and apply it."""
        done = sources.refresh(source.place)
        if sources is not self._sources:
            return  # replaced by a reload
        now = self._components.clock.unix()
        self._components.self_metrics.count_refresh(source.source, source.place, done.failures, now)
        self.apply()

    def apply(self) -> None:
        """Make what is in force equal to what is desired; what the state does not allow now is tried again."""
        with self.changing:
            try:
                self._components.stored_lists.refresh()
                desired = self._desired()
                if desired.same_as(self._applied):
                    return
                self._apply(desired)
            except (StartError, StateError) as error:
                if self._failure != str(error):
                    log.error("targets not applied", error=str(error), retry_interval=APPLY_INTERVAL)
                self._failure = str(error)
            else:
                self._failure = ""
                self._applied = desired

    def commit_changes(self, make: Callable[[Config], Sequence[ListChange]]) -> bool:
        """Commit changes of the stored lists to the state and apply them; False when there is nothing to change.

        BadTargets (over the limits of all lists together), StateError or StartError: nothing has changed.
        """
        with holding(self.changing, CHANGE_TIMEOUT):
            if changes := make(self.config):
                self._carry_out(changes)
            return bool(changes)

    def _desired(self) -> "DesiredTargets":
        listings = (*self._sources.listings(), *self._components.stored_lists.listings())
        return DesiredTargets(self.config, listings, self._sources.answered_all)

    def _apply(self, desired: "DesiredTargets") -> None:
        accepted, problems = merge_lists(desired.listings, desired.config)
        in_force = {state.target.id: state for state in self._components.registry.all()}
        changed = {
            target: listed
            for target, listed in accepted.targets.items()
            if (state := in_force.get(target)) is None or state.target != listed or state.drain_until is not None
        }
        released = [target for target in in_force if target not in accepted.targets] if desired.complete else []
        self._change(changed, released, self._latest_runs(changed))
        self._components.pollers.follow()
        self._index.replace(accepted)
        self._count()
        log_problems([problem for problem in problems if problem not in self._reported])
        self._reported = frozenset(problems)

    def _carry_out(self, changes: Sequence[ListChange]) -> None:
        listings = {listing.source: listing for listing in self._components.stored_lists.listings()}
        touched = frozenset(target for change in changes for target in change.touched)
        same = all(change.listing is listings.get(change.listing.source) for change in changes)
        if same and all(self._is_in_force(target) for target in touched):
            for change in changes:
                change.commit()
            return
        listings |= {change.listing.source: change.listing for change in changes}
        accepted = merged(touched, [*self._sources.listings(), *listings.values()], self.config.accounts)
        runs = self._latest_runs(accepted.targets)
        up_to_date = self._desired().same_as(self._applied)
        difference = Difference(accepted.targets, touched - accepted.targets.keys())
        if accepted.rejected[Rejection.OVER_LIMIT] or not self._index.allows(difference):
            raise BadTargets([Problem("", f"with these there would be {OVER_LIMIT}: list fewer, or with fewer labels")])
        for change in changes:
            change.commit()
        self._change(difference.listed, difference.gone, runs)
        self._components.pollers.follow_some(touched)
        self._index.change(difference, accepted.without_account)
        self._count()
        if up_to_date:
            self._applied = self._desired()

    def _is_in_force(self, target: TargetId) -> bool:
        state = self._components.registry.get(target)
        return state is not None and state.drain_until is None

    def _change(
        self, listed: Mapping[TargetId, Target], released: Iterable[TargetId], runs: Mapping[TargetId, Run]
    ) -> None:
        registry, drains = self._components.registry, self._components.drains
        registry.change_targets({}, released, runs)
        drains.keep({target: registry.get(target) for target in released})
        items = list(listed.items())
        for first in range(0, len(items), BATCH):
            batch = dict(items[first : first + BATCH])
            registry.change_targets(batch, (), runs)
            drains.keep({target: registry.get(target) for target in batch})

    def _latest_runs(self, targets: Iterable[TargetId]) -> Mapping[TargetId, Run]:
        registry, store = self._components.registry, self._components.store
        return store.latest_runs([target for target in targets if registry.get(target) is None])

    def _count(self) -> None:
        self._components.self_metrics.set_targets(self._index.by_source, self._index.rejected)


class DesiredTargets(NamedTuple):
    """What the sources say at one moment; `complete` when each of them has answered since the start."""

    config: Config
    listings: tuple[Listing, ...]
    complete: bool

    def same_as(self, other: "DesiredTargets | None") -> bool:
        """Whether the very same lists were applied; lists are never changed in place."""
        return (
            other is not None
            and self.config is other.config
            and self.complete == other.complete
            and len(self.listings) == len(other.listings)
            and all(mine is theirs for mine, theirs in zip(self.listings, other.listings, strict=True))
        )


def resumable_targets(config: Config, runs: Mapping[TargetId, Run]) -> list[Target]:
    """Targets whose run was live when the last process ended, and that an account can read."""
    account_of = AccountOf(config.accounts)
    found = ((run.target, account_of(run.target.app_id)) for run in runs.values() if run.live)
    return [Target(target, account) for target, account in found if account is not None]


def log_problems(problems: Sequence[str]) -> None:
    """Log problems of the configuration and its lists, bounded for each document."""
    of_document: dict[str, list[str]] = {}
    for problem in problems:
        found = DOCUMENT.match(problem)
        of_document.setdefault(found[0] if found else "", []).append(problem)
    for document, sentences in of_document.items():
        for problem in sentences[:MAX_LOGGED_PROBLEMS]:
            log.warning("configuration problem", problem=problem)
        if len(sentences) > MAX_LOGGED_PROBLEMS:
            count = len(sentences) - MAX_LOGGED_PROBLEMS
            log.warning("more configuration problems", source=document or "configuration", count=count, command="check")


def _job(source: SDSource) -> str:
    return f"refresh:{source.place}"
