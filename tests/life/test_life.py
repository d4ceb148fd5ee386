"""A whole exporter over a simulated vendor: time, reads, callbacks, lists, broken disks and kills in any order."""

from collections import Counter
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass, field
from math import inf
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import pytest
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from exporter.enums import STOPPED_STATUSES, PageAction, PageReason, Status, StopReason
from exporter.errors import NotFound, ReadError, ServerFailed, TimedOut
from exporter.model.run import Match
from exporter.model.target import TargetId
from exporter.model.task import Callback, ReadResult
from exporter.model.task_state import LOOK_BACK
from exporter.scheduler.registry import CLOCK_HOLD
from exporter.simulator.fleet import stop_reason
from exporter.simulator.lifecycle import (
    CallbackEvent,
    Ending,
    PageTrouble,
    RunPlan,
    RunState,
    SimulatedRun,
    TaskSettings,
    callback_events,
    callback_payload,
    run_state,
)
from exporter.simulator.replies import NotFoundForm
from exporter.volcengine.callbacks import ACTION_OF_STATUS, CallbackRules, verify_callback

if TYPE_CHECKING:
    from tests.life.conftest import Instance, Shown
    from tests.support.simulated_exporter import World

pytestmark = pytest.mark.no_cover  # simulations of days, twice as long under coverage

TARGETS = tuple(TargetId("661e0000000000000000543c", "Room", name) for name in ("a", "b"))
MINUTE, HOUR = 60.0, 3600.0
STALE_AFTER, DRAIN = 120.0, 1800.0
FAULTS: tuple[ReadError, ...] = (TimedOut("late"), ServerFailed("its own fault"), NotFound("for once"))

Key = tuple[TargetId, int, int]
"""A run: its target, when the vendor created its life, and the StartTime it was first seen with (Unix milliseconds).

One life is two runs when it was counted as lost before it started (contract, section 5, "same triple").
"""


@dataclass
class Sight:
    """The run that a target was last read in. `start` is 0 while none was told; `live` while its end is looked for.

    `ahead` is the vendor's clock minus ours at the last good read; `unsure` the status of an answer that may be of a
    run to come.
    """

    key: Key
    start: int = 0
    live: bool = True
    missing_since: float | None = None
    missing: bool = False
    ahead: float = 0.0
    unsure: Status | None = None


