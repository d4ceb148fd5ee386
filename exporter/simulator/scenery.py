"""Made-up schools: habits by which the tasks of a demo fleet live, drawn from a seed. Times are class time."""

from dataclasses import dataclass
from random import Random

from exporter.enums import PageReason, Status
from exporter.model.target import TargetId
from exporter.simulator.lives import Ending, Life, Plan, begin
from exporter.simulator.page import Trouble
from exporter.simulator.settings import RANGES, Settings, Video

MINUTE = 60.0
APPS = ("661e0000000000000000543c", "661e0000000000000000543d")
TEAMS = ("maths", "music", "physics")
SOURCE_URL = "https://classroom.example.com/live?token=canary-source-url-query"
"""Its query is made up, and must be seen nowhere behind the exporter."""

LARGE = Video(1920, 1080, 30, 4000)
MIDDLE = Video()
SMALL = Video(640, 360, 15, 500)
VIDEOS = ((LARGE, SMALL), (MIDDLE,), (MIDDLE, SMALL), (LARGE,))

Minutes = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Habit:
    """How one task lives again and again; `opening` is the state it is met in when the fleet begins.

    `vague` is the share of its run that is spent in Status 0; `starts` False: it fails before it ever runs.
    """

    opening: Status
    ending: Ending
    waits: Minutes = (1, 6)
    runs: Minutes = (25, 90)
    pauses: Minutes = (15, 40)
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


def demo_target(index: int) -> TargetId:
    """The triple of the fleet's task number `index`; every fourth belongs to the second app."""
    return TargetId(APPS[index % 4 // 3], f"Room{index + 1}", f"Task{index + 1}")


def opening_life(habit: Habit, dice: Random, now: float, speed: float) -> Life:
    """A first life that is in the habit's opening state at `now` (Unix seconds)."""
    plan = draw_plan(habit, dice)
    born = begin(plan, now, speed)
    since, until = _opening_span(habit, born, speed)
    age = (dice.uniform(since, until) - born.created) / 1000
    return begin(plan, now - age, speed)


def next_life(habit: Habit, dice: Random, last_end: int, speed: float) -> Life:
    """The life after one that ended at `last_end` (Unix milliseconds): a pause, then a new plan under the same id."""
    pause = max(_minutes(dice, habit.pauses) / speed, 0.001)
    return begin(draw_plan(habit, dice), last_end / 1000 + pause, speed)


def draw_plan(habit: Habit, dice: Random) -> Plan:
    """One life by a habit."""
    wait = _minutes(dice, habit.waits)
    run = _minutes(dice, habit.runs) if habit.starts else 0.0
    settings = draw_settings(habit, run, dice)
    vague = (wait + run * (1 - habit.vague) / 2, wait + run * (1 + habit.vague) / 2)
    return Plan(
        settings=settings,
        starts=wait if habit.starts else None,
        ends=wait + run,
        ending=habit.ending,
        unknown=(vague,) if habit.vague else (),
        troubles=_troubles(habit, wait, run, dice),
    )


def draw_settings(habit: Habit, run: float, dice: Random) -> Settings:
    """The settings of one life; its MaxRunningTime (seconds) is met only by a habit that times out."""
    low, high, *_ = RANGES["MaxRunningTime"]
    wished = round(run if habit.ending is Ending.TIMED_OUT else max(2 * run, 60 * MINUTE))
    notify = habit.trouble is PageReason.START_TIMEOUT or dice.choice((True, False))
    return Settings(
        user_id=f"webcast_{dice.randrange(1000):03d}",
        source_url=SOURCE_URL,
        video=dice.choice(VIDEOS),
        max_running_time=min(max(wished, low), high),
        freeze_check=5 if habit.trouble is PageReason.FREEZE else dice.choice((0, 10)),
        blank_check=2 if habit.trouble is PageReason.BLANK else dice.choice((0, 5)),
        crash_check=2 if habit.trouble is PageReason.CRASH else dice.choice((0, 5)),
        event_notify=notify,
        start_timeout=2 if notify else 0,
    )


def _troubles(habit: Habit, wait: float, run: float, dice: Random) -> tuple[Trouble, ...]:
    if habit.trouble is None:
        return ()
    early = habit.trouble is PageReason.START_TIMEOUT
    after = 0.0 if early else wait + run * dice.uniform(0.1, 0.6)
    return (Trouble(habit.trouble, after, lasting=dice.choice((True, False))),)


def _opening_span(habit: Habit, born: Life, speed: float) -> tuple[float, float]:
    """Between which two times (Unix milliseconds) a life is in its habit's opening state."""
    start = born.start or born.created
    end = born.end or start
    rest = habit.pauses[0] * MINUTE * 1000 / speed
    return {
        Status.NOT_STARTED: (born.created, start - 1),
        Status.UNKNOWN: born.unknown[0] if born.unknown else (start, end),
        Status.RUNNING: (start + 1, end - 1),
        Status.ENDED: (end + 1, end + rest),
        Status.FAILED: (end + 1, end + rest),
    }[habit.opening]


def _minutes(dice: Random, between: Minutes) -> float:
    return dice.uniform(*between) * MINUTE
