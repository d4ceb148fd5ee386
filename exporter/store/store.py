"""The store: what must outlive the process, written by one thread.

A run's end and the counters that it raises are one transaction, and the counters are shown only once it is committed.
A kill at any moment is therefore harmless: before the commit the end is read and counted again after the restart, after
it the run is known. A counter that was ever scraped is in the state.

`record` queues a change and never waits; a caller who must know gives its result to `wait`. `change` and `keep` do the
same for other tables. Any thread may call; only the writer touches the writing connection. While the state fails or is
silent, changes are kept (the latest of each run and stored target, and sums), up to `max_queued` runs and as many
receipts; then new ones are dropped, counted and reported.
"""

import json
import sqlite3
import time
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from threading import Condition, Lock, RLock, Thread
from typing import Any, Final, TypeVar

import sqlalchemy as sa
import structlog
from sqlalchemy.engine import Connection
from sqlalchemy.exc import DataError, IntegrityError, SQLAlchemyError

from exporter.errors import StartError, StateError
from exporter.model.run import Run, StateChange
from exporter.model.target import TargetId
from exporter.model.task import Callback, EventKey
from exporter.store import run_table
from exporter.store.counters import Series, Total, increments, zeros
from exporter.store.database import Database, LeaseLostError, Query, Workers, insert_new, upsert
from exporter.store.schema import COUNTERS, RECEIPTS, RUNS, STORED_TARGETS

log = structlog.stdlib.get_logger(__name__)

WAIT: Final = 2.0
"""Seconds that a callback or a push waits for its commit."""
RETRY_SECONDS: Final = 1.0
"""Seconds between two tries to write after a failed one; a caller who waits has it tried at once."""
SLOW_AFTER: Final = 1.0
"""Seconds that a write may take before only MAX_WAITING callers may wait for it."""
SILENT_AFTER: Final = 3.0
"""Seconds without an answer to a write after which it is reported, and counts as failed."""
CLOSE_TIMEOUT: Final = 1.0
CHECK_SECONDS: Final = 1.0
LOOKUP_TIMEOUT: Final = 2.0
SEARCH_TIMEOUT: Final = 2.0
SCAN_TIMEOUT: Final = 20.0
"""Seconds for what a start or a changed list looks up."""
MAX_QUEUED_RUNS: Final = 50_000
CLOSED: Final = "the state is closed"
MAX_WAITING: Final = 4
"""Callers that wait for a state which is known to fail; the others are refused at once."""
RECENT_SECONDS: Final = 5.0
"""Seconds for which committed receipts are remembered: longer than a look-up takes that may have missed them."""
MIN_ROWS_PER_SECOND: Final = 2_000
"""A long list has this much more time for its commit, which a busy machine may need."""
MIN_HISTORY: Final = 96 * 3600.0
"""The API can answer for a run until 72 hours after its start; forgetting one sooner could count it twice."""

T = TypeVar("T")
Commit = Future[None]
"""Done once the change is in the state; its exception is a StateError after the first failed try."""
Work = Callable[[Connection], object]
LabelsOf = Callable[[TargetId], Mapping[str, str]]


@dataclass
class _Work:
    """A change of another table."""

    do: Work
    then: Callable[[], object] = lambda: None
    commit: Commit = field(default_factory=Future)


@dataclass
class _Batch:
    """What one transaction writes: the latest of each run and stored target, sums, receipts, and other work in order.

    `stored` is keyed by source and target; None deletes a row.
    """

    runs: dict[tuple[TargetId, float], tuple[Run, Mapping[str, str]]] = field(default_factory=dict)
    raised: defaultdict[Series, float] = field(default_factory=lambda: defaultdict(float))
    receipts: dict[EventKey, float] = field(default_factory=dict)
    stored: dict[tuple[str, TargetId], "StoredTarget | None"] = field(default_factory=dict)
    work: list[_Work] = field(default_factory=list)
    since: float | None = None
    commit: Commit = field(default_factory=Future)

    def __bool__(self) -> bool:
        return bool(self.runs or self.receipts or self.stored or self.work)

    def add(self, change: StateChange, labels_of: LabelsOf) -> None:
        """Add a change; of a run the later version stays."""
        for run in change.runs:
            self.runs[run.target, run.first_seen] = run, labels_of(run.target) if run.end_seen is not None else {}
        for event in change.events:
            for series, amount in increments(event):
                self.raised[series] += amount
        self.receipts.update((key, receipt.at) for receipt in change.receipts for key in receipt.keys)

    def put_before(self, failed: "_Batch") -> None:
        """Take back what an earlier transaction could not write; its other work was refused."""
        self.runs = failed.runs | self.runs
        for series, amount in failed.raised.items():
            self.raised[series] += amount
        self.receipts = failed.receipts | self.receipts
        self.stored = failed.stored | self.stored
        if failed.runs or failed.receipts or failed.stored:
            self.since = failed.since


