"""One account's polling: hands out its calls within the budget, and settles what came of each."""

import logging
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import partial
from threading import Lock

from exporter.errors import Fault, ReadError
from exporter.metrics.self_metrics import AccountNumbers
from exporter.model.clock import Clock
from exporter.model.read_result import ReadResult
from exporter.model.target import TargetId
from exporter.model.task_state import NextRead, TaskState
from exporter.scheduler.circuit_breakers import BreakerEvent, CircuitBreakers, Generations
from exporter.scheduler.failure_log import FailureLog, Line
from exporter.scheduler.health import Health
from exporter.scheduler.intervals import (
    IntervalFactors,
    PollIntervals,
    ReadClass,
    Wait,
    demand,
    jittered,
    next_wait,
    periods,
    stretch,
)
from exporter.scheduler.pool import Work
from exporter.scheduler.ports import Account, Ports
from exporter.scheduler.read_queue import ReadQueue
from exporter.scheduler.scheduler import BEAT

log = logging.getLogger(__name__)

LOOK_AHEAD = 2 * BEAT
"""Seconds ahead for which slots are taken: the next beat may come late, and no slot is to be lost for that."""

LOOK_AGAIN = 10.0
"""Seconds until a target that awaits its expected start is looked at again: the wall clock may have been set."""

STILL_READ = 1.0
"""Seconds until a target is looked at again that was listed anew while an earlier read of it is under way."""


EARLY = "its expected start is still to come"
PROBING = "calls of its account or app fail: one at a time tries, until it is answered"
"""Why a target that is due is not read."""


@dataclass(frozen=True, slots=True)
class _Call:
    """A call that was handed out: its slot in monotonic seconds, and how matters stood with the gates."""

    target: TargetId
    slot: float
    epochs: Generations


