"""What standbys have taken in, acted on by the one that reads."""

import json
import logging
from contextlib import suppress

from exporter.discovery.sd_format import SDSourceError, groups_of_json
from exporter.errors import BadTargets, StartError, StateError
from exporter.model.target import TargetId
from exporter.service.callbacks import CallbackIntake
from exporter.service.components import Components
from exporter.service.push import PushApi
from exporter.store.inbox import Entry, Kind, drop, first_of

log = logging.getLogger(__name__)


class StandbyQueueWorker:
    """Acts on one entry after the other, and drops it. Killed in between it acts once more, which changes nothing."""

    def __init__(self, parts: Components, push: PushApi, callbacks: CallbackIntake) -> None:
        self._ledger = parts.store
        self._push = push
        self._callbacks = callbacks

    def prove(self) -> None:
        """Look at what waits, and leave it."""
        with suppress(StateError):
            self._first()

    def act(self) -> None:
        """On all that waits; what the state cannot take now waits on."""
        try:
            while entries := self._first():
                for entry in entries:
                    self._act(entry)
                    with self._ledger.transaction() as connection:
                        drop(connection, entry)
        except (StateError, StartError):
            return  # the ledger has counted it and told of it

    def _first(self) -> list[Entry]:
        with self._ledger.transaction() as connection:
            return list(first_of(connection))

    def _act(self, entry: Entry) -> None:
        try:
            match entry.kind:
                case Kind.CALLBACK:
                    self._callbacks.take_over(entry.body.encode("latin-1"), entry.at)
                case Kind.ADD | Kind.REPLACE:
                    self._push.name(groups_of_json(entry.body), whole=entry.kind == Kind.REPLACE)
                case Kind.RELEASE | Kind.RELEASE_NOW:
                    self._push.release(TargetId(*json.loads(entry.body)), now=entry.kind == Kind.RELEASE_NOW)
                case _:
                    log.warning("the inbox has an entry of a kind that this release does not know; it is dropped")
        except (BadTargets, SDSourceError, ValueError, TypeError) as error:
            log.warning("what a standby took in cannot be done any more, and is dropped: %s", type(error).__name__)
