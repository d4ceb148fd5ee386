"""Alerts of one class: what is told of it, and what is not."""

from dataclasses import replace

import pytest

from exporter.enums import PageReason
from exporter.simulator.lifecycle import Ending, PageTrouble, RunPlan, TaskSettings
from tests.rules.scene import APP, HOUR, MINUTE, WATCHED, Scene, named, of_exporter, of_task, task
from tests.rules.tape import Alert

pytestmark = pytest.mark.real

ILL, WELL, OTHER = task("Ill"), task("Well"), task("Other")


def limited(seconds: int) -> TaskSettings:
    """A watched page whose task may run so long."""
    return replace(WATCHED, max_running_time=seconds)


def test_dark_when_nobody_has_started_it(scene: Scene) -> None:
    """Two minutes after its expected start a class that the API does not know is dark, until it runs."""
    scene.list(ILL, starts=MINUTE, ends=HOUR)
    scene.start(WELL)
    scene.list(WELL, starts=MINUTE, ends=HOUR)
    scene.passes(minutes=3)
    scene.expects()
    scene.passes(minutes=1)
    dark = of_task(
        "WebCastClassDark",
        ILL,
        "critical",
        "Class Room1/Ill is dark",
        f"Task {ILL} (account default) was meant to start 3m 0s ago and is not running.",
        host="",
    )
    scene.expects(dark)
    scene.start(ILL)
    scene.passes(minutes=4)
    scene.expects(replace(dark, summary=""))
    scene.passes(minutes=3)
    scene.expects()
    scene.prove()


def test_dark_when_it_does_not_start(scene: Scene) -> None:
    """A class that waits for its start is as dark, until its expected end is over."""
    scene.list(ILL, starts=0, ends=10 * MINUTE)
    scene.start(ILL, RunPlan(WATCHED, starts=None))
    scene.passes(minutes=4)
    dark = of_task(
        "WebCastClassDark",
        ILL,
        "critical",
        "Class Room1/Ill is dark",
        f"Task {named(ILL)} was meant to start 4m 0s ago and is not running.",
    )
    scene.expects(dark)
    scene.passes(minutes=7)
    scene.expects(replace(dark, summary=""))
    scene.passes(minutes=6)
    scene.expects()
    scene.prove()


def test_dark_when_only_the_class_before_has_run(scene: Scene) -> None:
    """A TaskId that is used again is dark while the API still tells of the run before."""
    scene.start(ILL, RunPlan(WATCHED, ends=HOUR, ending=Ending.STOPPED_BY_API), age=1.5 * HOUR)
    scene.list(ILL, starts=0, ends=HOUR)
    scene.passes(minutes=4)
    scene.expects(of_task("WebCastClassDark", ILL, "critical"))
    scene.prove()


def test_dark_all_day(scene: Scene) -> None:
    """Without an expected end it stays dark, as long as a task may run at all."""
    scene.list(ILL, starts=-24 * HOUR + 10 * MINUTE)
    scene.passes(minutes=4)
    scene.expects(of_task("WebCastClassDark", ILL, "critical", host=""))
    scene.passes(minutes=13)
    scene.expects()
    scene.prove()


def test_not_dark(scene: Scene) -> None:
    """Not before its time, a little late, after its time or after it has run; nor is a target of yesterday."""
    scene.list(task("Late"), starts=15, ends=HOUR)
    scene.start(task("Late"), RunPlan(WATCHED, starts=160.0))
    scene.list(task("Later"), starts=2 * HOUR, ends=3 * HOUR)
    scene.list(task("Over"), starts=-2 * HOUR, ends=-HOUR)
    scene.list(task("Yesterday"), starts=-25 * HOUR)
    scene.list(task("HasRun"), starts=-HOUR, ends=5 * MINUTE)
    scene.start(task("HasRun"), RunPlan(WATCHED, ends=HOUR, ending=Ending.STOPPED_BY_API), age=HOUR)
    scene.passes(minutes=10)
    scene.expects()
    scene.prove()


def test_will_be_cut(scene: Scene) -> None:
    """From its first read on a class is told of whose MaxRunningTime is over before it is."""
    scene.list(ILL, ends=2 * HOUR)
    scene.start(ILL, RunPlan(limited(3600)))
    scene.list(WELL, ends=HOUR + MINUTE)
    scene.start(WELL, RunPlan(limited(3600)))
    scene.list(OTHER, ends=2 * HOUR)
    scene.start(OTHER, RunPlan(limited(3600), ends=600.0, ending=Ending.STOPPED_BY_API), age=HOUR)
    scene.passes(minutes=1)
    cut = of_task(
        "WebCastClassWillBeCut",
        ILL,
        "warning",
        "Class Room1/Ill will be cut by its MaxRunningTime",
        f"Task {named(ILL)} will be stopped by the vendor at 1970-01-01 01:00:00 +0000 UTC, "
        "before its class is meant to end.",
    )
    scene.expects(cut)
    scene.list(ILL, ends=30 * MINUTE)
    scene.passes(minutes=4)
    scene.expects(replace(cut, summary=""))
    scene.passes(minutes=2)
    scene.expects()
    scene.prove()


