"""The tracker: all that is known of every target, and where each change of it goes.

A change goes one way: known -> ledger (what must be counted) -> board (what is shown). Nothing else holds state of a
task, so what is forgotten here is gone everywhere.
"""

import heapq
import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from threading import Lock

from exporter.metrics.series_cache import SeriesCache
from exporter.model.callback import Callback
from exporter.model.clock import Clock
from exporter.model.problem import ProblemThresholds, evaluate
from exporter.model.read_result import ReadResult
from exporter.model.run import Run, StateChange
from exporter.model.target import Target, TargetId
from exporter.model.task_state import (
    NOT_NAMED,
    Lifetimes,
    Named,
    TaskState,
    accept,
    apply_callback,
    apply_read,
    cut_short,
    dismiss,
    expire,
    expires_at,
    is_hidden,
    listing_expires_at,
    received,
    release,
    retarget,
)
from exporter.store.store import Store

AT_A_TIME = 1000
"""So many targets at most are looked at in one `expire`: a whole fleet that falls due at once must not stop a beat."""

DEFAULT_THRESHOLDS = ProblemThresholds()

MAX_APPS = 500
"""Apps whose counters exist before anything was counted; a list of wrong ids must not make a million series."""

FEW = 100
"""So many looks that count no more are not worth a sweep."""


