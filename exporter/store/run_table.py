"""Runs in the state: rows to and from `Run`, look-ups by key, and pages of stopped runs.

No query here reads all runs: `latest_runs` and `live_runs` use indexes, `stopped_runs` searches from the newest end
back in windows, for as long as its time budget lasts.
The next minor release may have written a row: columns and words that this release does not know are ignored.
"""

import json
import math
import re
import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import fields
from functools import cache
from operator import itemgetter
from types import SimpleNamespace
from typing import Any, Final, NamedTuple, Self, cast

import sqlalchemy as sa
import structlog
from sqlalchemy.engine import Connection

from exporter.enums import PageAction, PageReason, Status, StopReason
from exporter.model.run import Run
from exporter.model.target import ID_PATTERN, TargetId
from exporter.model.task import EventNotify, MonitorIntervals, PageEvent, Pages, Task, VideoStream
from exporter.store.schema import RUNS

log = structlog.stdlib.get_logger(__name__)

LOOKUP_BATCH: Final = 500
"""Targets in one look-up."""
DELETE_BATCH: Final = 2000
"""Rows deleted in one transaction, so that cleaning up never holds other writes back for long."""

STATUSES = {status.value: status for status in Status}
STOP_REASONS = {reason.value: reason for reason in StopReason}
NO_LABELS: Mapping[str, str] = {}
KEY = tuple(RUNS.c[name] for name in TargetId._fields)
ORDER = (RUNS.c.end_seen.desc(), *RUNS.primary_key)
SEARCH_BUDGET: Final = 0.1
"""Seconds after which a search for stopped runs answers with what it has found."""
WINDOW_ROWS: Final = 2_000
"""Runs that the first query of a search looks at; the next ones look at more while they are quick."""


RunKey = tuple[float, tuple[str, str, str, float]]
"""When its end was first seen, and its primary key."""


class RunCursor(NamedTuple):
    """Where a search goes on: after the run `key` that ended at `end_seen`; without a key, before that moment."""

    end_seen: float
    key: tuple[str, str, str, float] | None = None

    def __str__(self) -> str:
        """As the API and the pages show it."""
        return "/".join((repr(self.end_seen), *map(str, self.key or ())))

    @classmethod
    def parse(cls, text: str) -> Self:
        """The cursor that `str` wrote; ValueError when it is none."""
        match text.split("/"):
            case [end_seen]:
                return cls(_finite(end_seen))
            case [end_seen, app_id, room_id, task_id, first_seen]:
                return cls(_finite(end_seen), (*TargetId.checked(app_id, room_id, task_id), _finite(first_seen)))
        raise ValueError("not a cursor")