class Store:
    """Runs, counters and callback receipts of one state, and the only writer of it.

    `on_failure` is called for each failed or silent write. `labels_of` gives the labels of a target that are stored
    with a run that has ended. `lost` says why the state is no longer this process's, empty while it is.
    """

    def __init__(
        self,
        database: Database,
        *,
        on_failure: Callable[[], None] = lambda: None,
        labels_of: LabelsOf = lambda _: {},
        max_queued: int = MAX_QUEUED_RUNS,
        retry_seconds: float = RETRY_SECONDS,
    ) -> None:
        self._labels_of = labels_of
        self.lost = ""
        self._database = database
        self._on_failure = on_failure
        self._max_queued = max_queued
        self._retry_seconds = retry_seconds
        self._wake = Condition(Lock())  # guards what follows
        self._queued = _Batch()
        self._in_flight = _Batch()
        self._recent: OrderedDict[EventKey, float] = OrderedDict()
        self._waiting = 0
        self._urgent = self._closing = self._closed = False
        self._began = self._answered_at = 0.0
        self._failing_since: float | None = None
        self._failures: set[str] = set()
        self._silent = self._overflowing = False
        self._dropped = 0
        self._publishing = Lock()
        self._counters = self._load_counters()
        self._lookups = Workers("store-lookup", 2)
        self._searches = Workers("store-search", 2)
        database.on_answer(self._answered)
        self._writer = Thread(target=self._write_all, name="store-writer", daemon=True)
        self._writer.start()

    # Counters

    def counters(self) -> Mapping[Series, float]:
        """Every committed counter; never waits for a write."""
        with self._publishing:
            return dict(self._counters)

    def open_app(self, app_id: str) -> None:
        """Let an app's counters exist, at zero unless they already count."""
        with self._publishing:
            for series in zeros(app_id):
                self._counters.setdefault(series, 0.0)

    def close_apps(self, keep: Collection[str]) -> None:
        """Drop the counters of apps that never counted anything, except those to keep."""
        with self._publishing:
            counted = {series.app_id for series, value in self._counters.items() if value}
            kept = counted.union(keep)
            self._counters = {series: value for series, value in self._counters.items() if series.app_id in kept}

    # Writing

    def record(self, change: StateChange) -> Commit:
        """Queue a change; the result is done once it is committed."""
        with self._wake:
            if not change:
                return _ended()
            if self._closing or self.lost:
                return _ended(self.lost or CLOSED)
            if self._is_full(change):
                return _ended("the state cannot be written, and its queue is full")
            self._queued.add(change, self._labels_of)
            return self._enqueued(self._queued.commit)

    def change(self, work: Work, then: Callable[[], None] = lambda: None) -> Commit:
        """Queue a change of another table: `work` in the next transaction, `then` on the writer once it is committed.

        It is tried once; when that fails nothing has changed.
        """
        with self._wake:
            if self._closing or self.lost:
                return _ended(self.lost or CLOSED)
            item = _Work(work, then)
            self._queued.work.append(item)
            return self._enqueued(item.commit)

    def keep(self, source: str, targets: Mapping[TargetId, "StoredTarget | None"]) -> Commit:
        """Queue rows of stored targets, None to delete one; they are tried until they are committed."""
        with self._wake:
            if self._closing or self.lost:
                return _ended(self.lost or CLOSED)
            self._queued.stored.update({(source, target): stored for target, stored in targets.items()})
            return self._enqueued(self._queued.commit)

    def wait(self, commit: Commit, timeout: float = WAIT) -> None:
        """Wait until a change is committed; StateError when it is not, or not in time.

        A change of another table that has not begun by then is withdrawn.
        """
        if commit.done():
            return commit.result()
        with self._wake:
            silent = bool(self._in_flight) and time.monotonic() - self._began > SLOW_AFTER
            failing = self._failing_since is not None or silent
            if failing and self._waiting >= MAX_WAITING:
                raise StateError("the state cannot be written now")
            self._waiting += 1
            self._urgent = True
            self._wake.notify_all()
        try:
            return commit.result(timeout)
        except FutureTimeoutError as error:
            self._withdraw(commit)
            raise StateError(f"the state was not written within {timeout:g} s") from error
        finally:
            with self._wake:
                self._waiting -= 1

    def flush(self, timeout: float = WAIT) -> bool:
        """Wait until all that is queued now is committed; whether it is."""
        with self._wake:
            commits = [batch.commit for batch in (self._in_flight, self._queued) if batch]
            commits += [item.commit for batch in (self._in_flight, self._queued) for item in batch.work]
        try:
            for commit in commits:
                self.wait(commit, timeout)
        except StateError:
            return False
        return True

    @property
    def oldest_queued(self) -> float | None:
        """Since when the oldest change waits for its commit, Unix seconds; None when none waits."""
        with self._wake:
            waiting = [batch.since for batch in (self._in_flight, self._queued) if batch and batch.since is not None]
            return min(waiting, default=None)

    @property
    def dropped(self) -> int:
        """How many changes were dropped because the queue was full."""
        return self._dropped

    def watch(self) -> None:
        """Report a write that is not answered, once; to be called each second by another thread than the writer."""
        with self._wake:
            silent_for = time.monotonic() - max(self._began, self._answered_at) if self._in_flight else 0.0
            begins = silent_for > SILENT_AFTER and not self._silent
            self._silent = self._silent or begins
        if begins:
            self._on_failure()
            log.error("state silent", state=self._database.name, since=time.time() - silent_for)

    def close(self, timeout: float = CLOSE_TIMEOUT) -> None:
        """Commit what is queued if that is possible in time, and write nothing after that."""
        with self._wake:
            self._closing = self._urgent = True
            self._wake.notify_all()
        self._writer.join(timeout)
        with self._wake:
            self._closed = True
        self._lookups.close()
        self._searches.close()
        if not self._writer.is_alive():
            self._database.close()

    def forget_before(self, moment: float) -> None:
        """Delete runs that ended, and live ones that have not changed since, before `moment` (Unix seconds)."""
        more = False

        def delete(connection: Connection) -> None:
            nonlocal more
            more = run_table.delete_before(connection, moment)

        self.change(delete, lambda: self.forget_before(moment) if more else None)

    # Receipts of callbacks

    def has_receipt(self, callback: Callback) -> bool:
        """Whether a callback was taken in before, committed or queued; StateError when that cannot be known now."""
        if self.remembers(callback):
            return True
        queries = receipts_of(callback)
        return self.look_up(lambda connection: any(connection.execute(query).first() for query in queries))

    def remembers(self, callback: Callback) -> bool:
        """Whether it is queued or was committed lately; asks nothing of the state."""
        with self._wake:
            return self._queued_commit(callback) is not None or any(key in self._recent for key in callback.keys)

    def pending(self, callback: Callback) -> Commit:
        """The commit that a callback which was taken in waits for; done when it waits for none."""
        with self._wake:
            return self._queued_commit(callback) or _ended()

    def forget_receipts_before(self, moment: float) -> None:
        """Delete receipts of callbacks that came before `moment` (Unix seconds)."""
        self.change(lambda connection: connection.execute(sa.delete(RECEIPTS).where(RECEIPTS.c.heard_at < moment)))

    # Reading

    def latest_runs(self, targets: Collection[TargetId]) -> dict[TargetId, Run]:
        """The latest run of each of these targets that has one, queued changes included; StateError."""
        found: dict[TargetId, Run] = {}
        wanted = set(targets)
        while wanted:
            before = self._queued_runs(wanted)
            found |= self.look_up(partial(run_table.latest_runs, targets=tuple(wanted)), SCAN_TIMEOUT)
            after = self._queued_runs(wanted)
            found |= after
            wanted = before.keys() - after.keys()  # committed since they were looked for: in the table by now
        return found

    def live_runs(self) -> dict[TargetId, Run]:
        """The runs that are live, as committed; StateError. For the start, before anything is recorded."""
        return self.look_up(run_table.live_runs, SCAN_TIMEOUT)

    def look_up(self, query: Query[T], timeout: float = LOOKUP_TIMEOUT) -> T:
        """The result of a quick query by key; StateError when it cannot be had in time."""
        return self._lookups.run(lambda: self._read(query, timeout), timeout)

    def search(self, query: Query[T], timeout: float = SEARCH_TIMEOUT) -> T:
        """The result of a query that may be slow; it delays no write and no look-up. StateError as `look_up`."""
        return self._searches.run(lambda: self._read(query, timeout), timeout)

    def _read(self, query: Query[T], timeout: float) -> T:
        with self._database.reading(timeout) as connection:
            return query(connection)

    def _queued_runs(self, targets: Collection[TargetId]) -> dict[TargetId, Run]:
        with self._wake:
            runs = [run for batch in (self._in_flight, self._queued) for run, _ in batch.runs.values()]
        runs.sort(key=lambda run: run.first_seen)  # stable: of one run the queued version comes after the one in flight
        return {run.target: run for run in runs if run.target in targets}

    # The queue, with the lock held

    def _enqueued(self, commit: Commit) -> Commit:
        self._queued.since = self._queued.since or time.time()
        self._wake.notify_all()
        return commit

    def _is_full(self, change: StateChange) -> bool:
        queued, in_flight = self._queued.runs, self._in_flight.runs
        number = len(queued) + len(in_flight)
        keys = ((run.target, run.first_seen) for run in change.runs)
        too_many_runs = number >= self._max_queued and not all(key in queued or key in in_flight for key in keys)
        receipts = len(self._queued.receipts) + len(self._in_flight.receipts)
        if not too_many_runs and not (change.receipts and receipts >= self._max_queued):
            return False
        self._dropped += 1
        self._on_failure()
        if not self._overflowing:
            self._overflowing = True
            log.error("state queue full, changes are dropped", state=self._database.name, runs=number)
        return True

    def _queued_commit(self, callback: Callback) -> Commit | None:
        for batch in (self._queued, self._in_flight):
            if any(key in batch.receipts for key in callback.keys):
                return batch.commit
        return None

    def _withdraw(self, commit: Commit) -> None:
        with self._wake:
            self._queued.work = [item for item in self._queued.work if item.commit is not commit]

    # The writer's thread

    def _answered(self) -> None:
        """A long write, such as that of 20,000 targets, is not silent while its statements are answered."""
        self._answered_at = time.monotonic()

    def _write_all(self) -> None:
        while (batch := self._next()) is not None:
            if batch:
                self._write(batch)
            else:
                self._check()

    def _next(self) -> _Batch | None:
        """What is to be written now, empty when it is time for a check; None at the end."""
        with self._wake:
            if not self._closing and not self._urgent and (self._failing_since is not None or not self._queued):
                pause = self._retry_seconds if self._failing_since is not None else CHECK_SECONDS
                self._wake.wait_for(self._may_write, pause)
            self._urgent = False
            if self.lost or self._closed or (self._closing and not self._queued):
                return None
            batch, self._queued = self._queued, _Batch()
            self._in_flight, self._began = batch, time.monotonic()
            return batch

    def _may_write(self) -> bool:
        return self._closing or self._urgent or (self._failing_since is None and bool(self._queued))

    def _forget_recent(self) -> None:
        oldest = time.monotonic() - RECENT_SECONDS
        while self._recent and next(iter(self._recent.values())) < oldest:
            self._recent.popitem(last=False)

    def _check(self) -> None:
        with self._wake:
            self._forget_recent()
        try:
            self._database.check()
        except LeaseLostError as error:
            self._lose(str(error))

    def _write(self, batch: _Batch) -> None:
        try:
            runs = [run_table.run_to_row(run, labels) for run, labels in batch.runs.values()]
            receipts = [{**key._asdict(), "heard_at": at} for key, at in batch.receipts.items()]
            # Absolute values: writing them again after a commit of which the answer was lost changes nothing.
            values = {series: self._counters.get(series, 0.0) + raised for series, raised in batch.raised.items()}
            done: list[_Work] = []
            with self._database.writing() as connection:
                # The few counters first: where they cannot be written, the many runs are not tried.
                upsert(connection, COUNTERS, [{**series._asdict(), "value": value} for series, value in values.items()])
                upsert(connection, RUNS, runs)
                insert_new(connection, RECEIPTS, receipts)
                if batch.stored:
                    _do(connection, _Work(partial(_write_stored, rows=batch.stored)))
                done += [item for item in batch.work if _do(connection, item)]
        except LeaseLostError as error:
            self._lose(str(error))
            self._refuse(batch, error)
        except Exception as error:  # noqa: BLE001 - the edge of the thread: the next try may succeed
            self._fail(batch, error)
        else:
            self._publish(batch, values, done)

    def _publish(self, batch: _Batch, values: Mapping[Series, float], done: list[_Work]) -> None:
        with self._publishing:
            self._counters.update(values)
        with self._wake:
            self._in_flight = _Batch()
            self._recent.update(dict.fromkeys(batch.receipts, time.monotonic()))
            self._forget_recent()
            since, self._failing_since = self._failing_since, None
            self._failures.clear()
            recovered = since is not None or self._silent
            self._silent = self._overflowing = False
        if recovered:
            log.info("state written again", state=self._database.name, dropped=self._dropped)
        for item in done:
            try:
                item.then()
            except Exception:  # the edge of the thread: it is committed all the same
                log.exception("unexpected error", job="after a commit")
            _resolve(item.commit)
        _resolve(batch.commit)

    def _fail(self, batch: _Batch, error: Exception) -> None:
        reason = _reason(error)
        with self._wake:
            new = reason not in self._failures  # what ends a connection is seldom what is wrong afterwards
            self._failures.add(reason)
            self._failing_since = self._failing_since or time.time()
            self._in_flight = _Batch()
            self._queued.put_before(batch)
            if self._closing:
                self._closed = True
        self._on_failure()
        if new:
            log.error("state write failed, it is tried again", state=self._database.name, reason=reason)
        self._refuse(batch, StateError(f"the state cannot be written: {reason}"))

    def _lose(self, reason: str) -> None:
        with self._wake:
            self.lost = reason
        self._on_failure()
        log.error("state lost", state=self._database.name, reason=reason)

    def _refuse(self, batch: _Batch, error: Exception) -> None:
        for commit in (*(item.commit for item in batch.work), batch.commit):
            _resolve(commit, error)

    def _load_counters(self) -> dict[Series, float]:
        # A counter that this release does not know was counted by a later one; it stays in the state as it is.
        known = sa.select(COUNTERS).where(COUNTERS.c.total.in_(list(Total)))
        try:
            with self._database.reading(SCAN_TIMEOUT) as connection:
                rows = connection.execute(known).all()
        except SQLAlchemyError as error:
            cause = getattr(error, "orig", None) or type(error).__name__
            raise StartError(f"{self._database.name} cannot be read: {cause}") from error
        return {Series(Total(row.total), row.app_id, row.label, row.bucket): row.value for row in rows}


