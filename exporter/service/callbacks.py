"""Callbacks: verify, store and count them, and read their tasks at once; and a listener for them alone."""

import math
from collections import deque
from typing import NamedTuple

import structlog

from exporter.config.schema import Callbacks as CallbackConfig
from exporter.discovery.merge import AccountOf
from exporter.discovery.sd_format import TargetEntry
from exporter.enums import CallbackOutcome, Source
from exporter.errors import BadTargets, StateError
from exporter.model.clock import Clock
from exporter.model.target import TargetId
from exporter.model.task import Callback, EventKey
from exporter.service.components import Components
from exporter.service.stored_lists import Secrets
from exporter.service.target_manager import CHANGE_TIMEOUT, OVER_LIMIT, TargetManager
from exporter.store.store import StoredTarget, holding
from exporter.volcengine.callbacks import CallbackResult, CallbackRules, CallbackShape, RoomEvent, verify_callback
from exporter.web.app import create_callback_app
from exporter.web.auth import CurrentPolicy
from exporter.web.interfaces import CallbackRecord, ReplicaApi, ReportError
from exporter.web.server import CALLBACK_OPTION, Listener, bind

log = structlog.stdlib.get_logger(__name__)

REMEMBERED_FOR = 72 * 3600.0
"""Seconds for which a callback is remembered, or twice `max_age` if that is longer: a later copy is stale."""
UNSIGNED_ADVICE = (
    "the callback is refused, as are all like it; is the console's secret in callbacks.secret_file, and is the body "
    "forwarded byte for byte? check --callback judges a captured one"
)
MAX_REFUSED = 10_000
"""Callbacks that are remembered as answered 503."""
MAX_LOGGED_NAMES = 100
"""Event types and apps of ignored and stale callbacks that are logged, each once."""
ROOM_INDEX_SECONDS = 1.0
"""How long the index of live tasks by room is used before it is made anew; rooms may report hundreds of events."""


def callback_rules(config: CallbackConfig, secrets: Secrets) -> CallbackRules:
    """The rules that callbacks are verified against now."""
    lines = secrets[Source.CALLBACK].tokens if Source.CALLBACK in secrets else ()
    return CallbackRules(tuple(line.get_secret_value() for line in lines), config.event_types, config.max_age)


