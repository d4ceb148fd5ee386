"""One exporter over a state that this process holds, and what is looked at while it works."""

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from threading import Event, Thread

from sqlalchemy.exc import SQLAlchemyError

from exporter.config.schema import VENDOR_MAX_QPS, Config, State
from exporter.errors import ConfigError, StartError
from exporter.model.clock import Clock
from exporter.service.exporter import Exporter
from exporter.service.file_watcher import FileWatcher
from exporter.service.signals import SignalAction, Signals
from exporter.service.standby import Standby
from exporter.store.opening import Hold
from exporter.web.app import DEFAULT_OPTIONS, WebOptions

log = logging.getLogger(__name__)

WATCH = 1.0
"""Seconds between two looks at the dispatcher."""
PROOF = 0.5
"""Seconds between two proofs that the state is still ours."""
SLOWEST = 0.01


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
def leading(setup: ServeOptions, hold: Hold) -> Iterator[Exporter]:
    """An exporter that is still to be started; it is stopped in the end. StartError when the state cannot be read.

    Meanwhile it is proved again and again that a shared state is ours.
    """
    config, watched = setup.config, setup.watched
    with ExitStack() as undo:
        with _readable(config.state):
            exporter = Exporter(
                config,
                setup.load_config,
                setup.environ,
                hold.open(),
                setup.clock,
                flags=setup.flags,
                policy=watched.policy,
                restrain=lambda rate: rate if hold.proved else at_most_beside(rate),
            )
        undo.callback(exporter.stop)
        if config.state.url.is_shared:
            undo.enter_context(_again_and_again(exporter))
        with _readable(config.state):
            yield exporter


def at_most_beside(rate: float) -> float:
    """Half of what another process leaves of the vendor's calls that has the state by now, and makes so many a second.

    The other half is for calls that were on their way already when this process was stopped.
    """
    return min(rate, max((VENDOR_MAX_QPS - rate) / 2, SLOWEST))


def follow(exporter: Exporter, watched: FileWatcher, signals: Signals, hold: Hold) -> None:
    """Look after it until a stop is wished for, or the state is another's."""
    look(exporter, watched)
    while (wish := signals.wait(WATCH)) is not SignalAction.STOP and not hold.lost:
        exporter.nudge()
        look(exporter, watched)
        if wish is SignalAction.RELOAD:
            with suppress(ConfigError):  # it is logged, and the old configuration stays
                exporter.reload()


def look(role: Exporter | Standby, watched: FileWatcher) -> None:
    """Look at the files beside the configuration."""
    try:
        watched.look(role.config)
    except Exception as error:  # noqa: BLE001 - an edge: what is wrong with a file must not end the exporter
        role.failed("the look at the web config file", error)


@contextmanager
def _again_and_again(exporter: Exporter) -> Iterator[None]:
    over = Event()

    def prove() -> None:
        while not over.wait(PROOF):
            try:
                exporter.prove_state()
            except Exception as error:  # noqa: BLE001 - an edge: the next proof may succeed
                exporter.failed("the proof of the state", error)

    thread = Thread(target=prove, name="proof", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


@contextmanager
def _readable(state: State) -> Iterator[None]:
    try:
        yield
    except SQLAlchemyError as error:
        cause = getattr(error, "orig", None) or type(error).__name__
        raise StartError(f"state {state.path or state.url} cannot be read: {cause}") from error