def test_failed(scene: Scene) -> None:
    """A class that fails is told of at once and by its reason, until its series go."""
    scene.start(WELL)
    scene.list(ILL, starts=0, ends=HOUR)
    scene.start(ILL, RunPlan(WATCHED, ends=120.0, ending=Ending.BROKE))
    scene.passes(minutes=2)
    scene.expects()
    scene.passes(minutes=1)
    failed = of_task(
        "WebCastTaskFailed",
        ILL,
        "critical",
        "Class Room1/Ill has failed (UnknownStopReason)",
        f"Task {named(ILL)} has failed; StopReason UnknownStopReason. Nothing is pushed into its room any more.",
        reason="UnknownStopReason",
    )
    scene.expects(failed)
    scene.passes(minutes=14)
    scene.expects(failed)
    scene.passes(minutes=10)
    scene.expects()
    scene.prove()


def test_failed_at_its_start(scene: Scene) -> None:
    """One alert and not two, though the reason is an unwanted one as well."""
    scene.start(ILL, RunPlan(WATCHED, starts=None, ends=40.0, ending=Ending.START_FAILED))
    scene.passes(minutes=2)
    scene.expects(of_task("WebCastTaskFailed", ILL, "critical", reason="StartTaskFailed"))
    scene.prove()


def test_failed_without_an_end_time(scene: Scene) -> None:
    """A task that could not start may have no EndTime: that it was seen waiting is enough for an alert."""
    scene.vendor.says_at_the_end[ILL] = {"EndTime": 0}
    scene.start(ILL, RunPlan(WATCHED, starts=None, ends=40.0, ending=Ending.START_FAILED))
    scene.passes(minutes=2)
    failed = of_task("WebCastTaskFailed", ILL, "critical", reason="StartTaskFailed")
    scene.expects(failed)
    scene.passes(minutes=13)
    scene.expects(failed)
    scene.passes(minutes=8)
    scene.expects()
    scene.prove()


def test_failed_nobody_knows_when(scene: Scene) -> None:
    """Without an EndTime, and never seen in another state, a failure may be old: it is a warning."""
    scene.vendor.says_at_the_end[ILL] = {"EndTime": 0}
    scene.start(ILL, RunPlan(WATCHED, starts=None, ends=10.0, ending=Ending.START_FAILED), age=HOUR)
    scene.passes(minutes=4)
    scene.expects(
        of_task(
            "WebCastTaskFailed",
            ILL,
            "warning",
            "Task Room1/Ill has failed (StartTaskFailed)",
            f"Task {named(ILL)} has failed; StopReason StartTaskFailed. "
            "Its class was over by then, or the vendor does not say when it failed.",
            reason="StartTaskFailed",
        )
    )
    scene.passes(minutes=20)
    scene.expects()
    scene.prove()


def test_failed_after_its_class(scene: Scene) -> None:
    """A task that fails when its class is over wakes nobody."""
    scene.list(ILL, starts=-HOUR, ends=MINUTE)
    scene.start(ILL, RunPlan(WATCHED, ends=HOUR + 3 * MINUTE, ending=Ending.BROKE), age=HOUR)
    scene.passes(minutes=7)
    scene.expects(of_task("WebCastTaskFailed", ILL, "warning", reason="UnknownStopReason"))
    scene.passes(minutes=20)
    scene.expects()
    scene.prove()


def stopped(name: str, reason: str) -> Alert:
    """The alert of a run that nobody has stopped."""
    return of_task(
        "WebCastTaskStoppedUnexpectedly",
        task(name),
        "warning",
        f"Task Room1/{name} was stopped ({reason})",
        f"Task {named(task(name))} has ended, and not by StopWebcast; StopReason {reason}.",
        reason=reason,
    )


def test_stopped_unexpectedly(scene: Scene) -> None:
    """An end by the limit, or for a reason that nobody knows, is a warning; one by API or by the page is in order."""
    plans = {
        "Limit": RunPlan(limited(300)),
        "Word": RunPlan(WATCHED, ends=300.0),
        "Vague": RunPlan(WATCHED, ends=300.0),
        "Page": RunPlan(WATCHED, ends=300.0),
        "Api": RunPlan(WATCHED, ends=300.0, ending=Ending.STOPPED_BY_API),
    }
    scene.vendor.says_at_the_end[task("Word")] = {"StopReason": "IdleTimeOut"}
    scene.vendor.says_at_the_end[task("Vague")] = {"StopReason": "UnknownStopReason"}
    for name, plan in plans.items():
        scene.list(task(name), ends=300)
        scene.start(task(name), plan)
    scene.passes(minutes=6)
    scene.expects(stopped("Limit", "ExceedMaxRunningTime"), stopped("Word", "Other"))
    scene.passes(minutes=20)
    scene.expects()
    scene.prove()


