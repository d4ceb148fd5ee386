"""What the vendor calls back of a task's life, and the signed body of one such event (docs 6348/75124, 6348/69820)."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256

from exporter.enums import PageReason, Status
from exporter.model.target import TargetId
from exporter.simulator.lives import Life
from exporter.simulator.page import REFRESHED, PageEvent
from exporter.volcengine.signing import event_signature

STARTED = 1
ENDED = {Status.ENDED: 3, Status.FAILED: 2}
"""A guess that nobody must rely on: the vendor says that a task's end is called back, and not with which Status."""

EVENT_TYPE = "Webcast"
"""A guess too: the literal is documented nowhere."""
VERSION = "2020-12-01"
ID_LENGTH = 32


@dataclass(frozen=True, slots=True)
class Notice:
    """One event of a task as the vendor calls it back.

    `at` is Unix milliseconds; `status` is on the callback's own scale; `reason` "" = none.
    """

    target: TargetId
    at: int
    status: int
    reason: str
    event_id: str


def notices(target: TargetId, life: Life) -> tuple[Notice, ...]:
    """All of one life, in the order of their time; those until any time stay what they are when it is stopped then."""
    told = [] if life.start is None else [(life.start, STARTED, "")]
    told += [(event.at, event.status, _reason(event)) for event in life.page_events]
    told += [] if life.end is None else [(life.end, ENDED[life.ending.status], "")]
    in_order = sorted(told, key=lambda event: event[0])
    return tuple(
        Notice(target, at, status, reason, _event_id(target, life.created, number, (at, status, reason)))
        for number, (at, status, reason) in enumerate(in_order)
    )


def envelope(notice: Notice, secret: str, nonce: str, *, event_type: str = EVENT_TYPE) -> bytes:
    """The JSON body that tells of it, signed with `secret`; `nonce` is four digits."""
    values = {
        "EventType": event_type,
        "EventData": _compact(_data(notice)),
        "EventTime": event_time(notice.at),
        "EventId": notice.event_id,
        "AppId": notice.target.app_id,
        "Version": VERSION,
        "Nonce": nonce,
    }
    return _compact({**values, "Signature": event_signature(values.values(), secret)}).encode()


def event_time(at: int) -> str:
    """Unix milliseconds as RFC 3339 in UTC; a whole second is written without a fraction."""
    seconds, rest = divmod(at, 1000)
    fraction = f".{rest:03d}" if rest else ""
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}{fraction}Z"


def _reason(event: PageEvent) -> str:
    """The vendor's word; its page once writes a space before it, which a receiver must strip (seed page)."""
    spaced = event.reason is PageReason.START_TIMEOUT and event.status == REFRESHED
    return f" {event.reason.value}" if spaced else event.reason.value


def _event_id(target: TargetId, created: int, number: int, event: tuple[int, int, str]) -> str:
    """The number tells twins apart: two troubles of one kind at one time."""
    return sha256(repr((*target, created, number, *event)).encode()).hexdigest()[:ID_LENGTH]


def _data(notice: Notice) -> dict[str, object]:
    """EventData; its shape is a guess after that of sibling events (api-facts, section 5)."""
    app_id, room_id, task_id = notice.target
    data = {"AppId": app_id, "BusinessId": "", "RoomId": room_id, "TaskId": task_id, "Status": notice.status}
    return {**data, "Reason": notice.reason} if notice.reason else data


def _compact(document: dict[str, object] | dict[str, str]) -> str:
    return json.dumps(document, separators=(",", ":"))
