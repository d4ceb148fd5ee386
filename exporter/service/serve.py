"""`serve`: the exporter and its listener, from start to a clean stop."""

import gc
import platform
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

import structlog

from exporter import __version__
from exporter.config.schema import Config, State
from exporter.errors import StartError
from exporter.model.clock import Clock
from exporter.service.exporter import Exporter
from exporter.service.file_watcher import load_both
from exporter.service.leading import ServeOptions, follow, leading
from exporter.service.replica import replicate
from exporter.service.signals import SignalAction, Signals
from exporter.store.lease import StateLock, state_lock
from exporter.web.app import DEFAULT_OPTIONS, WebOptions, create_app
from exporter.web.server import Listener, bind_all, systemd_sockets

log = structlog.stdlib.get_logger(__name__)

WATCH = 1.0
"""Seconds between two tries for a state that another process holds."""


def serve(
    load_config: Callable[[], Config],
    addresses: Sequence[str],
    environ: Mapping[str, str],
    *,
    clock: Clock | None = None,
    flags: Mapping[str, str] | None = None,
    config_file: Path | None = None,
    web_file: Path | None = None,
    web: WebOptions = DEFAULT_OPTIONS,
    systemd_socket: bool = False,
    started: Callable[[Exporter, Listener], None] = lambda _exporter, _listener: None,
    end_process: Callable[[], None] | None = None,
) -> None:
    """Serve until SIGTERM or SIGINT. ConfigError and StartError say why it cannot begin; `started` is told once it did.

    `config_file` is where `load_config` reads, to be looked after; `web_file` is the web config file, `web` what
    flags say of paths and links. `systemd_socket` takes systemd's sockets in place of `addresses`. `flags` are the
    command line's, to be shown. `end_process` is called when a stop takes too long.
    Must be called on the main thread, where signals arrive.
    """
    signals = Signals()
    signals.listen(end_process)
    config, watched = load_both(load_config, config_file, web_file)
    setup = ServeOptions(config, load_config, environ, clock or Clock(), flags or {}, watched, web)
    with ExitStack() as undo:
        sockets = systemd_sockets(environ) if systemd_socket else bind_all(addresses)
        for each in sockets:
            undo.enter_context(each)
        if config.ha.enabled:
            replicate(setup, sockets, signals)
            return
        lock = hold_state(config.state, signals)
        if lock is None:
            return
        undo.callback(lock.release)
        exporter = undo.enter_context(leading(setup, lock))
        site = create_app(exporter, exporter.failed, watched.policy, web)
        listener = Listener(site, sockets, exporter.failed, tls=lambda: watched.policy().tls)
        undo.callback(listener.stop)
        if signals.stops_within(lock.handover_wait):
            return
        exporter.start()
        listener.start()
        _log_start(config, listener.urls)
        started(exporter, listener)
        gc.collect()
        gc.freeze()  # what stands by now stays: no collection looks through it again, 40 ms in which nothing moves
        if reason := follow(exporter, watched, signals, lock):
            raise StartError(reason)
    log.info("stopped")


def _log_start(config: Config, addresses: Sequence[str]) -> None:
    """Say what is served: one line for the process, and one for each address."""
    sources = {
        "static": config.static_configs,
        "file": config.file_sd_configs,
        "http": config.http_sd_configs,
        "push": config.push.token_file,
        "callback": config.callbacks.secret_file,
    }
    log.info(
        "started",
        version=__version__,
        python=platform.python_version(),
        accounts=[account.name for account in config.accounts],
        sources=[name for name, given in sources.items() if given],
        state=str(config.state.url),
    )
    for address in addresses:
        log.info("listening", address=address)


def hold_state(state: State, signals: Signals) -> StateLock | None:
    """Wait until no other process holds the state; None when the stop came first. StartError when it cannot be held."""
    lock: StateLock = state_lock(state.url)
    said = False

    def wait() -> bool:
        nonlocal said
        if not said:
            log.warning("waiting for another process to release the state", state=str(state.path or state.url))
            said = True
        return signals.wait(WATCH) is not SignalAction.STOP

    if lock.acquire(wait):
        return lock
    lock.release()
    return None