class TaskRegistry:
    """What is known of each target. Safe for threads; the lock is held for a fold, never for a write or a call.

    `fresh_for` tells how long a read stays fresh at least, in seconds, by the intervals now in force; `named` when a
    push or a callback last named a target. `changed` is told when a task comes to count as something else.
    """

    def __init__(
        self,
        store: Store,
        lifetimes: Lifetimes,
        clock: Clock,
        fresh_for: Callable[[TaskState], float],
        named: Callable[[TargetId], Named] = lambda _: NOT_NAMED,
        *,
        thresholds: ProblemThresholds = DEFAULT_THRESHOLDS,
        changed: Callable[[TaskState, TaskState, float], None] = lambda _before, _after, _at: None,
    ) -> None:
        self.lifetimes = lifetimes
        self.thresholds = thresholds
        self._fresh_for = fresh_for
        self._named = named
        self._changed = changed
        self._ledger = store
        self._clock = clock
        self._lock = Lock()
        self._known: dict[TargetId, TaskState] = {}
        self._apps: Counter[str] = Counter()  # how many tracked targets each app has
        self._counted_apps: set[str] = set()
        self._apps_without_target = False
        self._configured_apps: frozenset[str] = frozenset()
        self._expiries: list[tuple[float, TargetId]] = []
        self._looks_at: dict[TargetId, float] = {}
        self._forgotten: set[TargetId] = set()
        self._expired_listings: set[TargetId] = set()
        self._board: SeriesCache | None = None

    def attach(self, board: SeriesCache) -> None:
        """Show what is known, and every change of it, on `board`."""
        self._board = board

    def get(self, target: TargetId) -> TaskState | None:
        """What is known of a target, None when it is not tracked."""
        return self._known.get(target)

    def all(self) -> list[TaskState]:
        """What is known of every target."""
        with self._lock:
            return list(self._known.values())

    def replace_targets(self, targets: Mapping[TargetId, Target], remembered: Mapping[TargetId, Run]) -> None:
        """Take over a new list: add, change, and let go. `remembered` are the ledger's latest runs."""
        gone = [known.target.id for known in self.all() if known.target.id not in targets]
        self.change_targets(targets, gone, remembered)

    def change_targets(
        self, listed: Mapping[TargetId, Target], gone: Iterable[TargetId], remembered: Mapping[TargetId, Run]
    ) -> None:
        """The same where all other targets stay as they are."""
        now = self._clock.unix()
        with self._lock:
            for target in gone:
                if (known := self._known.get(target)) is not None:
                    self._settle(target, release(known, now, self.lifetimes), now)
            for target in listed:
                self._list(listed[target], remembered.get(target), now)
            self._close_apps()

    def open_apps(self, configured: Iterable[str]) -> None:
        """Create the counters of the apps that the configuration names; they stay without a target."""
        with self._lock:
            self._configured_apps = frozenset(configured)
            for app_id in self._configured_apps:
                self._ledger.open_app(app_id)

    def _count_app(self, app_id: str, change: int) -> None:
        """Count a target that comes or goes; the app's counters exist from its first one on."""
        if not self._apps[app_id] and len(self._apps) < MAX_APPS:
            self._ledger.open_app(app_id)
        self._apps[app_id] += change
        if not self._apps[app_id]:
            del self._apps[app_id]
            self._apps_without_target = True

    def _record(self, change: StateChange) -> None:
        self._counted_apps.update(fact.app_id for fact in change.facts)  # some are not yet committed
        self._ledger.record(change)

    def _close_apps(self) -> None:
        """Drop the series of apps that have no target any more, unless they have counted something."""
        if self._apps_without_target:
            self._apps_without_target = False
            self._ledger.close_apps(self._configured_apps.union(self._apps, self._counted_apps))
            if self._board is not None:
                self._board.close_apps({series.app_id for series in self._ledger.counters()})

    def apply_read(self, reading: ReadResult) -> TaskState | None:
        """Take a read in; None when its target is tracked no more, be it by this very read."""
        with self._lock:
            known = self._known.get(reading.target)
            if known is None:
                return None
            learnt, step = apply_read(known, reading)
            self._record(step)
            self._settle(reading.target, learnt, self._clock.unix())
            return self._known.get(reading.target)

    def apply_callback(self, callback: Callback) -> TaskState | None:
        """Take a callback in; None when its target is tracked no more. Written or not, it is in the ledger then."""
        now = self._clock.unix()
        with self._lock:
            known = self._known.get(callback.target)
            if known is None:
                self._record(received(callback, now))
            else:
                known, step = apply_callback(known, callback, now)
                self._record(step)
                self._settle(callback.target, known, now)
                known = self._known.get(callback.target)
        return known

    def expire(self) -> list[TargetId]:
        """Apply what has fallen due with time alone; returns the targets forgotten since it was last asked."""
        now = self._clock.unix()
        with self._lock:
            for _ in range(AT_A_TIME):
                if not self._expiries or self._expiries[0][0] > now:
                    break
                moment, target = heapq.heappop(self._expiries)
                if self._looks_at.get(target) == moment:
                    del self._looks_at[target]
                    self._settle(target, self._known[target], now)
            self._sweep_looks()
            self._close_apps()
            forgotten = list(self._forgotten)
            self._forgotten.clear()
        return forgotten

    def expired_listings(self) -> list[TargetId]:
        """The targets whose listing has ended by itself; they are tracked until a list without them comes."""
        now = self._clock.unix()
        with self._lock:
            for target in tuple(self._expired_listings):  # a push may have named it since that was noted
                self._settle(target, self._known[target], now)
            return list(self._expired_listings)

    def resume_drains(self, until: Mapping[TargetId, float]) -> None:
        """Go on with drains that an earlier process began, each until its moment (Unix seconds)."""
        now = self._clock.unix()
        with self._lock:
            for target, moment in until.items():
                if (known := self._known.get(target)) is not None:
                    self._settle(target, replace(known, drain_until=moment), now)

    def cut_short(self, target: TargetId) -> None:
        """Let a target that is being drained go at once."""
        now = self._clock.unix()
        with self._lock:
            if (known := self._known.get(target)) is not None:
                self._settle(target, cut_short(known, now), now)

    def dismiss(self, target: TargetId) -> bool:
        """Remove a stopped or dark task by hand, until it runs again; False when the target is not tracked."""
        now = self._clock.unix()
        with self._lock:
            state = self._known.get(target)
            if state is not None:
                self._settle(target, dismiss(state, now, self.lifetimes), now)
        self._ledger.flush()
        return state is not None

    def __len__(self) -> int:
        """How many targets are tracked, those without series included."""
        return len(self._known)

    def _list(self, target: Target, remembered: Run | None, now: float) -> None:
        before = self._known.get(target.id)
        if before is None:
            self._settle(target.id, accept(target, remembered, now), now)
        elif before.target != target or before.drain_until is not None:
            self._settle(target.id, retarget(before, target), now)

    def _settle(self, target: TargetId, known: TaskState | None, now: float) -> None:
        """Apply what is due, keep what is left, show it, and note when to look again."""
        step = StateChange()
        problems_change: float | None = None
        if known is not None:
            # Asked anew each time: when the fleet grows, the intervals stretch, and nothing is stale for that alone.
            fresh_for, named = self._fresh_for(known), self._named(target)
            if (known.fresh_for, known.named) != (fresh_for, named):
                known = replace(known, fresh_for=fresh_for, named=named)
            # Before time has its say too: a class that is dark decides how long the task is kept.
            evaluated, problems_change = self._with_problems(known, now)
            known, step = expire(evaluated, now, self.lifetimes)
            if known is not None and known is not evaluated:
                known, problems_change = self._with_problems(known, now)
        self._record(step)
        self._expired_listings.discard(target)
        if known is None:
            if self._known.pop(target, None) is not None:
                self._count_app(target.app_id, -1)
            self._looks_at.pop(target, None)
            self._forgotten.add(target)
        else:
            before = self._known.get(target)
            if before is not None and before.display_status is not known.display_status:
                self._changed(before, known, now)
            if before is None:
                self._count_app(target.app_id, 1)
            self._known[target] = known
            self._forgotten.discard(target)
            self._look_again(target, expires_at(known, now, self.lifetimes))
            self._look_again(target, problems_change)
            self._check_listing(target, known, now)
        self._show(target, known, now)

    def _check_listing(self, target: TargetId, known: TaskState, now: float) -> None:
        lapse = listing_expires_at(known, self.lifetimes)
        if lapse is not None and lapse <= now:
            self._expired_listings.add(target)
        else:
            self._look_again(target, lapse)

    def _with_problems(self, state: TaskState, now: float) -> tuple[TaskState, float | None]:
        """The state with the problems that it has now, and when time alone changes them."""
        problems, change = evaluate(state, now, self.thresholds)
        if state.dismissed or is_hidden(state, now, self.lifetimes):
            problems = ()
        return state if problems == state.problems else replace(state, problems=problems), change

    def _look_again(self, target: TargetId, moment: float | None) -> None:
        """Note the moment, unless an earlier look is noted already: that one will note the next."""
        if moment is not None and moment < self._looks_at.get(target, math.inf):
            self._looks_at[target] = moment
            heapq.heappush(self._expiries, (moment, target))

    def _sweep_looks(self) -> None:
        """Drop the looks that an earlier one has taken the place of, before they are more than those that count."""
        if len(self._expiries) > 2 * len(self._looks_at) + FEW:
            self._expiries = [(moment, target) for target, moment in self._looks_at.items()]
            heapq.heapify(self._expiries)

    def _show(self, target: TargetId, known: TaskState | None, now: float) -> None:
        if self._board is None:
            return
        if known is None or is_hidden(known, now, self.lifetimes):
            self._board.hide(target)
        else:
            self._board.show(known)
