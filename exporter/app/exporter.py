"""The exporter: every part made, wired, started, reloaded and stopped."""

import logging
import random
from collections.abc import Callable, Mapping
from threading import Event

from prometheus_client import (
    CollectorRegistry,
    GCCollector,
    PlatformCollector,
    ProcessCollector,
    disable_created_metrics,
)
from sqlalchemy.engine import Engine

from exporter.app.callbacks import CallbackDesk
from exporter.app.discovery import Discovery
from exporter.app.door import CallbackDoor
from exporter.app.drains import Drains
from exporter.app.fleet import Desks
from exporter.app.kept import Kept
from exporter.app.lineup import Lineup, warn
from exporter.app.lists import left_live
from exporter.app.push import PushDesk
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
from exporter.web.site import create_door_site

log = logging.getLogger(__name__)

FRESH_FOR_INTERVALS = 3
"""A read is fresh for so many of the intervals now in force (contract, `polling.stale_after`)."""

SWEEP = 1.0
"""Seconds between two looks for targets whose listing has ended by itself."""


class Exporter:
    """One exporter over one open state.

    `load_config` reads the configuration anew, or raises ConfigError; `config` is what it gave first. `exposition` is
    what is served, `push` takes in what is pushed and `callbacks` what the vendor calls back. `flags` are the command
    line's, for people to see.
    """

    def __init__(
        self,
        config: Config,
        load_config: Callable[[], Config],
        environ: Mapping[str, str],
        engine: Engine,
        clock: Clock,
        *,
        flags: Mapping[str, str] | None = None,
    ) -> None:
        self.config = config
        self.flags = flags or {}
        self.started_at = clock.unix()
        self._load_config = load_config
        self._clock = clock
        self._started = False
        self._ready = False
        self._stopping = Event()
        registry = _registry()
        self.instruments = Instruments(registry)
        self._ledger = Ledger(engine, clock.monotonic, self._state_failed)
        self._kept = Kept(self._ledger, clock)
        self._drains = Drains(self._ledger)
        self._tracker = Tracker(self._ledger, _lifetimes(config), clock, self._fresh_for, self._kept.named)
        self.board = Board(_families(config), config.metrics.max_tasks, self._tracker.get)
        self._tracker.attach(self.board)
        self._desks = Desks(environ, clock, self.instruments, self._ports(), self._stopping.wait)
        self._dispatcher = Dispatcher(self._beat, self._housekeep, self._count_event, clock.monotonic)
        self._discovery = Discovery(self._dispatcher, self.instruments, clock, self._feeds_changed)
        self._lineup = Lineup(
            feeds=self._discovery.listings,
            kept=self._kept,
            ledger=self._ledger,
            tracker=self._tracker,
            desks=self._desks,
            instruments=self.instruments,
            drains=self._drains,
        )
        self.push = PushDesk(self._kept, self._tracker, self._desks, clock, self._lineup.carry_out)
        self.callbacks = CallbackDesk(
            kept=self._kept,
            ledger=self._ledger,
            tracker=self._tracker,
            desks=self._desks,
            instruments=self.instruments,
            clock=clock,
            carry_out=self._lineup.carry_out,
        )
        self._door = CallbackDoor(lambda: create_door_site(self, self.failed), self.failed)
        registry.register(FleetCollector(self.board, self._ledger.totals))
        registry.register(AccountCollector(self._desks.numbers))
        self.exposition = Exposition(registry, self.board)

    def start(self) -> None:
        """Begin to read; ConfigError when an account cannot call, StartError when the state's runs cannot be read."""
        with self._lineup.changing:
            self._apply(self.config)
        self._loaded()
        self.instruments.leader.set(1)
        self._dispatcher.start()
        self._started = True

    def stop(self) -> None:
        """End within moments: calls in flight are broken off, what was learnt is in the state."""
        self._door.close()
        self._dispatcher.stop()
        self._discovery.close()
        self._desks.stop()  # before the waiting calls are woken, so that none of them is taken for a failure
        self._stopping.set()
        self._ledger.close()

    def reload(self) -> None:
        """Put the configuration as it now stands in force, all of it or, with ConfigError, nothing."""
        with self._lineup.changing:
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
    def uptime(self) -> float:
        """Seconds since the start."""
        return max(0.0, self._clock.unix() - self.started_at)

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
        secrets = self._kept.plan(config)
        remembered = self._ledger.latest_runs()
        door = self._door.plan(_door_address(config))
        # From here on nothing can fail.
        self._tracker.lifetimes = _lifetimes(config)
        self._desks.swap(config, plans)
        if _shown(config) != _shown(self.config):
            self.board.reconfigure(_families(config), config.metrics.max_tasks)
        for account in config.accounts:
            for app_id in account.app_ids:
                self._ledger.open_app(app_id)
        self.config = self._lineup.config = config
        self._discovery.swap(sources)
        self._kept.secrets = secrets
        self.callbacks.config = config.callbacks
        self._sweep_kept()
        self._door.swap(door)
        warn(warnings(config))
        if not self._started:
            self._take_up(remembered)
        self._lineup.replace(remembered)

    def _take_up(self, remembered: Mapping[TargetId, Run]) -> None:
        """What the last process was reading, to be let go unless a source lists it: each live run is accounted for."""
        drained = self._drains.left(self.config)
        live = {target.id: target for target in left_live(self.config, remembered)}
        self._tracker.replace_targets(live | {target: each.target for target, each in drained.items()}, remembered)
        self._tracker.resume_drains({target: each.until for target, each in drained.items()})

    def _feeds_changed(self) -> None:
        self._lineup.feeds_changed()

    def _sweep_kept(self) -> None:
        if self._kept.secrets:
            self._dispatcher.every("kept lists", SWEEP, self.push.sweep)
        else:
            self._dispatcher.cancel("kept lists")

    def _explained(self, error: Exception) -> ConfigError:
        """What went wrong with a reload, in words for whoever asked for it."""
        if isinstance(error, ConfigError):
            return error
        if isinstance(error, StartError):
            return ConfigError([Problem("", str(error))])
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
        self.callbacks.forget()
        self._drains.forget_all_but(self._tracker.all())

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
    return task_families(
        config.metrics.groups, config.metrics.info_labels, callbacks=config.callbacks.secret_file is not None
    )


def _shown(config: Config) -> tuple[object, ...]:
    """All of the configuration that decides which series there are."""
    return config.metrics, config.callbacks.secret_file is None


def _door_address(config: Config) -> str | None:
    return config.callbacks.listen_address if config.callbacks.secret_file else None


def _lifetimes(config: Config) -> Lifetimes:
    return Lifetimes(
        stale_after=config.polling.stale_after,
        linger=config.lifecycle.linger,
        drain=config.lifecycle.drain,
        forget_unknown_after=config.lifecycle.forget_unknown_after,
        ttl=config.push.ttl,
    )