@dataclass
class Truth:
    """What must have been counted, by section 5 of the contract alone; a dict and a set count nothing twice."""

    stops: dict[Key, StopReason] = field(default_factory=dict)
    entered: set[tuple[Key, Status]] = field(default_factory=set)
    remedied: dict[str, tuple[PageAction, str]] = field(default_factory=dict)
    release: int = 0
    abandoned: set[Key] = field(default_factory=set)
    latest: dict[TargetId, Sight] = field(default_factory=dict)
    drains: dict[TargetId, float] = field(default_factory=dict)

    def saw(self, target: TargetId, life: SimulatedRun, now: RunState, ahead: float) -> None:
        """A read succeeded; a run that another one has replaced is lost, unless its end was seen."""
        sight = self.latest.get(target)
        match = Match.NEW if sight is None else self._match(sight, now)
        if sight is not None and match is Match.UNSURE and sight.unsure is None:
            sight.missing_since, sight.missing, sight.unsure = None, False, now.status
            return
        if sight is None or match is not Match.SAME:
            unsure = None if sight is None else sight.unsure
            if sight is not None:
                self.lose(sight)
            sight = self.latest[target] = Sight((target, life.created, now.start))
            if unsure is not None and unsure not in STOPPED_STATUSES:  # a stop read again was of the run before
                self.entered.add((sight.key, unsure))
        sight.start = now.start or sight.start
        sight.live, sight.missing_since, sight.missing, sight.unsure = (
            now.status not in STOPPED_STATUSES,
            None,
            False,
            None,
        )
        sight.ahead = ahead
        self.entered.add((sight.key, now.status))
        if now.status in STOPPED_STATUSES:
            self.stops.setdefault(sight.key, stop_reason(life))

    def lose(self, sight: Sight) -> None:
        """Its end was not seen; one that was abandoned is counted as that."""
        if sight.key not in self.abandoned:
            self.stops.setdefault(sight.key, StopReason.LOST)

    def heard(self, notice: CallbackEvent) -> None:
        """A callback was taken in: an event has one EventId, however often it is delivered."""
        if notice.status in ACTION_OF_STATUS:
            self.remedied[notice.event_id] = (ACTION_OF_STATUS[notice.status], notice.reason.strip())

    def missed(self, target: TargetId, error: ReadError, now: float) -> None:
        """A read failed."""
        if (sight := self.latest.get(target)) is not None:
            sight.missing = isinstance(error, NotFound)
            if sight.missing and sight.missing_since is None:
                sight.missing_since = now

    def tick(self, now: float) -> None:
        """Time passed: runs that the API has not known for too long are lost, and drains end."""
        for target, sight in self.latest.items():
            unknown_since = inf if sight.missing_since is None or not sight.missing else sight.missing_since
            started = sight.start / 1000 if sight.start else inf
            too_old = max(unknown_since, started + LOOK_BACK - sight.ahead)
            if sight.live and now >= min(unknown_since + STALE_AFTER, too_old):
                self.lose(sight)
                sight.live = False
            if sight.live and now >= self.drains.get(target, inf):
                if sight.key not in self.stops and sight.key not in self.abandoned:
                    self.release += 1
                    self.abandoned.add(sight.key)
                sight.live = False

    def list(self, listed: set[TargetId], now: float) -> None:
        """Live runs that no source lists are drained."""
        live = {target: now + DRAIN for target, sight in self.latest.items() if sight.live}
        self.drains = {target: until for target, until in (live | self.drains).items() if target not in listed}

    def restart(self, listed: set[TargetId], now: float) -> None:
        """What only the process knew is forgotten."""
        self.drains = {}
        for sight in self.latest.values():
            sight.missing_since, sight.missing, sight.unsure = None, False, None
        self.tick(now)
        self.list(listed, now)

    def _match(self, sight: Sight, now: RunState) -> Match:
        """Whether an answer is of another run than the one seen last."""
        if sight.start and now.start:
            return Match.SAME if sight.start == now.start else Match.NEW
        counted = self.stops.get(sight.key)
        if counted is None:
            waits_again = sight.start and now.status is Status.NOT_STARTED
            return Match.UNSURE if waits_again else Match.SAME  # StartTime 0, then a real one, is one run
        if now.start:
            return Match.NEW
        was_read_stopped = any((sight.key, status) in self.entered for status in STOPPED_STATUSES)
        if counted is not StopReason.LOST or was_read_stopped:
            return Match.UNSURE
        return Match.NEW if sight.start and now.status is Status.NOT_STARTED else Match.SAME


def plans(*, first: bool) -> st.SearchStrategy[RunPlan]:
    """A class of up to a day. Only an id's first life may end before its start.

    Without StartTime, such a second life cannot be told from the one before.
    """
    starts = st.sampled_from([0.0, 0.0, 20 * MINUTE, *((None,) if first else ())])
    runs = st.sampled_from([None, None, None, 5.0, 3 * HOUR])
    endings = st.sampled_from([Ending.STOPPED_BY_API, Ending.BY_THE_PAGE, Ending.BROKE])
    longest = st.sampled_from([7200, 86_400, 86_400])
    vague = st.sampled_from([(), ((0.0, 2 * MINUTE),), ((HOUR, 4 * HOUR),)])

    def plan(
        starts: float | None,
        runs: float | None,
        ending: Ending,
        longest: int,
        vague: tuple[tuple[float, float], ...],
    ) -> RunPlan:
        if starts is None:
            return RunPlan(starts=None, ends=runs, ending=Ending.START_FAILED)
        settings = TaskSettings(max_running_time=longest, freeze_check=5, crash_check=5)
        troubles = (
            PageTrouble(PageReason.FREEZE, starts + MINUTE, lasting=True),
            PageTrouble(PageReason.CRASH, starts + HOUR),
        )
        unknown = tuple((starts + since, starts + until) for since, until in vague)
        ends = None if runs is None else starts + runs
        return RunPlan(settings, starts, ends, ending, unknown, troubles)

    return st.builds(plan, starts, runs, endings, longest, vague)


