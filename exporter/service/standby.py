"""A standby: it reads no task, and queues for the leader what is pushed and called back."""

import json
from collections.abc import Callable
from contextlib import suppress
from functools import partial

import structlog
from prometheus_client import CollectorRegistry

from exporter.config.schema import Config
from exporter.discovery.merge import AccountOf
from exporter.discovery.sd_format import SDSourceError, TargetGroup, groups_of_json
from exporter.enums import CallbackOutcome
from exporter.errors import BadTargets, ConfigError, Problem, StartError, StateError
from exporter.metrics.self_metrics import SelfMetrics
from exporter.model.clock import Clock
from exporter.model.target import TargetId
from exporter.scheduler.scheduler import Scheduler
from exporter.service.callbacks import CallbackIntake, CallbackListener, callback_rules
from exporter.service.components import Components, fail, standby_exposition
from exporter.service.push import PushApi
from exporter.service.settings import Settings, with_same_state
from exporter.service.stored_lists import Secrets, read_push, secrets_of
from exporter.store.lease import Lease
from exporter.store.standby_queue import (
    Entry,
    EntryKind,
    StandbyQueue,
    delete,
    event_from_text,
    event_to_text,
    oldest,
    release_to_text,
)
from exporter.volcengine.callbacks import verify_callback
from exporter.web.auth import CurrentPolicy
from exporter.web.interfaces import CallbackRecord

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
                    self._store.wait(self._store.change(partial(delete, numbers=[entry.number])))
        except (StateError, StartError):
            return  # the store has counted and reported it

    def _apply(self, entry: Entry) -> None:
        try:
            match entry.kind:
                case EntryKind.EVENT:
                    self._callbacks.apply_queued(*event_from_text(entry.body))
                case EntryKind.CALLBACK:
                    self._callbacks.apply_queued_body(entry.body.encode("latin-1"), entry.at)
                case EntryKind.ADD | EntryKind.REPLACE:
                    self._push.update(groups_of_json(entry.body), replace=entry.kind == EntryKind.REPLACE)
                case EntryKind.RELEASE | EntryKind.RELEASE_NOW:
                    self._push.release(TargetId(*json.loads(entry.body)), now=entry.kind == EntryKind.RELEASE_NOW)
                case _:
                    log.warning("standby entry dropped", kind=entry.kind, reason="this release does not know its kind")
        except (BadTargets, SDSourceError, ValueError, TypeError, KeyError) as error:
            log.warning("standby entry dropped", kind=entry.kind, reason=type(error).__name__)


WATCH_FILES_INTERVAL = 1.0
"""Seconds between two looks at the files of secrets, and at those of the command line."""
MAX_IDLE = 10.0
"""Seconds between two tries for the lease; one on a server that does not answer takes up to three."""


