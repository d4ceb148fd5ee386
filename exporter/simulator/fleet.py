"""The simulated tasks: started and stopped by calls, by a plan, by hand in a rehearsal, and what is true of them.

The demo's fleet is made here too: tasks of made-up schools that run again and again, drawn from a seed.
"""

from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from heapq import heappop, heappush
from random import Random
from threading import RLock
from typing import Any

from exporter.enums import VENDOR_STOP_REASONS, PageReason, Status, StopReason
from exporter.model.target import TargetId
from exporter.simulator.lifecycle import (
    CHECKS,
    MAX_RUNNING_TIME,
    CallbackEvent,
    Ending,
    PageRemedy,
    PageTrouble,
    RunPlan,
    RunState,
    SimulatedRun,
    TaskSettings,
    VideoSolution,
    begin_run,
    callback_events,
    end_run,
    run_state,
    running_time,
)
from exporter.simulator.replies import Explained

MAX_RUNS = 1000
"""Runs kept of one task; older ones are forgotten."""
REHEARSAL_INTERVAL = 5
"""Seconds between two checks of a page whose task has that check switched off."""
REHEARSAL_CYCLES = 180
"""How often the vendor's remedies are repeated, every fourth check: for an hour at 5 s."""

Successor = Callable[[int, int], SimulatedRun]
"""From the number of a run and the end of the one before to that run, which is created after that end."""


class Action(Explained):
    """What a person does to a task in a rehearsal."""

    START = "start", "heal it, or start a new run"
    FAIL = "fail", "Status 4: StartTaskFailed before its start, UnknownStopReason after it"
    FREEZE = "freeze", "the page freezes: refresh and reschedule callbacks until start"
    BLANK = "blank", "the page is blank: refresh and reschedule callbacks until start"
    CRASH = "crash", "the page crashes: reschedule callbacks until start"
    END = "end", "stopped by StopByAPI"
    CUT = "cut", "stopped by ExceedMaxRunningTime"
    HANG = "hang", "a new run that hangs in not_started"
    UNKNOWN = "unknown", "Status 0 until start"


PAGE_ACTIONS = {Action.FREEZE: PageReason.FREEZE, Action.BLANK: PageReason.BLANK, Action.CRASH: PageReason.CRASH}


@dataclass(slots=True)
class FleetTask:
    """One task: its runs, oldest first, and the one that `successor` makes after the latest."""

    labels: Mapping[str, str] = field(default_factory=dict)
    successor: Successor | None = None
    runs: deque[SimulatedRun] = field(default_factory=lambda: deque(maxlen=MAX_RUNS))
    number: int = 0
    by_hand: bool = False
    upcoming: SimulatedRun | None = None

    def add(self, run: SimulatedRun) -> None:
        """Make a run the latest."""
        self.runs.append(run)
        self.number += 1
        self.replace_latest(run)

    def replace_latest(self, run: SimulatedRun) -> None:
        """Change the latest run, and with it the one that follows."""
        self.runs[-1] = run
        following = self.successor(self.number, run.end) if self.successor and run.end is not None else None
        self.upcoming = following if following and following.created > (run.end or 0) else None

    def catch_up(self, at: int) -> None:
        """Add every run that is created until `at`."""
        while self.upcoming is not None and self.upcoming.created <= at:
            self.add(self.upcoming)

    def target_labels(self) -> dict[str, str]:
        """The labels of the target in a list for service discovery."""
        if not self.by_hand:
            return dict(self.labels)
        start = self.runs[-1].created // 1000
        return {**self.labels, "__expected_start__": str(start), "__expected_end__": str(start + MAX_RUNNING_TIME)}

    def is_live(self, at: int) -> bool:
        """Whether the latest run goes on at `at`."""
        self.catch_up(at)
        end = self.runs[-1].end
        return end is None or end > at


