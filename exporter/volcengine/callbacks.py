"""Verifies the vendor's callbacks: from a raw body to what it reports, or to why it is of no use.

Message format: volcengine.com/docs/6348/75124. Nothing in a body is believed before its signature fits. The keys of
EventData are not public, so they are found in any case; an undocumented value is named in `unexpected`.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from hashlib import sha256
from hmac import compare_digest
from typing import NamedTuple, Self

from exporter.config.times import LATEST, format_duration
from exporter.enums import VENDOR_PAGE_REASONS, CallbackOutcome, PageAction, PageReason
from exporter.model.target import ID_PATTERN, TargetId
from exporter.model.task import Callback, PageEvent
from exporter.volcengine.replies import JsonObject, NotAnObject, whole_number

MAX_EVENT_ID_CHARS = 256
MAX_SHOWN_CHARS = 64
MAX_SHOWN_KEYS = 20

ACTION_OF_STATUS = {4: PageAction.REFRESH, 5: PageAction.RESCHEDULE}
"""The callback's own scale (API page, MonitorConfig); 1 is a start, the number of an end is not documented."""
STATUSES = range(6)

ROOM_EVENTS = frozenset({"userjoinroom", "userleaveroom", "invisibleuserleaveroom"})
"""Documented events of a user of a room, in lower case (volcengine.com/docs/6348/75125). WebCast's robot is one."""

EVENT_TIME_FIELD, STATUS_FIELD, REASON_FIELD = "EventTime", "EventData.Status", "EventData.Reason"
CALLBACK_FIELDS = (EVENT_TIME_FIELD, STATUS_FIELD, REASON_FIELD)
"""Every name that `unexpected` can hold."""


@dataclass(frozen=True, slots=True)
class CallbackRules:
    """What a callback is verified against: secrets of which any may fit, wanted event types, and seconds of age."""

    secrets: tuple[str, ...] = field(repr=False)
    event_types: tuple[str, ...]
    max_age: float

    def wants(self, event_type: str) -> bool:
        """Whether an EventType is wanted, in any case: the vendor writes both WebCast and Webcast."""
        return event_type.lower() in {wanted.lower() for wanted in self.event_types}


class CallbackShape(NamedTuple):
    """What may be shown of a body: its EventType and the names of EventData's keys, cut short; never a value."""

    event_type: str = ""
    keys: tuple[str, ...] = ()


NO_SHAPE = CallbackShape()


class RoomEvent(NamedTuple):
    """A user joined or left a room: a hint that the task whose robot this user is may have changed."""

    app_id: str
    room_id: str
    user_id: str


@dataclass(frozen=True, slots=True)
class CallbackResult:
    """Result of verifying a body.

    When the event is accepted or stale, `callback` is set, or `room_event` if it is one. Unless it is accepted,
    `problem` says why not, and `field` which field is wrong.
    """

    outcome: CallbackOutcome
    shape: CallbackShape = NO_SHAPE
    problem: str = ""
    field: str = ""
    callback: Callback | None = None
    room_event: RoomEvent | None = None
    unexpected: tuple[str, ...] = ()

    @property
    def app_id(self) -> str:
        """The app of the event; empty when it is neither accepted nor stale."""
        named = self.room_event or (self.callback and self.callback.target)
        return named.app_id if named else ""


class _Malformed(Exception):
    """The body says nothing usable; `field` is the wrong one, and the message repeats no value."""

    def __init__(self, name: str, problem: str) -> None:
        super().__init__(problem)
        self.field = name


