"""The exporter: every part made, wired, started, reloaded and stopped."""

import logging
import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from threading import Event, Lock

from prometheus_client import (
    CollectorRegistry,
    GCCollector,
    PlatformCollector,
    ProcessCollector,
    disable_created_metrics,
)
from sqlalchemy.engine import Engine

from exporter.app.discovery import Discovery
from exporter.app.fleet import Desks
from exporter.app.lists import Lists, left_live, take_lists
from exporter.app.push import SWEEP, PushDesk, Pushed
from exporter.config.rules import warnings
from exporter.config.schema import Config
from exporter.errors import ConfigError, Problem, StartError
from exporter.exposition.board import Board, Place
from exporter.exposition.catalog.task import task_families
from exporter.exposition.family import TaskFamily
from exporter.exposition.fleet import FleetCollector
from exporter.exposition.instruments import AccountCollector, Instruments
from exporter.exposition.scrape import Exposition
from exporter.ledger.ledger import LONGEST_LOOK_BACK, Ledger
from exporter.model.clock import Clock
from exporter.model.known import Known, Lifetimes
from exporter.model.run import Run
from exporter.model.target import TargetId
from exporter.polling.dispatcher import Dispatcher
from exporter.polling.pool import Pool
from exporter.polling.ports import Ports
from exporter.polling.tracker import Tracker
from exporter.targets.groups import Listing
from exporter.targets.listing import Accepted
from exporter.targets.pushed import Change
from exporter.vocabulary import Source

log = logging.getLogger(__name__)

FRESH_FOR_INTERVALS = 3
"""A read is fresh for so many of the intervals now in force (contract, `polling.stale_after`)."""

MOST_REMARKS = 20
"""Remarks on a configuration that are logged at a load; 20,000 targets could make as many."""