def _do(connection: Connection, item: _Work) -> bool:
    """Do one piece of other work; contents that the database refuses must not hold back the rest."""
    try:
        with connection.begin_nested():
            item.do(connection)
    except (DataError, IntegrityError) as error:
        log.error("state refused a change", reason=type(error).__name__)
        _resolve(item.commit, StateError(f"the state refuses it: {type(error).__name__}"))
        return False
    return True


def _reason(error: Exception) -> str:
    """SQLite's own words, which name no data; else the error's name, such as ReadOnlySqlTransaction or DiskFull."""
    cause = getattr(error, "orig", None) or error
    return str(cause) if isinstance(cause, sqlite3.OperationalError) else type(cause).__name__


def _resolve(commit: Commit, error: Exception | None = None) -> None:
    if not commit.done():
        commit.set_exception(error) if error else commit.set_result(None)


def _ended(reason: str = "") -> Commit:
    """A commit that needs no wait: done, or refused for a reason."""
    commit: Commit = Future()
    _resolve(commit, StateError(reason) if reason else None)
    return commit


@contextmanager
def holding(lock: "RLock", timeout: float) -> Iterator[None]:
    """Hold a lock whose holders wait for the state; StateError when it cannot be had within `timeout` seconds."""
    if not lock.acquire(timeout=timeout):
        raise StateError("another change of the targets waits for the state")
    try:
        yield
    finally:
        lock.release()