class RunQuery(NamedTuple):
    """Which stopped runs: those whose end was first seen in [since, until), Unix seconds.

    `text` is part of APP_ID/ROOM_ID/TASK_ID, of a label's name or of its value, without regard to case; `target` is
    exact. `limit` runs are returned after skipping `offset`; `after` is the `next` of an earlier search.
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
    after: RunCursor | None = None


class FoundRuns(NamedTuple):
    """One page of runs with their labels, the latest end first, and how many match in what was searched.

    `next` is where the search goes on, None when nothing is left; `complete` says that `total` counts every match.
    """

    total: int
    runs: tuple[Run, ...]
    labels: tuple[Mapping[str, str], ...]
    next: RunCursor | None = None
    complete: bool = True


def latest_runs(connection: Connection, targets: Collection[TargetId]) -> dict[TargetId, Run]:
    """The latest run of each of these targets that has one."""
    rows = _rows_by_key(connection, TargetId._fields, list(targets), _IS_LATEST)
    return {run.target: run for run in _readable(rows)}


def live_runs(connection: Connection) -> dict[TargetId, Run]:
    """The latest run of each target whose run is live."""
    return {run.target: run for run in _readable(connection.execute(_LIVE))}


def stopped_runs(connection: Connection, query: RunQuery, budget: float = SEARCH_BUDGET) -> FoundRuns:
    """One page of stopped runs, searched for about `budget` seconds from the newest end back.

    With a text, or after a cursor, the search ends with the page; otherwise it goes on, to count.
    """
    deadline = time.monotonic() + budget
    page_end = query.offset + query.limit
    keys: list[RunKey] = []
    total, window_rows = 0, WINDOW_ROWS
    newest = _newest_end(query)
    while True:
        began = time.monotonic()
        # The runs of one target are few, and found by their key.
        oldest = None if query.target else _oldest_end(connection, query.since, newest, window_rows)
        window = newest, RUNS.c.end_seen >= (query.since if oldest is None else oldest)
        skip, limit = max(0, query.offset - total), page_end - max(total, query.offset)
        number, found = _search_window(connection, query, window, skip, limit)
        total += number
        keys += found
        page_is_full = total >= page_end and (query.text or query.after)
        now = time.monotonic()
        if oldest is None or page_is_full or now >= deadline:
            break
        newest = RUNS.c.end_seen < oldest
        if now - began < budget / 8:
            window_rows *= 2
    following = None if oldest is None else RunCursor(oldest)
    if total > page_end or (total == page_end and oldest is not None):
        following = RunCursor(*keys[-1])
    names = tuple(column.name for column in RUNS.primary_key)
    rows = {tuple(row[:4]): row for row in _rows_by_key(connection, names, [key for _, key in keys])}
    runs = [(run, labels_from_row(row)) for _, key in keys if (row := rows.get(key)) for run in _readable([row])]
    return FoundRuns(
        total, tuple(run for run, _ in runs), tuple(labels for _, labels in runs), following, oldest is None
    )


def status_of(run: Run) -> Status | None:
    """In which status it stopped; None when its end was never read."""
    return run.last.status if run.last else None


def delete_before(connection: Connection, moment: float) -> bool:
    """Delete some runs that ended, or are live and began, before `moment`; whether there may be more."""
    since = sa.func.coalesce(RUNS.c.start, RUNS.c.first_seen)
    abandoned = sa.and_(RUNS.c.end_seen.is_(None), since < moment)
    keys = sa.select(*RUNS.primary_key).where(sa.or_(RUNS.c.end_seen < moment, abandoned)).limit(DELETE_BATCH)
    deleted = connection.execute(sa.delete(RUNS).where(sa.tuple_(*RUNS.primary_key).in_(keys)))
    return deleted.rowcount >= DELETE_BATCH


def run_to_row(run: Run, labels: Mapping[str, str] = NO_LABELS) -> dict[str, Any]:
    """The columns of one run; `labels` are stored once it has ended."""
    return {
        **run.target._asdict(),
        "first_seen": run.first_seen,
        "start": run.start,
        "entered": " ".join(sorted(run.entered)),
        "stopped": run.stopped,
        "end_seen": run.end_seen,
        "last": json.dumps(run.last, default=_as_object) if run.last else None,
        "earlier": " ".join(map(repr, run.earlier)),
        "page_refreshes": run.pages.refreshes,
        "page_reschedules": run.pages.reschedules,
        "page_latest": _page_events_text(run.pages),
        "labels": json.dumps(dict(labels)) if labels and run.end_seen is not None else None,
        "earlier_ends": " ".join(map(repr, run.earlier_ends)) or None,
        "abandoned": run.abandoned or None,
        "previous": json.dumps(run_to_row(run.previous)) if run.previous else None,
    }


def run_from_row(row: sa.Row[Any]) -> Run:
    """The run of one row; ValueError or TypeError when another program wrote it."""
    return Run(
        target=TargetId.checked(row.app_id, row.room_id, row.task_id),
        first_seen=row.first_seen,
        start=row.start,
        entered=frozenset(STATUSES[word] for word in row.entered.split() if word in STATUSES),
        stopped=_reason(row.stopped),
        end_seen=row.end_seen,
        last=_task(row.last) if row.last else None,
        earlier=tuple(map(float, row.earlier.split())),
        pages=_pages(row),
        earlier_ends=tuple(map(float, (row.earlier_ends or "").split())),
        abandoned=bool(row.abandoned),
        previous=_previous(row.previous),
    )


def _previous(text: str | None) -> Run | None:
    return run_from_row(cast("sa.Row[Any]", SimpleNamespace(**json.loads(text)))) if text else None


def labels_from_row(row: sa.Row[Any]) -> dict[str, str]:
    """The labels stored with a run; none when they cannot be read."""
    try:
        return {str(name): str(value) for name, value in json.loads(row.labels or "{}").items()}
    except (ValueError, TypeError, AttributeError):
        return {}


def _readable(rows: Iterable[sa.Row[Any]]) -> Iterator[Run]:
    """Runs of rows; one that another program wrote costs that run, not the others."""
    for row in rows:
        try:
            yield run_from_row(row)
        except (ValueError, TypeError, AttributeError) as error:
            target = TargetId(row.app_id, row.room_id, row.task_id)
            log.warning("run not readable", target=str(target), reason=type(error).__name__)


def _latest_first_seen() -> sa.ScalarSelect[Any]:
    other = RUNS.alias()
    same = (other.c[name] == RUNS.c[name] for name in TargetId._fields)
    return sa.select(sa.func.max(other.c.first_seen)).where(*same).correlate(RUNS).scalar_subquery()


_SAME_TARGET = " AND ".join(f"other.{name} = wanted.{name}" for name in TargetId._fields)
_IS_LATEST = f" AND runs.first_seen = (SELECT max(first_seen) FROM runs AS other WHERE {_SAME_TARGET})"  # noqa: S608 - column names

_LIVE = sa.select(RUNS).where(
    RUNS.c.end_seen.is_(None), RUNS.c.entered != "", RUNS.c.first_seen == _latest_first_seen()
)


@cache
def _by_key(names: tuple[str, ...], keys: int, condition: str = "") -> sa.TextualSelect:
    """The runs with the keys `:NAME0`, `:NAME1` ...

    As text: SQLite scans all runs for `(a, b, c) IN (VALUES ...)`, and CROSS JOIN makes it begin with `wanted`.
    """
    values = ", ".join(f"({', '.join(f':{name}{index}' for name in names)})" for index in range(keys))
    same = " AND ".join(f"runs.{name} = wanted.{name}" for name in names)
    columns = ", ".join(f"runs.{column.name}" for column in RUNS.c)
    found = f"SELECT {columns} FROM wanted CROSS JOIN runs WHERE {same}{condition}"  # noqa: S608 - names of columns
    text = f"WITH wanted({', '.join(names)}) AS (VALUES {values}) {found}"
    return sa.text(text).columns(*RUNS.c)


def _rows_by_key(
    connection: Connection, names: tuple[str, ...], keys: Sequence[Sequence[Any]], condition: str = ""
) -> Iterator[sa.Row[Any]]:
    for first in range(0, len(keys), LOOKUP_BATCH):
        batch = keys[first : first + LOOKUP_BATCH]
        values = {
            f"{name}{index}": value for index, key in enumerate(batch) for name, value in zip(names, key, strict=True)
        }
        yield from connection.execute(_by_key(names, len(batch), condition), values)


def _finite(text: str) -> float:
    if not math.isfinite(number := float(text)):
        raise ValueError("not a finite number")
    return number


def _newest_end(query: RunQuery) -> sa.ColumnElement[bool]:
    """What the newest window of a search ends with."""
    until = sa.true() if query.until is None else RUNS.c.end_seen < query.until
    if query.after is None:
        return until
    end_seen, key = query.after
    if key is None:
        return sa.and_(until, RUNS.c.end_seen < end_seen)
    later = sa.tuple_(*RUNS.primary_key) > sa.tuple_(*key)
    return sa.and_(until, RUNS.c.end_seen <= end_seen, sa.or_(RUNS.c.end_seen < end_seen, later))


def _oldest_end(connection: Connection, since: float, newest: sa.ColumnElement[bool], rows: int) -> float | None:
    """The end of the run so many rows before `newest`; None when no more are left. Runs of one end are not parted."""
    ends = sa.select(RUNS.c.end_seen).where(newest, RUNS.c.end_seen > since).order_by(RUNS.c.end_seen.desc())
    return connection.execute(ends.offset(rows).limit(1)).scalar()


def _search_window(
    connection: Connection, query: RunQuery, window: Iterable[sa.ColumnElement[bool]], skip: int, limit: int
) -> tuple[int, list[RunKey]]:
    """How many runs of a window match, and at most `limit` of them after `skip`."""
    matches = sa.and_(*window, *_conditions(query, connection.dialect.name))
    keys = sa.select(RUNS.c.end_seen, *RUNS.primary_key).where(matches).order_by(*ORDER)
    if query.text:
        text = query.text.lower()
        rows = [row for row in connection.execute(keys.add_columns(RUNS.c.labels)) if _has_text(row, text)]
        return len(rows), [_key_of(row) for row in rows[skip : skip + limit]]
    number = connection.execute(sa.select(sa.func.count()).select_from(RUNS).where(matches)).scalar_one()
    if number <= skip or limit <= 0:
        return number, []
    return number, [_key_of(row) for row in connection.execute(keys.offset(skip).limit(limit))]


def _key_of(row: sa.Row[Any]) -> RunKey:
    return row.end_seen, (row.app_id, row.room_id, row.task_id, row.first_seen)


def _conditions(query: RunQuery, dialect: str) -> Iterable[sa.ColumnElement[bool]]:
    yield RUNS.c.stopped.is_not(None)
    if query.app_id:  # PostgreSQL refuses to look for NUL
        yield RUNS.c.app_id == query.app_id if ID_PATTERN.fullmatch(query.app_id) else sa.false()
    if query.status is not None:  # a lost run has entered a status too, but its end was not read
        yield RUNS.c.entered.contains(query.status.value)
        yield RUNS.c.last.is_not(None)
    if query.reason is not None:
        yield RUNS.c.stopped == query.reason
    if query.target is not None:
        yield from (RUNS.c[name] == value for name, value in query.target._asdict().items())
    if query.text:
        yield _may_have_text(query.text, dialect)


def _may_have_text(text: str, dialect: str) -> sa.ColumnElement[bool]:
    """False for most runs without the text: labels are JSON, and SQLite knows upper and lower case of ASCII alone."""
    parts = "".join(each if each.isascii() or each.lower() == each.upper() else "\0" for each in text).split("\0")
    part = json.dumps(max(parts, key=len))[1:-1] or "\\u"
    name = max(text.split("/"), key=len)
    ids = KEY if ID_PATTERN.fullmatch(name) else ()
    in_id = (_contains(column, name, dialect) for column in ids)
    return sa.or_(*in_id, _contains(RUNS.c.labels, part, dialect))


def _contains(column: sa.ColumnElement[Any], text: str, dialect: str) -> sa.ColumnElement[bool]:
    """Without regard to case. SQLite's LIKE has none for ASCII, and is twice as fast as with lower()."""
    if dialect == "sqlite":
        return column.contains(text, autoescape=True)
    pattern = re.sub("[/%_]", r"/\g<0>", text)
    return column.ilike(f"%{pattern}%", escape="/")