class Exporter:
    """One exporter over one open state.

    `load_config` reads the configuration anew, or raises ConfigError; `config` is what it gave first. `exposition` is
    what is served, `push` takes in what is pushed.
    """

    def __init__(
        self,
        config: Config,
        load_config: Callable[[], Config],
        environ: Mapping[str, str],
        engine: Engine,
        clock: Clock,
    ) -> None:
        self.config = config
        self.started_at = clock.unix()
        self._load_config = load_config
        self._clock = clock
        self._started = False
        self._ready = False
        self._stopping = Event()
        self._reloading = Lock()
        registry = _registry()
        self.instruments = Instruments(registry)
        self._ledger = Ledger(engine, clock.monotonic, self._state_failed)
        self._pushed = Pushed(self._ledger, clock)
        self._tracker = Tracker(self._ledger, _lifetimes(config), clock, self._fresh_for, self._pushed.renewed_at)
        self.board = Board(_families(config), config.metrics.max_tasks, self._tracker.get)
        self._tracker.attach(self.board)
        self._desks = Desks(environ, clock, self.instruments, self._ports(), self._stopping.wait)
        self._dispatcher = Dispatcher(self._beat, self._housekeep, self._count_event, clock.monotonic)
        self._discovery = Discovery(self._dispatcher, self.instruments, clock, self._lists_changed)
        self.push = PushDesk(self._pushed, self._tracker, self._desks, clock, self._carry_out)
        self._remarked: frozenset[str] = frozenset()
        registry.register(FleetCollector(self.board, self._ledger.totals))
        registry.register(AccountCollector(self._desks.numbers))
        self.exposition = Exposition(registry, self.board)

    def start(self) -> None:
        """Begin to read; ConfigError when an account cannot call, StartError when the state's runs cannot be read."""
        self._apply(self.config)
        self._loaded()
        self.instruments.leader.set(1)
        self._dispatcher.start()
        self._started = True

    def stop(self) -> None:
        """End within moments: calls in flight are broken off, what was learnt is in the state."""
        self._dispatcher.stop()
        self._discovery.close()
        self._desks.stop()  # before the waiting calls are woken, so that none of them is taken for a failure
        self._stopping.set()
        self._ledger.close()

    def reload(self) -> None:
        """Put the configuration as it now stands in force, all of it or, with ConfigError, nothing."""
        with self._reloading:
            try:
                self._apply(_same_state(self._load_config(), self.config))
            except Exception as error:  # the edge of a reload: whatever breaks, the old one serves on
                self.instruments.reload_successful.set(0)
                bad = self._explained(error)
                log.error("the configuration is not reloaded, the old one stays: %s", bad)  # noqa: TRY400 - a sentence
                raise bad from error
            self._loaded()
            log.info("configuration reloaded: %d targets", len(self._tracker))

    @property
    def not_ready(self) -> str:
        """Why it cannot serve yet; empty once it can, and for good."""
        if not self._ready:
            self._ready = self._started and self._discovery.tried_all
        return "" if self._ready else "Not every list of targets has been asked for yet."

    def counts(self) -> Mapping[Place, int]:
        """How many tasks count under which labels of `webcast_tasks`."""
        return self.board.counts()

    def tracked(self) -> list[Known]:
        """What is known of every target."""
        return self._tracker.all()

    @property
    def alive(self) -> bool:
        """Whether the dispatcher has moved lately."""
        return self._dispatcher.alive

    def nudge(self) -> None:
        """Help the dispatcher over a wall clock that was set back."""
        self._dispatcher.nudge()

    def _apply(self, config: Config) -> None:
        plans = self._desks.plan(config)
        sources = self._discovery.plan(config)
        tokens = self._pushed.plan(config.push)
        remembered = self._ledger.latest_runs()
        # From here on nothing can fail.
        self._tracker.lifetimes = _lifetimes(config)
        self._desks.swap(config, plans)
        if config.metrics != self.config.metrics:
            self.board.reconfigure(_families(config), config.metrics.max_tasks)
        for account in config.accounts:
            for app_id in account.app_ids:
                self._ledger.open_app(app_id)
        self.config = config
        self._discovery.swap(sources)
        self._pushed.tokens = tokens
        self._sweep_pushed()
        _warn(warnings(config))
        if not self._started:
            # Taken up, and let go unless a source lists them: so a drain goes on over a restart, and the end of each
            # live run is accounted for.
            live = {target.id: target for target in left_live(config, remembered, {})}
            self._tracker.replace_targets(live, remembered)
        self._take(take_lists([*self._discovery.listings(), *self._pushed.listings()], config), remembered)

    def _take(self, lists: Lists, remembered: Mapping[TargetId, Run]) -> None:
        """Put in force what the sources list now; `remembered` are the latest runs of what is new among it."""
        accepted, remarks = lists
        self._tracker.replace_targets(accepted.targets, remembered)
        self._desks.follow(self._tracker)
        self.instruments.listed(_by_source(accepted), accepted.rejected)
        _warn([remark for remark in remarks if remark not in self._remarked])
        self._remarked = frozenset(remarks)

    def _lists_changed(self) -> None:
        with self._reloading:
            self._take_over(self._pushed.listings())

    def _carry_out(self, make: Callable[[Config], Change | None]) -> bool:
        """Make a change of the pushed list, and put it in force once it is committed; False when there is none."""
        with self._reloading:
            change = make(self.config)
            if change is not None:
                self._take_over([change.listing], change.commit)
            return change is not None

    def _take_over(self, pushed: Sequence[Listing], commit: Callable[[], None] = lambda: None) -> None:
        """Put in force what the sources list now; what fails before or in `commit` has changed nothing."""
        lists = take_lists([*self._discovery.listings(), *pushed], self.config)
        new = [target for target in lists.accepted.targets if self._tracker.get(target) is None]
        remembered = self._ledger.latest_runs(new)
        commit()
        self._take(lists, remembered)

    def _sweep_pushed(self) -> None:
        if self.push.on:
            self._dispatcher.every("push", SWEEP, self.push.sweep)
        else:
            self._dispatcher.cancel("push")

    def _explained(self, error: Exception) -> ConfigError:
        """What went wrong with a reload, in words for whoever asked for it."""
        if isinstance(error, ConfigError):
            return error
        if isinstance(error, StartError):
            return ConfigError([Problem("state.url", str(error))])
        self.failed("the reload", error)
        return ConfigError([Problem("", "the reload failed inside; the log says more")])

    def _loaded(self) -> None:
        self.instruments.reload_successful.set(1)
        self.instruments.reload_timestamp.set(self._clock.unix())

    def _ports(self) -> Ports:
        return Ports(
            submit=Pool().submit,
            learn=self._tracker.learn,
            count=self.instruments.observe,
            failed=self.failed,
            chance=random.random,
        )

    def _beat(self) -> None:
        self._desks.hand_out()
        self._desks.forget(self._tracker.expire(), self._tracker)

    def _housekeep(self) -> None:
        kept = max(self.config.lifecycle.history, LONGEST_LOOK_BACK)
        self._ledger.forget_before(self._clock.unix() - kept)

    def _fresh_for(self, known: Known) -> float:
        return FRESH_FOR_INTERVALS * self._desks.in_force(known)

    def _count_event(self, event: str) -> None:
        self.instruments.scheduler_events.labels(event).inc()

    def failed(self, what: str, error: Exception) -> None:
        """Count and log an error that nobody foresaw, at the edge where it was caught."""
        self.instruments.internal_errors.inc()
        log.error("%s failed for a reason that nobody foresaw", what, exc_info=error)

    def _state_failed(self, error: Exception, *, first: bool) -> None:
        self.instruments.state_write_failures.inc()
        if first:
            log.error("the state cannot be written, what was counted is kept and tried again: %s", type(error).__name__)


def _warn(remarks: Sequence[str]) -> None:
    for remark in remarks[:MOST_REMARKS]:
        log.warning("configuration: %s", remark)
    if len(remarks) > MOST_REMARKS:
        log.warning("configuration: and %d more; `check` lists them all", len(remarks) - MOST_REMARKS)


def _same_state(config: Config, in_force: Config) -> Config:
    if config.state.url != in_force.state.url:
        raise ConfigError([Problem("state.url", "cannot change while it is in use; restart to change it")])
    return config


def _registry() -> CollectorRegistry:
    disable_created_metrics()  # type: ignore[no-untyped-call]  # untyped in the library
    registry = CollectorRegistry()
    for collector in (ProcessCollector, PlatformCollector, GCCollector):
        collector(registry=registry)
    return registry


def _families(config: Config) -> tuple[TaskFamily, ...]:
    return task_families(config.metrics.groups, config.metrics.info_labels)


def _lifetimes(config: Config) -> Lifetimes:
    return Lifetimes(
        stale_after=config.polling.stale_after,
        linger=config.lifecycle.linger,
        drain=config.lifecycle.drain,
        forget_unknown_after=config.lifecycle.forget_unknown_after,
        ttl=config.push.ttl,
    )


def _by_source(accepted: Accepted) -> Counter[Source]:
    return Counter(source for target in accepted.targets.values() for source in target.sources)
