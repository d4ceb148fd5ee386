"""One account's polling: hands out its calls within the budget, and settles what came of each."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from threading import Lock
from typing import Protocol

from exporter.errors import Fault, ReadError, Throttled
from exporter.exposition.instruments import AccountNumbers
from exporter.model.clock import Clock
from exporter.model.known import Known
from exporter.model.reading import Reading
from exporter.model.target import TargetId
from exporter.polling.gate import Gate
from exporter.polling.health import Health
from exporter.polling.intervals import Cadence, Lane, Wait, backoff, jittered, next_wait, stretch
from exporter.polling.round import Round


class Reader(Protocol):
    """The one call, as polling needs it (exporter.rtc.client.Client)."""

    def read(self, target: TargetId, slot: float | None = None) -> Reading:
        """Make the call in its slot."""
        ...


class Budget(Protocol):
    """The pacing of calls, as polling needs it (exporter.rtc.pacing.Pacer)."""

    @property
    def configured(self) -> float:
        """Calls a second as configured."""
        ...

    @property
    def effective(self) -> float:
        """Calls a second in force."""
        ...

    def reserve(self, until: float) -> float | None:
        """The next slot, if there is one until then."""
        ...


@dataclass(frozen=True, slots=True)
class Account:
    """One account as polling sees it.

    `generation` changes when its credentials do; `most_in_flight` is how many calls may be on their way at once.
    """

    name: str
    reader: Reader
    budget: Budget
    generation: Callable[[], int]
    most_in_flight: int


@dataclass(frozen=True, slots=True)
class Ports:
    """What a poller hands its work to and takes its circumstances from.

    `submit` runs a call on a thread of its own; `learn` takes a reading in and says what is now known (None: the
    target is gone); `count` counts an attempt; `failed` is told of errors that nobody foresaw; `chance` gives [0, 1).
    """

    submit: Callable[[Callable[[], None]], None]
    learn: Callable[[Reading], Known | None]
    count: Callable[[str, Reading], None]
    failed: Callable[[str, Exception], None]
    chance: Callable[[], float]


class Poller:
    """Polls one account's targets. Safe for threads."""

    def __init__(self, account: Account, cadence: Cadence, stale_after: float, clock: Clock, ports: Ports) -> None:
        self.account = account
        self._cadence = cadence
        self._clock = clock
        self._ports = ports
        self._lock = Lock()
        self._round = Round()
        self._gate = Gate(cadence.max_backoff)
        self._app_gates: dict[str, Gate] = {}
        self._strikes: dict[TargetId, int] = {}
        self._health = Health(stale_after)
        self._generation = account.generation()
        self._in_flight = 0
        self._stopped = False

    def add(self, known: Known) -> None:
        """Begin to read a target: at its expected start if it has one, a stopped one only to see a new run."""
        now = self._clock.monotonic()
        start = known.target.expected_start
        with self._lock:
            if known.target.id in self._round:
                return
            if known.over:
                self._round.add(known.target.id, now + self._cadence.reread_stopped, Lane.REREAD)
            else:
                early = 0.0 if start is None else max(0.0, start - self._clock.unix())
                self._round.add(known.target.id, now + early)

    def targets(self) -> set[TargetId]:
        """Those that take part."""
        with self._lock:
            return set(self._round)

    def reconfigure(self, account: Account, cadence: Cadence, stale_after: float) -> None:
        """Go on with the same targets, each at its place, under another configuration; all are tried at once."""
        with self._lock:
            self.account = account
            self._round.rescale(self._clock.monotonic(), cadence.interval / self._cadence.interval)
            self._cadence = cadence
            self._gate = Gate(cadence.max_backoff)
            self._app_gates.clear()
            self._health.stale_after = stale_after
            self._generation = account.generation()

    def remove(self, target: TargetId) -> None:
        """Read it no more."""
        with self._lock:
            self._round.remove(target)
            self._strikes.pop(target, None)

    def stop(self) -> None:
        """Hand out nothing more, and take in nothing that is still on its way."""
        self._stopped = True

    def hand_out(self, until: float) -> None:
        """Send off every call that is due and whose slot comes by `until` (monotonic seconds)."""
        self._look_at_credentials()
        while not self._stopped and (call := self._next_call(until)) is not None:
            self._ports.submit(partial(self._call, *call))

    def in_force(self, known: Known) -> float:
        """The interval now in force for a task, stretching included and backoff not, in seconds."""
        return self._stretched(next_wait(known, None, self._clock.unix(), 0, self._cadence))

    def numbers(self) -> AccountNumbers:
        """What this account's polling says of itself."""
        now = self._clock.monotonic()
        with self._lock:
            oldest = self._round.oldest_due(now)
            return AccountNumbers(
                configured_rate=self.account.budget.configured,
                effective_rate=self.account.budget.effective,
                demand=self._demand(),
                up=self._health.up(now),
                clock_skew=self._health.clock_skew,
                oldest_due=None if oldest is None else self._clock.unix() - (now - oldest),
            )

    def _next_call(self, until: float) -> tuple[TargetId, float] | None:
        with self._lock:
            now = self._clock.monotonic()
            if self._in_flight >= self.account.most_in_flight or not self._gate.lets_through(now):
                return None
            target = self._take(now)
            if target is None:
                return None
            slot = self.account.budget.reserve(until)
            if slot is None:
                self._round.put_back(target)
                return None
            self._in_flight += 1
            for gate in (self._gate, self._app_gates.get(target.app_id)):
                if gate is not None:
                    gate.sent(now)
            return target, slot

    def _take(self, now: float) -> TargetId | None:
        """The next target whose app is not behind a closed gate; the others wait until theirs opens."""
        while (target := self._round.take(now, self.account.budget.effective)) is not None:
            gate = self._app_gates.get(target.app_id)
            if gate is None or gate.opens_at is None or gate.lets_through(now):
                return target
            self._round.put_off(target, gate.opens_at)
        return None

    def _call(self, target: TargetId, slot: float) -> None:
        sent_at = self._clock.monotonic()
        try:
            reading = self.account.reader.read(target, slot)
            if not self._stopped:
                self._take_in(reading, sent_at)
        except Exception as error:  # noqa: BLE001 - the edge of a thread: one bad target must not end the round
            self._ports.failed(f"read of {target}", error)
            with self._lock:
                self._round.again(target, self._clock.monotonic(), Lane.BACKOFF, self._cadence.max_backoff)
        finally:
            with self._lock:
                self._in_flight -= 1

    def _take_in(self, reading: Reading, sent_at: float) -> None:
        self._ports.count(self.account.name, reading)
        known = self._ports.learn(reading)
        now = self._clock.monotonic()
        with self._lock:
            self._health.saw(reading, now)
            self._settle_gates(reading, sent_at, now)
            if known is None:
                self._round.remove(reading.target)
                return
            wait = self._wait_after(known, reading.error)
            self._round.again(reading.target, now, wait.lane, wait.seconds)

    def _wait_after(self, known: Known, error: ReadError | None) -> Wait:
        target = known.target.id
        own_fault = error is not None and error.fault is Fault.TARGET
        strikes = self._strikes[target] = self._strikes.get(target, 0) + 1 if own_fault else 0
        if not strikes:
            del self._strikes[target]
        wait = next_wait(known, error, self._clock.unix(), strikes, self._cadence)
        return Wait(wait.lane, self._stretched(wait))

    def _stretched(self, wait: Wait) -> float:
        if wait.lane is Lane.BACKOFF:
            return jittered(wait.seconds, self._ports.chance)
        if wait.lane is Lane.REREAD:
            return wait.seconds
        lanes = self._round.lanes
        quick, slow = stretch(lanes[Lane.FAST], lanes[Lane.NORMAL], self._cadence, self.account.budget.effective)
        return quick if wait.lane is Lane.FAST else wait.seconds * slow / self._cadence.interval

    def _settle_gates(self, reading: Reading, sent_at: float, now: float) -> None:
        app_id, error = reading.target.app_id, reading.error
        fault = error.fault if error is not None else None
        if isinstance(error, Throttled):
            return  # the budget has its own answer to that
        if fault is Fault.WAY:
            self._gate.lost(sent_at, now)
            return
        if fault is Fault.ACCOUNT:
            self._gate.refused(sent_at, now)
            return
        if self._gate.answered():
            self._round.hurry(now)
        if fault is Fault.APP:
            self._app_gates.setdefault(app_id, Gate(self._cadence.max_backoff)).refused(sent_at, now)
        elif app_id in self._app_gates and self._app_gates.pop(app_id).answered():
            self._round.hurry(now, app_id)

    def _look_at_credentials(self) -> None:
        """A set that has changed is tried at once."""
        if not self._gate.refusals and not self._app_gates:
            return
        generation = self.account.generation()
        with self._lock:
            if generation != self._generation:
                self._generation = generation
                self._gate.answered()
                self._app_gates.clear()
                self._round.hurry(self._clock.monotonic())

    def _demand(self) -> float:
        lanes, cadence = self._round.lanes, self._cadence
        periods = {
            Lane.FAST: min(cadence.fast_interval, cadence.interval),
            Lane.NORMAL: cadence.interval,
            Lane.BACKOFF: backoff(cadence.max_backoff, 1, cadence.max_backoff),
            Lane.REREAD: cadence.reread_stopped,
        }
        return sum(lanes[lane] / period for lane, period in periods.items())
