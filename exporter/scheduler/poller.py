"""One account's polling: sends its calls within the budget, and decides after each when its target is read next.

The account's job `read:<account>` runs `serve`; each call runs on a thread of the account's executor, which gets it at
the moment at which the call may be sent.
"""

import math
import random
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from threading import Event, Lock

import structlog

from exporter.errors import CLOCK_CODE, Fault, ReadError
from exporter.metrics.self_metrics import AccountNumbers, SelfMetrics
from exporter.model.clock import Clock
from exporter.model.target import TargetId
from exporter.model.task import ReadResult
from exporter.model.task_state import NextRead, TaskState
from exporter.scheduler.circuit_breaker import BreakerEvent, CircuitBreakers, FailureLog, Health, Ticket
from exporter.scheduler.read_queue import (
    CurrentIntervals,
    IntervalFactors,
    PollIntervals,
    ReadClass,
    ReadQueue,
    Wait,
    demand,
    jittered,
    next_wait,
    periods,
    stretch,
)
from exporter.scheduler.registry import TaskRegistry
from exporter.volcengine.client import Client
from exporter.volcengine.rate_limiter import Permit, RateLimiter

log = structlog.stdlib.get_logger(__name__)

FLEET_CHECK = 0.1
"""Seconds between two looks at how far intervals stretch and how late reads are."""

START_CHECK = 10.0
"""Seconds until a target that awaits its expected start is checked again: the wall clock may have been set."""

IN_FLIGHT_RETRY_SECONDS = 1.0
"""Seconds until a target is checked again that was listed anew while an earlier read of it is under way."""

CATCH_UP = 2.0
"""Seconds' worth of an account's reads that are made up for at once after an outage; others wait for their turns."""

CLOCK_STEP = 1.0
"""Seconds by which the wall clock must have been set before calls refused for their timestamp are tried at once."""

EARLY = "its expected start is still to come"
PROBING = "calls of its account or app fail: one at a time tries, until it is answered"
"""Why a target that is due is not read."""


@dataclass(frozen=True, slots=True)
class ReadAccount:
    """One account as polling sees it.

    `max_in_flight` is how many calls may be under way at once.
    """

    name: str
    client: Client
    rate_limiter: RateLimiter
    max_in_flight: int
    executor: Executor


@dataclass(slots=True)
class _PendingRead:
    """A call that was sent to a thread; `cancelled` when no thread could be had for it."""

    target: TargetId
    permit: Permit
    ticket: Ticket
    cancelled: bool = False