class LifeStory(RuleBasedStateMachine):
    """An exporter's life, and the truth beside it."""

    def __init__(self, world: "World", new_instance: Callable[[Path, "World"], "Instance"]) -> None:
        super().__init__()
        self.world = world
        self.folder = TemporaryDirectory()
        self.instance = new_instance(Path(self.folder.name) / "state.db", world)
        assert (self.instance.waits.stale_after, self.instance.waits.drain) == (STALE_AFTER, DRAIN)
        self.listed = set(TARGETS)
        self.truth = Truth()
        self.written = deepcopy(self.truth)
        self.scraped: Shown = {}
        self.instance.open(self.listed)

    @property
    def now(self) -> float:
        """Our wall clock."""
        return self.world.unix()

    def life(self, target: TargetId) -> SimulatedRun | None:
        """The vendor's latest life of a task."""
        return self.world.fleet.run(target, self.world.milliseconds)

    @initialize(data=st.data())
    def a_first_day(self, data: st.DataObject) -> None:
        """Every task is started once, and read or not."""
        for task in TARGETS:
            self.a_task_is_started(task, data, stop_first=False)
            self.a_target_is_read(task, NotFoundForm.ERROR, data.draw(st.sampled_from([[], [1.0], [1.0, HOUR]])))

    @rule(task=st.sampled_from(TARGETS), data=st.data(), stop_first=st.booleans())
    def a_task_is_started(self, task: TargetId, data: st.DataObject, stop_first: bool) -> None:
        """StartWebcast; without a StopWebcast before it, a task that goes on goes on."""
        if stop_first:
            self.a_task_is_stopped(task)
        self.world.now += 1.0
        self.world.begin(task, data.draw(plans(first=self.life(task) is None)))
        self.expire()

    @rule(task=st.sampled_from(TARGETS))
    def a_task_is_stopped(self, task: TargetId) -> None:
        """StopWebcast, for what runs, or waits for its first start."""
        first = len(self.world.fleet.runs(self.world.milliseconds).get(task, ())) == 1
        life = self.life(task)
        if life is not None and (first or run_state(life, self.world.milliseconds).start):
            self.world.fleet.stop(task)

    @rule(seconds=st.sampled_from([1.0, MINUTE, STALE_AFTER, DRAIN, 3 * HOUR, 20 * HOUR]))
    def time_passes(self, seconds: float) -> None:
        """And nothing is read."""
        self.world.now += seconds
        self.expire()

    @rule(behind=st.sampled_from([0.0, 1.0, 10 * MINUTE, HOUR]))
    def our_clock_is_set(self, behind: float) -> None:
        """Back by up to an hour, or right again: a step ahead is believed once it has lasted."""
        self.world.behind = behind
        self.instance.registry.expire()
        self.world.now += CLOCK_HOLD
        self.expire()

    @rule(
        task=st.sampled_from(TARGETS),
        form=st.sampled_from(NotFoundForm),
        pauses=st.lists(st.sampled_from([1.0, 1.0, MINUTE, HOUR]), min_size=1, max_size=3),
    )
    def a_target_is_read(self, task: TargetId, form: NotFoundForm, pauses: list[float]) -> None:
        """The vendor answers with the truth."""
        self.world.not_found = form
        for pause in pauses:
            self.world.now += pause
            self.apply_read(self.world.read(task))

    @rule(task=st.sampled_from(TARGETS), picks=st.lists(st.integers(0, 99), min_size=1, max_size=4))
    def the_vendor_calls_back(self, task: TargetId, picks: list[int]) -> None:
        """Of all that has happened some is delivered, in any order, late, twice or never."""
        lives = self.world.fleet.runs(self.world.milliseconds).get(task, ())
        due = [
            notice for life in lives for notice in callback_events(task, life) if notice.at <= self.world.milliseconds
        ]
        for pick in picks if due else ():
            notice = due[pick % len(due)]
            if self.instance.apply_callback(callback_of(notice)):
                assert notice.event_id not in self.truth.remedied
                self.truth.heard(notice)

    @rule(
        task=st.sampled_from(TARGETS),
        errors=st.lists(st.sampled_from(FAULTS), min_size=1, max_size=3),
        pause=st.sampled_from([1.0, STALE_AFTER / 2, STALE_AFTER]),
        data=st.data(),
    )
    def reads_fail(self, task: TargetId, errors: list[ReadError], pause: float, data: st.DataObject) -> None:
        """Of a task that goes on: no answer, a bad one, or a wrong one that knows no such task."""
        self.a_task_is_started(task, data, stop_first=False)
        self.apply_read(self.world.read(task))
        for error in errors:
            self.world.now += 1.0
            self.apply_read(self.world.read_result(task, error))
            self.world.now += pause
            self.expire()

    @rule(task=st.sampled_from(TARGETS))
    def a_source_lists_or_lets_go(self, task: TargetId) -> None:
        """A listed target goes, another one comes."""
        self.listed ^= {task}
        self.expire()
        self.instance.follow(self.listed)
        self.truth.list(self.listed, self.now)

    @rule()
    def the_disk_breaks_or_heals(self) -> None:
        """From now on every write fails, or none."""
        self.instance.set_broken(broken=not self.instance.broken)
        self.expire()

    @rule(hours=st.sampled_from([0.0, 0.0, 0.0, 1.0, 1.0, 48.0]), how=st.sampled_from(["killed", "killed", "stopped"]))
    def the_process_ends(self, hours: float, how: str) -> None:
        """And is started again later; of what a killed one had not written it is as if it had not been read."""
        if how == "stopped" and not self.instance.broken:
            self.instance.close()
        else:
            self.instance.kill()
            self.truth = deepcopy(self.written)
        self.world.now += hours * HOUR
        self.instance.open(self.listed)
        self.truth.restart(self.listed, self.now)

    @precondition(lambda self: all(self.is_kept(sight) for sight in self.truth.latest.values()))
    @rule()
    def old_runs_are_forgotten(self) -> None:
        """Housekeeping, with the shortest history there can be."""
        self.instance.store.forget_before(self.now - 96 * HOUR)

    def is_kept(self, sight: Sight) -> bool:
        """Whether its run is counted, or live and so young that housekeeping leaves it."""
        began = (sight.start or sight.key[1]) / 1000
        return sight.key in self.truth.stops or (sight.live and began > self.now - 95 * HOUR)

    def expire(self) -> None:
        """What falls due with time alone."""
        self.instance.registry.expire()
        self.truth.tick(self.now)

    def apply_read(self, reading: ReadResult) -> None:
        """As a poller does; what is not tracked is not read."""
        self.expire()
        if self.instance.registry.get(reading.target) is None:
            return
        if reading.error is None:
            life = self.life(reading.target)
            assert life is not None
            self.truth.saw(reading.target, life, run_state(life, self.world.milliseconds), self.world.behind)
        else:
            self.truth.missed(reading.target, reading.error, self.now)
        self.instance.registry.apply_read(reading)
        self.truth.tick(self.now)

    @invariant()
    def each_run_is_counted_once(self) -> None:
        """Whenever all is written, the counters are the truth; no counter shown is ever lower than it was shown."""
        shown = self.instance.fleet_counters()
        assert {sample: value for sample, value in self.scraped.items() if shown.get(sample, 0.0) < value} == {}
        self.scraped = shown
        if self.instance.all_written:
            self.written = deepcopy(self.truth)
            runs = [state.run for state in self.instance.registry.all() if state.run is not None]
            may_be_told = sum(run.previous is not None and not run.pending for run in runs)  # lost, or not yet
            lost = ("webcast_run_stops_total", StopReason.LOST)
            seen = {sample: value for sample, value in shown.items() if value and sample[0] in OF}
            if may_be_told:
                seen[lost] = seen.get(lost, 0.0) + may_be_told
            assert expected(self.truth) == seen
        else:
            assert self.instance.broken

    @invariant()
    def whatever_must_be_read_is_tracked(self) -> None:
        """Listed targets, and the live runs of those let go until their drain is over."""
        live = {target for target, sight in self.truth.latest.items() if sight.live}
        assert set() == (self.listed | live) - {state.target.id for state in self.instance.registry.all()}

    def teardown(self) -> None:
        """The end: the disk heals, all is read, and every run the vendor still tells of is counted as it ended."""
        self.instance.set_broken(broken=False)
        for target in TARGETS:
            self.a_target_is_read(target, NotFoundForm.ERROR, [1.0])
        self.each_run_is_counted_once()
        self.instance.close()
        self.folder.cleanup()

    @invariant()
    def no_task_shows_more_than_its_page_has_met(self) -> None:
        """A run's page counters are part of what was heard of its task."""
        for state in self.instance.registry.all():
            at_most = [event for event in self.truth.remedied if event in self.events_of(state.target.id)]
            assert state.pages.refreshes + state.pages.reschedules <= len(at_most)

    def events_of(self, target: TargetId) -> set[str]:
        """The EventIds of all that has happened to a task."""
        lives = self.world.fleet.runs(self.world.milliseconds).get(target, ())
        return {notice.event_id for life in lives for notice in callback_events(target, life)}


