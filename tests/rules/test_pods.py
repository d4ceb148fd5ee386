"""One pod goes and another comes: no alert of a class is resolved, repeated or invented by that."""

import pytest

from exporter.enums import PageReason
from exporter.simulator.lifecycle import Ending, PageTrouble, RunPlan
from exporter.simulator.replies import INTERNAL_ERROR
from tests.rules.scene import APP, HOUR, MINUTE, POD, WATCHED, Scene, as_scraped, of_exporter, of_task, on_standby, task

pytestmark = pytest.mark.real

NEW_POD = "webcast-exporter-1"
FAILED = of_task("WebCastTaskFailed", task("Failed"), "critical")
BROKEN = of_task("WebCastClassDark", task("Broken"), "critical")
NEVER = of_task("WebCastClassDark", task("Never"), "critical")
UNSTARTED = of_task("WebCastClassDark", task("Unstarted"), "critical")
OVERRUN = of_task("WebCastClassOverrun", task("Overrun"), "warning")
WAITING = of_task("WebCastTaskNotStarted", task("Waiting"), "critical")
FROZEN = of_task("WebCastPageRefreshedRepeatedly", task("Frozen"), "warning")
ALL = (FAILED, BROKEN, NEVER, UNSTARTED, OVERRUN, WAITING, FROZEN)


def begin(scene: Scene) -> None:
    """Seven ill classes and ten healthy ones, until each alert fires."""
    scene.list(task("Never"), starts=-MINUTE, ends=HOUR)
    scene.list(task("Unstarted"), starts=-MINUTE, ends=HOUR)
    scene.start(task("Unstarted"), RunPlan(WATCHED, starts=None))
    scene.list(task("Broken"), starts=0, ends=HOUR)
    scene.start(task("Broken"), RunPlan(WATCHED, ends=5 * MINUTE, ending=Ending.BROKE))
    scene.list(task("Overrun"), starts=-HOUR, ends=-15 * MINUTE)
    scene.start(task("Overrun"), age=HOUR)
    scene.start(task("Waiting"), RunPlan(WATCHED, starts=None))
    scene.start(task("Failed"), RunPlan(WATCHED, ends=5 * MINUTE, ending=Ending.BROKE))
    freezes = tuple(PageTrouble(PageReason.FREEZE, each) for each in (300.0, 320.0, 340.0))
    scene.start(task("Frozen"), RunPlan(WATCHED, troubles=freezes))
    for number in range(10):
        scene.list(task(f"Well{number}"), starts=-HOUR, ends=2 * HOUR)
        scene.start(task(f"Well{number}"), age=HOUR)
    scene.passes(minutes=6.5)
    scene.expects(*ALL)


def goes_on(scene: Scene, *, minutes: float) -> None:
    """At every evaluation the same alerts fire, and no other."""
    for _ in range(round(minutes * 2)):
        scene.passes(minutes=0.5)
        scene.expects(*ALL)


def test_a_pod_is_replaced(scene: Scene) -> None:
    """The exporter is killed, nothing is scraped for two minutes, and a new one begins over the same state."""
    begin(scene)
    scene.kill()
    goes_on(scene, minutes=2)
    scene.restart(NEW_POD)
    goes_on(scene, minutes=6)
    scene.fired_once(*ALL)
    scene.prove()


def test_nothing_is_scraped_for_an_hour(scene: Scene) -> None:
    """What is known of classes holds until an exporter says otherwise, or the class is over by its times."""
    begin(scene)
    scene.kill()
    scene.passes(minutes=10)
    down = of_exporter("WebCastExporterDown", "critical", account="default")
    scene.expects(*ALL, down)
    scene.fired_once(*ALL)
    scene.passes(minutes=50)
    ended = (BROKEN, NEVER, UNSTARTED)
    scene.expects(*(alert for alert in ALL if alert not in ended), down)
    scene.vendor.fleet.stop(task("Overrun"))
    scene.restart(NEW_POD)
    scene.passes(minutes=3)
    scene.expects(WAITING)
    scene.prove()


def test_data_goes_stale(scene: Scene) -> None:
    """The API fails for minutes: no alert of a class ends or begins."""
    begin(scene)
    scene.vendor.failing = True
    scene.passes(minutes=12)
    scene.asks("count(webcast_task_status == 1)", ({}, 2))
    stale = of_exporter("WebCastDataStale", "critical", account="default", app_id=APP)
    causes = [of_exporter("WebCastApiDown", "critical", account="default")]
    causes.append(of_exporter("WebCastApiErrors", "warning", account="default", reason="server"))
    scene.expects(*ALL, stale, *causes)
    scene.fired_once(*ALL)
    scene.vendor.failing = False
    scene.passes(minutes=14)
    scene.expects(*(alert for alert in ALL if alert not in (FROZEN, FAILED)))
    scene.prove()


def test_a_scrape_fails_now_and_then(scene: Scene) -> None:
    """A gap between two scrapes is no recovery."""
    begin(scene)
    pods = scene.pods
    for _ in range(4):
        scene.pods = {}
        goes_on(scene, minutes=0.5)
        scene.pods = pods
        goes_on(scene, minutes=1)
    scene.fired_once(*ALL)
    scene.prove()