def receipts_of(callback: Callback) -> list[sa.Select[tuple[Any]]]:
    """Look-ups of a callback's receipts; the first row that any finds says that it was taken in before."""
    return [
        sa.select(RECEIPTS.c.heard_at).where(*(RECEIPTS.c[name] == value for name, value in key._asdict().items()))
        for key in callback.keys
    ]


@dataclass(frozen=True, slots=True)
class StoredTarget:
    """Labels of a target, `__expected_*__` included, and when it was last named, Unix seconds.

    Of a drained one `renewed_at` is until when it is read.
    """

    labels: Mapping[str, str]
    renewed_at: float


Stored = Mapping[TargetId, StoredTarget]


class StoredTargets:
    """Targets of one source that no list names again: pushed, called back, drained, dark, or removed by hand.

    `rows` holds what the last `load` found and what was written since. `add`, `replace` and `remove` return once
    committed. StateError: nothing has changed yet; a write that had begun may still be committed, and then `unsure` is
    set. `keep` and `drop` never wait, and are tried until they are committed.
    """

    def __init__(self, store: Store, source: str) -> None:
        self._store = store
        self._source = source
        self._own = STORED_TARGETS.c.source == source
        self.rows: dict[TargetId, StoredTarget] = {}
        self.unsure = False

    def load(self) -> Stored:
        """Read every row; StartError when they cannot be read."""
        query = sa.select(STORED_TARGETS).where(self._own)
        try:
            rows = self._store.look_up(lambda connection: connection.execute(query).all(), SCAN_TIMEOUT)
            self.rows = {TargetId(row.app_id, row.room_id, row.task_id): _stored_target(row) for row in rows}
        except (StateError, ValueError, AttributeError) as error:
            raise StartError(f"the targets in the state cannot be read: {error}") from error
        return self.rows

    def add(self, targets: Stored) -> None:
        """Write these, replacing what the source said of them before."""
        rows = _stored_rows(self._source, targets)
        self._wait(lambda connection: upsert(connection, STORED_TARGETS, rows), len(rows))
        self.rows.update(targets)

    def keep(self, targets: Stored) -> None:
        """Queue a write of these, replacing what the source said of them before; it is not waited for."""
        self._store.keep(self._source, targets)
        self.rows.update(targets)

    def replace(self, targets: Stored) -> None:
        """Write these, and delete all others of the source."""
        rows = _stored_rows(self._source, targets)

        def replace(connection: Connection) -> None:
            connection.execute(sa.delete(STORED_TARGETS).where(self._own))
            upsert(connection, STORED_TARGETS, rows)

        self._wait(replace, len(rows))
        self.rows = dict(targets)

    def remove(self, targets: Collection[TargetId]) -> None:
        """Delete these targets."""
        self._wait(partial(_delete_stored, source=self._source, targets=targets), len(targets))
        self._forget(targets)

    def drop(self, targets: Collection[TargetId]) -> None:
        """Queue a deletion of these; it is not waited for."""
        self._store.keep(self._source, dict.fromkeys(targets))
        self._forget(targets)

    def _forget(self, targets: Collection[TargetId]) -> None:
        for target in targets:
            self.rows.pop(target, None)

    def _wait(self, work: Work, rows: int) -> None:
        commit = self._store.change(work)
        try:
            self._store.wait(commit, WAIT + rows / MIN_ROWS_PER_SECOND)
        except StateError:
            commit.add_done_callback(self._ended_late)
            raise

    def _ended_late(self, _commit: Commit) -> None:
        self.unsure = True


