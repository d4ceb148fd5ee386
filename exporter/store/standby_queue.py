"""What standbys accept for the leader: written by any replica, applied and deleted by the leader."""

import json
from collections.abc import Sequence
from enum import StrEnum
from typing import Any, Final, NamedTuple

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from exporter.config.fields import StateUrl
from exporter.enums import PageAction, PageReason
from exporter.errors import StateError
from exporter.model.target import TargetId
from exporter.model.task import Callback, PageEvent
from exporter.store.database import Query, T, Workers
from exporter.store.lease import driver, server_url
from exporter.store.schema import META, RUNS, STANDBY_QUEUE, STORED_TARGETS
from exporter.store.store import receipts_of

BATCH: Final = 200
"""Entries that are applied at a time."""
THREADS: Final = 4
TIMEOUT: Final = 2.0
"""Seconds that a push or a callback waits for the state."""


class EntryKind(StrEnum):
    """What is to be done with an entry's body."""

    EVENT = "event"
    """A verified callback, see `event_to_text`."""
    CALLBACK = "callback"
    """A callback's body, as releases up to 0.1 wrote it; not verified for this release."""
    ADD = "add"
    REPLACE = "replace"
    RELEASE = "release"
    RELEASE_NOW = "release_now"


class Entry(NamedTuple):
    """One accepted request; `at` is when it came, Unix seconds."""

    number: int
    kind: str
    body: str
    at: float


def oldest(connection: Connection) -> Sequence[Entry]:
    """The oldest few entries."""
    rows = connection.execute(sa.select(STANDBY_QUEUE).order_by(STANDBY_QUEUE.c.number).limit(BATCH))
    return [Entry(row.number, row.kind, row.body, row.at) for row in rows]


def delete(connection: Connection, numbers: Sequence[int]) -> None:
    """Delete entries that were applied."""
    connection.execute(sa.delete(STANDBY_QUEUE).where(STANDBY_QUEUE.c.number.in_(numbers)))


def event_to_text(callback: Callback, unexpected: Sequence[str]) -> str:
    """A verified callback as JSON: what it means, without the body, its values or the secret it was checked by."""
    page = [callback.page.action, callback.page.reason, callback.page.at] if callback.page else None
    keys = {"event_id": callback.event_id, "signature": callback.signature}
    return json.dumps(
        {"target": callback.target, **keys, "at": callback.at, "page": page, "unexpected": list(unexpected)}
    )


def event_from_text(text: str) -> tuple[Callback, tuple[str, ...]]:
    """The callback and its unexpected fields; ValueError, TypeError or KeyError when it is none."""
    found: dict[str, Any] = json.loads(text)
    page = None
    if found["page"] is not None:
        action, reason, at = found["page"]
        page = PageEvent(PageAction(action), PageReason(reason), float(at))
    target = TargetId.checked(*found["target"])
    callback = Callback(target, str(found["event_id"]), str(found["signature"]), float(found["at"]), page)
    return callback, tuple(map(str, found["unexpected"]))


def release_to_text(target: TargetId) -> str:
    """The body of a release."""
    return json.dumps(target)


class StandbyQueue:
    """A standby's access to the state, without the lease. StateError when the server does not answer in time."""

    def __init__(self, url: StateUrl) -> None:
        self._engine = driver().pooled_engine(server_url(url))
        self._workers = Workers("standby-queue", THREADS)

    def put(self, kind: EntryKind, body: str, at: float) -> None:
        """Return once the entry is committed; an event is refused while a release that does not know them leads."""

        def put(connection: Connection) -> None:
            if kind is EntryKind.EVENT and connection.execute(sa.select(META.c.holder)).scalar() is None:
                raise StateError("no leader that could apply it yet")
            connection.execute(STANDBY_QUEUE.insert().values(kind=kind, body=body, at=at))

        self._run(put)

    def has_receipt(self, callback: Callback, text: str) -> bool:
        """Whether any replica took the callback in before; `text` as `event_to_text` writes it."""
        waiting = sa.select(STANDBY_QUEUE.c.number).where(
            STANDBY_QUEUE.c.kind == EntryKind.EVENT, STANDBY_QUEUE.c.body == text
        )
        return self._run(lambda connection: _finds(connection, [*receipts_of(callback), waiting]))

    def may_release(self, target: TargetId) -> bool:
        """Whether a push or a callback lists the target, or will once the queue is applied, or its run has stopped."""
        stored, runs = (
            [table.c[name] == value for name, value in target._asdict().items()] for table in (STORED_TARGETS, RUNS)
        )
        released = sa.and_(
            STANDBY_QUEUE.c.kind == EntryKind.RELEASE_NOW, STANDBY_QUEUE.c.body == release_to_text(target)
        )
        named = STANDBY_QUEUE.c.body.contains(target.task_id, autoescape=True)
        others = STANDBY_QUEUE.c.kind != EntryKind.RELEASE_NOW
        queued = (
            sa.select(STANDBY_QUEUE.c.kind)
            .where(sa.or_(released, sa.and_(others, named)))
            .order_by(STANDBY_QUEUE.c.number.desc())
            .limit(1)
        )
        latest = sa.select(RUNS.c.end_seen).where(*runs).order_by(RUNS.c.first_seen.desc()).limit(1).subquery()
        tracked = [
            sa.select(STORED_TARGETS.c.source).where(*stored),
            sa.select(latest).where(latest.c.end_seen.is_not(None)),
        ]

        def may_release(connection: Connection) -> bool:
            last = connection.execute(queued).scalar()
            return last != EntryKind.RELEASE_NOW and (last is not None or _finds(connection, tracked))

        return self._run(may_release)

    def close(self) -> None:
        """Close the connections."""
        self._workers.close()
        self._engine.dispose()

    def _run(self, work: Query[T]) -> T:
        def run() -> T:
            with self._engine.begin() as connection:
                return work(connection)

        return self._workers.run(run, TIMEOUT)


def _finds(connection: Connection, queries: Sequence[sa.Select[tuple[Any]]]) -> bool:
    return any(connection.execute(query).first() is not None for query in queries)