def test_two_pods_at_once(scene: Scene) -> None:
    """For a minute both are scraped, as after a relabelling or in a rolling update."""
    begin(scene)
    scene.pods = {POD: as_scraped, NEW_POD: as_scraped}
    goes_on(scene, minutes=1)
    scene.pods = {NEW_POD: as_scraped}
    goes_on(scene, minutes=6)
    scene.fired_once(*ALL)
    scene.prove()


def test_a_standby_takes_over(scene: Scene) -> None:
    """A replica that served nothing of tasks begins to lead."""
    scene.pods = {POD: as_scraped, NEW_POD: on_standby}
    begin(scene)
    scene.pods = {NEW_POD: on_standby}
    goes_on(scene, minutes=1)
    scene.pods = {NEW_POD: as_scraped}
    goes_on(scene, minutes=6)
    scene.fired_once(*ALL)
    scene.prove()


def test_a_list_drops_dark_classes_while_no_exporter_runs(scene: Scene) -> None:
    """The state knows them, whether their tasks have stopped, and are listed by callbacks, or were never created."""
    for name, plan in (("Broken", RunPlan(WATCHED, ends=2 * MINUTE, ending=Ending.BROKE)), ("Never", None)):
        scene.list(task(name), starts=0, ends=HOUR)
        if plan is not None:
            scene.start(task(name), plan)
    scene.start(task("Well"))
    scene.passes(minutes=4)
    scene.kill()
    scene.drop(task("Broken"), task("Never"))
    scene.restart(NEW_POD)
    scene.passes(minutes=20)
    scene.asks('count(webcast_task_problem{problem="class_dark"})', ({}, 2))
    scene.expects(BROKEN, NEVER)
    scene.fired_once(BROKEN, NEVER)
    scene.prove()


def test_a_class_that_was_prolonged_stays_dark_without_an_exporter(scene: Scene) -> None:
    """What a pod of before said of its end counts no more."""
    scene.list(task("Broken"), starts=0, ends=15 * MINUTE)
    scene.start(task("Broken"), RunPlan(WATCHED, ends=16 * MINUTE, ending=Ending.BROKE))
    scene.passes(minutes=5)
    scene.kill()
    scene.restart(NEW_POD)
    scene.list(task("Broken"), starts=-5 * MINUTE, ends=HOUR)
    scene.passes(minutes=15)
    scene.expects(BROKEN)
    scene.kill()
    scene.passes(minutes=8)
    scene.expects(BROKEN, of_exporter("WebCastExporterDown", "critical", account="default"))
    scene.fired_once(BROKEN)
    scene.prove()


def test_what_is_not_read_yet_is_not_dark(scene: Scene) -> None:
    """A new pod whose first reads fail knows no state of any class: that is stale data, and no class is called dark."""
    for number in range(10):
        scene.list(task(f"Well{number}"), starts=-HOUR, ends=2 * HOUR)
        scene.start(task(f"Well{number}"), age=HOUR)
    scene.passes(minutes=3)
    scene.kill()
    scene.passes(minutes=1)
    scene.vendor.refuses = lambda _target: INTERNAL_ERROR
    scene.restart(NEW_POD)
    scene.passes(minutes=8)
    scene.expects(
        of_exporter("WebCastDataStale", "critical", account="default", app_id=APP),
        of_exporter("WebCastApiDown", "critical", account="default"),
    )
    scene.prove()


def test_what_fails_while_no_exporter_runs(scene: Scene) -> None:
    """A run that was seen live is told of when its failure is found; one that failed before the first start is not."""
    for number in range(30):
        scene.start(task(f"Old{number}"), RunPlan(WATCHED, ends=HOUR, ending=Ending.BROKE), age=(2 + number) * HOUR)
    scene.start(task("Failed"), RunPlan(WATCHED, ends=10 * MINUTE, ending=Ending.BROKE))
    scene.passes(minutes=5)
    scene.expects()
    scene.kill()
    scene.passes(minutes=25)
    scene.expects(of_exporter("WebCastExporterDown", "critical", account="default"))
    scene.restart(NEW_POD)
    scene.passes(minutes=2)
    scene.expects(FAILED)
    scene.passes(minutes=20)
    scene.expects()
    scene.prove()


def test_a_first_start_over_failures_of_unknown_age(scene: Scene) -> None:
    """Without EndTimes, and without a class that should be on, they are news when they are seen: each is told once."""
    targets = [task(f"Old{number}") for number in range(5)]
    for target in targets:
        scene.vendor.says_at_the_end[target] = {"EndTime": 0}
        scene.start(target, RunPlan(WATCHED, starts=None, ends=60.0, ending=Ending.START_FAILED), age=5 * HOUR)
    scene.passes(minutes=5)
    scene.expects(*(of_task("WebCastTaskFailed", target, "critical") for target in targets))
    scene.passes(minutes=20)
    scene.expects()
    scene.prove()
