"""The runs that have stopped, as the ledger keeps them for `lifecycle.history`: who asks, and what comes back."""

from collections.abc import Mapping
from typing import NamedTuple

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from exporter.enums import Status, StopReason
from exporter.model.run import Run
from exporter.model.target import TargetId
from exporter.store.codec import labels_from_row, run_from_row
from exporter.store.schema import RUNS


class Wanted(NamedTuple):
    """Which stopped runs: their end was first seen from `since` on and before `until` (Unix seconds).

    `text` is part of any of the three ids; `target` is all three. Of those that fit `limit` are given, after the first
    `offset`.
    """

    since: float
    until: float | None = None
    app_id: str = ""
    status: Status | None = None
    reason: StopReason | None = None
    text: str = ""
    target: TargetId | None = None
    limit: int = 100
    offset: int = 0


class Found(NamedTuple):
    """How many fit, and those of them that were asked for, the latest end first, each with its labels."""

    total: int
    runs: tuple[Run, ...]
    labels: tuple[Mapping[str, str], ...]


def stopped_runs(connection: Connection, wanted: Wanted) -> Found:
    """Ask the state; ValueError or TypeError when another program wrote it."""
    fits = sa.and_(*_conditions(wanted))
    total = connection.execute(sa.select(sa.func.count()).select_from(RUNS).where(fits)).scalar_one()
    order = RUNS.c.end_seen.desc(), RUNS.c.app_id, RUNS.c.room_id, RUNS.c.task_id
    page = sa.select(RUNS).where(fits).order_by(*order).limit(wanted.limit).offset(wanted.offset)
    rows = connection.execute(page).all()
    return Found(total, tuple(map(run_from_row, rows)), tuple(map(labels_from_row, rows)))


def status_of(run: Run) -> Status | None:
    """In which state it stopped; None when its end was never read."""
    return run.last.status if run.last else None


def _conditions(wanted: Wanted) -> list[sa.ColumnElement[bool]]:
    found = [RUNS.c.stopped.is_not(None), RUNS.c.end_seen >= wanted.since]
    if wanted.until is not None:
        found.append(RUNS.c.end_seen < wanted.until)
    if wanted.app_id:
        found.append(RUNS.c.app_id == wanted.app_id)
    if wanted.status is not None:  # a lost run has entered a status too, but its end was not read
        found += [RUNS.c.entered.contains(wanted.status.value), RUNS.c.last.is_not(None)]
    if wanted.reason is not None:
        found.append(RUNS.c.stopped == wanted.reason)
    if wanted.target is not None:
        found += [RUNS.c[name] == value for name, value in wanted.target._asdict().items()]
    if wanted.text:
        names = (RUNS.c[name] for name in ("app_id", "room_id", "task_id"))
        found.append(sa.or_(*(name.icontains(wanted.text, autoescape=True) for name in names)))
    return found