class CallbackIntake:
    """Takes in verified callbacks and applies them. Safe for threads: they are applied one at a time."""

    def __init__(self, components: Components, target_manager: TargetManager) -> None:
        self._components = components
        self._targets = target_manager
        self._logged_names: set[tuple[CallbackOutcome, str]] = set()
        self._logged_unsigned = False
        self._refused: dict[tuple[EventKey, ...], bool] = {}
        self._recent = CallbackLog(components.clock)
        self._rooms: dict[RoomEvent, list[TargetId]] = {}
        self._rooms_made_at = -math.inf

    @property
    def config(self) -> CallbackConfig:
        """The section `callbacks` that is in force."""
        return self._targets.config.callbacks

    def receive(self, body: bytes) -> CallbackOutcome:
        """Take one body in; once this returns, what it says is in the state.

        Raises StateError or StartError when it is not, and is to be sent again: also when it is stale by a clock that
        the API refuses.
        """
        result = self._verify(body, self._components.clock.unix())
        if result.outcome is CallbackOutcome.STALE:  # by a wall clock that may have stepped ahead just now
            result = self._verify(body, self._components.registry.now())
        outcome = self._apply(result)
        self._log(outcome, result)
        self._components.self_metrics.count_callback(outcome)
        self._recent.add(result.shape, outcome)
        return outcome

    def apply_queued(self, callback: Callback, unexpected: tuple[str, ...]) -> None:
        """Take in what a standby verified and counted.

        Raises StateError or StartError when it is not in the state.
        """
        self._apply(CallbackResult(CallbackOutcome.ACCEPTED, callback=callback, unexpected=unexpected))

    def apply_queued_body(self, body: bytes, at: float) -> None:
        """Take in a body that a standby of release 0.1 accepted at that moment (Unix seconds)."""
        self._apply(self._verify(body, at))

    def recent(self) -> list[CallbackRecord]:
        """The last callbacks, the latest first."""
        return self._recent.latest_first()

    def forget(self) -> None:
        """Drop what is remembered of callbacks that would be stale by now."""
        remembered_for = max(REMEMBERED_FOR, 2 * self.config.max_age)
        self._components.store.forget_receipts_before(self._components.registry.now() - remembered_for)

    def _verify(self, body: bytes, at: float) -> CallbackResult:
        return verify_callback(body, callback_rules(self.config, self._components.stored_lists.secrets), at)

    def _apply(self, result: CallbackResult) -> CallbackOutcome:
        outcome = result.outcome
        if outcome is CallbackOutcome.STALE and self._components.registry.clock_is_refused:
            raise StateError("whether it is stale cannot be known by a clock that is wrong")
        if outcome is not CallbackOutcome.ACCEPTED:
            return outcome
        if result.callback is not None:
            outcome = self._apply_callback(result.callback)
        elif result.room_event is not None:
            outcome = self._apply_room_event(result.room_event)
        if outcome is CallbackOutcome.ACCEPTED:
            for field in result.unexpected:
                self._components.self_metrics.count_unexpected(field)
        return outcome

    def _apply_callback(self, callback: Callback) -> CallbackOutcome:
        store = self._components.store
        seen = store.has_receipt(callback)
        with holding(self._targets.changing, CHANGE_TIMEOUT):
            first = not seen and not store.remembers(callback)
            if first:
                if not self._list(callback.target):
                    return CallbackOutcome.IGNORED
                self._components.registry.apply_callback(callback)
        try:
            store.wait(store.pending(callback))
        except StateError:
            self._remember_refusal(callback)
            raise
        if self._refused.pop(callback.keys, None) is None and not first:
            return CallbackOutcome.DUPLICATE
        self._read_at_once(callback.target)
        return CallbackOutcome.ACCEPTED

    def _remember_refusal(self, callback: Callback) -> None:
        """The copy that is answered 200 is then the accepted one, not a duplicate."""
        self._refused[callback.keys] = True
        while len(self._refused) > MAX_REFUSED:
            self._refused.pop(next(iter(self._refused)), None)

    def _apply_room_event(self, event: RoomEvent) -> CallbackOutcome:
        """Have live tasks whose robot is this user read at once; nothing is stored of the event."""
        tracked = [self._read_at_once(target) for target in self._targets_of(event)]
        return CallbackOutcome.ACCEPTED if any(tracked) else CallbackOutcome.IGNORED

    def _read_at_once(self, target: TargetId) -> bool:
        """Read a target before the others; False when it is not tracked."""
        state = self._components.registry.get(target)
        if state is not None and (poller := self._components.pollers.by_account.get(state.target.account)) is not None:
            poller.prioritize(target)
        return state is not None

    def _targets_of(self, event: RoomEvent) -> list[TargetId]:
        """The live tasks of the event's room and user."""
        now = self._components.clock.monotonic()
        if now - self._rooms_made_at >= ROOM_INDEX_SECONDS:
            rooms: dict[RoomEvent, list[TargetId]] = {}
            for state in self._components.registry.all():
                if state.live and state.user_id:
                    target = state.target.id
                    rooms.setdefault(RoomEvent(target.app_id, target.room_id, state.user_id), []).append(target)
            self._rooms, self._rooms_made_at = rooms, now
        return self._rooms.get(event, [])

    def _list(self, target: TargetId) -> bool:
        """List the target by callback from now on; False when no account reads it, or there are too many targets."""
        called_back, now = self._components.stored_lists.lists[Source.CALLBACK], self._components.clock.unix()
        state = self._components.registry.get(target)
        is_read = state is not None and state.drain_until is None
        if is_read and target in called_back.stored.rows:
            called_back.stored.keep({target: StoredTarget({}, now)})  # what is in force stays as it is
        elif is_read or AccountOf(self._targets.config.accounts)(target.app_id) is not None:
            try:
                self._targets.commit_changes(lambda _: [called_back.added({target: TargetEntry({})}, now)])
            except BadTargets:
                return False
        else:
            return False
        return True

    def _log(self, outcome: CallbackOutcome, result: CallbackResult) -> None:
        """Log each malformed callback, and each kind of ignored, stale or unsigned ones once."""
        if outcome is CallbackOutcome.BAD_SIGNATURE and not self._logged_unsigned:
            log.warning("callback not signed", reason=result.problem, advice=UNSIGNED_ADVICE)
        self._logged_unsigned = outcome is CallbackOutcome.BAD_SIGNATURE or (
            self._logged_unsigned and outcome is not CallbackOutcome.ACCEPTED
        )
        if outcome is CallbackOutcome.MALFORMED:
            log.warning(
                "callback malformed", event_type=result.shape.event_type, field=result.field, reason=result.problem
            )
        if outcome is CallbackOutcome.STALE and self._is_first(outcome, result):
            log.warning(
                "callback stale", event_type=result.shape.event_type, app_id=result.app_id, reason=result.problem
            )
        if outcome is not CallbackOutcome.IGNORED or result.room_event is not None:
            return
        app_id, reason = result.app_id, result.problem
        if app_id:
            is_read = AccountOf(self._targets.config.accounts)(app_id) is not None
            reason = f"there are {OVER_LIMIT}" if is_read else "no account reads its app"
        if self._is_first(outcome, result):
            log.warning("callback ignored", event_type=result.shape.event_type, app_id=app_id, reason=reason)

    def _is_first(self, outcome: CallbackOutcome, result: CallbackResult) -> bool:
        """Whether none of this app or EventType came out so before."""
        name = outcome, result.app_id or result.shape.event_type
        if name in self._logged_names or len(self._logged_names) >= MAX_LOGGED_NAMES:
            return False
        self._logged_names.add(name)
        return True


