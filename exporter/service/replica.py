"""One of several processes over one state: stands by until it has the lease, leads, and stands by again."""

import gc
import socket
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace

import structlog

from exporter import __version__
from exporter.config.schema import Config
from exporter.errors import ConfigError
from exporter.service.leading import ServeOptions, follow, leading, look
from exporter.service.signals import SignalAction, Signals
from exporter.service.standby import Standby
from exporter.store.lease import Lease
from exporter.web.app import RoleSwitch, create_app, create_standby_app
from exporter.web.server import Listener

log = structlog.stdlib.get_logger(__name__)

WAIT = 0.25
"""Seconds between two looks whether the lease is held."""
WAITS_PER_LOOK = 4
"""So many of them between two looks at the files."""
RETRY_SECONDS = 1.0
"""Seconds after a failed take-over in which another replica may try."""


def replicate(options: ServeOptions, sockets: Sequence[socket.socket], signals: Signals) -> None:
    """Serve until a stop. ConfigError and StartError, as `serve`, before it begins; nothing ends it after that."""
    standby = Standby(options.config, options.load_config, options.clock, options.watched.policy)
    roles = RoleSwitch()
    listener = Listener(roles, sockets, standby.failed, tls=lambda: options.watched.policy().tls)
    _show(roles, standby, options)
    listener.start()
    log.info("standing by", version=__version__, urls=listener.urls)
    try:
        while (lease := _elected(standby, signals, options)) is not None:
            try:
                config = _lead(replace(options, config=standby.config), lease, roles, standby, signals)
            finally:
                lease.release()
            if config is None or signals.stops_within(RETRY_SECONDS):
                break
            options = replace(options, config=config)
            standby.close()
            standby = Standby(config, options.load_config, options.clock, options.watched.policy, must_listen=False)
            _show(roles, standby, options)
    finally:
        listener.stop()
        standby.close()
    log.info("stopped")


def _show(roles: RoleSwitch, standby: Standby, options: ServeOptions) -> None:
    roles.app = create_standby_app(standby, standby.failed, options.watched.policy, options.web)


def _elected(standby: Standby, signals: Signals, options: ServeOptions) -> Lease | None:
    """Wait for the lease; None at a stop. What is wrong with the server is logged, and tried again."""
    lease = standby.lease = Lease(options.config.state.url)
    lease.start()
    looks = 0
    while True:
        action = signals.wait(WAIT)
        if action is SignalAction.STOP:
            lease.release()
            return None
        if lease.held:
            return lease
        if action is SignalAction.RELOAD:
            with suppress(ConfigError):  # it is logged, and the old configuration stays
                standby.reload()
        if looks % WAITS_PER_LOOK == 0:
            look(standby, options.watched)
        looks += 1


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
            roles.app = create_app(exporter, exporter.failed, options.watched.policy, options.web)
            standby.close()
            log.info("leading", token=lease.token)
            gc.collect()
            reason = follow(exporter, options.watched, signals, lease)
            config = exporter.config
            if not reason:
                return None
            log.warning("standing by", reason=reason)
    except Exception as error:  # noqa: BLE001 - the edge of a take-over: the next try, here or elsewhere, may succeed
        log.error("take-over failed, it is tried again", reason=f"{type(error).__name__}: {error}")  # noqa: TRY400 - a sentence
    return config
