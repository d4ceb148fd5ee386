"""What the query of a URL asks for; QueryFault says what is wrong with it, and what it could be."""

from collections.abc import Iterable
from enum import StrEnum
from typing import NamedTuple, TypeVar

from starlette.datastructures import QueryParams

from exporter.config.durations import parse_duration
from exporter.config.times import parse_time
from exporter.enums import Source
from exporter.model.task_state import DisplayStatus

WRONG = "wrong"
"""Stands among the statuses for all that somebody should look at."""

PAST = "past"
"""Stands among them for what has stopped and whose linger is over, whatever it stopped as."""

LONGEST_TEXT = 400
LAST_PAGE = 1_000_000


class QueryFault(ValueError):
    """A query that cannot be answered."""


class Sort(StrEnum):
    """By what tasks are sorted; with a `-` before it the other way round."""

    WRONG = "wrong"
    TASK = "task"
    STATUS = "status"
    SINCE = "since"
    ELAPSED = "elapsed"
    PAGE_EVENT = "page_event"
    LAST_READ = "last_read"
    SOURCE = "source"


class TasksAsked(NamedTuple):
    """Which tasks, in which order, and which page of them."""

    text: str = ""
    statuses: frozenset[str] = frozenset()
    wrong: bool = False
    account: str = ""
    app_id: str = ""
    source: Source | None = None
    sort: Sort = Sort.WRONG
    backwards: bool = False
    page: int = 1
    size: int = 50


Word = TypeVar("Word", bound=StrEnum)


def tasks_asked(query: QueryParams, sizes: tuple[int, int]) -> TasksAsked:
    """Read it; `sizes` are the usual and the largest size of a page."""
    words = [word for given in query.getlist("status") for word in given.split(",") if word]
    order = query.get("sort", "") or Sort.WRONG
    return TasksAsked(
        text=text_asked(query),
        statuses=frozenset(_status(word) for word in words if word != WRONG),
        wrong=WRONG in words,
        account=query.get("account", "")[:LONGEST_TEXT],
        app_id=query.get("app_id", "")[:LONGEST_TEXT],
        source=one_of(Source, query["source"], "source") if query.get("source") else None,
        sort=one_of(Sort, order.removeprefix("-"), "sort"),
        backwards=order.startswith("-"),
        page=number_asked(query, "page", 1, LAST_PAGE),
        size=number_asked(query, "size", *sizes),
    )


def _status(word: str) -> str:
    return word if word == PAST else one_of(DisplayStatus, word, "status", (WRONG, PAST))


def text_asked(query: QueryParams) -> str:
    """The text filter."""
    return query.get("q", "").strip()[:LONGEST_TEXT]


def one_of(words: type[Word], word: str, name: str, more: Iterable[str] = ()) -> Word:
    """The word, if it is one of the set."""
    try:
        return words(word)
    except ValueError:
        raise QueryFault(f"{name} must be one of: {', '.join((*words, *more))}") from None


def number_asked(query: QueryParams, name: str, usual: int, most: int) -> int:
    """A whole number from 1 to `most`."""
    given = query.get(name, "")
    if not given:
        return usual
    if given.isascii() and given.isdecimal() and len(given) <= len(str(most)) and 1 <= int(given) <= most:
        return int(given)
    raise QueryFault(f"{name} must be a whole number from 1 to {most}")


def moment_asked(query: QueryParams, name: str, now: float) -> float | None:
    """A time: RFC 3339, Unix seconds, or a duration such as 24h for so long ago; None when it is not given."""
    given = query.get(name, "").strip()
    if not given:
        return None
    for read in (parse_time, lambda text: now - parse_duration(text)):
        try:
            return float(read(given))
        except ValueError:
            continue
    raise QueryFault(f"{name} must be a time as in 2026-01-15T08:30:00Z, Unix seconds, or a duration such as 24h")