class Poller:
    """Polls one account's targets. Safe for threads: `_lock` guards the queue, the breakers and what else is here."""

    def __init__(
        self,
        account: ReadAccount,
        intervals: PollIntervals,
        stale_after: float,
        *,
        clock: Clock,
        registry: TaskRegistry,
        self_metrics: SelfMetrics,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self.account = account
        self._intervals = intervals
        self._clock = clock
        self._registry = registry
        self._self_metrics = self_metrics
        self._jitter = jitter
        self._lock = Lock()
        self._serving = Lock()
        self._wake = Event()
        self._queue = ReadQueue()
        self._breakers = CircuitBreakers(intervals.max_backoff, jitter)
        self._health = Health(stale_after)
        self._failure_log = FailureLog(account.name)
        self._apps: Counter[str] = Counter()
        self._failures: dict[TargetId, int] = {}
        self._starts: dict[TargetId, float] = {}
        self._being_read: set[TargetId] = set()
        self._clock_offset = clock.unix() - clock.monotonic()
        self._stretch: IntervalFactors = {}
        self._late = 0.0
        self._fleet_checked_at = -math.inf
        self._next_look = -math.inf
        self._waiting_since: float | None = None
        self._no_thread = False
        self._stopped = False
        self._publish_intervals()

    @property
    def alive(self) -> bool:
        """Whether threads can be had for its calls."""
        return not self._no_thread

    def add(self, state: TaskState) -> None:
        """Read a target from its expected start on, a stopped one only to see a new run. Listed again, it goes on."""
        target, start = state.target.id, state.target.expected_start
        now = self._clock.monotonic()
        with self._lock:
            self._starts.pop(target, None)
            if start is not None and not state.live:
                self._starts[target] = start
            if target in self._queue:
                return
            self._apps[target.app_id] += 1
            if state.finished:
                self._queue.add(target, now + self._intervals.reread_stopped, ReadClass.REREAD)
            else:
                self._queue.add(target, now)
        self._wake.set()

    def make_due(self, target: TargetId) -> None:
        """End the wait for its next read, within its read class: a stopped one's comes from a tenth of the budget."""
        with self._lock:
            self._queue.make_due(target, self._clock.monotonic())
        self._wake.set()

    def prioritize(self, target: TargetId) -> None:
        """Read it before the others, but so at most once per fast interval; it has news, whenever it is to start."""
        with self._lock:
            self._starts.pop(target, None)
            gap = min(self._intervals.fast_interval, self._intervals.interval)
            self._queue.prioritize(target, self._clock.monotonic(), gap)
        self._wake.set()

    def targets(self) -> set[TargetId]:
        """The targets that it polls."""
        with self._lock:
            return set(self._queue)

    def reconfigure(self, account: ReadAccount, intervals: PollIntervals, stale_after: float) -> None:
        """Go on with the same targets under another configuration; what is the same stays as it is.

        With another client, calls that were refused or failed are tried at once.
        """
        old, new = periods(self._intervals), periods(intervals)
        with self._lock:
            other_client = account.client is not self.account.client
            self.account = account
            self._intervals = intervals
            self._health.stale_after = stale_after
            now = self._clock.monotonic()
            if new != old:
                self._queue.rescale(now, {each: new[each] / old[each] for each in ReadClass})
            self._breakers.reconfigure(intervals.max_backoff)
            if other_client:
                self._breakers.try_at_once(now)
            self._publish_intervals()
        self._wake.set()

    def try_at_once(self) -> None:
        """Try calls that were refused or failed: the account's credentials have changed."""
        with self._lock:
            self._breakers.try_at_once(self._clock.monotonic())
        self._wake.set()

    def remove(self, target: TargetId) -> None:
        """Remove a target."""
        with self._lock:
            if target in self._queue:
                self._apps[target.app_id] -= 1
                if not self._apps[target.app_id]:
                    del self._apps[target.app_id]
            self._queue.remove(target)
            self._failures.pop(target, None)
            self._starts.pop(target, None)
            self._failure_log.forget(target)
            self._breakers.forget(target)

    def stop(self) -> None:
        """Send nothing more, and take in nothing that is still under way."""
        self._stopped = True
        self._wake.set()

    def serve(self, seconds: float) -> None:
        """Send calls for so many seconds, each when it may be sent."""
        end = self._clock.monotonic() + seconds
        with self._serving:
            while not self._stopped:
                look = self.send_due()
                now = self._clock.monotonic()
                if now >= end:
                    return
                self._wake.wait(max(0.0, min(look, end) - now))
                self._wake.clear()

    def send_due(self) -> float:
        """Send every call that may be sent now; returns when to look again (monotonic seconds)."""
        self._check_clock()
        while not self._stopped:
            found = self._next_call()
            if not isinstance(found, _PendingRead):
                self._check_fleet()
                self._next_look = found
                return found
            self._submit(found)
        return math.inf

    def next_read(self, target: TargetId) -> NextRead | None:
        """When a target will be read next, if reads stay as late as they are; None when it is not polled."""
        now, unix = self._clock.monotonic(), self._clock.unix()
        with self._lock:
            found = self._queue.next_read(target, self._stretch)
            start, probe = self._starts.get(target), self._breakers.next_probe(target.app_id)
        if found is None:
            return None
        read_class, monotonic = found[0] or "", found[1]
        if monotonic is None:
            return NextRead(read_class, None)
        due = unix + monotonic - now + (self._late if read_class else 0.0)
        if start is not None and start > unix:
            return NextRead(read_class, max(start, due), EARLY)
        if probe is None:
            return NextRead(read_class, due)
        return NextRead(read_class, max(due, unix + probe - now), PROBING)

    def numbers(self) -> AccountNumbers:
        """The account's gauges."""
        now = self._clock.monotonic()
        with self._lock:
            oldest = self._queue.oldest_due(now, self._stretch)
            return AccountNumbers(
                configured_rate=self.account.rate_limiter.configured,
                effective_rate=self.account.rate_limiter.effective,
                demand=demand(self._queue.class_counts, self._intervals),
                up=self._health.up(now),
                clock_skew=self._health.clock_skew,
                oldest_due=None if oldest is None else self._clock.unix() - (now - oldest),
            )

    def _next_call(self) -> _PendingRead | float:
        """The next call that may be sent now, or when to look again."""
        with self._lock:
            limiter = self.account.rate_limiter
            slot = limiter.next_slot()  # asked before the time, so that a slot that is free now is not in the future
            now = self._clock.monotonic()
            if len(self._being_read) >= self.account.max_in_flight:
                return math.inf  # the end of a call wakes
            probe = self._breakers.account_probe_at
            if probe is not None and not self._breakers.allows(now):
                return probe
            if slot > now:
                if self._waiting_since is None and self._queue.next_due() <= now:
                    self._waiting_since = now
                return slot
            target = self._next_target(now)
            if target is None:
                self._waiting_since = None
                return max(self._queue.next_due(), now + 0.001)
            permit = limiter.try_acquire()
            if permit is None:
                self._queue.put_back(target)
                return max(limiter.next_slot(), now + 0.001)
            waited = 0.0 if self._waiting_since is None else now - self._waiting_since
            self._waiting_since = None
            self._being_read.add(target)
            return _PendingRead(target, permit._replace(waited=waited), self._breakers.send(target.app_id, now))

    def _next_target(self, now: float) -> TargetId | None:
        """The next target that may be read; those that may not wait for their moment."""
        effective = self.account.rate_limiter.effective
        while (target := self._queue.pop(now, effective, self._stretch)) is not None:
            until = self._held_until(target, now)
            if until is None:
                return target
            self._queue.put_off(target, until)
        return None

    def _held_until(self, target: TargetId, now: float) -> float | None:
        if target in self._being_read:
            return now + IN_FLIGHT_RETRY_SECONDS
        if target in self._starts:
            early = self._starts[target] - self._clock.unix()
            if early > 0:
                return now + min(early, START_CHECK)
            del self._starts[target]
        return self._breakers.app_probe_at(target.app_id, now)

    def _submit(self, call: _PendingRead) -> None:
        try:
            self.account.executor.submit(self._call, call)
        except RuntimeError as error:
            call.cancelled = True  # it may be in the executor's queue all the same
            with self._lock:
                self._being_read.discard(call.target)
                self._queue.put_off(call.target, self._clock.monotonic() + IN_FLIGHT_RETRY_SECONDS)
            if not self._no_thread and not self._stopped:
                self._no_thread = True
                log.error("no thread for calls", account=self.account.name, error=str(error))
            return
        if self._no_thread:
            self._no_thread = False
            log.info("threads for calls again", account=self.account.name)

    def _call(self, call: _PendingRead) -> None:
        """Make a call and take in its result."""
        if call.cancelled:
            return
        try:
            result = self.account.client.read(call.target, call.permit)
            if not self._stopped:
                self._apply_result(result, call.ticket)
        except Exception:  # the edge of a read: it is counted, and the target read again
            self._reschedule(call.target, Wait(ReadClass.BACKOFF, self._intervals.longest_backoff))
            self._self_metrics.internal_errors.inc()
            log.exception("unexpected error", job=f"read:{self.account.name}", target=str(call.target))
        finally:
            with self._lock:
                was_full = len(self._being_read) >= self.account.max_in_flight
                self._being_read.discard(call.target)
            if was_full:
                self._wake.set()

    def _apply_result(self, result: ReadResult, ticket: Ticket) -> None:
        self._self_metrics.observe(self.account.name, result)
        polled = self._note_result(result, ticket)
        state = self._registry.apply_read(result) if polled else None
        if state is None:
            # A target that is forgotten is removed here too. It may have been listed again by then, so it goes on.
            self._reschedule(result.target, Wait(ReadClass.NORMAL, self._intervals.interval))
            return
        failures = self._count_failure(result.target, result.error)
        self._reschedule(result.target, next_wait(state, self._clock.unix(), failures, self._intervals))

    def _note_result(self, result: ReadResult, ticket: Ticket) -> bool:
        """Take in what the result says of the account; returns whether its target is still polled."""
        now = self._clock.monotonic()
        with self._lock:
            self._health.add(result, now)
            events = self._breakers.add_result(
                result,
                ticket,
                now,
                targets=len(self._queue),
                of_app=self._apps[result.target.app_id],
                interval=self._intervals.interval,
            )
            for event in events:
                self._follow_breaker(event, now)
            polled = result.target in self._queue
            if polled:
                self._failure_log.add(result, now)
        if result.error is not None:
            log.debug("read failed", account=self.account.name, target=str(result.target), error=str(result.error))
        for event in events:
            self._log_breaker(event)
        return polled

    def _follow_breaker(self, event: BreakerEvent, now: float) -> None:
        if event.error is None:
            at_once = 1  # of an app: many may come back together
            if event.app_id is None:
                at_once = math.floor(CATCH_UP * demand(self._queue.class_counts, self._intervals))
            self._queue.spread(now, periods(self._intervals), at_once, event.app_id)
            self._wake.set()
        else:
            self._clock_offset = self._clock.unix() - now
            for target in event.targets:
                self._failures.pop(target, None)

    def _count_failure(self, target: TargetId, error: ReadError | None) -> int:
        """How often in a row, success apart, the target was itself at fault."""
        with self._lock:
            if error is None:
                self._failures.pop(target, None)
            elif target in self._queue and self._is_own_fault(target, error):
                self._failures[target] = self._failures.get(target, 0) + 1
            return self._failures.get(target, 0)

    def _is_own_fault(self, target: TargetId, error: ReadError) -> bool:
        """Whether the target alone is to blame; a refusal is its own while no breaker is open."""
        if error.fault in (Fault.ACCOUNT, Fault.APP):
            return not self._breakers.holds(target.app_id)
        return error.fault is Fault.TARGET

    def _reschedule(self, target: TargetId, wait: Wait) -> None:
        if wait.read_class is ReadClass.BACKOFF:
            wait = replace(wait, seconds=jittered(wait.seconds, self._jitter))
        with self._lock:
            now = self._clock.monotonic()
            probe = self._breakers.next_probe(target.app_id)
            if probe is not None and self._queue.next_due() > probe:  # then this one is the probe
                wait = replace(wait, at_most=min(wait.at_most, max(0.0, probe - now)))
            due = self._queue.reschedule(target, now, wait, self._stretch)
        if due < self._next_look:
            self._wake.set()

    def _check_clock(self) -> None:
        """Try at once what was refused for its timestamp when the wall clock has been set since then."""
        with self._lock:
            now = self._clock.monotonic()
            error = self._breakers.error
            if error is None or error.code != CLOCK_CODE:
                return
            if abs(self._clock.unix() - now - self._clock_offset) > CLOCK_STEP:
                self._clock_offset = self._clock.unix() - now
                self._breakers.try_at_once(now)

    def _check_fleet(self) -> None:
        """How far to stretch, and how late reads are; while the breaker is open, the wait is not for other targets."""
        now = self._clock.monotonic()
        if now < self._fleet_checked_at + FLEET_CHECK:
            return
        with self._lock:
            self._fleet_checked_at = now
            limiter = self.account.rate_limiter
            self._stretch = stretch(self._queue.class_counts, self._intervals, limiter.effective)
            self._late = self._queue.lateness(now, self._stretch) if self._breakers.closed else 0.0
            self._publish_intervals()
            self._failure_log.check(now, full_rate=limiter.effective >= limiter.configured)

    def _publish_intervals(self) -> None:
        self._registry.set_intervals(self.account.name, CurrentIntervals(self._intervals, self._stretch, self._late))

    def _log_breaker(self, event: BreakerEvent) -> None:
        whose = {} if event.app_id is None else {"app_id": event.app_id}
        if event.error is None:
            log.info("circuit closed", account=self.account.name, **whose)
        else:
            log.warning("circuit open", account=self.account.name, **whose, error=str(event.error))
