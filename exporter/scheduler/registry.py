"""The task registry: the state of every target, and where each change of it goes.

A change goes one way: state -> store (what must be counted) -> series cache (what is shown). Nothing else holds state
of a task, so what is forgotten here is gone everywhere. Nothing here waits for the disk: the store queues.
"""

import heapq
import json
import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from threading import Lock

from exporter.enums import Severity, TaskProblem
from exporter.errors import CLOCK_CODE, AppRefused, NotFound
from exporter.metrics.series_cache import SeriesCache
from exporter.metrics.task_history import HistoryLog
from exporter.model.clock import Clock
from exporter.model.problem import MAX_CLASS_SECONDS, ProblemThresholds, evaluate
from exporter.model.run import Run, StateChange
from exporter.model.target import Target, TargetId
from exporter.model.task import Callback, ReadResult
from exporter.model.task_state import (
    ActiveProblem,
    Lifetimes,
    ListingTimes,
    TaskState,
    accept,
    apply_callback,
    apply_read,
    dismiss,
    end_drain,
    expire,
    expires_at,
    is_hidden,
    listing_expires_at,
    received,
    release,
    retarget,
)
from exporter.scheduler.read_queue import CurrentIntervals
from exporter.store.store import Commit, Store, StoredTarget, StoredTargets

FRESH_FOR_INTERVALS = 3
"""A read is fresh for so many of the intervals now in force (docs/behaviour.md, "Reads")."""

EXPIRY_BATCH = 1000
"""Targets that one `expire` looks at: a whole fleet that falls due at once must not hold the lock for long."""

DEFAULT_THRESHOLDS = ProblemThresholds()

MAX_APPS = 500
"""Apps whose counters exist before anything was counted; a list of wrong ids must not make a million series."""

SWEEP_SLACK = 100
"""Superseded checks that are left in place before a sweep removes them."""


DARK = "dark"
"""In place of a source in the table of targets: the classes that are dark, and since when."""


CLOCK_TOLERANCE = 5.0
"""Seconds by which the wall clock may step ahead and still be believed at once."""

CLOCK_HOLD = 60.0
"""Seconds for which the wall clock must stand by a larger step before it is believed."""

DISMISSED = "dismissed"
"""In place of a source in the table of targets: the tasks that a person has removed, and which run each had then."""

MAX_DISMISSED_SECONDS = 30 * 86_400.0
"""A removed task that no source has listed for so long is not remembered."""