@dataclass(frozen=True, slots=True)
class _Payload:
    """A callback's fields as they were signed; missing ones are empty, and are signed as nothing."""

    event_type: str
    event_data: str = field(repr=False)
    event_time: str
    event_id: str
    app_id: str
    version: str
    nonce: str
    signature: str = field(repr=False)

    @classmethod
    def parse(cls, body: bytes) -> Self:
        try:
            values = JsonObject.parse(body)
        except NotAnObject as error:
            raise _Malformed("body", f"the body {error}") from None
        return cls(
            event_type=_text(values, "EventType"),
            event_data=_text(values, "EventData"),
            event_time=_text(values, "EventTime"),
            event_id=_text(values, "EventId"),
            app_id=_text(values, "AppId"),
            version=_text(values, "Version"),
            nonce=_text(values, "Nonce") or _text(values, "Noce"),  # record callbacks spell it so
            signature=_text(values, "Signature").strip().lower(),
        )

    @property
    def shape(self) -> CallbackShape:
        try:
            keys = JsonObject.parse(self.event_data).keys
        except NotAnObject:
            keys = ()
        return CallbackShape(
            self.event_type[:MAX_SHOWN_CHARS], tuple(sorted(key[:MAX_SHOWN_CHARS] for key in keys)[:MAX_SHOWN_KEYS])
        )

    def is_signed_with_any(self, secrets: Iterable[str]) -> bool:
        """Whether one of the secrets fits, in a time that does not tell how much of the signature is right."""
        signed = (
            self.event_type,
            self.event_data,
            self.event_time,
            self.event_id,
            self.app_id,
            self.version,
            self.nonce,
        )
        given = self.signature.encode(errors="replace")
        try:
            fits = [compare_digest(given, event_signature(signed, secret).encode()) for secret in secrets]
        except UnicodeEncodeError:  # a lone surrogate, which JSON can write and no digest can be made of
            return False
        return any(fits)


def verify_callback(body: bytes, rules: CallbackRules, now: float) -> CallbackResult:
    """Verify a body that arrives at `now` (Unix seconds). Duplicates and apps without an account are not known here."""
    shape = NO_SHAPE
    try:
        payload = _Payload.parse(body)
        shape = payload.shape
        if not payload.is_signed_with_any(rules.secrets):
            return CallbackResult(CallbackOutcome.BAD_SIGNATURE, shape, "the signature fits none of the secrets")
        if not rules.wants(payload.event_type):
            return CallbackResult(CallbackOutcome.IGNORED, shape, "its EventType is none of callbacks.event_types")
        data = _event_data(payload)
        at, documented = event_time(payload.event_time, now, rules.max_age)
        unexpected: tuple[str, ...] = () if documented else (EVENT_TIME_FIELD,)
        is_stale = abs(now - at) > rules.max_age
        callback = room_event = None
        if payload.event_type.lower() not in ROOM_EVENTS:
            callback, more = _callback(payload, data, at)
            unexpected += more
        else:
            room_event = RoomEvent(*_ids(payload, data, ("RoomId", "UserId")))
    except _Malformed as error:
        return CallbackResult(CallbackOutcome.MALFORMED, shape, str(error), error.field)
    if is_stale:
        off = f"{format_duration(round(abs(now - at)))} {'behind' if at < now else 'ahead of'}"
        problem = f"its EventTime is {off} this machine's clock, more than callbacks.max_age; is one of them wrong?"
        return CallbackResult(CallbackOutcome.STALE, shape, problem, EVENT_TIME_FIELD, callback, room_event)
    return CallbackResult(
        CallbackOutcome.ACCEPTED, shape, callback=callback, room_event=room_event, unexpected=unexpected
    )


def event_time(text: str, now: float, max_age: float) -> tuple[float, bool]:
    """Unix seconds of an EventTime, and whether it is written as documented (ISO 8601 with a zone).

    Read all the same: a number of Unix seconds, milli-, micro- or nanoseconds; spaces; an HTTP date; no zone, which is
    taken for UTC or for China's time, if either is within `max_age` of now. Anything else, and a time before 2001, is
    taken for the time of arrival.
    """
    moment, documented = _written_time(text.strip(), now, max_age)
    return (now, False) if moment is None or moment < _EARLIEST else (moment, documented)


_EARLIEST = 978_307_200.0
"""The vendor's page prints a time of 1970 in its sample; no event is older than the product."""
_CHINA_OFFSET = 8 * 3600.0
_DATE_TIME = re.compile(
    r"(\d{4})-?(\d\d)-?(\d\d)[T ]( *)(\d\d):?(\d\d)(?::?(\d\d)(?:[.,](\d{1,18}))?)?"
    r"( *)(Z|UTC|GMT|[+-]\d\d(?::?\d\d)?)?",
    re.ASCII | re.IGNORECASE,
)
_UNIX = re.compile(r"\d{10,19}(?:\.\d{1,9})?", re.ASCII)