class Poller:
    """Polls one account's targets. Safe for threads."""

    def __init__(
        self, account: Account, intervals: PollIntervals, stale_after: float, clock: Clock, ports: Ports
    ) -> None:
        self.account = account
        self._cadence = intervals
        self._clock = clock
        self._ports = ports
        self._lock = Lock()
        self._round = ReadQueue()
        self._gates = CircuitBreakers(intervals.max_backoff, ports.chance)
        self._health = Health(stale_after)
        self._reports = FailureLog()
        self._strikes: dict[TargetId, int] = {}
        self._starts: dict[TargetId, float] = {}
        self._being_read: set[TargetId] = set()
        self._generation = account.generation()
        self._stretch: IntervalFactors = {}
        self._late = 0.0
        self._stopped = False

    def add(self, known: TaskState) -> None:
        """Read a target from its expected start on, a stopped one only to see a new run. Listed again, it goes on."""
        target, start = known.target.id, known.target.expected_start
        now = self._clock.monotonic()
        with self._lock:
            self._starts.pop(target, None)
            if start is not None and not known.live:
                self._starts[target] = start
            if target in self._round:
                return
            if known.finished:
                self._round.add(target, now + self._cadence.reread_stopped, ReadClass.REREAD)
            else:
                self._round.add(target, now)

    def make_due(self, target: TargetId) -> None:
        """Its next read waits no longer, in its lane: a stopped one's comes from a tenth of the budget."""
        with self._lock:
            self._round.make_due(target, self._clock.monotonic())

    def ask(self, target: TargetId) -> None:
        """Read it before the others, but so at most once per fast interval; it has news, whenever it is to start."""
        with self._lock:
            self._starts.pop(target, None)
            gap = min(self._cadence.fast_interval, self._cadence.interval)
            self._round.ask(target, self._clock.monotonic(), gap)

    def targets(self) -> set[TargetId]:
        """Those that take part."""
        with self._lock:
            return set(self._round)

    def reconfigure(self, account: Account, intervals: PollIntervals, stale_after: float) -> None:
        """Go on with the same targets, each at its place, under another configuration; all are tried at once."""
        old, new = periods(self._cadence), periods(intervals)
        with self._lock:
            self.account = account
            self._cadence = intervals
            self._health.stale_after = stale_after
            self._round.rescale(self._clock.monotonic(), {lane: new[lane] / old[lane] for lane in ReadClass})
            self._gates.reconfigure(intervals.max_backoff)
            self._generation = account.generation()
            self._hurry(self._gates.try_at_once())

    def remove(self, target: TargetId) -> None:
        """Read it no more."""
        with self._lock:
            self._round.remove(target)
            self._strikes.pop(target, None)
            self._starts.pop(target, None)
            self._reports.forget(target)

    def stop(self) -> None:
        """Hand out nothing more, and take in nothing that is still on its way."""
        self._stopped = True

    def hand_out(self, until: float) -> None:
        """Send off every call that is due and whose slot comes by `until` (monotonic seconds)."""
        self._look_at_credentials()
        while not self._stopped and (call := self._next_call(until)) is not None:
            try:
                self._ports.submit(partial(self._call, call))
            except RuntimeError as error:
                self._take_back(call)
                self._ports.failed("a thread for a call", error)
                break
        self._look_at_fleet()

    def in_force(self, known: TaskState) -> float:
        """The interval now in force for a task in seconds: as stretched, and as late as the round is; no backoff."""
        wait = next_wait(known, self._clock.unix(), 0, self._cadence)
        return wait.seconds * self._stretch.get(wait.lane, 1.0) + self._late

    def turn(self, target: TargetId) -> NextRead | None:
        """When a target will be read next, if the round stays as late as it is; None when it takes no part."""
        now, unix = self._clock.monotonic(), self._clock.unix()
        with self._lock:
            found = self._round.turn(target, self._stretch)
            start, probe = self._starts.get(target), self._gates.next_probe(target.app_id)
        if found is None:
            return None
        lane, monotonic = found[0] or "", found[1]
        if monotonic is None:
            return NextRead(lane, None)
        due = unix + monotonic - now + (self._late if lane else 0.0)
        if start is not None and start > unix:
            return NextRead(lane, max(start, due), EARLY)
        return NextRead(lane, due) if probe is None else NextRead(lane, max(due, unix + probe - now), PROBING)

    def numbers(self) -> AccountNumbers:
        """What this account's polling says of itself."""
        now = self._clock.monotonic()
        with self._lock:
            oldest = self._round.oldest_due(now, self._stretch)
            return AccountNumbers(
                configured_rate=self.account.budget.configured,
                effective_rate=self.account.budget.effective,
                demand=demand(self._round.lanes, self._cadence),
                up=self._health.up(now),
                clock_skew=self._health.clock_skew,
                oldest_due=None if oldest is None else self._clock.unix() - (now - oldest),
            )

    def _next_call(self, until: float) -> _Call | None:
        with self._lock:
            now = self._clock.monotonic()
            if len(self._being_read) >= self.account.most_in_flight or not self._gates.lets_through(now):
                return None
            target = self._take(now)
            if target is None:
                return None
            slot = self.account.budget.reserve(until)
            if slot is None:
                self._round.put_back(target)
                return None
            self._being_read.add(target)
            return _Call(target, slot, self._gates.sent(target.app_id, now))

    def _take(self, now: float) -> TargetId | None:
        """The next target that may be read; those that may not wait for their moment."""
        effective = self.account.budget.effective
        while (target := self._round.take(now, effective, self._stretch)) is not None:
            until = self._held_until(target, now)
            if until is None:
                return target
            self._round.put_off(target, until)
        return None

    def _held_until(self, target: TargetId, now: float) -> float | None:
        if target in self._being_read:
            return now + STILL_READ
        if target in self._starts:
            early = self._starts[target] - self._clock.unix()
            if early > 0:
                return now + min(early, LOOK_AGAIN)
            del self._starts[target]
        return self._gates.held_until(target.app_id, now)

    def _take_back(self, call: _Call) -> None:
        with self._lock:
            self._being_read.discard(call.target)
            self._round.put_back(call.target)

    def _call(self, call: _Call) -> Work | None:
        """Make a call and settle it; gives the call that follows, if there is one whose slot is near."""
        try:
            reading = self.account.reader.read(call.target, call.slot)
            if not self._stopped:
                self._take_in(reading, call)
        except Exception as error:  # noqa: BLE001 - the edge of a thread: one bad target must not end the round
            self._again(call.target, Wait(ReadClass.BACKOFF, self._cadence.max_backoff))
            self._ports.failed(f"read of {call.target}", error)
        finally:
            with self._lock:
                self._being_read.discard(call.target)
        following = None if self._stopped else self._next_call(self._clock.monotonic() + LOOK_AHEAD)
        return None if following is None else partial(self._call, following)

    def _take_in(self, reading: ReadResult, call: _Call) -> None:
        self._ports.count(self.account.name, reading)
        wanted = self._look_at_way(reading, call)
        known = self._ports.apply_read(reading) if wanted else None
        if known is None:
            # Whoever forgets a target removes it here too. It may have been listed again by then, so it goes on.
            self._again(call.target, Wait(ReadClass.NORMAL, self._cadence.interval))
            return
        strikes = self._struck(call.target, reading.error)
        self._again(call.target, next_wait(known, self._clock.unix(), strikes, self._cadence))

    def _look_at_way(self, reading: ReadResult, call: _Call) -> bool:
        """Take in what the reading says of the account; returns whether its target still takes part."""
        now = self._clock.monotonic()
        with self._lock:
            self._health.saw(reading, now)
            news = self._gates.saw(reading, call.epochs, now)
            self._hurry(item.app_id for item in news if item.error is None)
            wanted = call.target in self._round
            lines = list(self._reports.saw(reading, now)) if wanted else []
        if reading.error is not None:
            log.debug("account %s: read of %s failed: %s", self.account.name, call.target, reading.error)
        for item in news:
            self._tell(item)
        self._say(lines)
        return wanted

    def _struck(self, target: TargetId, error: ReadError | None) -> int:
        """How often in a row, success apart, the target was itself at fault."""
        with self._lock:
            if error is None:
                self._strikes.pop(target, None)
            elif error.fault is Fault.TARGET and target in self._round:
                self._strikes[target] = self._strikes.get(target, 0) + 1
            return self._strikes.get(target, 0)

    def _again(self, target: TargetId, wait: Wait) -> None:
        if wait.lane is ReadClass.BACKOFF:
            wait = replace(wait, seconds=jittered(wait.seconds, self._ports.chance))
        with self._lock:
            now = self._clock.monotonic()
            probe = self._gates.next_probe(target.app_id)
            if probe is not None:  # where nobody else is due by then, this one is the probe
                wait = replace(wait, at_most=min(wait.at_most, max(0.0, probe - now)))
            self._round.again(target, now, wait, self._stretch)

    def _look_at_credentials(self) -> None:
        """A set that has changed is tried at once."""
        generation = self.account.generation()
        with self._lock:
            if generation != self._generation:
                self._generation = generation
                self._hurry(self._gates.try_at_once())

    def _look_at_fleet(self) -> None:
        """How far to stretch, and how late the round is; behind a closed gate nobody is kept waiting by the others."""
        with self._lock:
            now, budget = self._clock.monotonic(), self.account.budget
            self._stretch = stretch(self._round.lanes, self._cadence, budget.effective)
            self._late = self._round.lateness(now, self._stretch) if self._gates.open else 0.0
            lines = list(self._reports.look(now, full_rate=budget.effective >= budget.configured))
        self._say(lines)

    def _hurry(self, opened: Iterable[str | None]) -> None:
        now = self._clock.monotonic()
        for app_id in opened:
            self._round.hurry(now, app_id)

    def _tell(self, news: BreakerEvent) -> None:
        whose = f"account {self.account.name}" if news.app_id is None else f"app {news.app_id}"
        if news.error is None:
            log.info("%s: calls are answered again", whose)
        else:
            log.warning("%s: calls fail, from now on they are few until one is answered: %s", whose, news.error)

    def _say(self, lines: Iterable[Line]) -> None:
        for level, sentence in lines:
            log.log(level, "account %s: %s", self.account.name, sentence)