def test_runs_lost(scene: Scene) -> None:
    """A running task that the API forgets is told of by its app, since it has no series any more."""
    scene.start(ILL)
    scene.start(WELL)
    scene.passes(minutes=3)
    scene.vendor.forget(ILL)
    scene.passes(minutes=4)
    scene.expects(
        of_exporter(
            "WebCastRunsLost",
            "warning",
            f"Runs of app {APP} have stopped without their end being read",
            f"Lost runs of app {APP} within 10 minutes: about 1. They were last read live, and then the API knew no "
            "such task, or told of a new run in their place. How they ended is not known.",
            app_id=APP,
        )
    )
    scene.passes(minutes=20)
    scene.expects()
    scene.prove()


def test_ended_early(scene: Scene) -> None:
    """Well before its expected end: critical when nobody asked for it, a warning after StopWebcast."""
    plans = {
        "Page": (12 * MINUTE, RunPlan(WATCHED, ends=MINUTE)),
        "Api": (12 * MINUTE, RunPlan(WATCHED, ends=MINUTE, ending=Ending.STOPPED_BY_API)),
        "PageInTime": (10 * MINUTE, RunPlan(WATCHED, ends=MINUTE)),
        "ApiInTime": (10 * MINUTE, RunPlan(WATCHED, ends=MINUTE, ending=Ending.STOPPED_BY_API)),
    }
    for name, (ends, plan) in plans.items():
        scene.list(task(name), starts=0, ends=ends)
        scene.start(task(name), plan)
    scene.list(task("Before"), starts=HOUR, ends=2 * HOUR)
    scene.start(task("Before"), RunPlan(WATCHED, ends=HOUR, ending=Ending.STOPPED_BY_API), age=HOUR)
    scene.list(task("BeforeByThePage"), starts=HOUR, ends=2 * HOUR)
    scene.start(task("BeforeByThePage"), RunPlan(WATCHED, ends=HOUR), age=HOUR)
    scene.passes(minutes=3)
    early = "WebCastClassEndedEarly"
    scene.expects(
        of_task(
            early,
            task("Page"),
            "critical",
            "Class Room1/Page ended 11m 0s early",
            f"Task {named(task('Page'))} ended 11m 0s before its class was meant to end; StopReason Unspecified.",
            reason="Unspecified",
        ),
        of_task(
            early,
            task("Api"),
            "warning",
            "Class Room1/Api was stopped 11m 0s early",
            f"Task {named(task('Api'))} was stopped by StopWebcast 11m 0s before its class was meant to end.",
            reason="StopByAPI",
        ),
    )
    scene.passes(minutes=22)
    scene.expects()
    scene.prove()


def test_overrun(scene: Scene) -> None:
    """Still running a quarter of an hour after its expected end."""
    scene.list(ILL, starts=-HOUR, ends=MINUTE)
    scene.list(WELL, starts=-HOUR, ends=MINUTE)
    scene.start(ILL, age=HOUR)
    scene.start(WELL, RunPlan(WATCHED, ends=HOUR + 10 * MINUTE, ending=Ending.STOPPED_BY_API), age=HOUR)
    scene.passes(minutes=15)
    scene.expects()
    scene.passes(minutes=3)
    scene.expects(
        of_task(
            "WebCastClassOverrun",
            ILL,
            "warning",
            "Task Room1/Ill still runs after its class",
            f"Task {named(ILL)} still runs 17m 0s after its class was meant to end.",
        )
    )
    scene.prove()


def test_near_its_limit(scene: Scene) -> None:
    """Shortly before MaxRunningTime, where no end is expected; a long limit is told of ten minutes before."""
    scene.start(ILL, RunPlan(limited(14_400)), age=3.8 * HOUR)
    scene.list(WELL, ends=0.2 * HOUR)
    scene.start(WELL, RunPlan(limited(14_400)), age=3.8 * HOUR)
    scene.start(OTHER, RunPlan(limited(3600)), age=3600 - 9 * MINUTE)
    scene.passes(minutes=2)
    scene.expects()
    scene.passes(minutes=1)
    near = "WebCastTaskNearLimit"
    scene.expects(
        of_task(
            near,
            ILL,
            "warning",
            "Task Room1/Ill is about to hit its MaxRunningTime",
            f"Task {named(ILL)} will be stopped by the vendor in 9m 0s.",
        )
    )
    scene.passes(minutes=1)
    scene.expects(of_task(near, ILL, "warning"), of_task(near, OTHER, "warning"))
    scene.vendor.fleet.stop(ILL)
    scene.vendor.fleet.stop(OTHER)
    scene.passes(minutes=7)
    scene.expects()
    scene.vendor.fleet.stop(WELL)
    scene.prove()


