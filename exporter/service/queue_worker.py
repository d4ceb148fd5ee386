"""The leader's side of the standby queue: what standbys have accepted is applied in its order."""

import json

import structlog

from exporter.discovery.sd_format import SDSourceError, groups_of_json
from exporter.errors import BadTargets, StartError, StateError
from exporter.model.target import TargetId
from exporter.service.callbacks import CallbackIntake
from exporter.service.components import Components
from exporter.service.push import PushApi
from exporter.store.standby_queue import Entry, EntryKind, delete, event_from_text, oldest

log = structlog.stdlib.get_logger(__name__)


class StandbyQueueWorker:
    """Applies one entry after the other, then deletes it; doing so again, after a kill in between, has no effect."""

    def __init__(self, components: Components, push: PushApi, callbacks: CallbackIntake) -> None:
        self._store = components.store
        self._push = push
        self._callbacks = callbacks

    def apply(self) -> None:
        """Apply all that waits; what the state cannot take now waits on."""
        try:
            while entries := self._store.look_up(oldest):
                for entry in entries:
                    self._apply(entry)
                    self._delete(entry)
        except (StateError, StartError):
            return  # the store has counted and reported it

    def _delete(self, entry: Entry) -> None:
        self._store.wait(self._store.change(lambda connection: delete(connection, [entry.number])))

    def _apply(self, entry: Entry) -> None:
        try:
            match entry.kind:
                case EntryKind.EVENT:
                    self._callbacks.take_over(*event_from_text(entry.body))
                case EntryKind.CALLBACK:
                    self._callbacks.take_over_body(entry.body.encode("latin-1"), entry.at)
                case EntryKind.ADD | EntryKind.REPLACE:
                    self._push.name(groups_of_json(entry.body), whole=entry.kind == EntryKind.REPLACE)
                case EntryKind.RELEASE | EntryKind.RELEASE_NOW:
                    self._push.release(TargetId(*json.loads(entry.body)), now=entry.kind == EntryKind.RELEASE_NOW)
                case _:
                    log.warning("standby entry dropped", kind=entry.kind, reason="this release does not know its kind")
        except (BadTargets, SDSourceError, ValueError, TypeError, KeyError) as error:
            log.warning("standby entry dropped", kind=entry.kind, reason=type(error).__name__)