class TaskRegistry:
    """The state of each target. Safe for threads: one lock, held for pure functions only.

    `listing_times` tells when a push and a callback last listed a target. `history` keeps the latest reads and changes
    of each task.
    """

    def __init__(
        self,
        store: Store,
        lifetimes: Lifetimes,
        clock: Clock,
        listing_times: Callable[[TargetId], ListingTimes] = lambda _: ListingTimes(),
        *,
        thresholds: ProblemThresholds = DEFAULT_THRESHOLDS,
        history: HistoryLog | None = None,
    ) -> None:
        self._lifetimes = lifetimes
        self._thresholds = thresholds
        self._listing_times = listing_times
        self._intervals: dict[str, CurrentIntervals] = {}
        self._history = history or HistoryLog()
        self._store = store
        self._clock = SteadyClock(clock)
        self._lock = Lock()
        self._states: dict[TargetId, TaskState] = {}
        self._apps: Counter[str] = Counter()  # how many tracked targets each app has
        self._counted_apps: set[str] = set()
        self._dark_classes = StoredTargets(store, DARK)
        self._dark_before: dict[TargetId, ActiveProblem] = {}
        self._dismissals = StoredTargets(store, DISMISSED)
        self._dismissed_before: dict[TargetId, StoredTarget] = {}
        self._apps_without_target = False
        self._configured_apps: frozenset[str] = frozenset()
        self._checks: list[tuple[float, TargetId]] = []
        self._check_at: dict[TargetId, float] = {}
        self._forgotten: set[TargetId] = set()
        self._expired_listings: set[TargetId] = set()
        self._series_cache: SeriesCache | None = None

    def __len__(self) -> int:
        """Number of tracked targets, those without series included."""
        return len(self._states)

    @property
    def lifetimes(self) -> Lifetimes:
        """How long things are kept and waited for."""
        return self._lifetimes

    def set_intervals(self, account: str, intervals: CurrentIntervals) -> None:
        """Let reads of an account's tasks stay fresh as its intervals are now."""
        self._intervals[account] = intervals

    def attach(self, series_cache: SeriesCache) -> None:
        """Show every state, and every change of it, in `series_cache`."""
        self._series_cache = series_cache

    def get(self, target: TargetId) -> TaskState | None:
        """The state of a target, None when it is not tracked. Takes no lock."""
        return self._states.get(target)

    def all(self) -> list[TaskState]:
        """The state of every target."""
        with self._lock:
            return list(self._states.values())

    def now(self) -> float:
        """Unix seconds by the clock that does not follow a wall clock which is ahead for a moment."""
        return self._clock.unix()

    @property
    def clock_is_refused(self) -> bool:
        """Whether the API's latest word on the time of this machine is that it is wrong."""
        return self._clock.refused

    @property
    def clock_is_proven(self) -> bool:
        """Whether the API accepts the time of this machine: before that nothing is deleted or ended because of it."""
        return self._clock.proven

    @property
    def thresholds(self) -> ProblemThresholds:
        """The thresholds of problems in force."""
        return self._thresholds

    def reconfigure(self, lifetimes: Lifetimes, thresholds: ProblemThresholds = DEFAULT_THRESHOLDS) -> None:
        """Apply other lifetimes and thresholds to every target at once, stopped ones included."""
        if (lifetimes, thresholds) == (self._lifetimes, self._thresholds):
            return
        now = self._clock.unix()
        self._lifetimes, self._thresholds = lifetimes, thresholds
        for state in self.all():
            with self._lock:
                if (current := self._states.get(state.target.id)) is not None:
                    self._settle(state.target.id, current, now)

    def change_targets(
        self, listed: Mapping[TargetId, Target], gone: Iterable[TargetId], remembered: Mapping[TargetId, Run]
    ) -> None:
        """Track the `listed` targets and release those that are `gone`; all others stay as they are."""
        now = self._clock.unix()
        for released in gone:
            with self._lock:
                if (state := self._states.get(released)) is not None:
                    self._settle(released, release(state, now, self._lifetimes), now)
        for target in listed.values():
            with self._lock:
                self._track(target, remembered.get(target.id), now)
        with self._lock:
            self._close_apps()

    def resume(self, account_of: Callable[[str], str | None] = lambda _: None) -> dict[TargetId, Target]:
        """Go on with the classes that were dark, and the removed tasks, of the process before this one; StartError.

        Returns the targets of those classes as they were last listed, as far as an account reads them: until the lists
        have been read, nothing else tells of them.
        """
        now = self._clock.unix()
        rows = dict(self._dark_classes.load())
        over = [target for target, row in rows.items() if row.renewed_at <= now]
        self._dark_before = {
            target: ActiveProblem(
                TaskProblem.CLASS_DARK, Severity.CRITICAL, float(row.labels["since"]), row.labels["cause"]
            )
            for target, row in rows.items()
            if target not in over
        }
        if over:
            self._dark_classes.drop(over)

        removed = self._dismissals.load()
        old = [target for target, row in removed.items() if row.renewed_at < now - MAX_DISMISSED_SECONDS]
        if old:
            self._dismissals.drop(old)
        self._dismissed_before = {target: row for target, row in removed.items() if target not in old}
        accounts = {target: account_of(target.app_id) for target in self._dark_before}
        return {target: _target_of(target, rows[target], account) for target, account in accounts.items() if account}

    def _store_dismissed(self, target: TargetId, before: TaskState | None, state: TaskState | None, now: float) -> None:
        """Store which tasks a person has removed, so that a restart does not show them again."""
        was = before is not None and before.dismissed
        stored = self._dismissed_before.pop(target, None) if before is None else None
        if state is not None and state.dismissed:
            if not was:
                self._dismissals.keep({target: StoredTarget(_dismissal(state), now)})
        elif was or stored is not None:
            self._dismissals.drop([target])

    def _store_dark(self, target: TargetId, before: TaskState | None, state: TaskState | None) -> None:
        """Store which classes are dark, so that a restart forgets none, though no list names it any more."""
        was = self._dark_before.get(target) if before is None else _dark(before)
        now = None if state is None else _dark(state)
        if now == was:
            return
        self._dark_before.pop(target, None)
        if now is None or state is None:
            self._dark_classes.drop([target])
        else:
            until = state.target.expected_end or now.since + MAX_CLASS_SECONDS
            self._dark_classes.keep({target: StoredTarget(_dark_row(state.target, now), until)})

    def open_apps(self, configured: Iterable[str]) -> None:
        """Create the counters of the apps that the configuration names; they stay without a target."""
        with self._lock:
            self._configured_apps = frozenset(configured)
            for app_id in self._configured_apps:
                self._store.open_app(app_id)

    def apply_read(self, result: ReadResult) -> TaskState | None:
        """Take in a read; None when its target is tracked no more."""
        with self._lock:
            state = self._states.get(result.target)
            if state is None:
                return None
            self._clock.add_read(result)
            state, change = apply_read(state, result)
            self._record(change)
            self._history.add_read(result)
            self._settle(result.target, state, self._clock.unix())
            return self._states.get(result.target)

    def apply_callback(self, callback: Callback) -> TaskState | None:
        """Take in a callback; None when its target is not tracked. It is in the store's queue in any case.

        StateError when the queue does not take it: nothing has changed.
        """
        now = self._clock.unix()
        with self._lock:
            state = self._states.get(callback.target)
            if state is None:
                self._queue(received(callback, now))
            else:
                state, change = apply_callback(state, callback, now)
                self._queue(change)
                self._settle(callback.target, state, now)
                state = self._states.get(callback.target)
        return state

    def expire(self) -> list[TargetId]:
        """Apply what has fallen due with time alone; returns the targets forgotten since the last call."""
        now = self._clock.unix()
        with self._lock:
            for _ in range(EXPIRY_BATCH):
                if not self._checks or self._checks[0][0] > now:
                    break
                moment, target = heapq.heappop(self._checks)
                if self._check_at.get(target) == moment:
                    del self._check_at[target]
                    self._settle(target, self._states[target], now)
            self._sweep_checks()
            self._close_apps()
            forgotten = list(self._forgotten)
            self._forgotten.clear()
        return forgotten

    def expired_listings(self) -> list[TargetId]:
        """Targets whose listing by push or callback has ended by itself; tracked until a list without them comes."""
        now = self._clock.unix()
        with self._lock:
            for target in tuple(self._expired_listings):  # a push may have named it since then
                self._settle(target, self._states[target], now)
            return list(self._expired_listings)

    def resume_drains(self, until: Mapping[TargetId, float]) -> None:
        """Go on with drains that an earlier process began, each until its moment (Unix seconds)."""
        now = self._clock.unix()
        for target, moment in until.items():
            with self._lock:
                if (state := self._states.get(target)) is not None:
                    self._settle(target, replace(state, drain_until=moment), now)

    def end_drain(self, target: TargetId) -> bool:
        """Forget a target that is being drained at once; False when it is not being drained."""
        now = self._clock.unix()
        with self._lock:
            state = self._states.get(target)
            if state is None or state.drain_until is None:
                return False
            self._settle(target, end_drain(state, now), now)
        return True

    def dismiss(self, target: TargetId) -> bool:
        """Remove a stopped or dark task by hand, until it runs again; False when the target is not tracked."""
        now = self._clock.unix()
        with self._lock:
            state = self._states.get(target)
            if state is not None:
                self._settle(target, dismiss(state, now, self._lifetimes), now)
        return state is not None

    def _count_app(self, app_id: str, change: int) -> None:
        """Count a target that comes or goes; the app's counters exist from its first one on."""
        if not self._apps[app_id] and len(self._apps) < MAX_APPS:
            self._store.open_app(app_id)
        self._apps[app_id] += change
        if not self._apps[app_id]:
            del self._apps[app_id]
            self._apps_without_target = True

    def _record(self, change: StateChange) -> Commit | None:
        if not change:
            return None
        self._counted_apps.update(event.app_id for event in change.events)  # some are not yet committed
        return self._store.record(change)

    def _queue(self, change: StateChange) -> None:
        """Record a change that its sender can send again; StateError when it is refused at once."""
        commit = self._record(change)
        if commit is not None and commit.done():
            commit.result()

    def _close_apps(self) -> None:
        """Drop the series of apps that have no target any more, unless they have counted something."""
        if self._apps_without_target:
            self._apps_without_target = False
            self._store.close_apps(self._configured_apps.union(self._apps, self._counted_apps))
            if self._series_cache is not None:
                self._series_cache.close_apps({series.app_id for series in self._store.counters()})

    def _track(self, target: Target, remembered: Run | None, now: float) -> None:
        before = self._states.get(target.id)
        if before is None:
            state = accept(target, remembered, now)
            if target.id in self._dark_before:
                state = replace(state, dark_before=self._dark_before[target.id])
            removed = self._dismissed_before.get(target.id)
            if removed is not None and removed.labels == _dismissal(state):
                state = replace(state, dismissed=True)
            self._settle(target.id, state, now)
        elif before.target != target or before.drain_until is not None:
            self._settle(target.id, retarget(before, target), now)

    def _settle(self, target: TargetId, state: TaskState, now: float) -> None:
        """Apply what is due, keep and show what is left, and note when to check again."""
        # Computed anew each time: when the fleet grows, the intervals stretch, and no task is stale for that alone.
        intervals = self._intervals.get(state.target.account)
        fresh_for = FRESH_FOR_INTERVALS * intervals.between_reads(state, now) if intervals else 0.0
        if state.fresh_for != fresh_for:
            state = replace(state, fresh_for=fresh_for)
        # Before time has its say too: a class that is dark decides how long the task is kept.
        evaluated, problems_change = self._with_problems(state, now)
        left, change = expire(evaluated, now, self._lifetimes)
        self._record(change)
        self._expired_listings.discard(target)
        before = self._states.get(target)
        self._store_dismissed(target, before, left, now)
        if left is None:
            self._store_dark(target, before, None)
            if self._states.pop(target, None) is not None:
                self._count_app(target.app_id, -1)
            self._check_at.pop(target, None)
            self._history.forget([target])
            self._forgotten.add(target)
        else:
            if left is not evaluated:
                left, problems_change = self._with_problems(left, now)
            self._store_dark(target, before, left)
            if before is not None and before.display_status is not left.display_status:
                self._history.add_change(before, left, now)
            if before is None:
                self._count_app(target.app_id, 1)
            self._states[target] = left
            self._forgotten.discard(target)
            self._check_again(target, expires_at(left, now, self._lifetimes))
            self._check_again(target, problems_change)
            self._check_listing(target, left, now)
        self._show(target, left, now)

    def _with_problems(self, state: TaskState, now: float) -> tuple[TaskState, float | None]:
        """The state with the problems that it has now, and when time alone changes them."""
        problems, change = evaluate(state, now, self._thresholds)
        if state.dismissed or is_hidden(state, now, self._lifetimes):
            problems = ()
        return state if problems == state.problems else replace(state, problems=problems), change

    def _check_listing(self, target: TargetId, state: TaskState, now: float) -> None:
        if state.live:
            return  # nothing ends its listing, so that the lists need not be asked
        moment = listing_expires_at(state, self._listing_times(target), self._lifetimes)
        if moment is not None and moment <= now:
            self._expired_listings.add(target)
        else:
            self._check_again(target, moment)

    def _check_again(self, target: TargetId, moment: float | None) -> None:
        """Note the moment, unless an earlier check is noted: that one will note the next."""
        if moment is not None and moment < self._check_at.get(target, math.inf):
            self._check_at[target] = moment
            heapq.heappush(self._checks, (moment, target))

    def _sweep_checks(self) -> None:
        """Drop checks that an earlier one has replaced, before they outnumber the others."""
        if len(self._checks) > 2 * len(self._check_at) + SWEEP_SLACK:
            self._checks = [(moment, target) for target, moment in self._check_at.items()]
            heapq.heapify(self._checks)

    def _show(self, target: TargetId, state: TaskState | None, now: float) -> None:
        if self._series_cache is None:
            return
        if state is None or is_hidden(state, now, self._lifetimes):
            self._series_cache.hide(target)
        else:
            self._series_cache.show(state)


