"""One pod goes and another comes: no alert of a class is resolved, repeated or invented by that."""

from dataclasses import replace

import pytest

from exporter.simulator.lifecycle import Ending, RunPlan
from exporter.simulator.replies import INTERNAL_ERROR
from tests.rules.scene import APP, HOUR, MINUTE, POD, WATCHED, Scene, as_scraped, of_exporter, of_task, on_standby, task

pytestmark = pytest.mark.real

NEW_POD = "webcast-exporter-1"
FAILED = of_task("WebCastTaskFailed", task("Failed"), "critical", reason="UnknownStopReason")
DARK = of_task("WebCastClassDark", task("Dark"), "critical", host="")
OVERRUN = of_task("WebCastClassOverrun", task("Overrun"), "warning")
WAITING = of_task("WebCastTaskNotStarted", task("Waiting"), "critical")
ALL = (FAILED, DARK, OVERRUN, WAITING)


def begin(scene: Scene) -> None:
    """Four ill classes and ten healthy ones, until each alert fires."""
    scene.list(task("Dark"), starts=-MINUTE, ends=HOUR)
    scene.list(task("Overrun"), starts=-HOUR, ends=-15 * MINUTE)
    scene.start(task("Overrun"), age=HOUR)
    scene.start(task("Waiting"), RunPlan(WATCHED, starts=None))
    scene.start(task("Failed"), RunPlan(WATCHED, ends=5 * MINUTE, ending=Ending.BROKE))
    for number in range(10):
        scene.list(task(f"Well{number}"), starts=-HOUR, ends=2 * HOUR)
        scene.start(task(f"Well{number}"), age=HOUR)
    scene.passes(minutes=6)
    scene.expects(*ALL)


def goes_on(scene: Scene, *, minutes: float) -> None:
    """At every evaluation the same alerts fire, and no other."""
    for _ in range(round(minutes * 2)):
        scene.passes(minutes=0.5)
        scene.expects(*ALL)


def fired_once(scene: Scene) -> None:
    """Each has been active since one moment, under one set of labels."""
    names = [{"alertname": alert.name} for alert in ALL]
    active = 'ALERTS_FOR_STATE{task_id!=""}[1h]'
    scene.asks(f"count by (alertname) (count_over_time({active}))", *((name, 1) for name in names))
    scene.asks(f"sum by (alertname) (changes({active}))", *((name, 0) for name in names))


def test_a_pod_is_replaced(scene: Scene) -> None:
    """The exporter is killed, nothing is scraped for two minutes, and a new one begins over the same state."""
    begin(scene)
    scene.kill()
    goes_on(scene, minutes=2)
    scene.restart(NEW_POD)
    goes_on(scene, minutes=6)
    fired_once(scene)
    scene.prove()


def test_a_pod_is_replaced_and_its_state_is_lost(scene: Scene) -> None:
    """The new one finds the failure anew, and that is no news."""
    begin(scene)
    scene.kill()
    goes_on(scene, minutes=2)
    scene.lose_state()
    scene.restart(NEW_POD)
    goes_on(scene, minutes=6)
    fired_once(scene)
    scene.prove()


def test_two_pods_at_once(scene: Scene) -> None:
    """For a minute both are scraped, as after a relabelling or in a rolling update."""
    begin(scene)
    scene.pods = {POD: as_scraped, NEW_POD: as_scraped}
    goes_on(scene, minutes=1)
    scene.pods = {NEW_POD: as_scraped}
    goes_on(scene, minutes=6)
    fired_once(scene)
    scene.prove()


def test_a_standby_takes_over(scene: Scene) -> None:
    """A replica that served nothing of tasks begins to lead."""
    scene.pods = {POD: as_scraped, NEW_POD: on_standby}
    begin(scene)
    scene.pods = {NEW_POD: on_standby}
    goes_on(scene, minutes=1)
    scene.pods = {NEW_POD: as_scraped}
    goes_on(scene, minutes=6)
    fired_once(scene)
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


def test_an_old_failure_that_is_found_late(scene: Scene) -> None:
    """What failed while no exporter saw it, or long before the first one, is in the books; it wakes nobody."""
    for number in range(30):
        scene.start(task(f"Old{number}"), RunPlan(WATCHED, ends=HOUR, ending=Ending.BROKE), age=(2 + number) * HOUR)
    unseen = [task(f"Unseen{number}") for number in range(30)]
    for target in unseen:
        scene.start(target, RunPlan(WATCHED, ends=25 * MINUTE, ending=Ending.BROKE))
    scene.passes(minutes=20)
    scene.expects()
    scene.kill()
    scene.passes(minutes=25)
    scene.expects(of_exporter("WebCastExporterDown", "critical", account="default"))
    scene.restart(NEW_POD)
    scene.passes(minutes=22)
    scene.expects()
    scene.prove()


def test_a_first_start_over_failures_of_unknown_age(scene: Scene) -> None:
    """Without EndTimes nobody can tell: warnings, and nothing critical."""
    targets = [task(f"Old{number}") for number in range(20)]
    for target in targets:
        scene.vendor.says_at_the_end[target] = {"EndTime": 0}
        scene.start(target, RunPlan(WATCHED, starts=None, ends=60.0, ending=Ending.START_FAILED), age=5 * HOUR)
    scene.passes(minutes=5)
    warning = of_task("WebCastTaskFailed", targets[0], "warning", reason="StartTaskFailed")
    scene.expects(*(replace(warning, labels={**warning.labels, **target._asdict()}) for target in targets))
    scene.passes(minutes=20)
    scene.expects()
    scene.prove()
