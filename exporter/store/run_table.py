"""Runs in the state: rows to and from `Run`, look-ups by key, and pages of stopped runs.

No query here reads all runs: `latest_runs` and `live_runs` use indexes, `stopped_runs` returns one page.
The next minor release may have written a row: columns and words that this release does not know are ignored.
"""

import json
from collections.abc import Collection, ItemsView, Iterable, Iterator, Mapping
from dataclasses import fields
from functools import cache
from operator import itemgetter
from types import SimpleNamespace
from typing import Any, Final, NamedTuple, cast

import sqlalchemy as sa
import structlog
from sqlalchemy.engine import Connection

from exporter.enums import PageAction, PageReason, Status, StopReason
from exporter.model.callback import PageEvent, Pages
from exporter.model.run import Run
from exporter.model.target import TargetId
from exporter.model.task import EventNotify, MonitorIntervals, Task, VideoStream
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


class RunQuery(NamedTuple):
    """Which stopped runs: those whose end was first seen in [since, until), Unix seconds.

    `text` is part of an id or of the labels, `target` is exact. `limit` runs are returned after skipping `offset`.
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


class FoundRuns(NamedTuple):
    """How many runs match, and one page of them with their labels, the latest end first."""

    total: int
    runs: tuple[Run, ...]
    labels: tuple[Mapping[str, str], ...]


def latest_runs(connection: Connection, targets: Collection[TargetId]) -> dict[TargetId, Run]:
    """The latest run of each of these targets that has one."""
    found: dict[TargetId, Run] = {}
    wanted = list(targets)
    for start in range(0, len(wanted), LOOKUP_BATCH):
        batch = wanted[start : start + LOOKUP_BATCH]
        keys = {f"{name}{index}": value for index, target in enumerate(batch) for name, value in _named(target)}
        rows = connection.execute(_latest(len(batch)), keys)
        found.update((run.target, run) for run in _readable(rows))
    return found


def live_runs(connection: Connection) -> dict[TargetId, Run]:
    """The latest run of each target whose run is live."""
    return {run.target: run for run in _readable(connection.execute(_LIVE))}


def stopped_runs(connection: Connection, query: RunQuery) -> FoundRuns:
    """One page of stopped runs."""
    if "\0" in query.text + query.app_id:  # no id and no label has one, and PostgreSQL refuses to look for it
        return FoundRuns(0, (), ())
    matches = sa.and_(*_conditions(query, connection.dialect.name))
    order = RUNS.c.end_seen.desc(), *KEY
    # The keys first: SQLite finds them in an index, and reads the rows of this page alone.
    keys = sa.select(*RUNS.primary_key).where(matches).order_by(*order).limit(query.limit).offset(query.offset)
    found = keys.subquery()
    page = sa.select(RUNS).join(found, sa.and_(*(RUNS.c[column.name] == column for column in found.c)))
    rows = connection.execute(page.order_by(*order)).all()
    total = query.offset + len(rows)
    if len(rows) == query.limit or (query.offset and not rows):  # a page that is not full needs no second scan
        total = connection.execute(sa.select(sa.func.count()).select_from(RUNS).where(matches)).scalar_one()
    labels = {(row.app_id, row.room_id, row.task_id, row.first_seen): labels_from_row(row) for row in rows}
    runs = tuple(_readable(rows))
    return FoundRuns(total, runs, tuple(labels[*run.target, run.first_seen] for run in runs))


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
        target=TargetId(row.app_id, row.room_id, row.task_id),
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


_LIVE = sa.select(RUNS).where(
    RUNS.c.end_seen.is_(None), RUNS.c.entered != "", RUNS.c.first_seen == _latest_first_seen()
)


def _named(target: TargetId) -> ItemsView[str, str]:
    return target._asdict().items()


@cache
def _latest(targets: int) -> sa.TextualSelect:
    """As text: SQLite scans all runs for `(a, b, c) IN (VALUES ...)`, and CROSS JOIN makes it begin with `wanted`."""
    names = TargetId._fields
    values = ", ".join(f"({', '.join(f':{name}{index}' for name in names)})" for index in range(targets))
    same = " AND ".join(f"runs.{name} = wanted.{name}" for name in names)
    latest = f"SELECT max(first_seen) FROM runs AS other WHERE {same.replace('runs.', 'other.')}"  # noqa: S608 - names
    columns = ", ".join(f"runs.{column.name}" for column in RUNS.c)
    found = f"SELECT {columns} FROM wanted CROSS JOIN runs WHERE {same} AND runs.first_seen = ({latest})"  # noqa: S608
    text = f"WITH wanted({', '.join(names)}) AS (VALUES {values}) {found}"
    return sa.text(text).columns(*RUNS.c)


def _conditions(query: RunQuery, dialect: str) -> Iterable[sa.ColumnElement[bool]]:
    yield RUNS.c.stopped.is_not(None)
    yield RUNS.c.end_seen >= query.since
    if query.until is not None:
        yield RUNS.c.end_seen < query.until
    if query.app_id:
        yield RUNS.c.app_id == query.app_id
    if query.status is not None:  # a lost run has entered a status too, but its end was not read
        yield RUNS.c.entered.contains(query.status.value)
        yield RUNS.c.last.is_not(None)
    if query.reason is not None:
        yield RUNS.c.stopped == query.reason
    if query.target is not None:
        yield from (RUNS.c[name] == value for name, value in query.target._asdict().items())
    if query.text:
        in_json = json.dumps(query.text)[1:-1]
        searched = [*((column, query.text) for column in KEY), (RUNS.c.labels, in_json)]
        yield sa.or_(*(_contains(column, text, dialect) for column, text in searched))


def _contains(column: sa.ColumnElement[Any], text: str, dialect: str) -> sa.ColumnElement[bool]:
    """Without regard to case. SQLite's LIKE has none for ASCII, and is twice as fast as with lower()."""
    if dialect == "sqlite":
        return column.contains(text, autoescape=True)
    pattern = "".join(f"/{character}" if character in "/%_" else character for character in text)
    return column.ilike(f"%{pattern}%", escape="/")


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
