"""The targets that outlive the process because nobody can be asked for them again: those that were pushed."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from exporter.errors import StartError, StateError
from exporter.ledger.ledger import Ledger
from exporter.ledger.schema import PUSHED_TARGETS
from exporter.ledger.upsert import upsert
from exporter.model.target import TargetId
from exporter.vocabulary import Source


@dataclass(frozen=True, slots=True)
class PushedTarget:
    """What a source said of a target: labels, `__expected_*__` included, and when it last said so (Unix seconds)."""

    labels: Mapping[str, str]
    renewed_at: float


Rows = Mapping[TargetId, PushedTarget]


class PushedTargets:
    """One source's rows, over the ledger's own connection. A change is one transaction, or StateError and nothing."""

    def __init__(self, ledger: Ledger, source: Source) -> None:
        self._ledger = ledger
        self._source = source
        self._own = PUSHED_TARGETS.c.source == source

    def all(self) -> dict[TargetId, PushedTarget]:
        """Every row; StartError when they cannot be read."""
        try:
            with self._ledger.transaction() as connection:
                rows = connection.execute(sa.select(PUSHED_TARGETS).where(self._own)).all()
            return {TargetId(row.app_id, row.room_id, row.task_id): _from_row(row) for row in rows}
        except (StateError, ValueError, AttributeError) as error:
            raise StartError(f"the pushed targets in the state cannot be read: {type(error).__name__}") from error

    def add(self, targets: Rows) -> None:
        """Write these, in place of what the source said of them before."""
        with self._ledger.transaction() as connection:
            upsert(connection, PUSHED_TARGETS, self._rows(targets))

    def replace(self, targets: Rows) -> None:
        """Write these in place of all that the source has."""
        with self._ledger.transaction() as connection:
            connection.execute(sa.delete(PUSHED_TARGETS).where(self._own))
            upsert(connection, PUSHED_TARGETS, self._rows(targets))

    def remove(self, targets: Iterable[TargetId]) -> None:
        """Drop these."""
        keys = [{f"the_{name}": value for name, value in target._asdict().items()} for target in targets]
        triple = (PUSHED_TARGETS.c[name] == sa.bindparam(f"the_{name}") for name in TargetId._fields)
        if keys:
            with self._ledger.transaction() as connection:
                connection.execute(sa.delete(PUSHED_TARGETS).where(self._own, *triple), keys)

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


def _from_row(row: sa.Row[Any]) -> PushedTarget:
    return PushedTarget({name: str(value) for name, value in json.loads(row.labels).items()}, row.renewed_at)