def _written_time(text: str, now: float, max_age: float) -> tuple[float | None, bool]:
    if _UNIX.fullmatch(text):
        number = float(text)
        while number >= LATEST:
            number /= 1000
        return number, False
    found = _DATE_TIME.fullmatch(text)
    if not found:
        return _http_date(text), False
    year, month, day, gap, hour, minute, second, fraction, gap_after, zone = found.groups()
    try:
        local = datetime(int(year), int(month), int(day), int(hour), int(minute), int(second or 0), tzinfo=UTC)
    except ValueError:
        return None, False
    at = local.timestamp() + float(f"0.{fraction or 0}")
    if zone:
        return at - _offset(zone), not gap and not gap_after
    guesses = (at, at - _CHINA_OFFSET)
    return next((guess for guess in guesses if abs(now - guess) <= max_age), None), False


def _offset(zone: str) -> float:
    if zone[0] not in "+-":
        return 0.0
    digits = zone[1:].replace(":", "").ljust(4, "0")
    seconds = int(digits[:2]) * 3600.0 + int(digits[2:]) * 60.0
    return -seconds if zone[0] == "-" else seconds


def _http_date(text: str) -> float | None:
    try:
        moment = parsedate_to_datetime(text[:MAX_SHOWN_CHARS])
    except (ValueError, OverflowError):
        return None
    return moment.timestamp() if moment.tzinfo else None


def _text(values: JsonObject, key: str) -> str:
    value = values.get(key)
    if not isinstance(value, str | None):
        raise _Malformed(key, f"the body has something else than a text as its {key}")
    return value or ""


def _callback(payload: _Payload, data: JsonObject, at: float) -> tuple[Callback, tuple[str, ...]]:
    """The event of a task, and which of its values are undocumented."""
    if not 0 < len(payload.event_id) <= MAX_EVENT_ID_CHARS:
        raise _Malformed("EventId", f"EventId must have 1 to {MAX_EVENT_ID_CHARS} characters")
    if "\0" in payload.event_id:  # PostgreSQL takes none
        raise _Malformed("EventId", "EventId must have no NUL character")
    target = TargetId(*_ids(payload, data, ("RoomId", "TaskId")))
    if not all(map(ID_PATTERN.fullmatch, target)):
        raise _Malformed("EventData", "AppId, RoomId or TaskId is none that the vendor would take")
    page, unexpected = _page(data, at)
    digest = sha256(payload.signature.encode(errors="replace")).hexdigest()  # what is stored must not be the signature
    return Callback(target, payload.event_id, digest, at, page), unexpected


def _event_data(payload: _Payload) -> JsonObject:
    try:
        return JsonObject.parse(payload.event_data)
    except NotAnObject as error:
        raise _Malformed("EventData", f"EventData {error}") from None


def _ids(payload: _Payload, data: JsonObject, keys: tuple[str, ...]) -> list[str]:
    """AppId of the payload, and these of EventData; all of them must be there."""
    if data.get("AppId") not in (None, "", payload.app_id):
        raise _Malformed("EventData.AppId", "EventData names another AppId than the body")
    ids = {"AppId": payload.app_id, **{key: data.get(key) for key in keys}}
    missing = [name for name, value in ids.items() if not value or not isinstance(value, str)]
    if missing:
        fields = ", ".join(name if name == "AppId" else f"EventData.{name}" for name in missing)
        raise _Malformed(fields, f"there is no {' and no '.join(missing)}")
    return [str(value) for value in ids.values()]


def _page(data: JsonObject, at: float) -> tuple[PageEvent | None, tuple[str, ...]]:
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


def event_signature(values: Iterable[str], secret: str) -> str:
    """Signature of a callback: hex SHA-256 of its values and the secret, sorted by their bytes and joined.

    The values are EventType, EventData, EventTime, EventId, AppId, Version and Nonce as they travel, in any order.
    Raises UnicodeEncodeError when one of them is no Unicode text.
    """
    return sha256("".join(sorted([*values, secret])).encode()).hexdigest()
