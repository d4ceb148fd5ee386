"""The ledger: a run's end and the counters it raises are one transaction, and are shown only once it is committed.

That order is what makes a kill at any moment harmless. Killed before the commit, the end is read and counted again
after the start; killed after it, the run is known. A counter that was ever scraped is in the state.
"""

import math
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from threading import Lock
from typing import Any, Protocol

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.exc import SQLAlchemyError

from exporter.errors import StartError, StateError
from exporter.model.callback import Callback, EventKey
from exporter.model.run import Run, StateChange
from exporter.model.target import TargetId
from exporter.store.codec import run_from_row, run_to_row
from exporter.store.schema import HEARD, META, RUNS, TOTALS
from exporter.store.totals import Series, Total, increments, zeros
from exporter.store.upsert import add_new, upsert

RETRY_AFTER = 1.0
"""Seconds between two tries to write after a failed one, so that a locked file does not hold every read up."""

LONGEST_LOOK_BACK = 96 * 3600.0
"""The API can tell of a run for 72 hours after its start; forgetting one sooner could count it twice."""


FEW = 500
"""So many targets are looked up one by one; of more, the whole table is read."""


LabelsOf = Callable[[TargetId], Mapping[str, str]]


class OnFailure(Protocol):
    """Told of a write that failed."""

    def __call__(self, error: SQLAlchemyError, *, first: bool) -> None:
        """`first`: the write before it had succeeded."""
        ...


class Store:
    """The runs that were counted and the totals they make, in one database.

    `monotonic` is a clock in seconds; `on_failure` is told of each write that failed (the step is kept and tried
    again), and whether the one before had succeeded. `labels_of` tells the labels of a target that are kept with its
    runs. Safe for threads: the one connection is used under one lock.
    """

    labels_of: LabelsOf

    def __init__(self, engine: Engine, monotonic: Callable[[], float], on_failure: OnFailure) -> None:
        self.labels_of = lambda _: {}
        self._engine = engine
        self._monotonic = monotonic
        self._on_failure = on_failure
        self._writing = Lock()
        self._backlog: list[StateChange] = []  # appended to, copied and cut at its head, each of them in one go
        self._unwritten: set[EventKey] = set()  # the callbacks of the backlog
        self._not_before = -math.inf
        self._failing = False
        self._closed = False
        self._counting = Lock()
        with engine.connect() as connection:
            # A total that this release does not know was counted by a later one; it is left where it is.
            rows = connection.execute(sa.select(TOTALS).where(TOTALS.c.total.in_(list(Total)))).all()
        self._totals = {Series(Total(row.total), row.app_id, row.label, row.bucket): row.value for row in rows}

    def totals(self) -> Mapping[Series, float]:
        """Every committed total at this moment; never waits for a write."""
        with self._counting:
            return dict(self._totals)

    def open_app(self, app_id: str) -> None:
        """Let the app's counters exist, at zero unless they already count."""
        with self._counting:
            for series in zeros(app_id):
                self._totals.setdefault(series, 0.0)

    def latest_runs(self, targets: Collection[TargetId] | None = None) -> dict[TargetId, Run]:
        """The latest run of each target that is remembered, written or not yet; StartError when it cannot be read.

        Asked for a few `targets`, it looks for those alone; it may tell of others too.
        """
        few = targets is not None and len(targets) <= FEW
        queries = [_LATEST_OF.params(target._asdict()) for target in targets or ()] if few else [_LATEST]
        try:
            with self._writing, self._engine.connect() as connection:
                runs = [run_from_row(row) for query in queries for row in connection.execute(query)]
                runs += [run for step in tuple(self._backlog) for run in step.runs]
        except (SQLAlchemyError, ValueError, TypeError) as error:
            raise StartError(f"the runs in the state cannot be read: {type(error).__name__}") from error
        return {run.target: run for run in runs}

    def record(self, step: StateChange) -> None:
        """Take a step to be written; an empty one is nothing to write."""
        if step:
            self._unwritten.update(_keys(step))
            self._backlog.append(step)

    def flush(self) -> None:
        """Write what was recorded, in one transaction; after a failure at most once in RETRY_AFTER."""
        with self._writing:
            if not self._closed and self._monotonic() >= self._not_before:
                self._flush()

    def has_heard(self, callback: Callback) -> bool:
        """Whether it was taken in before, written or not yet; StateError when that cannot be known.

        For RETRY_AFTER after a failed write nobody tries, so that many callbacks do not queue up before a locked file.
        """
        if not self.has_written(callback):
            return True
        if self._monotonic() < self._not_before:
            raise StateError("the state could not be written just now")
        with self.transaction() as connection:
            return any(connection.execute(_HEARD, key._asdict()).first() for key in callback.keys)

    def has_written(self, callback: Callback) -> bool:
        """Whether a callback that was recorded is committed by now."""
        return self._unwritten.isdisjoint(callback.keys)

    def forget_heard_before(self, moment: float) -> None:
        """Drop what is remembered of callbacks that came before `moment` (Unix seconds)."""
        self._forget(sa.delete(HEARD).where(HEARD.c.heard_at < moment))

    def forget_before(self, moment: float) -> None:
        """Drop the runs that were over before `moment` (Unix seconds), and the live ones that nobody followed on."""
        since = sa.func.coalesce(RUNS.c.start, RUNS.c.first_seen)
        abandoned = sa.and_(RUNS.c.end_seen.is_(None), since < moment)
        self._forget(sa.delete(RUNS).where(sa.or_(RUNS.c.end_seen < moment, abandoned)))

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """One transaction for a table beside the ledger's own, under the same lock; committed when the block ends.

        StateError when it cannot be, and then it has changed nothing; that counts as a write that failed.
        """
        with self._writing:
            if self._closed:
                raise StateError("the state is closed")
            try:
                with self._engine.begin() as connection:
                    yield connection
            except SQLAlchemyError as error:
                self._failed(error)
                raise StateError(f"the state cannot be written: {type(error).__name__}") from error
            self._failing = False

    def resign(self) -> None:
        """Say that whoever comes next need not wait; to be called when nothing is read any more."""
        with suppress(StateError), self.transaction() as connection:
            connection.execute(META.update().where(META.c.term.is_not(None)).values(resigned=META.c.term))

    def close(self) -> None:
        """Write what can still be written, and let the file go; whoever is late writes nothing any more."""
        with self._writing:
            self._flush()
            self._closed = True
            self._engine.dispose()

    def _flush(self) -> None:
        steps = tuple(self._backlog)
        if not steps:
            return
        raised = self._raised(steps)
        try:
            with self._engine.begin() as connection:
                _write(connection, steps, raised, self.labels_of)
        except SQLAlchemyError as error:
            self._failed(error)
            return
        self._failing = False
        del self._backlog[: len(steps)]
        self._unwritten.difference_update(key for step in steps for key in _keys(step))
        with self._counting:
            self._totals.update(raised)

    def _forget(self, statement: sa.Delete) -> None:
        with suppress(StateError), self.transaction() as connection:  # it is counted, and tried again next time
            connection.execute(statement)

    def _failed(self, error: SQLAlchemyError) -> None:
        first, self._failing = not self._failing, True
        self._not_before = self._monotonic() + RETRY_AFTER
        self._on_failure(error, first=first)

    def _raised(self, steps: tuple[StateChange, ...]) -> dict[Series, float]:
        added: defaultdict[Series, float] = defaultdict(float)
        for step in steps:
            for fact in step.facts:
                for series, amount in increments(fact):
                    added[series] += amount
        return {series: self._totals.get(series, 0.0) + amount for series, amount in added.items()}