class Fleet:
    """All tasks of a simulation, safe to use from several threads. `clock` gives Unix seconds.

    While it is followed, `due_events` gives the callback events that have come due since it was last asked.
    """

    def __init__(self, clock: Callable[[], float], speed: float = 1.0) -> None:
        self.clock = clock
        self.speed = speed
        self._tasks: dict[TargetId, FleetTask] = {}
        self._followed_since = 0
        self._told_until: int | None = None
        self._late: list[CallbackEvent] = []
        self._wakeups: list[tuple[int, TargetId]] = []
        self._lock = RLock()

    def add(
        self,
        target: TargetId,
        run: SimulatedRun,
        *,
        labels: Mapping[str, str] | None = None,
        successor: Successor | None = None,
    ) -> None:
        """Add a run of a task; earlier runs stay, and so do labels when none are given."""
        with self._lock:
            task = self._tasks.setdefault(target, FleetTask())
            task.labels = task.labels if labels is None else labels
            task.successor = successor
            task.add(run)
            if self._told_until is not None:  # its clock was read some time ago
                events = callback_events(target, run)
                self._late += [event for event in events if self._followed_since <= event.at <= self._told_until]
            self._expect(target, task)

    def begin(self, target: TargetId, plan: RunPlan, *, age: float = 0.0) -> SimulatedRun:
        """Add a run by a plan at the fleet's speed, created `age` seconds ago."""
        run = begin_run(plan, self.clock() - age, self.speed)
        self.add(target, run)
        return run

    def start(self, target: TargetId, run: SimulatedRun) -> bool:
        """StartWebcast; False when the task's latest run goes on, and nothing begins."""
        with self._lock:
            task = self._tasks.get(target)
            if task is not None and task.is_live(run.created):
                return False
            self.add(target, run)
            return True

    def stop(self, target: TargetId) -> bool:
        """StopWebcast; False when there is no live run."""
        with self._lock:
            at, task = self._next_moment(), self._tasks.get(target)
            if task is None or not task.is_live(at):
                return False
            task.replace_latest(end_run(task.runs[-1], at, Ending.STOPPED_BY_API))
            self._expect(target, task)
            return True

    def act(self, target: TargetId, action: Action) -> RunState | None:
        """Do something to a task by hand; it then stays as it is until the next action. None: there is no such task."""
        with self._lock:
            task = self._tasks.get(target)
            if task is None:
                return None
            at = self._next_moment()
            task.catch_up(at)
            at = max(at, task.runs[-1].created + 1)
            task.by_hand, task.successor = True, None
            changed, *new = _acted(action, task.runs[-1], at)
            task.replace_latest(changed)
            for run in new:
                task.add(run)
            self._expect(target, task)
            return run_state(task.runs[-1], at)

    def follow(self) -> None:
        """Have `due_events` give what happens from now on; for one listener at a time."""
        with self._lock:
            self._followed_since = self._now()
            self._told_until = self._followed_since - 1
            self._wakeups.clear()
            for target, task in self._tasks.items():
                self._expect(target, task)

    def unfollow(self) -> None:
        """Have `due_events` give nothing more."""
        with self._lock:
            self._told_until = None
            self._wakeups.clear()

    def due_events(self) -> list[CallbackEvent]:
        """Every event since it was last asked; cheap, however many tasks there are."""
        with self._lock:
            if self._told_until is None:
                return []
            since, until = self._told_until, max(self._now(), self._told_until)
            targets = set()
            while self._wakeups and self._wakeups[0][0] <= until:
                targets.add(heappop(self._wakeups)[1])
            targets &= self._tasks.keys()
            for target in targets:
                self._tasks[target].catch_up(until)
            events = [event for target in targets for event in self._events(target, since) if event.at <= until]
            events += self._late
            self._late, self._told_until = [], until
            for target in targets:
                self._expect(target, self._tasks[target])
            return sorted(events, key=lambda event: event.at)

    def run(self, target: TargetId, at: int) -> SimulatedRun | None:
        """The latest run of a task at `at`, which is not before an earlier question's."""
        with self._lock:
            if (task := self._tasks.get(target)) is None:
                return None
            task.catch_up(at)
            return task.runs[-1]

    def runs(self, at: int) -> dict[TargetId, tuple[SimulatedRun, ...]]:
        """Every run of every task that was created until `at`, oldest first."""
        with self._lock:
            for task in self._tasks.values():
                task.catch_up(at)
            return {target: tuple(task.runs) for target, task in self._tasks.items()}

    def targets(self) -> dict[TargetId, Mapping[str, str]]:
        """Every task's labels; the class of one that was changed by hand lasts a day from its latest run on."""
        with self._lock:
            return {target: task.target_labels() for target, task in self._tasks.items()}

    def forget(self, target: TargetId) -> None:
        """Remove a task, as if it had never been started."""
        with self._lock:
            del self._tasks[target]

    def _now(self) -> int:
        return round(self.clock() * 1000)

    def _next_moment(self) -> int:
        """When a change is made: now, but after all that `due_events` has given."""
        return self._now() if self._told_until is None else max(self._now(), self._told_until + 1)

    def _expect(self, target: TargetId, task: FleetTask) -> None:
        """Look at a task again when something is due; one look too many does no harm."""
        if self._told_until is None:
            return
        times = {event.at for event in self._events(target, self._told_until)}
        if task.upcoming is not None:
            times.add(task.upcoming.created)
        if times:
            heappush(self._wakeups, (min(times), target))

    def _events(self, target: TargetId, since: int) -> list[CallbackEvent]:
        """A task's events after `since`."""
        runs = (run for run in self._tasks[target].runs if run.end is None or run.end > since)
        return [event for run in runs for event in callback_events(target, run) if event.at > since]


