"""Alerts of one class: what is told of it, for how long, and what is not."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import pytest

from exporter.enums import PageReason
from exporter.simulator.lifecycle import Ending, PageTrouble, RunPlan, TaskSettings
from tests.rules.scene import APP, HOUR, MINUTE, WATCHED, Scene, of_exporter, of_task, task
from tests.rules.tape import Alert

pytestmark = pytest.mark.real

ILL, WELL, OTHER = task("Ill"), task("Well"), task("Other")
DARK = of_task("WebCastClassDark", ILL, "critical")
FAILED = of_task("WebCastTaskFailed", ILL, "critical")
LATE = of_task("WebCastTaskFailed", ILL, "warning")
CUT = of_task("WebCastTaskStoppedUnexpectedly", ILL, "warning")
WILL_BE_CUT = of_task("WebCastClassWillBeCut", ILL, "warning")
OVERRUN = of_task("WebCastClassOverrun", ILL, "warning")
NEAR_LIMIT = of_task("WebCastTaskNearLimit", ILL, "warning")
NOT_STARTED = of_task("WebCastTaskNotStarted", ILL, "critical")
UNKNOWN = of_task("WebCastTaskStatusUnknown", ILL, "warning")
NOT_FOUND = of_task("WebCastTaskNotFound", ILL, "info")
REFRESHED = of_task("WebCastPageRefreshedRepeatedly", ILL, "warning")
RESCHEDULED = of_task("WebCastPageRescheduledRepeatedly", ILL, "critical")
NOT_CHECKED = of_task("WebCastPageMonitorsOff", ILL, "info")


def limited(seconds: int) -> TaskSettings:
    """A watched page whose task may run so long."""
    return replace(WATCHED, max_running_time=seconds)


def troubled(reason: PageReason, *moments: float, ends: float | None = None) -> RunPlan:
    """A page that the vendor finds in trouble at these moments of its run."""
    troubles = tuple(PageTrouble(reason, each) for each in moments)
    return RunPlan(WATCHED, ends=ends, ending=Ending.STOPPED_BY_API, troubles=troubles)


WAYS_TO_BE_DARK = {
    "it was never created": None,
    "it never starts": RunPlan(WATCHED, starts=None),
    "its start fails": RunPlan(WATCHED, starts=None, ends=40.0, ending=Ending.START_FAILED),
    "it breaks": RunPlan(WATCHED, ends=2 * MINUTE, ending=Ending.BROKE),
    "its page ends it": RunPlan(WATCHED, ends=2 * MINUTE),
    "it is stopped by API": RunPlan(WATCHED, ends=2 * MINUTE, ending=Ending.STOPPED_BY_API),
}


@pytest.mark.parametrize("way", WAYS_TO_BE_DARK)
def test_a_dark_class_is_one_critical_alert_from_beginning_to_end(scene: Scene, way: str) -> None:
    """For the 25 minutes until its expected end, though `linger` is 15 minutes."""
    plan = WAYS_TO_BE_DARK[way]
    scene.list(ILL, starts=0, ends=30 * MINUTE)
    if plan is not None:
        scene.start(ILL, plan)
    scene.start(WELL)
    scene.passes(minutes=4)
    for _ in range(25):
        scene.expects(DARK)
        scene.passes(minutes=1)
    scene.fired_once(DARK)
    scene.passes(minutes=5)
    scene.expects()
    scene.passes(minutes=10)
    scene.expects()
    scene.prove()


@pytest.mark.parametrize("callbacks", [{}, {"secret_file": "secret"}], ids=["without", "with"])
def test_dark_although_its_list_drops_it(scene: Scene, callbacks: dict[str, str]) -> None:
    """A backend that lists only what is live does not make a dark class vanish, though callbacks list its task on."""
    scene.configure(callbacks=callbacks)
    scene.list(ILL, starts=0, ends=40 * MINUTE)
    scene.start(ILL, RunPlan(WATCHED, ends=2 * MINUTE, ending=Ending.BROKE))
    scene.start(WELL)
    scene.passes(minutes=5)
    scene.drop(ILL)
    scene.passes(minutes=33)
    scene.expects(DARK)
    scene.fired_once(DARK)
    scene.passes(minutes=5)
    scene.expects()
    scene.prove()


def test_the_words_of_a_dark_class(scene: Scene) -> None:
    """Cause, since when, and the exporter's own pages: what messages are made of."""
    scene.list(ILL, starts=MINUTE, ends=HOUR)
    scene.passes(minutes=4)
    exporter = "http://10.0.0.1:10960"
    words = {
        "problem": "class dark",
        "cause": "not_found",
        "since": "1970-01-01 00:01 UTC",
        "summary": "Class Room1/Ill is dark",
        "description": f"Task {ILL} (account default) should be on the air and is not. Its audience sees nothing.",
        "task_url": f"{exporter}/tasks/{ILL}",
        "runbook_url": f"{exporter}/runbooks/WebCastClassDark",
        "dashboard": f"/d/webcast-task/webcast-task?var-app_id={APP}&var-room_id=Room1&var-task_id=Ill",
    }
    scene.expects(replace(DARK, annotations=words))
    scene.start(ILL, RunPlan(WATCHED, starts=None))
    scene.passes(minutes=3)
    scene.expects(replace(DARK, annotations={**words, "cause": ""}))
    scene.fired_once(DARK)
    scene.prove()