def _dismissal(state: TaskState) -> dict[str, str]:
    """What a removal is about: this run, and this class."""
    return {
        "run": repr(state.run.first_seen) if state.run else "",
        "expected_start": repr(state.target.expected_start),
    }


def _dark(state: TaskState) -> ActiveProblem | None:
    return next((active for active in state.problems if active.problem is TaskProblem.CLASS_DARK), None)


def _dark_row(target: Target, dark: ActiveProblem) -> dict[str, str]:
    times = {"start": target.expected_start, "end": target.expected_end}
    return {
        "since": repr(dark.since),
        "cause": dark.cause,
        "labels": json.dumps(dict(target.labels)),
        **{name: repr(time) for name, time in times.items() if time is not None},
    }


def _target_of(target: TargetId, row: StoredTarget, account: str) -> Target:
    """The target of a stored dark class."""
    start, end = (float(row.labels[name]) if name in row.labels else None for name in ("start", "end"))
    labels = json.loads(row.labels.get("labels", "{}"))
    return Target(target, account, labels=labels, expected_start=start, expected_end=end)


class SteadyClock:
    """A wall clock that follows a large step ahead only after CLOCK_HOLD seconds; a step back it follows at once.

    Decisions that cannot be taken back (a run is lost, a target is forgotten) go by it, so that a wall clock that is
    ahead for a moment, or for as long as the API refuses its time, changes nothing. `refused` and `proven` say whether
    the API's latest word is that its time is wrong, or right.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._offset = clock.unix() - clock.monotonic()
        self._differs_since: float | None = None
        self.refused = self.proven = False

    def add_read(self, result: ReadResult) -> None:
        """Take in what a read says of the clock: a call is answered only if its time is right by 15 minutes."""
        if result.error is not None and result.error.code == CLOCK_CODE:
            self.refused, self.proven = True, False
        elif result.error is None or isinstance(result.error, NotFound | AppRefused):
            self.refused, self.proven = False, True

    def unix(self) -> float:
        """Unix seconds."""
        wall, monotonic = self._clock.unix(), self._clock.monotonic()
        if wall - monotonic - self._offset > CLOCK_TOLERANCE:
            if self._differs_since is None:
                self._differs_since = monotonic
            if self.refused or monotonic - self._differs_since < CLOCK_HOLD:
                return monotonic + self._offset
        self._offset, self._differs_since = wall - monotonic, None
        return wall