OF = (
    "webcast_run_stops_total",
    "webcast_run_transitions_total",
    "webcast_run_ends_unseen_total",
    "webcast_page_refreshes_total",
    "webcast_page_reschedules_total",
)
FAMILY_OF_ACTION = dict(zip(PageAction, OF[3:], strict=True))
SECRET = "secret-of-the-callbacks"


def callback_of(notice: CallbackEvent) -> Callback:
    """What is understood of a signed delivery."""
    body = callback_payload(notice, SECRET, "4821")
    verdict = verify_callback(body, CallbackRules((SECRET,), ("Webcast",), max_age=inf), now=0.0)
    assert verdict.callback is not None, verdict
    return verdict.callback


def expected(truth: Truth) -> "Shown":
    """The counters that are not zero."""
    stops, transitions, unseen, *_ = OF
    pages = Counter(truth.remedied.values())
    return {
        **{(FAMILY_OF_ACTION[action], reason): float(count) for (action, reason), count in pages.items()},
        **{(stops, reason): float(count) for reason, count in Counter(truth.stops.values()).items()},
        **{(transitions, status): float(count) for status, count in Counter(s for _, s in truth.entered).items()},
        **({(unseen,): float(truth.release)} if truth.release else {}),
    }


def test_every_run_is_counted_once(
    new_world: Callable[[], "World"], new_instance: Callable[[Path, "World"], "Instance"]
) -> None:
    """Whatever happens in whatever order, a run's stop is counted once, with its reason, and no counter goes back."""

    class _Told(LifeStory):
        def __init__(self) -> None:
            super().__init__(new_world(), new_instance)

    run_state_machine_as_test(
        _Told,
        settings=settings(
            max_examples=30,
            stateful_step_count=50,
            deadline=None,
            derandomize=True,
            database=None,
            phases=[Phase.generate],  # to find the shortest story takes minutes; drop this line to have it
        ),
    )
