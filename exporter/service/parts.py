"""The parts that work with each other, made and wired."""

import logging
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from prometheus_client import (
    CollectorRegistry,
    GCCollector,
    PlatformCollector,
    ProcessCollector,
    disable_created_metrics,
)
from sqlalchemy.engine import Engine

from exporter.config.schema import Config
from exporter.metrics.board import Board
from exporter.metrics.fleet import FleetCollector
from exporter.metrics.history import History
from exporter.metrics.instruments import AccountCollector, Instruments
from exporter.metrics.scrape import Exposition
from exporter.model.clock import Clock
from exporter.model.known import Known
from exporter.model.reading import Reading
from exporter.scheduler.pool import Pool
from exporter.scheduler.ports import Ports
from exporter.scheduler.tracker import Tracker
from exporter.service.derived import lifetimes, task_families_of
from exporter.service.drains import Drains
from exporter.service.fleet import Desks
from exporter.service.kept import Kept
from exporter.store.ledger import Ledger
from exporter.volcengine.pacing import Pacer

log = logging.getLogger(__name__)

FRESH_FOR_INTERVALS = 3
"""A read is fresh for so many of the intervals now in force (contract, `polling.stale_after`)."""

Failed = Callable[[str, Exception], None]
"""Told of what failed for a reason that nobody foresaw."""


@dataclass(frozen=True, slots=True)
class Parts:
    """What the desks, the lists and the pages share."""

    clock: Clock
    instruments: Instruments
    ledger: Ledger
    kept: Kept
    drains: Drains
    tracker: Tracker
    board: Board
    desks: Desks
    exposition: Exposition
    history: History

    def failed(self, what: str, error: Exception) -> None:
        """Count and log an error that nobody foresaw, at the edge where it was caught."""
        fail(self.instruments, what, error)


def make_parts(
    config: Config,
    environ: Mapping[str, str],
    engine: Engine,
    clock: Clock,
    new_pacer: Callable[[float], Pacer],
) -> Parts:
    """All of them over one open state; `new_pacer` makes one for a rate. StartError when the state cannot be read."""
    registry = process_registry()
    instruments = Instruments(registry)
    ledger = Ledger(engine, clock.monotonic, _state_failures(instruments))
    kept = Kept(ledger, clock)

    def fresh_for(known: Known) -> float:
        return FRESH_FOR_INTERVALS * desks.in_force(known)

    history = History()
    tracker = Tracker(ledger, lifetimes(config), clock, fresh_for, kept.named, changed=history.changed)

    def learn(reading: Reading) -> Known | None:
        known = tracker.learn(reading)
        if known is not None:
            history.read(reading)
            if tracker.get(reading.target) is None:  # forgotten meanwhile
                history.forget([reading.target])
        return known

    ports = Ports(
        submit=Pool().submit,
        learn=learn,
        count=instruments.observe,
        failed=lambda what, error: fail(instruments, what, error),
        chance=random.random,
    )
    desks = Desks(environ, clock, instruments, ports, new_pacer)
    board = Board(task_families_of(config), config.metrics.max_tasks, tracker.get)
    tracker.attach(board)
    registry.register(FleetCollector(board, ledger.totals))
    registry.register(AccountCollector(desks.numbers))
    exposition = Exposition(registry, board)
    return Parts(clock, instruments, ledger, kept, Drains(ledger), tracker, board, desks, exposition, history)


def fail(instruments: Instruments, what: str, error: Exception) -> None:
    """Count and log an error that nobody foresaw."""
    instruments.internal_errors.inc()
    log.error("%s failed for a reason that nobody foresaw", what, exc_info=error)


def _state_failures(instruments: Instruments) -> Callable[..., None]:
    def told(error: Exception, *, first: bool) -> None:
        instruments.state_write_failures.inc()
        if first:
            kind = type(error).__name__
            log.error("the state cannot be written, what was counted is kept and tried again: %s", kind)

    return told


def process_registry() -> CollectorRegistry:
    """One that tells of the process alone."""
    disable_created_metrics()  # type: ignore[no-untyped-call]  # untyped in the library
    registry = CollectorRegistry()
    for collector in (ProcessCollector, PlatformCollector, GCCollector):
        collector(registry=registry)
    return registry