class CallbackLog:
    """The last 20 callbacks for /status. Thread-safe.

    At most five of them are unsigned, so that no other client can push the vendor's callbacks out of the list.
    """

    MAX_RECORDS = 20
    MAX_UNSIGNED = 5
    UNSIGNED = (CallbackOutcome.BAD_SIGNATURE, CallbackOutcome.MALFORMED)

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._signed: deque[tuple[float, CallbackShape, CallbackOutcome]] = deque(maxlen=self.MAX_RECORDS)
        self._unsigned: deque[tuple[float, CallbackShape, CallbackOutcome]] = deque(maxlen=self.MAX_UNSIGNED)

    def add(self, shape: CallbackShape, outcome: CallbackOutcome) -> None:
        """Record one callback."""
        records = self._unsigned if outcome in self.UNSIGNED else self._signed
        records.append((self._clock.monotonic(), shape, outcome))

    def latest_first(self) -> list[CallbackRecord]:
        """The records, the latest first."""
        now = self._clock.monotonic()
        records = sorted([*self._signed, *self._unsigned], key=lambda record: record[0], reverse=True)
        return [CallbackRecord(shape, outcome, now - at) for at, shape, outcome in records[: self.MAX_RECORDS]]


class Planned(NamedTuple):
    """A listener as a configuration asks for it, with its address; None for none."""

    address: str | None
    listener: Listener | None


CLOSED = Planned(None, None)


class CallbackListener:
    """The listener for callbacks alone, if there is one.

    A new one listens before the old one ends, so that a reload misses no callback. It asks for no client
    certificate or password.
    """

    def __init__(self, api: ReplicaApi, failed: ReportError, policy: CurrentPolicy) -> None:
        self._api = api
        self._failed = failed
        self._policy = policy
        self._now = CLOSED

    @property
    def url(self) -> str | None:
        """The listener's URL from this machine; None when there is no listener."""
        return self._now.listener.url if self._now.listener else None

    def plan(self, address: str | None) -> Planned:
        """Listen there, unless that is so already; StartError when the address cannot be had."""
        if address == self._now.address or address is None:
            return self._now if address else CLOSED
        bound = bind(address, CALLBACK_OPTION)
        app = create_callback_app(self._api, self._failed, self._policy)
        listener = Listener(app, bound, self._failed, self._policy, for_callbacks=True)
        listener.start()
        return Planned(address, listener)

    def swap(self, planned: Planned) -> None:
        """Put it in force, and close the one before."""
        before, self._now = self._now, planned
        if before.listener is not None and before.listener is not planned.listener:
            before.listener.stop()

    def close(self) -> None:
        """Listen no more."""
        self.swap(CLOSED)
