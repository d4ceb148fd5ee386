"""Demo fleet: tasks of made-up schools that run again and again by a few habits, drawn from a seed."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from random import Random

from exporter.enums import PageReason, Status
from exporter.model.target import TargetId
from exporter.simulator.fleet import Fleet
from exporter.simulator.lifecycle import (
    RANGES,
    Ending,
    PageTrouble,
    RunPlan,
    SimulatedRun,
    TaskSettings,
    VideoSolution,
    begin_run,
)

MINUTE = 60.0
APPS = ("661e0000000000000000543c", "661e0000000000000000543d")
TEAMS = ("maths", "music", "physics")
SOURCE_URL = "https://classroom.example.com/live?token=canary-source-url-query"
"""Its made-up query must appear nowhere behind the exporter."""

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
    low, high, _ = RANGES["MaxRunningTime"]
    wanted = round(run if habit.ending is Ending.TIMED_OUT else max(2 * run, 60 * MINUTE))
    notify = habit.trouble is PageReason.START_TIMEOUT or rng.choice((True, False))
    return TaskSettings(
        user_id=f"webcast_{rng.randrange(1000):03d}",
        source_url=SOURCE_URL,
        video=rng.choice(VIDEOS),
        max_running_time=min(max(wanted, low), high),
        freeze_check=5 if habit.trouble is PageReason.FREEZE else rng.choice((0, 10)),
        blank_check=2 if habit.trouble is PageReason.BLANK else rng.choice((0, 5)),
        crash_check=2 if habit.trouble is PageReason.CRASH else rng.choice((0, 5)),
        event_notify=notify,
        start_timeout=2 if notify else 0,
    )


def _minutes(rng: Random, between: tuple[float, float]) -> float:
    return rng.uniform(*between) * MINUTE