def test_dark_until_it_runs_again(scene: Scene) -> None:
    """A new run of the same ids ends it."""
    scene.list(ILL, starts=0, ends=HOUR)
    scene.start(ILL, RunPlan(WATCHED, ends=2 * MINUTE, ending=Ending.BROKE))
    scene.passes(minutes=20)
    scene.expects(DARK)
    scene.vendor.forget(ILL)
    scene.start(ILL)
    scene.passes(minutes=14)
    scene.expects()
    scene.prove()


def test_dark_until_it_is_removed_by_hand(scene: Scene) -> None:
    """Also the only task of its app, which no list names any more: nothing is told of that app then."""
    sole = task("Sole", "6620000000000000000000aa")
    scene.list(sole, starts=0, ends=HOUR)
    scene.start(WELL)
    scene.passes(minutes=4)
    scene.drop(sole)
    scene.passes(minutes=4)
    scene.expects(of_task("WebCastClassDark", sole, "critical"))
    scene.whole.exporter.dismiss(sole)
    scene.passes(minutes=4)
    scene.expects()
    scene.prove()


def test_dark_until_its_times_are_changed(scene: Scene) -> None:
    """A class that is put off for an hour is dark no more."""
    scene.list(ILL, starts=0, ends=HOUR)
    scene.passes(minutes=5)
    scene.expects(DARK)
    scene.list(ILL, starts=HOUR, ends=2 * HOUR)
    scene.passes(minutes=4)
    scene.expects()
    scene.prove()


def test_dark_when_only_the_class_before_has_run(scene: Scene) -> None:
    """A TaskId that is used again is dark while the API still tells of the run before."""
    scene.start(ILL, RunPlan(WATCHED, ends=HOUR, ending=Ending.STOPPED_BY_API), age=1.5 * HOUR)
    scene.list(ILL, starts=0, ends=HOUR)
    scene.passes(minutes=4)
    scene.expects(DARK)
    scene.prove()


def test_not_dark(scene: Scene) -> None:
    """Not before its time, a little late, after its time or after it has run; nor is a target of yesterday."""
    scene.list(task("Late"), starts=15, ends=HOUR)
    scene.start(task("Late"), RunPlan(WATCHED, starts=120.0))
    scene.list(task("Later"), starts=2 * HOUR, ends=3 * HOUR)
    scene.list(task("Over"), starts=-2 * HOUR, ends=-HOUR)
    scene.list(task("HasRun"), starts=-HOUR, ends=5 * MINUTE)
    scene.start(task("HasRun"), RunPlan(WATCHED, ends=HOUR, ending=Ending.STOPPED_BY_API), age=HOUR)
    scene.passes(minutes=4)
    scene.expects()
    scene.passes(minutes=6)
    scene.expects()
    scene.prove()


@dataclass(frozen=True)
class Case:
    """A story, and the alerts so many minutes after its beginning; none but those that are told."""

    begin: Callable[[Scene], None]
    moments: tuple[tuple[float, tuple[Alert, ...]], ...]


