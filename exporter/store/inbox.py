"""What standbys take in for the one that reads: written by any process, acted on and dropped by that one."""

from collections.abc import Callable, Sequence
from enum import StrEnum
from typing import NamedTuple

import sqlalchemy as sa
from sqlalchemy.engine import Connection
from sqlalchemy.exc import SQLAlchemyError

from exporter.config.fields import StateUrl
from exporter.errors import StateError
from exporter.model.callback import Callback, EventKey
from exporter.model.target import TargetId
from exporter.store.bounds import BOUNDS
from exporter.store.schema import HEARD, INBOX, KEPT_TARGETS

AT_ONCE = 200
"""So many are acted on in one look."""

Work = Callable[[Connection], object]


class Kind(StrEnum):
    """What is to be done with a body."""

    CALLBACK = "callback"
    ADD = "add"
    REPLACE = "replace"
    RELEASE = "release"
    RELEASE_NOW = "release_now"


class Entry(NamedTuple):
    """One thing that was taken in, at `at` (Unix seconds)."""

    number: int
    kind: str
    body: str
    at: float


def first_of(connection: Connection) -> Sequence[Entry]:
    """The oldest few."""
    found = connection.execute(sa.select(INBOX).order_by(INBOX.c.number).limit(AT_ONCE))
    return [Entry(row.number, row.kind, row.body, row.at) for row in found]


def drop(connection: Connection, entry: Entry) -> None:
    """It was acted on."""
    connection.execute(sa.delete(INBOX).where(INBOX.c.number == entry.number))


class Inbox:
    """A standby's way to the state: sessions without the lock. StateError when the server cannot be used."""

    def __init__(self, url: StateUrl) -> None:
        self._engine = sa.create_engine(
            sa.URL.create(**url.parts), connect_args=dict(BOUNDS), pool_pre_ping=True, pool_size=4, max_overflow=4
        )

    def put(self, kind: Kind, body: str, at: float) -> None:
        """Once it comes back, it is in the state."""
        self._do(lambda connection: connection.execute(INBOX.insert().values(kind=kind, body=body, at=at)))

    def has_heard(self, callback: Callback, body: str) -> bool:
        """Whether it was taken in before, by whomever."""
        heard = [
            sa.select(HEARD.c.heard_at).where(*(HEARD.c[name] == getattr(key, name) for name in EventKey._fields))
            for key in callback.keys
        ]
        waiting = sa.select(INBOX.c.number).where(INBOX.c.kind == Kind.CALLBACK, INBOX.c.body == body)
        return self._finds([*heard, waiting])

    def may_list(self, target: TargetId) -> bool:
        """Whether a push or a callback lists the target, or will once what waits is acted on."""
        triple = (KEPT_TARGETS.c[name] == value for name, value in target._asdict().items())
        named = INBOX.c.body.contains(target.task_id, autoescape=True)
        return self._finds([sa.select(KEPT_TARGETS.c.source).where(*triple), sa.select(INBOX.c.number).where(named)])

    def close(self) -> None:
        """End the sessions."""
        self._engine.dispose()

    def _finds(self, queries: Sequence[sa.Select[tuple[object]]]) -> bool:
        found: list[bool] = []
        self._do(lambda connection: found.extend(connection.execute(query).first() is not None for query in queries))
        return any(found)

    def _do(self, work: Work) -> None:
        try:
            with self._engine.begin() as connection:
                work(connection)
        except SQLAlchemyError as error:
            raise StateError(f"the state cannot be written: {type(error).__name__}") from error