def test_not_started(scene: Scene) -> None:
    """Five minutes without a start, where none is expected at a given time."""
    scene.start(ILL, RunPlan(WATCHED, starts=None))
    scene.start(WELL, RunPlan(WATCHED, starts=4 * MINUTE))
    scene.passes(minutes=5)
    scene.expects()
    scene.passes(minutes=1)
    scene.expects(
        of_task(
            "WebCastTaskNotStarted",
            ILL,
            "critical",
            "Class Room1/Ill does not start",
            f"Task {named(ILL)} has not started for over 5 minutes.",
        )
    )
    scene.prove()


def test_status_unknown(scene: Scene) -> None:
    """Ten minutes of Status 0."""
    scene.start(ILL, RunPlan(WATCHED, unknown=((60.0, HOUR),)))
    scene.start(WELL, RunPlan(WATCHED, unknown=((60.0, 8 * MINUTE),)))
    scene.passes(minutes=10)
    scene.expects()
    scene.passes(minutes=3)
    scene.expects(
        of_task(
            "WebCastTaskStatusUnknown",
            ILL,
            "warning",
            "The status of Room1/Ill is unknown",
            f"The vendor has said for over 10 minutes that it does not know the state of task {named(ILL)}.",
        )
    )
    scene.prove()


def test_page_refreshed_repeatedly(scene: Scene) -> None:
    """Three refreshes within a quarter of an hour; two, or three over an hour, are the vendor's cure at work."""
    freezes = {"Ill": (60, 240, 420), "Twice": (60, 420), "Slowly": (60, 1200, 2400), "Over": (60, 120, 180)}
    for name, times in freezes.items():
        troubles = tuple(PageTrouble(PageReason.FREEZE, each) for each in times)
        ends = 200.0 if name == "Over" else None
        scene.start(task(name), RunPlan(WATCHED, ends=ends, ending=Ending.STOPPED_BY_API, troubles=troubles))
    scene.passes(minutes=10)
    scene.expects(
        of_task(
            "WebCastPageRefreshedRepeatedly",
            ILL,
            "warning",
            "The page of Room1/Ill is refreshed again and again",
            f"The vendor refreshed the page of task {named(ILL)} about 3 times in 15 minutes.",
        )
    )
    scene.passes(minutes=40)
    scene.expects()
    scene.prove()


def test_page_rescheduled_repeatedly(scene: Scene) -> None:
    """A second reschedule within a quarter of an hour: moving the page does not help, and the class is dark."""
    crashes = {"Ill": (60, 400), "Once": (60,), "Slowly": (60, 1200), "Over": (60, 90)}
    for name, times in crashes.items():
        troubles = tuple(PageTrouble(PageReason.CRASH, each) for each in times)
        ends = 100.0 if name == "Over" else None
        scene.start(task(name), RunPlan(WATCHED, ends=ends, ending=Ending.STOPPED_BY_API, troubles=troubles))
    scene.passes(minutes=10)
    scene.expects(
        of_task(
            "WebCastPageRescheduledRepeatedly",
            ILL,
            "critical",
            "The page of Room1/Ill is rescheduled again and again",
            f"The vendor rescheduled task {named(ILL)} about 2 times in 15 minutes because of its page.",
        )
    )
    scene.passes(minutes=25)
    scene.expects()
    scene.prove()


def test_page_monitors_off(scene: Scene) -> None:
    """A running task without any check of its page; one check is enough to be left alone."""
    unwatched = replace(WATCHED, freeze_check=0, blank_check=0, crash_check=0)
    scene.start(ILL, RunPlan(unwatched))
    scene.start(WELL, RunPlan(replace(unwatched, freeze_check=5)))
    scene.start(OTHER, RunPlan(unwatched, starts=None, ends=4 * MINUTE, ending=Ending.STOPPED_BY_API))
    scene.passes(minutes=4)
    scene.expects()
    scene.passes(minutes=2)
    scene.expects(
        of_task(
            "WebCastPageMonitorsOff",
            ILL,
            "info",
            "Nobody watches the page of Room1/Ill",
            f"Task {named(ILL)} runs with the checks for a frozen, a blank and a crashed page all off.",
        )
    )
    scene.prove()