def classes(
    *plans: tuple[str, RunPlan], starts: float | None = None, ends: float | None = None, age: float = 0.0
) -> Callable[[Scene], None]:
    """Classes of these names, all with the same expected times (seconds from now)."""

    def begin(scene: Scene) -> None:
        for name, plan in plans:
            scene.list(task(name), starts, ends)
            scene.start(task(name), plan, age)

    return begin


def unknown_to_the_api(scene: Scene) -> None:
    """Listed without times, and never started."""
    scene.list(ILL)


def failed_without_an_end_time(scene: Scene) -> None:
    """The vendor may leave EndTime 0 when a task never started."""
    scene.vendor.says_at_the_end[ILL] = {"EndTime": 0}
    scene.start(ILL, RunPlan(WATCHED, starts=None, ends=40.0, ending=Ending.START_FAILED))


UNCHECKED = replace(WATCHED, freeze_check=0, blank_check=0, crash_check=0)
BREAKS = RunPlan(WATCHED, ends=2 * MINUTE, ending=Ending.BROKE)
CASES = {
    "failed, without times": Case(classes(("Ill", BREAKS)), ((2, ()), (3, (FAILED,)), (16, (FAILED,)), (19, ()))),
    "start failed, without times": Case(failed_without_an_end_time, ((2, (FAILED,)), (15, (FAILED,)), (19, ()))),
    "failed after its class": Case(
        classes(
            ("Ill", RunPlan(WATCHED, ends=HOUR + 3 * MINUTE, ending=Ending.BROKE)), starts=-HOUR, ends=MINUTE, age=HOUR
        ),
        ((2, ()), (5, (LATE,)), (25, ())),
    ),
    "will be cut, and is cut": Case(
        classes(("Ill", RunPlan(limited(1200))), ("Well", RunPlan(limited(3570))), starts=0, ends=HOUR),
        ((1, (WILL_BE_CUT,)), (19, (WILL_BE_CUT,)), (22, (WILL_BE_CUT, DARK)), (58, (WILL_BE_CUT, DARK))),
    ),
    "overrun": Case(
        classes(
            ("Ill", RunPlan(WATCHED, ends=HOUR + 40 * MINUTE, ending=Ending.STOPPED_BY_API)),
            ("Well", RunPlan(WATCHED, ends=HOUR + 10 * MINUTE, ending=Ending.STOPPED_BY_API)),
            starts=-HOUR,
            ends=MINUTE,
            age=HOUR,
        ),
        ((15, ()), (17, (OVERRUN,)), (39, (OVERRUN,)), (42, ())),
    ),
    "near its limit, and cut": Case(
        classes(("Ill", RunPlan(limited(3600))), age=HOUR - 12 * MINUTE),
        ((5, ()), (7, (NEAR_LIMIT,)), (13, (CUT,)), (27, (CUT,)), (30, ())),
    ),
    "near a short limit": Case(classes(("Ill", RunPlan(limited(1200))), age=1000.0), ((1, ()), (2, (NEAR_LIMIT,)))),
    "not started": Case(
        classes(("Ill", RunPlan(WATCHED, starts=8 * MINUTE)), ("Well", RunPlan(WATCHED, starts=4 * MINUTE))),
        ((4.5, ()), (6, (NOT_STARTED,)), (10, ())),
    ),
    "status unknown": Case(
        classes(
            ("Ill", RunPlan(WATCHED, unknown=((MINUTE, 20 * MINUTE),))),
            ("Well", RunPlan(WATCHED, unknown=((MINUTE, 8 * MINUTE),))),
        ),
        ((10, ()), (13, (UNKNOWN,)), (19, (UNKNOWN,)), (23, ())),
    ),
    "unknown to the API": Case(unknown_to_the_api, ((4, ()), (7, (NOT_FOUND,)))),
    "refreshed repeatedly": Case(
        classes(
            ("Ill", troubled(PageReason.FREEZE, 60, 240, 420)),
            ("Twice", troubled(PageReason.FREEZE, 60, 420)),
            ("Slowly", troubled(PageReason.FREEZE, 60, 1200, 2400)),
            ("Over", troubled(PageReason.FREEZE, 60, 120, 180, ends=185.0)),
        ),
        ((6, ()), (10, (REFRESHED,)), (15, (REFRESHED,)), (20, ()), (50, ())),
    ),
    "rescheduled repeatedly": Case(
        classes(
            ("Ill", troubled(PageReason.CRASH, 60, 400)),
            ("Once", troubled(PageReason.CRASH, 60)),
            ("Slowly", troubled(PageReason.CRASH, 60, 1200)),
        ),
        ((6, ()), (10, (RESCHEDULED,)), (20, ()), (35, ())),
    ),
    "page not checked": Case(
        classes(
            ("Ill", RunPlan(UNCHECKED)),
            ("Well", RunPlan(replace(UNCHECKED, freeze_check=5))),
            ("Other", RunPlan(UNCHECKED, starts=None, ends=4 * MINUTE, ending=Ending.STOPPED_BY_API)),
        ),
        ((4, ()), (6, (NOT_CHECKED,))),
    ),
    "stopped as it should be": Case(
        classes(
            ("Page", RunPlan(WATCHED, ends=300.0)),
            ("Api", RunPlan(WATCHED, ends=300.0, ending=Ending.STOPPED_BY_API)),
            ("ByItsLimit", RunPlan(limited(3600))),
            starts=0,
            ends=14 * MINUTE,
        ),
        ((4, ()), (13, ()), (16, ())),
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_what_is_told_of_a_class(scene: Scene, case: str) -> None:
    CASES[case].begin(scene)
    passed = 0.0
    for minute, alerts in CASES[case].moments:
        scene.passes(minutes=minute - passed)
        scene.expects(*alerts)
        passed = minute
    scene.prove()


def test_labels_stay_while_a_problem_lasts(scene: Scene) -> None:
    """A new team in the list, a new cause and a new host of the page do not end the alert."""
    scene.list(ILL, starts=0, ends=HOUR)
    scene.passes(minutes=5)
    scene.expects(DARK)
    scene.relabel(ILL, team="science")
    scene.start(ILL, RunPlan(WATCHED, starts=None, ends=2 * MINUTE, ending=Ending.START_FAILED))
    scene.passes(minutes=6)
    scene.expects(DARK)
    scene.fired_once(DARK)
    scene.prove()


def test_a_class_that_the_api_forgets_is_one_alert(scene: Scene) -> None:
    """The class names what was lost, and no second alert does; a lost task of no class is told of beside it."""
    scene.list(ILL, starts=0, ends=HOUR)
    for target in (ILL, OTHER, WELL):
        scene.start(target)
    scene.passes(minutes=5)
    scene.vendor.forget(ILL)
    scene.passes(minutes=5)
    scene.expects(DARK)
    scene.vendor.forget(OTHER)
    scene.passes(minutes=4)
    scene.expects(DARK, of_exporter("WebCastRunsLost", "warning", app_id=APP))
    scene.fired_once(DARK)
    scene.prove()


def test_ids_that_are_used_again_have_no_times_of_before(scene: Scene) -> None:
    """The task of a class that is over is started again for no class: its failure is as bad as any."""
    scene.list(ILL, starts=-HOUR, ends=MINUTE)
    scene.start(ILL, RunPlan(WATCHED, ends=HOUR, ending=Ending.STOPPED_BY_API), age=HOUR)
    scene.start(WELL)
    scene.passes(minutes=20)
    scene.drop(ILL)
    scene.passes(minutes=2)
    scene.vendor.forget(ILL)
    scene.start(ILL, BREAKS)
    scene.passes(minutes=4)
    scene.expects(FAILED)
    scene.prove()


def test_runs_lost(scene: Scene) -> None:
    """A running task that the API forgets is told of by its app."""
    scene.start(ILL)
    scene.start(WELL)
    scene.passes(minutes=3)
    scene.vendor.forget(ILL)
    scene.passes(minutes=4)
    scene.expects(of_exporter("WebCastRunsLost", "warning", app_id=APP))
    scene.passes(minutes=6)
    scene.expects(of_exporter("WebCastRunsLost", "warning", app_id=APP), NOT_FOUND)
    scene.prove()
