"""A callback of the vendor's, from its raw body to what it says, or to why it is of no use.

Nothing of it is believed before its signature fits. The keys of EventData are not public, so they are found in any
case; a value that nobody documents is named in `unexpected`.
"""

from dataclasses import dataclass, field
from typing import NamedTuple

from exporter.config.times import parse_time
from exporter.enums import VENDOR_PAGE_REASONS, CallbackOutcome, PageAction, PageReason
from exporter.model.callback import Callback, PageEvent
from exporter.model.loose import whole_number
from exporter.model.target import TargetId
from exporter.volcengine.envelope import Envelope
from exporter.volcengine.loose_object import LooseObject, NotAnObject, object_of

LONGEST_EVENT_ID = 256
LONGEST_SHOWN = 64
MOST_KEYS = 20

ACTION_OF_STATUS = {4: PageAction.REFRESH, 5: PageAction.RESCHEDULE}
"""The callback's own scale (seed page, MonitorConfig); 1 is a start, the end's is not documented."""
STATUSES = range(6)

STATUS_FIELD, REASON_FIELD = "EventData.Status", "EventData.Reason"
CALLBACK_FIELDS = (STATUS_FIELD, REASON_FIELD)
"""Every name that `unexpected` can hold."""


@dataclass(frozen=True, slots=True)
class Terms:
    """What a callback is measured by: secrets of which any may fit, the event types that are meant, seconds of age."""

    secrets: tuple[str, ...] = field(repr=False)
    event_types: tuple[str, ...]
    max_age: float


class Shape(NamedTuple):
    """What may be shown of a body: its EventType and the names of EventData's keys, cut short; never a value."""

    event_type: str = ""
    keys: tuple[str, ...] = ()


NO_SHAPE = Shape()


@dataclass(frozen=True, slots=True)
class CallbackResult:
    """What a body comes to: `callback` is there when it is accepted or stale; `sentence` says why if it is not."""

    outcome: CallbackOutcome
    shape: Shape = NO_SHAPE
    sentence: str = ""
    callback: Callback | None = None
    unexpected: tuple[str, ...] = ()


class _Unusable(Exception):
    """A signed body that says nothing of a task; the message is for a person and repeats nothing of it."""


def verify_callback(body: bytes, terms: Terms, now: float) -> CallbackResult:
    """Judge a body by what can be known of it alone, at `now` (Unix seconds); whoever keeps a memory may know more."""
    try:
        envelope = Envelope.of(body)
    except NotAnObject as error:
        return CallbackResult(CallbackOutcome.MALFORMED, sentence=f"the body {error}")
    shape = _shape(envelope)
    if not envelope.signed_with_any(terms.secrets):
        return CallbackResult(CallbackOutcome.BAD_SIGNATURE, shape, "the signature fits none of the secrets")
    if envelope.event_type not in terms.event_types:
        return CallbackResult(CallbackOutcome.IGNORED, shape, "its EventType is none of callbacks.event_types")
    try:
        callback, unexpected = _event(envelope)
    except _Unusable as error:
        return CallbackResult(CallbackOutcome.MALFORMED, shape, str(error))
    if abs(now - callback.at) > terms.max_age:
        sentence = "its EventTime is further from now than callbacks.max_age"
        return CallbackResult(CallbackOutcome.STALE, shape, sentence, callback)
    return CallbackResult(CallbackOutcome.ACCEPTED, shape, "", callback, unexpected)


def _shape(envelope: Envelope) -> Shape:
    try:
        keys = object_of(envelope.event_data).keys
    except NotAnObject:
        keys = ()
    shown = sorted(key[:LONGEST_SHOWN] for key in keys)[:MOST_KEYS]
    return Shape(envelope.event_type[:LONGEST_SHOWN], tuple(shown))


def _event(envelope: Envelope) -> tuple[Callback, tuple[str, ...]]:
    """What a signed body says, and which of its values nobody documents."""
    try:
        data = object_of(envelope.event_data)
    except NotAnObject as error:
        raise _Unusable(f"EventData {error}") from None
    if not 0 < len(envelope.event_id) <= LONGEST_EVENT_ID:
        raise _Unusable(f"EventId must have 1 to {LONGEST_EVENT_ID} characters")
    if "\0" in envelope.event_id:  # PostgreSQL takes none
        raise _Unusable("EventId must have no NUL character")
    try:
        at = parse_time(envelope.event_time)
    except ValueError as error:
        raise _Unusable(f"EventTime {error}") from None
    page, unexpected = _page(data, at)
    return Callback(_target(envelope.app_id, data), envelope.event_id, envelope.signature, at, page), unexpected


def _target(app_id: str, data: LooseObject) -> TargetId:
    if data.get("AppId") not in (None, "", app_id):
        raise _Unusable("EventData names another AppId than the envelope")
    ids = {"AppId": app_id, "RoomId": data.get("RoomId"), "TaskId": data.get("TaskId")}
    missing = [name for name, value in ids.items() if not value or not isinstance(value, str)]
    if missing:
        raise _Unusable(f"there is no {' and no '.join(missing)}")
    try:
        return TargetId.checked(*map(str, ids.values()))
    except ValueError:
        raise _Unusable("AppId, RoomId or TaskId is none that the vendor would take") from None


def _page(data: LooseObject, at: float) -> tuple[PageEvent | None, tuple[str, ...]]:
    status = whole_number(data.get("Status"))
    if status is None or status not in STATUSES:
        return None, (STATUS_FIELD,)
    action = ACTION_OF_STATUS.get(status)
    if action is None:
        return None, ()
    reason = _reason(data.get("Reason"))
    return PageEvent(action, reason, at), (REASON_FIELD,) if reason is PageReason.OTHER else ()


def _reason(value: object) -> PageReason:
    """The vendor's page once writes a reason with a space before it."""
    word = value.strip() if isinstance(value, str) else ""
    return VENDOR_PAGE_REASONS.get(word, PageReason.OTHER) if word else PageReason.UNSPECIFIED
