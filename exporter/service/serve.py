"""Serve: the exporter and its listeners from start to a clean stop, alone or as one of several replicas."""

import gc
import platform
import socket
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path

import structlog
from sqlalchemy.exc import SQLAlchemyError

from exporter import __version__
from exporter.config.schema import VENDOR_MAX_QPS, Config, State
from exporter.errors import ConfigError, StartError, StateError
from exporter.model.clock import Clock
from exporter.service.exporter import Exporter
from exporter.service.file_watcher import FileWatcher, load_both
from exporter.service.signals import SignalAction, Signals
from exporter.service.standby import Standby
from exporter.store.lease import Lease, StateLock, state_lock
from exporter.web.app import DEFAULT_OPTIONS, RoleSwitch, WebOptions, create_app, create_standby_app
from exporter.web.server import Listener, bind_all, systemd_sockets

log = structlog.stdlib.get_logger(__name__)

WATCH_INTERVAL = 1.0
"""Seconds between two looks at the scheduler and the state."""
ELECTION_INTERVAL = 0.25
"""Seconds between two looks whether the state that another process holds is free."""
RETRY_SECONDS = 1.0
"""Seconds after a failed take-over in which another replica may try."""
MIN_RATE = 0.01


@dataclass(frozen=True)
class ServeOptions:
    """Options that a process was started with."""

    config: Config
    load_config: Callable[[], Config]
    environ: Mapping[str, str]
    clock: Clock
    flags: Mapping[str, str]
    file_watcher: FileWatcher
    web: WebOptions = DEFAULT_OPTIONS


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
    """Serve until SIGTERM or SIGINT. ConfigError and StartError say why it cannot begin; `started` is called after it.

    `config_file` is where `load_config` reads, to be looked after; `web_file` is the web config file, `web` what
    flags say of paths and links. `systemd_socket` takes systemd's sockets in place of `addresses`. `flags` are the
    command line's, to be shown. `end_process` is called when a stop takes too long.
    Must be called on the main thread, where signals arrive.
    """
    signals = Signals()
    signals.listen(end_process)
    with ExitStack() as undo:
        undo.callback(signals.close)
        config, file_watcher = load_both(load_config, config_file, web_file)
        options = ServeOptions(config, load_config, environ, clock or Clock(), flags or {}, file_watcher, web)
        sockets = systemd_sockets(environ) if systemd_socket else bind_all(addresses)
        for each in sockets:
            undo.enter_context(each)
        if config.ha.enabled:
            replicate(options, sockets, signals)
            return
        lock = hold_state(config.state, signals)
        if lock is None:
            return
        undo.callback(lock.release)
        exporter = undo.enter_context(leading(options, lock))
        app = create_app(exporter, exporter.failed, file_watcher.policy, web)
        listener = Listener(app, sockets, exporter.failed, file_watcher.policy)
        undo.callback(listener.stop)
        if signals.stops_within(lock.handover_wait):
            return
        exporter.start()
        listener.start()
        log_start("alone", config, listener.urls)
        started(exporter, listener)
        gc.collect()
        gc.freeze()  # what stands by now stays: no collection looks through it again, 40 ms in which nothing moves
        if reason := follow(exporter, signals, lock):
            raise StartError(reason)
    log.info("stopped")


def hold_state(state: State, signals: Signals) -> StateLock | None:
    """Wait until no other process holds the state; None when the stop came first. StartError when it cannot be held."""
    lock: StateLock = state_lock(state.url)
    waits = count()

    def wait() -> bool:
        if next(waits) == 0:
            log.warning("waiting for another process to release the state", state=str(state.url.path or state.url))
        return signals.wait(ELECTION_INTERVAL) is not SignalAction.STOP

    if lock.acquire(wait):
        return lock
    lock.release()
    return None


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
                policy=options.file_watcher.policy,
                rate_cap=lambda rate: rate if lock.confirmed else rate_beside(rate, config.state),
                leads=(lambda: lock.confirmed) if config.ha.enabled else None,
                look_at_files=options.file_watcher.check,
                lease_answered_at=lambda: lock.answered_at,
            )
            undo.callback(exporter.stop)
            yield exporter
        except (SQLAlchemyError, StateError) as error:
            cause = getattr(error, "orig", None) or str(error)
            raise StartError(f"state {config.state.url.path or config.state.url} cannot be read: {cause}") from error


