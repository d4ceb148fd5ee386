"""One of several processes over one state: it stands by until the lock is its own, leads, and stands by again."""

import gc
import logging
import socket
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from itertools import count

from exporter import __version__
from exporter.config.schema import Config
from exporter.errors import ConfigError, StartError
from exporter.service.leading import ServeOptions, follow, leading, look
from exporter.service.signals import SignalAction, Signals
from exporter.service.standby import Standby
from exporter.store.opening import Hold, hold_of
from exporter.web.app import RoleSwitch, create_app, create_standby_app
from exporter.web.server import Listener

log = logging.getLogger(__name__)

TRY = 0.25
"""Seconds between two tries for the lock."""
TRIES_A_LOOK = 4
"""So many tries between two looks at the web config file."""


def replicate(setup: ServeOptions, sockets: Sequence[socket.socket], signals: Signals) -> None:
    """Serve until a stop is wished for. ConfigError and StartError as `serve`."""
    standby = _standby(setup)
    stage = RoleSwitch()
    listener = Listener(stage, sockets, standby.failed, tls=lambda: setup.watched.policy().tls)
    _play(stage, standby, setup)
    listener.start()
    log.info("webcast-exporter %s stands by on %s", __version__, ", ".join(listener.urls))
    try:
        while (hold := _elected(standby, signals, setup)) is not None:
            config = _lead(replace(setup, config=standby.config), hold, stage, standby, signals)
            if config is None:
                break
            setup = replace(setup, config=config)
            standby = _standby(setup)
            _play(stage, standby, setup)
            log.warning("another process has the state by now: this one stands by")
    finally:
        listener.stop()
        standby.close()
    log.info("stopped")


def _standby(setup: ServeOptions) -> Standby:
    return Standby(setup.config, setup.load_config, setup.clock, setup.watched.policy)


def _play(stage: RoleSwitch, standby: Standby, setup: ServeOptions) -> None:
    stage.app = create_standby_app(standby, standby.failed, setup.watched.policy, setup.web)


def _elected(standby: Standby, signals: Signals, setup: ServeOptions) -> Hold | None:
    """Wait for the lock; None when the stop came first. A server that cannot be reached is said once."""
    hold = hold_of(setup.config.state.url)
    said, tries = "", count()
    while True:
        try:
            if hold.try_it():
                return hold
            said = ""
        except StartError as error:
            if not said:
                log.error("%s; it is tried again", error)  # noqa: TRY400 - a sentence
            said = str(error)
        standby.tried()
        if next(tries) % TRIES_A_LOOK == 0:
            look(standby, setup.watched)
        wish = signals.wait(TRY)
        if wish is SignalAction.STOP:
            hold.release()
            return None
        if wish is SignalAction.RELOAD:
            with suppress(ConfigError):  # it is logged, and the old configuration stays
                standby.reload()


def _lead(setup: ServeOptions, hold: Hold, stage: RoleSwitch, standby: Standby, signals: Signals) -> Config | None:
    """Read the tasks; the configuration then in force when another process has the state, None at a stop."""
    with leading(setup, hold) as exporter:
        if signals.stops_within(hold.patience):
            return None
        standby.make_way()
        exporter.start()
        stage.app = create_app(exporter, exporter.failed, setup.watched.policy, setup.web)
        standby.close()
        log.info("this process leads: it reads the tasks")
        gc.collect()
        follow(exporter, setup.watched, signals, hold)
        return exporter.config if hold.lost else None
