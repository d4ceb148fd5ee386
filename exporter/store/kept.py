"""The targets that outlive the process because nobody can be asked for them again: pushed and called-back ones."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from exporter.errors import StartError, StateError
from exporter.model.target import TargetId
from exporter.store.schema import KEPT_TARGETS
from exporter.store.store import Store
from exporter.store.upsert import upsert


@dataclass(frozen=True, slots=True)
class KeptTarget:
    """What a source said of a target: labels, `__expected_*__` included, and when it last said so (Unix seconds)."""

    labels: Mapping[str, str]
    renewed_at: float


Rows = Mapping[TargetId, KeptTarget]


class KeptTargets:
    """One source's rows, over the ledger's own connection. A change is one transaction, or StateError and nothing."""

    def __init__(self, store: Store, source: str) -> None:
        self._ledger = store
        self._source = source
        self._own = KEPT_TARGETS.c.source == source

    def all(self) -> dict[TargetId, KeptTarget]:
        """Every row; StartError when they cannot be read."""
        try:
            with self._ledger.transaction() as connection:
                rows = connection.execute(sa.select(KEPT_TARGETS).where(self._own)).all()
            return {TargetId(row.app_id, row.room_id, row.task_id): _from_row(row) for row in rows}
        except (StateError, ValueError, AttributeError) as error:
            raise StartError(f"the targets in the state cannot be read: {type(error).__name__}") from error

    def add(self, targets: Rows) -> None:
        """Write these, in place of what the source said of them before."""
        with self._ledger.transaction() as connection:
            upsert(connection, KEPT_TARGETS, self._rows(targets))

    def replace(self, targets: Rows) -> None:
        """Write these in place of all that the source has."""
        with self._ledger.transaction() as connection:
            connection.execute(sa.delete(KEPT_TARGETS).where(self._own))
            upsert(connection, KEPT_TARGETS, self._rows(targets))

    def remove(self, targets: Iterable[TargetId]) -> None:
        """Drop these."""
        keys = [{f"the_{name}": value for name, value in target._asdict().items()} for target in targets]
        triple = (KEPT_TARGETS.c[name] == sa.bindparam(f"the_{name}") for name in TargetId._fields)
        if keys:
            with self._ledger.transaction() as connection:
                connection.execute(sa.delete(KEPT_TARGETS).where(self._own, *triple), keys)

    def _rows(self, targets: Rows) -> list[dict[str, Any]]:
        return [
            {
                **target._asdict(),
                "source": self._source,
                "labels": json.dumps(dict(said.labels)),
                "renewed_at": said.renewed_at,
            }
            for target, said in targets.items()
        ]


def _from_row(row: sa.Row[Any]) -> KeptTarget:
    return KeptTarget({name: str(value) for name, value in json.loads(row.labels).items()}, row.renewed_at)