def _has_text(row: sa.Row[Any], text: str) -> bool:
    """Whether the task's name or a label has the text, which is in lower case."""
    labels = labels_from_row(row)
    name = f"{row.app_id}/{row.room_id}/{row.task_id}"
    return any(text in value.lower() for value in (name, *labels, *labels.values()))


def _as_object(part: Any) -> dict[str, Any]:
    """A dataclass for JSON; dataclasses.asdict copies each leaf and takes twice as long."""
    return {field.name: getattr(part, field.name) for field in fields(part)}


def _page_events_text(pages: Pages) -> str | None:
    """A list of the latest events; where more recent ones are known, both lists by name."""
    if not pages.latest:
        return None
    more = sorted(pages.recent) != sorted(pages.latest)
    return json.dumps({"latest": pages.latest, "recent": pages.recent} if more else pages.latest)


def _pages(row: sa.Row[Any]) -> Pages:
    """Without events when they cannot be read: the counts are known all the same."""
    try:
        stored = json.loads(row.page_latest or "[]")
        both = isinstance(stored, dict)
        lists = (stored["latest"], stored["recent"]) if both else (stored, sorted(stored, key=itemgetter(2)))
        latest, recent = (
            tuple(PageEvent(PageAction(action), PageReason(reason), float(at)) for action, reason, at in events)
            for events in lists
        )
    except (ValueError, TypeError, KeyError, IndexError):
        latest = recent = ()
    return Pages(row.page_refreshes, row.page_reschedules, latest, recent)


def _reason(word: str | None) -> StopReason | None:
    return STOP_REASONS.get(word, StopReason.OTHER) if word else None


def _task(text: str) -> Task | None:
    """None when it cannot be read: the run is known, and its state is one more read away."""
    try:
        values = _known_fields(Task, json.loads(text))
        return Task(
            **{
                **values,
                "status": Status(values["status"]),
                "stop_reason": _reason(values["stop_reason"]),
                "video": tuple(VideoStream(**_known_fields(VideoStream, stream)) for stream in values["video"]),
                "monitor": MonitorIntervals(**_known_fields(MonitorIntervals, values["monitor"])),
                "event_notify": EventNotify(**_known_fields(EventNotify, values["event_notify"])),
            }
        )
    except (ValueError, TypeError, KeyError, AttributeError):
        return None


def _known_fields(kind: type[Any], values: dict[str, Any]) -> dict[str, Any]:
    names = {field.name for field in fields(kind)}
    return {name: value for name, value in values.items() if name in names}
