"""What so many tasks ask of one account's budget: the arithmetic of the command `plan`, by the rules of the rounds.

All in seconds and calls a second. What fits is what `stretch` leaves as configured.
"""

import math
from bisect import bisect_left
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from exporter.config.accounts import VENDOR_MAX_QPS
from exporter.scheduler.intervals import NEAR_DEADLINE, REREAD_SHARE, PollIntervals, ReadClass, demand, stretch
from exporter.scheduler.scheduler import BEAT

DAY = 86_400

STARTING = 60
"""Seconds for which a run is taken to be not started yet; the fast interval would hold for ten times that."""

ENDING = round(2 * NEAR_DEADLINE)
"""Seconds that a run which reaches its limit spends near it."""

LONGEST_INTERVAL = DAY
"""No task runs longer (seed page, field MaxRunningTime), so that no longer interval could see one run."""

MOST_ACCOUNTS = 10_000

Lanes = Mapping[ReadClass | None, int]


@dataclass(frozen=True, slots=True)
class Load:
    """Tasks that run at once, and runs that start in a day, spread evenly over it."""

    tasks: int
    starts_per_day: int = 0

    @property
    def starting(self) -> int:
        """Tasks that are not started yet, at any moment."""
        return self.within(STARTING)

    def within(self, seconds: float) -> int:
        """Runs that start, or end, in so many seconds; rounded up."""
        return math.ceil(self.starts_per_day * seconds / DAY)

    def shared(self, shares: int) -> "list[Load]":
        """The same in so many even shares; the first ones are larger by one where it does not divide."""
        tasks, starts = _parts(self.tasks, shares), _parts(self.starts_per_day, shares)
        return [Load(*pair) for pair in zip(tasks, starts, strict=True)]


@dataclass(frozen=True, slots=True)
class Plan:
    """What comes of a load: calls a second and seconds.

    `interval` and `fast_interval` are those in force; `interval_with_rereads` is so while rereads of stopped targets
    take all they may, `rereads`. The `fitting_*` are the smallest with which, all else the same, nothing is stretched;
    None = there is none up to the vendor's rate or the longest run.
    """

    demand: float
    budget: float
    interval: float
    fast_interval: float
    rereads: float
    interval_with_rereads: float
    fitting_interval: int | None
    fitting_max_qps: int | None
    fitting_accounts: int | None
    fits: bool

    @property
    def delay(self) -> float:
        """From the end of a running task to the call that sees it, at worst."""
        return self.interval + BEAT


def planned(load: Load, intervals: PollIntervals, budget: float) -> Plan:
    """What comes of it when one account with so many calls a second reads this load."""
    lanes = _lanes(load)
    slow, fast = _in_force(lanes, intervals, budget)
    rereads = REREAD_SHARE * budget
    most_rereads = {**lanes, ReadClass.REREAD: math.ceil(rereads * intervals.reread_stopped)}
    return Plan(
        demand=demand(lanes, intervals),
        budget=budget,
        interval=slow,
        fast_interval=fast,
        rereads=rereads,
        interval_with_rereads=_in_force(most_rereads, intervals, budget)[0],
        fitting_interval=_least(
            LONGEST_INTERVAL, lambda seconds: _fits(lanes, replace(intervals, interval=float(seconds)), budget)
        ),
        fitting_max_qps=_least(VENDOR_MAX_QPS, lambda calls: _fits(lanes, intervals, calls)),
        fitting_accounts=_least(
            MOST_ACCOUNTS, lambda accounts: _fits(_lanes(load.shared(accounts)[0]), intervals, budget)
        ),
        fits=_fits(lanes, intervals, budget),
    )


def _lanes(load: Load) -> Lanes:
    """How many targets are in each lane at any moment; those near their limit are of the running ones."""
    ending = min(load.tasks, load.within(ENDING))
    return {ReadClass.FAST: load.starting + ending, ReadClass.NORMAL: load.tasks - ending}


def _in_force(lanes: Lanes, intervals: PollIntervals, budget: float) -> tuple[float, float]:
    """The normal and the fast interval, as stretched."""
    factors = stretch(lanes, intervals, budget)
    fast = min(intervals.fast_interval, intervals.interval)
    return intervals.interval * factors.get(ReadClass.NORMAL, 1.0), fast * factors.get(ReadClass.FAST, 1.0)


def _fits(lanes: Lanes, intervals: PollIntervals, budget: float) -> bool:
    return not stretch(lanes, intervals, budget)


def _least(most: int, good: Callable[[int], bool]) -> int | None:
    """The first of 1 to `most` that is good, given that all after it are."""
    candidates = range(1, most + 1)
    place = bisect_left(candidates, x=True, key=good)
    return candidates[place] if place < most else None


def _parts(whole: int, shares: int) -> list[int]:
    each, left = divmod(whole, shares)
    return [each + (place < left) for place in range(shares)]