def _acted(action: Action, run: SimulatedRun, at: int) -> tuple[SimulatedRun, ...]:
    """The latest run as an action leaves it, and the new run if there is one."""
    live = run.end is None or run.end > at
    new = SimulatedRun(run.settings, at, None, None, Ending.TIMED_OUT)
    if action is Action.HANG:
        return end_run(run, at, Ending.STOPPED_BY_API) if live else run, new
    if action is Action.FAIL and live and (run.start is None or run.start > at):
        return (end_run(run, at, Ending.START_FAILED),)
    begun = _running(run if live else new, at)
    changed = {
        Action.FAIL: lambda: end_run(begun, at, Ending.BROKE),
        Action.END: lambda: end_run(begun, at, Ending.STOPPED_BY_API),
        Action.CUT: lambda: end_run(_at_its_limit(begun, at), at, Ending.TIMED_OUT),
        Action.UNKNOWN: lambda: replace(begun, unknown=(*begun.unknown, (at, begun.end or at))),
        Action.START: lambda: begun,
    }.get(action, lambda: _troubled(begun, PAGE_ACTIONS[action], at))()
    return (changed,) if live else (run, changed)


def _at_its_limit(run: SimulatedRun, at: int) -> SimulatedRun:
    """The run with the MaxRunningTime that it has reached at `at`, as far as the vendor allows one so short."""
    limit = running_time(round((at - (run.start or at)) / 1000))
    return replace(run, settings=replace(run.settings, max_running_time=limit))


def _running(run: SimulatedRun, at: int) -> SimulatedRun:
    """The run in good order from `at` on: started, and without an end before it has run for a day."""
    start = run.start if run.start is not None and run.start <= at else at
    return SimulatedRun(
        replace(run.settings, max_running_time=MAX_RUNNING_TIME),
        run.created,
        start,
        start + MAX_RUNNING_TIME * 1000,
        Ending.TIMED_OUT,
        tuple((since, min(until, at)) for since, until in run.unknown if since < at),
        tuple(remedy for remedy in run.remedies if remedy.at < at),
    )


def _troubled(run: SimulatedRun, reason: PageReason, at: int) -> SimulatedRun:
    """The run with a page that stays in trouble: the vendor's remedies come again and again."""
    setting, steps = CHECKS[reason]
    interval = 1000 * (getattr(run.settings, setting) or REHEARSAL_INTERVAL)
    remedies = tuple(
        PageRemedy(at + interval * (4 * number + checks), status, reason)
        for number in range(REHEARSAL_CYCLES)
        for status, checks in steps
    )
    return replace(run, remedies=(*run.remedies, *remedies))


def states(fleet: Fleet, at: int) -> dict[TargetId, RunState]:
    """The state of each task at `at`."""
    return {target: run_state(runs[-1], at) for target, runs in fleet.runs(at).items()}


def status_counts(fleet: Fleet, at: int) -> dict[Status, int]:
    """How many tasks are in each status; every status is there."""
    counts = Counter(state.status for state in states(fleet, at).values())
    return {status: counts[status] for status in Status}


def stopped_runs(fleet: Fleet, at: int) -> list[tuple[TargetId, SimulatedRun]]:
    """Every run that is over at `at`."""
    return [
        (target, run)
        for target, runs in fleet.runs(at).items()
        for run in runs
        if run.end is not None and run.end <= at
    ]


