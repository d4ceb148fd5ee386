"""`serve`: the exporter and its listener, from start to a clean stop."""

import logging
import signal
from collections.abc import Callable, Mapping
from threading import Event
from types import FrameType

from exporter import __version__
from exporter.app.exporter import Exporter
from exporter.config.schema import Config, State
from exporter.errors import ConfigError, StartError
from exporter.ledger.lock import StateLock
from exporter.ledger.schema import open_engine
from exporter.model.clock import Clock
from exporter.web.listener import Listener, bind
from exporter.web.site import create_site

log = logging.getLogger(__name__)

WATCH = 1.0
"""Seconds between two looks at the dispatcher, and two tries for a state that another process holds."""


def serve(
    load_config: Callable[[], Config],
    address: str,
    environ: Mapping[str, str],
    *,
    clock: Clock | None = None,
    started: Callable[[Exporter, Listener], None] = lambda _exporter, _listener: None,
) -> None:
    """Serve until SIGTERM or SIGINT. ConfigError and StartError say why it cannot begin; `started` is told once it did.

    Must be called on the main thread, where signals arrive.
    """
    stop, reload = Event(), Event()
    _handle_signals(stop, reload)
    config = load_config()
    bound = bind(address)
    lock = _hold_state(config.state, stop)
    if lock is None:
        return
    exporter = Exporter(config, load_config, environ, open_engine(config.state.url), clock or Clock())
    listener = Listener(create_site(exporter, exporter.failed), bound)
    exporter.start()
    listener.start()
    log.info("webcast-exporter %s serves on %s", __version__, listener.url)
    started(exporter, listener)
    try:
        _watch(exporter, stop, reload)
    finally:
        exporter.stop()
        listener.stop()
        lock.release()
        log.info("stopped")


def _watch(exporter: Exporter, stop: Event, reload: Event) -> None:
    while not stop.wait(WATCH):
        exporter.nudge()
        if reload.is_set():
            reload.clear()
            try:
                exporter.reload()
            except ConfigError:
                continue  # it is logged, and the old configuration stays


def _handle_signals(stop: Event, reload: Event) -> None:
    def ask(event: Event) -> Callable[[int, FrameType | None], None]:
        return lambda _signal, _frame: event.set()

    signal.signal(signal.SIGTERM, ask(stop))
    signal.signal(signal.SIGINT, ask(stop))
    signal.signal(signal.SIGHUP, ask(reload))


def _hold_state(state: State, stop: Event) -> StateLock | None:
    """Wait until no other process holds the state; None when the stop came first."""
    try:
        lock = StateLock(state.path)
    except OSError as error:
        raise StartError(f"state {state.path}: {(error.strerror or str(error)).lower()}") from error
    said = False

    def wait() -> bool:
        nonlocal said
        if not said:
            log.warning("another process holds the state %s: waiting for it to end", state.path)
            said = True
        return not stop.wait(WATCH)

    return lock if lock.acquire(wait) else None
