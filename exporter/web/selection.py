"""The tasks that somebody asks for: filtered, sorted, counted, and one page of them."""

import heapq
import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from exporter.discovery.merge import WEAKEST_FIRST
from exporter.model.task_state import DisplayStatus, Lifetimes, TaskState
from exporter.model.trouble import Rank, Trouble, elapsed, trouble
from exporter.web.asked import PAST, Sort, TasksAsked


class Seen(NamedTuple):
    """A task, and what is wrong with it."""

    known: TaskState
    trouble: Trouble

    @property
    def status(self) -> str:
        """What it counts as, as `webcast_tasks` has it; `past` once it counts no more."""
        return PAST if self.trouble.rank is Rank.PAST else self.known.display_status

    @property
    def wrong(self) -> bool:
        """Whether somebody should look at it."""
        return self.trouble.rank < Rank.QUIET


class Selection(NamedTuple):
    """One page; `matching` tasks fit. `counts` and `wrong` are of those that fit whatever their status is."""

    page: list[Seen]
    matching: int
    counts: Mapping[str, int]
    wrong: int
    number: int
    pages: int


def select(known: Iterable[TaskState], asked: TasksAsked, now: float, lifetimes: Lifetimes) -> Selection:
    """Look at every task once."""
    fitting = [Seen(each, trouble(each, now, lifetimes)) for each in known if _fits(each, asked)]
    counts = Counter(seen.status for seen in fitting)
    wrong = sum(seen.wrong for seen in fitting)
    if asked.statuses or asked.wrong:
        fitting = [seen for seen in fitting if seen.status in asked.statuses or (asked.wrong and seen.wrong)]
    pages = max(1, math.ceil(len(fitting) / asked.size))
    number = min(asked.page, pages)
    return Selection(_page(fitting, asked, number, now), len(fitting), counts, wrong, number, pages)


def _page(fitting: list[Seen], asked: TasksAsked, number: int, now: float) -> list[Seen]:
    """One page of them. For an early one of many, most need never be put in order."""
    key = _KEYS[asked.sort]
    first = heapq.nlargest if asked.backwards else heapq.nsmallest
    begin, end = (number - 1) * asked.size, number * asked.size
    return first(end, fitting, key=lambda seen: (key(seen, now), seen.known.target.id))[begin:]


def _fits(known: TaskState, asked: TasksAsked) -> bool:
    target = known.target
    if asked.app_id and target.id.app_id != asked.app_id:
        return False
    if asked.account and target.account != asked.account:
        return False
    if asked.source is not None and asked.source not in target.sources:
        return False
    return not asked.text or all(word in _text(known) for word in asked.text.casefold().split())


def _text(known: TaskState) -> str:
    """All that the text filter looks into."""
    target = known.target
    return " ".join((str(target.id), known.user_id, known.source_host, *target.labels.values())).casefold()


def _latest_page(known: TaskState) -> float:
    return max((event.at for event in known.pages.latest), default=-math.inf)


_STANDINGS = {display_status: place for place, display_status in enumerate(DisplayStatus)}

_KEYS: Mapping[Sort, Callable[[Seen, float], Any]] = {
    # The newest trouble of a rank first.
    Sort.WRONG: lambda seen, _: (
        int(seen.trouble.rank),
        -(seen.known.status_since or seen.known.not_found_since or 0.0),
    ),
    Sort.TASK: lambda *_: 0,
    Sort.STATUS: lambda seen, _: _STANDINGS[seen.known.display_status],
    Sort.SINCE: lambda seen, _: -(seen.known.status_since or 0.0),
    Sort.ELAPSED: lambda seen, now: -(elapsed(seen.known, now) or -1.0),
    Sort.PAGE_EVENT: lambda seen, _: -_latest_page(seen.known),
    Sort.LAST_READ: lambda seen, _: -(seen.known.last_read or 0.0),
    Sort.SOURCE: lambda seen, _: min((WEAKEST_FIRST[source] for source in seen.known.target.sources), default=-1),
}