class Standby:
    """A replica without the lease: its own metrics, and the queue for the leader.

    ConfigError when a file of secrets cannot be used, StartError when a port cannot be had.
    """

    def __init__(
        self,
        config: Config,
        load_config: Callable[[], Config],
        clock: Clock,
        policy: CurrentPolicy,
        *,
        look_at_files: Callable[[Config], None] = lambda _: None,
        must_listen: bool = True,
    ) -> None:
        self.config = config
        self._load_config = load_config
        self._clock = clock
        inner = CollectorRegistry(auto_describe=True)
        self.self_metrics = SelfMetrics(inner)
        self.exposition = standby_exposition(inner)
        self.secrets: Secrets = {}
        self.queue = StandbyQueue(config.state.url)
        self.push = PushForLeader(self, clock)
        self.callbacks = CallbacksForLeader(self, clock)
        self.lease: Lease | None = None
        self._callback_listener = CallbackListener(self, self.failed, policy)
        try:
            self._apply(config)
        except (ConfigError, StartError) as error:
            if must_listen:
                raise
            self.config = config
            with suppress(ConfigError):
                self.secrets = secrets_of(config)
            log.error("callback listener closed", reason=str(error))
        self._look_at_files = look_at_files
        self.scheduler = Scheduler(self.self_metrics, clock)
        self.self_metrics.hung_jobs = self.scheduler.hung_jobs
        self.self_metrics.lease_answered_at = lambda: self.lease.answered_at if self.lease else None
        self.scheduler.every("watch-files", WATCH_FILES_INTERVAL, self._watch_files)
        self.scheduler.start()

    @property
    def alive(self) -> bool:
        """Whether the lease was asked for lately."""
        return self.lease is None or self.lease.idle_for < MAX_IDLE

    @property
    def not_ready(self) -> str:
        """A standby is ready."""
        return ""

    def reload(self) -> None:
        """Put the configuration as it now stands in force; ConfigError when it is bad and the old one stays."""
        try:
            self._apply(with_same_state(self.config, self._load_config()))
        except (ConfigError, StartError) as error:
            self.self_metrics.reload_successful.set(0)
            log.error("configuration not reloaded", error=str(error))
            raise error if isinstance(error, ConfigError) else ConfigError([Problem("", str(error))]) from error

    def failed(self, what: str, error: Exception) -> None:
        """Count and log an unexpected error."""
        fail(self.self_metrics, what, error)

    def make_way(self) -> None:
        """Close the listener of callbacks, for that of the leader; the main listener accepts callbacks as before."""
        self._callback_listener.close()

    def close(self) -> None:
        """Take in no more."""
        self.scheduler.stop()
        self._callback_listener.close()
        self.queue.close()

    def _watch_files(self) -> None:
        self._look_at_files(self.config)
        for secrets in tuple(self.secrets.values()):
            secrets.refresh()

    def _apply(self, config: Config) -> None:
        secrets = secrets_of(config)
        self._callback_listener.swap(self._callback_listener.plan(Settings.of(config).callback_address))
        self.config, self.secrets = config, secrets
        self.self_metrics.reload_successful.set(1)
        self.self_metrics.reload_timestamp.set(self._clock.unix())


class PushForLeader:
    """The push API of a standby: bodies are checked here, and applied by the leader."""

    def __init__(self, standby: Standby, clock: Clock) -> None:
        self._standby = standby
        self._clock = clock

    def update(self, groups: list[TargetGroup], *, replace: bool) -> int:
        """Check a push and queue it; BadTargets, StateError: nothing has changed."""
        targets = read_push(groups, AccountOf(self._standby.config.accounts))
        body = json.dumps([{"targets": list(group.targets), "labels": dict(group.labels)} for group in groups])
        self._standby.queue.put(EntryKind.REPLACE if replace else EntryKind.ADD, body, self._clock.unix())
        return len(targets)

    def release(self, target: TargetId, *, now: bool) -> bool:
        """Queue a release; False when it is neither listed by push or callback nor stopped. StateError: it stays."""
        if not self._standby.queue.may_release(target):
            return False
        kind = EntryKind.RELEASE_NOW if now else EntryKind.RELEASE
        self._standby.queue.put(kind, release_to_text(target), self._clock.unix())
        return True


class CallbacksForLeader:
    """Callbacks to a standby: they are verified and counted here, and applied by the leader."""

    def __init__(self, standby: Standby, clock: Clock) -> None:
        self._standby = standby
        self._clock = clock

    def recent(self) -> list[CallbackRecord]:
        """Return nothing: the leader has the list."""
        return []

    def receive(self, body: bytes) -> CallbackOutcome:
        """Take one body in; StateError when it is not in the state and is to be sent again."""
        at = self._clock.unix()
        result = verify_callback(body, callback_rules(self._standby.config.callbacks, self._standby.secrets), at)
        outcome, callback = result.outcome, result.callback
        if outcome is CallbackOutcome.ACCEPTED and callback:
            text = event_to_text(callback, result.unexpected)
            if AccountOf(self._standby.config.accounts)(callback.target.app_id) is None:
                outcome = CallbackOutcome.IGNORED
            elif self._standby.queue.has_receipt(callback, text):
                outcome = CallbackOutcome.DUPLICATE
            else:
                self._standby.queue.put(EntryKind.EVENT, text, at)
        elif outcome is CallbackOutcome.ACCEPTED:  # a room event: only who reads the room's tasks can use it
            outcome = CallbackOutcome.IGNORED
        self._standby.self_metrics.count_callback(outcome)
        return outcome