def _stored_rows(source: str, targets: Stored) -> list[dict[str, Any]]:
    return [
        {
            **target._asdict(),
            "source": source,
            "labels": json.dumps(dict(stored.labels)),
            "renewed_at": stored.renewed_at,
        }
        for target, stored in targets.items()
    ]


def _delete_stored(connection: Connection, source: str, targets: Collection[TargetId]) -> None:
    keys = [{f"the_{name}": value for name, value in target._asdict().items()} for target in targets]
    triple = (STORED_TARGETS.c[name] == sa.bindparam(f"the_{name}") for name in TargetId._fields)
    if keys:
        connection.execute(sa.delete(STORED_TARGETS).where(STORED_TARGETS.c.source == source, *triple), keys)


def _write_stored(connection: Connection, rows: Mapping[tuple[str, TargetId], StoredTarget | None]) -> None:
    for source in {source for source, _ in rows}:
        own = {target: stored for (each, target), stored in rows.items() if each == source}
        upsert(connection, STORED_TARGETS, _stored_rows(source, {each: row for each, row in own.items() if row}))
        _delete_stored(connection, source, [target for target, row in own.items() if row is None])


def _stored_target(row: sa.Row[Any]) -> StoredTarget:
    return StoredTarget({name: str(value) for name, value in json.loads(row.labels).items()}, row.renewed_at)