def stop_reason(run: SimulatedRun) -> StopReason:
    """Why a run ends, as the exporter labels it."""
    return VENDOR_STOP_REASONS.get(run.ending.reason, StopReason.UNSPECIFIED)


def stop_counts(fleet: Fleet, at: int) -> dict[StopReason, int]:
    """How many runs are over, by reason; every reason that a reply can show is there."""
    counts = Counter(stop_reason(run) for _, run in stopped_runs(fleet, at))
    return {reason: counts[reason] for reason in (*VENDOR_STOP_REASONS.values(), StopReason.UNSPECIFIED)}


def page_event_counts(fleet: Fleet, at: int) -> Counter[tuple[int, str]]:
    """How many page events there were until `at`, by the callback's Status and Reason."""
    every = (remedy for runs in fleet.runs(at).values() for run in runs for remedy in run.remedies)
    return Counter((remedy.status, remedy.reason.value) for remedy in every if remedy.at <= at)


def truth_document(fleet: Fleet, at: float) -> dict[str, Any]:
    """The truth about all tasks as JSON for `GET /truth`; times are Unix seconds, null = not yet."""
    now = int(at * 1000)
    return {
        "now": at,
        "tasks": {str(target): state_document(state) for target, state in states(fleet, now).items()},
        "statuses": {status.value: count for status, count in status_counts(fleet, now).items()},
        "stops": {reason.value: count for reason, count in stop_counts(fleet, now).items()},
        "page_events": [
            {"status": status, "reason": reason, "count": count}
            for (status, reason), count in sorted(page_event_counts(fleet, now).items())
        ],
    }


def state_document(state: RunState) -> dict[str, Any]:
    """One task's state as JSON."""
    times = {"start": state.start / 1000 if state.start else None, "end": state.end / 1000 if state.end else None}
    return {"status": state.status.value, "reason": state.reason, **times}


MINUTE = 60.0
APPS = ("661e0000000000000000543c", "661e0000000000000000543d")
TEAMS = ("maths", "music", "physics")
SOURCE_URL = "https://classroom.example.com/live?token=canary-source-url-query"
"""A made-up page, whose query must appear nowhere behind the exporter."""

LARGE = VideoSolution(1920, 1080, 30, 4000)
MIDDLE = VideoSolution()
SMALL = VideoSolution(640, 360, 15, 500)
VIDEOS = ((LARGE, SMALL), (MIDDLE,), (MIDDLE, SMALL), (LARGE,))


@dataclass(frozen=True, slots=True)
class Habit:
    """How one task runs again and again, in minutes of class time; `opening` is its status when the fleet begins.

    `vague` is the share of its run that is spent in Status 0; `starts` False: it fails before it ever runs.
    """

    opening: Status
    ending: Ending
    waits: tuple[float, float] = (1, 6)
    runs: tuple[float, float] = (25, 90)
    pauses: tuple[float, float] = (15, 40)
    starts: bool = True
    vague: float = 0.0
    trouble: PageReason | None = None


HABITS = (
    Habit(Status.RUNNING, Ending.BY_THE_PAGE),
    Habit(Status.NOT_STARTED, Ending.STOPPED_BY_API, waits=(60, 120), runs=(10, 20), pauses=(2, 5)),
    Habit(Status.UNKNOWN, Ending.BROKE, waits=(1, 2), runs=(60, 90), pauses=(4, 8), vague=0.9),
    Habit(Status.FAILED, Ending.START_FAILED, waits=(1, 3), pauses=(30, 90), starts=False),
    Habit(Status.ENDED, Ending.STOPPED_BY_API, runs=(20, 30), pauses=(60, 120)),
    Habit(Status.RUNNING, Ending.TIMED_OUT, runs=(30, 60), trouble=PageReason.FREEZE),
    Habit(Status.FAILED, Ending.BROKE, runs=(15, 30), pauses=(30, 60), trouble=PageReason.CRASH),
    Habit(Status.ENDED, Ending.BY_THE_PAGE, trouble=PageReason.BLANK),
    Habit(Status.ENDED, Ending.TIMED_OUT, runs=(15, 25), pauses=(60, 120)),
    Habit(Status.FAILED, Ending.START_FAILED, waits=(5, 10), runs=(0.2, 1), pauses=(30, 90)),
    Habit(Status.RUNNING, Ending.STOPPED_BY_API, waits=(4, 10), trouble=PageReason.START_TIMEOUT),
    Habit(Status.UNKNOWN, Ending.BY_THE_PAGE, waits=(1, 2), runs=(60, 90), pauses=(4, 8), vague=0.9),
    Habit(Status.NOT_STARTED, Ending.BY_THE_PAGE, waits=(60, 120), runs=(10, 20), pauses=(2, 5)),
)