def rate_beside(rate: float, state: State) -> float:
    """Calls a second of a process that may not lead any more: half of what a new leader leaves of the vendor's limit.

    The other half is for calls that were on their way already when this process was stopped. Where the state is a file
    the process ends at once, and makes no call before that.
    """
    if not state.url.is_shared:
        return MIN_RATE
    return min(rate, max((VENDOR_MAX_QPS - rate) / 2, MIN_RATE))


def follow(exporter: Exporter, signals: Signals, lock: StateLock) -> str:
    """Look after the exporter until it is to stop, or the state is another's: why that is, empty at a stop."""
    while True:
        action = signals.wait(WATCH_INTERVAL)
        if action is SignalAction.STOP:
            return ""
        if lost := lock.lost or exporter.state_lost:
            return lost
        exporter.watch()
        if action is SignalAction.RELOAD:
            with suppress(ConfigError):  # it is logged, and the old configuration stays
                exporter.reload()


def log_start(role: str, config: Config, addresses: Sequence[str]) -> None:
    """Log what is served and from what, and each address."""
    sources = {
        "static": config.static_configs,
        "file": config.file_sd_configs,
        "http": config.http_sd_configs,
        "push": config.push.token_file,
        "callback": config.callbacks.secret_file,
    }
    log.info(
        "started",
        role=role,
        version=__version__,
        python=platform.python_version(),
        accounts=[account.name for account in config.accounts],
        sources=[name for name, given in sources.items() if given],
        state=str(config.state.url),
    )
    for address in addresses:
        log.info("listening", address=address)


def replicate(options: ServeOptions, sockets: Sequence[socket.socket], signals: Signals) -> None:
    """Serve until a stop. ConfigError and StartError, as `serve`, before it begins; nothing ends it after that."""
    standby = _new_standby(options)
    roles = RoleSwitch()
    listener = Listener(roles, sockets, standby.failed, options.file_watcher.policy)
    _show(roles, standby, options)
    listener.start()
    log_start("standby", options.config, listener.urls)
    answered_at: float | None = None
    try:
        while (lease := _elected(standby, signals, options, answered_at)) is not None:
            try:
                config = _lead(replace(options, config=standby.config), lease, roles, standby, signals)
            finally:
                answered_at = lease.answered_at
                lease.release()
            if config is None or signals.stops_within(RETRY_SECONDS):
                break
            options = replace(options, config=config)
            standby.close()
            standby = _new_standby(options, must_listen=False)
            _show(roles, standby, options)
    finally:
        listener.stop()
        standby.close()
    log.info("stopped")


def _new_standby(options: ServeOptions, *, must_listen: bool = True) -> Standby:
    file_watcher = options.file_watcher
    return Standby(
        options.config,
        options.load_config,
        options.clock,
        file_watcher.policy,
        look_at_files=file_watcher.check,
        must_listen=must_listen,
    )


def _show(roles: RoleSwitch, standby: Standby, options: ServeOptions) -> None:
    roles.app = create_standby_app(standby, standby.failed, options.file_watcher.policy, options.web)


def _elected(standby: Standby, signals: Signals, options: ServeOptions, answered_at: float | None) -> Lease | None:
    """Wait for the lease; None at a stop. What is wrong with the server is logged, and tried again.

    `answered_at` is when the server last answered about a lease before.
    """
    lease = standby.lease = Lease(options.config.state.url, answered_before=answered_at)
    lease.start()
    while True:
        action = signals.wait(ELECTION_INTERVAL)
        if action is SignalAction.STOP:
            lease.release()
            return None
        if lease.held:
            return lease
        if action is SignalAction.RELOAD:
            with suppress(ConfigError):  # it is logged, and the old configuration stays
                standby.reload()
        standby.scheduler.watch()


def _lead(options: ServeOptions, lease: Lease, roles: RoleSwitch, standby: Standby, signals: Signals) -> Config | None:
    """Read the tasks; None at a stop, else the configuration in force when the lead was lost or could not begin."""
    config = options.config
    try:
        with leading(options, lease) as exporter:
            if signals.stops_within(lease.handover_wait):
                return None
            standby.make_way()
            exporter.start()
            config = exporter.config
            roles.app = create_app(exporter, exporter.failed, options.file_watcher.policy, options.web)
            standby.close()
            log.info("leading", token=lease.token)
            gc.collect()
            reason = follow(exporter, signals, lease)
            config = exporter.config
            if not reason:
                return None
            log.warning("lead lost", reason=reason)
    except Exception as error:  # noqa: BLE001 - the edge of a take-over: the next try, here or elsewhere, may succeed
        log.error("take-over failed, it is tried again", reason=f"{type(error).__name__}: {error}")
    return config
