"""Reads, time, failing writes and kills in any order: every run's stop is counted once, and no total goes back."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from exporter.enums import STOPPED_STATUSES, Status, StopReason
from exporter.errors import NotFound, ReadError, TimedOut
from exporter.model.target import Target, TargetId
from exporter.model.task import ReadResult, Task
from exporter.model.task_state import MAX_STALE_ANSWERS, Lifetimes, TaskState, accept, apply_read, expire, release
from exporter.store.counters import Series, Total
from tests.support.state import kill, open_store, set_broken

WAITS = Lifetimes(stale_after=120.0, linger=900.0, drain=600.0)
TARGETS = tuple(Target(TargetId("app", "room", name), "default") for name in "ab")
MAX_RUNS = 6

RunKey = tuple[TargetId, float]


@dataclass
class ExpectedCounts:
    """What must have been counted: a run is its target and StartTime, and sets count nothing twice.

    `current` is the run that a target was last read in, `followed` whether its end is still looked for.
    """

    stopped: set[RunKey] = field(default_factory=set)
    entered: set[tuple[RunKey, Status]] = field(default_factory=set)
    current: dict[TargetId, float] = field(default_factory=dict)
    followed: set[TargetId] = field(default_factory=set)
    abandoned: set[RunKey] = field(default_factory=set)

    def copy(self) -> "ExpectedCounts":
        """A copy that changes alone."""
        return ExpectedCounts(
            set(self.stopped), set(self.entered), dict(self.current), set(self.followed), set(self.abandoned)
        )

    def saw(self, target: TargetId, start: float, status: Status) -> None:
        """A read said so; a late one tells at most the end of a run before."""
        if status in STOPPED_STATUSES:
            self.stopped.add((target, start))
            self.entered.add(((target, start), status))
        if start < self.current.get(target, start):
            return
        if start > self.current.get(target, start):
            self.lose(target)
        self.entered.add(((target, start), status))
        self.current[target] = start
        self.followed.add(target)

    def gave_up(self, target: TargetId) -> None:
        """The API has not known it for too long."""
        if target in self.followed:
            self.lose(target)

    def lose(self, target: TargetId) -> None:
        """The current run ends unseen; one that was abandoned is counted as that."""
        if (run := (target, self.current[target])) not in self.abandoned:
            self.stopped.add(run)

    def abandon(self, target: TargetId) -> None:
        """Its end is looked for no more."""
        if target in self.followed and (run := (target, self.current[target])) not in self.stopped:
            self.abandoned.add(run)
        self.followed.discard(target)


class ExporterInAnyOrder(RuleBasedStateMachine):
    """A small exporter over one state file, and the expected beside it."""

    @initialize()
    def begin(self) -> None:
        """A first start, over no state."""
        self.folder = TemporaryDirectory()
        self.now = 100_000.0
        self.starts = {target.id: [self.now] for target in TARGETS}
        self.expected, self.written = ExpectedCounts(), ExpectedCounts()
        self.shown: Mapping[Series, float] = {}
        self.start()

    def start(self) -> None:
        """Open the state and take the targets up as they are remembered."""
        self.store = open_store(Path(self.folder.name) / "state.db", self.failed)
        self.broken = False
        remembered = self.store.latest_runs([target.id for target in TARGETS])
        self.states = {target.id: accept(target, remembered.get(target.id), self.now) for target in TARGETS}

    def failed(self) -> None:
        """Only a broken disk fails."""
        assert self.broken

    def settle(self, state: TaskState) -> None:
        """As the registry does: apply what is due, record it, and write."""
        after, change = expire(state, self.now, WAITS)
        self.store.record(change)
        self.store.flush()
        target = state.target
        self.states[target.id] = after or accept(target, self.store.latest_runs([target.id]).get(target.id), self.now)
        if after is None:
            self.expected.abandon(target.id)

    def read(self, target: TargetId, outcome: Task | ReadError) -> None:
        """One call and what comes of it."""
        self.now += 1.0
        state, change = apply_read(self.states[target], ReadResult(target, self.now, self.now, 0.1, outcome))
        self.store.record(change)
        self.settle(state)

    @rule(of=st.sampled_from(TARGETS))
    def a_new_run_begins(self, of: Target) -> None:
        """The vendor starts the task anew; no read has seen it yet."""
        if len(self.starts[of.id]) < MAX_RUNS:
            self.now += 1.0
            self.starts[of.id].append(self.now)

    @rule(
        of=st.sampled_from(TARGETS),
        back=st.sampled_from([0, 0, 0, 1, 2]),
        status=st.sampled_from([Status.UNKNOWN, Status.RUNNING, Status.RUNNING, Status.ENDED, Status.FAILED]),
    )
    def a_read_succeeds(self, of: Target, back: int, status: Status) -> None:
        """Mostly of the latest run; a late answer is about one before."""
        starts = self.starts[of.id]
        late_again = self.states[of.id].stale_answers >= MAX_STALE_ANSWERS - 1  # as often as that it would be believed
        start = starts[max(0, len(starts) - 1 - (0 if late_again else back))]
        reason = StopReason.STOP_BY_API if status in STOPPED_STATUSES else None
        self.expected.saw(of.id, start, status)
        self.read(
            of.id, Task(status, start=start, end=start + 1 if status in STOPPED_STATUSES else None, stop_reason=reason)
        )

    @rule(of=st.sampled_from(TARGETS), start=st.booleans())
    def a_read_fails(self, of: Target, start: bool) -> None:
        """No answer, or an answer that says nothing, unless the API has known no such task for `stale_after` by now."""
        unknown_since = self.states[of.id].not_found_since
        if not start and unknown_since is not None and self.now + 1.0 >= unknown_since + WAITS.stale_after:
            self.expected.gave_up(of.id)
        self.read(of.id, TimedOut("late") if start else NotFound("for once"))
        self.read(of.id, TimedOut("late"))

    @rule(of=st.sampled_from(TARGETS))
    def the_api_forgets(self, of: Target) -> None:
        """No such task, for `stale_after`."""
        self.read(of.id, NotFound("none"))
        self.now += WAITS.stale_after
        self.expected.gave_up(of.id)
        self.read(of.id, NotFound("none"))

    @rule(of=st.sampled_from(TARGETS))
    def no_source_lists_it(self, of: Target) -> None:
        """It is drained and let go, and then listed again."""
        left = release(self.states[of.id], self.now, WAITS)
        self.now += WAITS.drain
        self.settle(left)

    @rule()
    def the_disk_breaks_or_heals(self) -> None:
        """From now on every write fails, or none."""
        self.broken = not self.broken
        set_broken(self.store, broken=self.broken)

    @rule()
    def the_process_is_killed(self) -> None:
        """What was not written is forgotten, by the expected too; the next process reads it again."""
        kill(self.store)
        self.expected = self.written.copy()
        self.start()

    @precondition(lambda self: not self.broken)
    @rule()
    def the_process_is_stopped(self) -> None:
        """A clean stop writes all."""
        self.store.close()
        self.start()

    @invariant()
    def no_total_goes_back(self) -> None:
        """A counter that was ever scraped is never lower, not over a kill either."""
        self.store.flush()
        totals = self.store.counters()
        assert {
            series: totals.get(series, 0.0) for series in self.shown if totals.get(series, 0.0) < self.shown[series]
        } == {}
        self.shown = totals

    @invariant()
    def each_run_is_counted_once(self) -> None:
        """Once all is written, the totals are the expected's."""
        if not self.store.flush():
            assert self.broken
            return
        self.written = self.expected.copy()
        runs = [state.run for state in self.states.values() if state.run is not None]
        may_still_be_told = sum(run.previous is not None for run in runs)
        assert len(self.expected.stopped) - may_still_be_told == self.total(Total.RUN_STOPS)
        assert len(self.expected.entered) >= self.total(Total.RUN_TRANSITIONS)

    def total(self, total: Total) -> float:
        """The sum of a counter's series."""
        return sum(value for series, value in self.store.counters().items() if series.total is total)

    def teardown(self) -> None:
        """Nothing is left open."""
        self.store.close()
        self.folder.cleanup()


TestAnyOrder = ExporterInAnyOrder.TestCase
TestAnyOrder.settings = settings(max_examples=25, stateful_step_count=40, deadline=None)