def demo_fleet(tasks: int, speed: float, seed: int, clock: Callable[[], float]) -> Fleet:
    """A fleet in the middle of its day: every status is there, and each task starts anew some time after its end."""
    fleet = Fleet(clock, speed)
    for index in range(tasks):
        habit = HABITS[index % len(HABITS)]
        target = TargetId(APPS[index % 4 // 3], f"Room{index + 1}", f"Task{index + 1}")
        opening = _opening_run(habit, Random(f"{seed}/{target}/0"), clock(), speed)
        successor = partial(_next_run, habit, f"{seed}/{target}", speed)
        fleet.add(target, opening, labels={"team": TEAMS[index % len(TEAMS)]}, successor=successor)
    return fleet


def _opening_run(habit: Habit, rng: Random, now: float, speed: float) -> SimulatedRun:
    """A first run that has the habit's opening status at `now` (Unix seconds)."""
    plan = _plan(habit, rng)
    run = begin_run(plan, now, speed)
    start = run.start or run.created
    end = run.end or start
    rest = habit.pauses[0] * MINUTE * 1000 / speed
    since, until = {
        Status.NOT_STARTED: (run.created, start - 1),
        Status.UNKNOWN: run.unknown[0] if run.unknown else (start, end),
        Status.RUNNING: (start + 1, end - 1),
        Status.ENDED: (end + 1, end + rest),
        Status.FAILED: (end + 1, end + rest),
    }[habit.opening]
    return begin_run(plan, now - (rng.uniform(since, until) - run.created) / 1000, speed)


def _next_run(habit: Habit, seed: str, speed: float, number: int, last_end: int) -> SimulatedRun:
    """The run after one that ended at `last_end` (Unix milliseconds): a pause, then a new plan under the same id."""
    rng = Random(f"{seed}/{number}")
    pause = max(_minutes(rng, habit.pauses) / speed, 0.001)
    return begin_run(_plan(habit, rng), last_end / 1000 + pause, speed)


def _plan(habit: Habit, rng: Random) -> RunPlan:
    wait = _minutes(rng, habit.waits)
    run = _minutes(rng, habit.runs) if habit.starts else 0.0
    settings = _settings(habit, run, rng)
    troubles: tuple[PageTrouble, ...] = ()
    if habit.trouble is not None:
        after = 0.0 if habit.trouble is PageReason.START_TIMEOUT else wait + run * rng.uniform(0.1, 0.6)
        troubles = (PageTrouble(habit.trouble, after, lasting=rng.choice((True, False))),)
    return RunPlan(
        settings=settings,
        starts=wait if habit.starts else None,
        ends=wait + run,
        ending=habit.ending,
        unknown=((wait + run * (1 - habit.vague) / 2, wait + run * (1 + habit.vague) / 2),) if habit.vague else (),
        troubles=troubles,
    )


def _settings(habit: Habit, run: float, rng: Random) -> TaskSettings:
    """The settings of one run of so many seconds; only a habit that times out reaches its MaxRunningTime."""
    wanted = round(run if habit.ending is Ending.TIMED_OUT else max(2 * run, 60 * MINUTE))
    notify = habit.trouble is PageReason.START_TIMEOUT or rng.choice((True, False))
    return TaskSettings(
        user_id=f"webcast_{rng.randrange(1000):03d}",
        source_url=SOURCE_URL,
        video=rng.choice(VIDEOS),
        max_running_time=running_time(wanted),
        freeze_check=5 if habit.trouble is PageReason.FREEZE else rng.choice((0, 10)),
        blank_check=2 if habit.trouble is PageReason.BLANK else rng.choice((0, 5)),
        crash_check=2 if habit.trouble is PageReason.CRASH else rng.choice((0, 5)),
        event_notify=notify,
        start_timeout=2 if notify else 0,
    )


def _minutes(rng: Random, between: tuple[float, float]) -> float:
    return rng.uniform(*between) * MINUTE
