"""One exporter over a state that this process holds, and what is looked at while it works."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass

import structlog
from sqlalchemy.exc import SQLAlchemyError

from exporter.config.schema import VENDOR_MAX_QPS, Config
from exporter.errors import ConfigError, StartError, StateError
from exporter.model.clock import Clock
from exporter.service.exporter import Exporter
from exporter.service.file_watcher import FileWatcher
from exporter.service.signals import SignalAction, Signals
from exporter.service.standby import Standby
from exporter.store.lease import StateLock
from exporter.web.app import DEFAULT_OPTIONS, WebOptions

log = structlog.stdlib.get_logger(__name__)

WATCH_INTERVAL = 1.0
"""Seconds between two looks at the scheduler, the state and the files."""
MIN_RATE = 0.01


@dataclass(frozen=True)
class ServeOptions:
    """What a process was started with."""

    config: Config
    load_config: Callable[[], Config]
    environ: Mapping[str, str]
    clock: Clock
    flags: Mapping[str, str]
    watched: FileWatcher
    web: WebOptions = DEFAULT_OPTIONS


@contextmanager
def leading(options: ServeOptions, lock: StateLock) -> Iterator[Exporter]:
    """An exporter that is still to be started; it is stopped in the end. StartError when the state cannot be used."""
    config = options.config
    with ExitStack() as undo:
        try:
            exporter = Exporter(
                config,
                options.load_config,
                options.environ,
                lock.open(),
                options.clock,
                flags=options.flags,
                policy=options.watched.policy,
                restrain=lambda rate: rate if lock.confirmed else rate_beside(rate),
                leads=(lambda: lock.confirmed) if config.ha.enabled else None,
            )
            undo.callback(exporter.stop)
            yield exporter
        except (SQLAlchemyError, StateError) as error:
            cause = getattr(error, "orig", None) or str(error)
            raise StartError(f"state {config.state.path or config.state.url} cannot be read: {cause}") from error


def rate_beside(rate: float) -> float:
    """Calls a second of a process that may not lead any more: half of what a new leader leaves of the vendor's limit.

    The other half is for calls that were on their way already when this process was stopped.
    """
    return min(rate, max((VENDOR_MAX_QPS - rate) / 2, MIN_RATE))


def follow(exporter: Exporter, watched: FileWatcher, signals: Signals, lock: StateLock) -> str:
    """Look after the exporter until it is to stop, or the state is another's: why that is, empty at a stop."""
    look(exporter, watched)
    while True:
        action = signals.wait(WATCH_INTERVAL)
        if action is SignalAction.STOP:
            return ""
        if lost := lock.lost or exporter.state_lost:
            return lost
        exporter.nudge()
        look(exporter, watched)
        if action is SignalAction.RELOAD:
            with suppress(ConfigError):  # it is logged, and the old configuration stays
                exporter.reload()


def look(role: Exporter | Standby, watched: FileWatcher) -> None:
    """Look at the files beside the configuration."""
    try:
        watched.look(role.config)
    except Exception as error:  # noqa: BLE001 - an edge: what is wrong with a file must not end the exporter
        role.failed("the look at the web config file", error)
