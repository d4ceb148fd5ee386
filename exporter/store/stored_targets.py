"""Targets that are stored because no list names them again: pushed, called back, drained, dark, or removed by hand."""

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from exporter.errors import StartError, StateError
from exporter.model.target import TargetId
from exporter.store.database import upsert
from exporter.store.schema import STORED_TARGETS
from exporter.store.store import SCAN_TIMEOUT, WAIT, Commit, Store, Work


@dataclass(frozen=True, slots=True)
class StoredTarget:
    """Labels of a target, `__expected_*__` included, and when it was last named, Unix seconds.

    Of a drained one `renewed_at` is until when it is read.
    """

    labels: Mapping[str, str]
    renewed_at: float


Stored = Mapping[TargetId, StoredTarget]


MIN_ROWS_PER_SECOND: Final = 2_000
"""A long list has this much more time for its commit, which a busy machine may need."""


class StoredTargets:
    """The rows of one source.

    `add`, `replace` and `remove` return once committed. StateError: nothing has changed yet; a write that had begun may
    still be committed, and then `unsure` is set. `keep` and `drop` never wait, and are tried until they are committed.
    """

    def __init__(self, store: Store, source: str) -> None:
        self._store = store
        self._source = source
        self._own = STORED_TARGETS.c.source == source
        self.unsure = False

    def all(self) -> dict[TargetId, StoredTarget]:
        """Every row; StartError when they cannot be read."""
        query = sa.select(STORED_TARGETS).where(self._own)
        try:
            rows = self._store.look_up(lambda connection: connection.execute(query).all(), SCAN_TIMEOUT)
            return {TargetId(row.app_id, row.room_id, row.task_id): _from_row(row) for row in rows}
        except (StateError, ValueError, AttributeError) as error:
            raise StartError(f"the targets in the state cannot be read: {error}") from error

    def add(self, targets: Stored) -> None:
        """Write these, replacing what the source said of them before."""
        self._wait(self._adding(targets), len(targets))

    def keep(self, targets: Stored) -> None:
        """Queue a write of these, replacing what the source said of them before; it is not waited for."""
        self._store.keep(self._adding(targets))

    def replace(self, targets: Stored) -> None:
        """Write these, and delete all others of the source."""
        rows = self._rows(targets)

        def replace(connection: Connection) -> None:
            connection.execute(sa.delete(STORED_TARGETS).where(self._own))
            upsert(connection, STORED_TARGETS, rows)

        self._wait(replace, len(rows))

    def remove(self, targets: Collection[TargetId]) -> None:
        """Delete these."""
        self._wait(self._deleting(targets), len(targets))

    def drop(self, targets: Collection[TargetId]) -> None:
        """Queue a deletion of these; it is not waited for."""
        self._store.keep(self._deleting(targets))

    def _wait(self, work: Work, rows: int) -> None:
        commit = self._store.change(work)
        try:
            self._store.wait(commit, WAIT + rows / MIN_ROWS_PER_SECOND)
        except StateError:
            commit.add_done_callback(self._ended_late)
            raise

    def _ended_late(self, _commit: Commit) -> None:
        self.unsure = True

    def _adding(self, targets: Stored) -> Work:
        rows = self._rows(targets)
        return lambda connection: upsert(connection, STORED_TARGETS, rows)

    def _deleting(self, targets: Collection[TargetId]) -> Work:
        keys = [{f"the_{name}": value for name, value in target._asdict().items()} for target in targets]
        triple = (STORED_TARGETS.c[name] == sa.bindparam(f"the_{name}") for name in TargetId._fields)
        delete = sa.delete(STORED_TARGETS).where(self._own, *triple)
        return lambda connection: connection.execute(delete, keys) if keys else None

    def _rows(self, targets: Stored) -> list[dict[str, Any]]:
        return [
            {
                **target._asdict(),
                "source": self._source,
                "labels": json.dumps(dict(stored.labels)),
                "renewed_at": stored.renewed_at,
            }
            for target, stored in targets.items()
        ]


def _from_row(row: sa.Row[Any]) -> StoredTarget:
    return StoredTarget({name: str(value) for name, value in json.loads(row.labels).items()}, row.renewed_at)