def _latest() -> sa.Select[Any]:
    triple = (RUNS.c.app_id, RUNS.c.room_id, RUNS.c.task_id)
    newest = sa.select(*triple, sa.func.max(RUNS.c.first_seen).label("first_seen")).group_by(*triple).subquery()
    return sa.select(RUNS).join(newest, sa.and_(*(RUNS.c[column.name] == column for column in newest.c)))


_LATEST = _latest()
_LATEST_OF = (
    sa.select(RUNS)
    .where(*(RUNS.c[name] == sa.bindparam(name) for name in TargetId._fields))
    .order_by(RUNS.c.first_seen.desc())
    .limit(1)
)


_HEARD = sa.select(HEARD.c.heard_at).where(*(HEARD.c[name] == sa.bindparam(name) for name in EventKey._fields))


def _write(
    connection: Connection, steps: tuple[StateChange, ...], raised: Mapping[Series, float], labels_of: LabelsOf
) -> None:
    # The few totals first: where they cannot be written, a long backlog of runs is not made into rows in vain.
    upsert(connection, TOTALS, [{**series._asdict(), "value": value} for series, value in raised.items()])
    runs = {(run.target, run.first_seen): run for step in steps for run in step.runs}
    upsert(connection, RUNS, [run_to_row(run, labels_of(run.target)) for run in runs.values()])
    receipts = [receipt for step in steps for receipt in step.receipts]
    add_new(connection, HEARD, [{**key._asdict(), "heard_at": one.at} for one in receipts for key in one.keys])


def _keys(step: StateChange) -> Iterator[EventKey]:
    return (key for receipt in step.receipts for key in receipt.keys)
