"""Alerts of many classes at once."""

import pytest

from exporter.model.target import TargetId
from exporter.simulator.lifecycle import Ending, RunPlan
from tests.rules.scene import APP, HOUR, MINUTE, RUNNING, WATCHED, Scene, of_exporter, of_task, task
from tests.rules.tape import Alert

pytestmark = pytest.mark.real

MANY = of_exporter("WebCastManyRunsFailed", "critical", account="default", app_id=APP)


def stop(scene: Scene, name: str, number: int, ending: Ending, after: float = 60.0) -> list[Alert]:
    """So many classes run for so long, and end so; the alerts of single failures that follow."""
    targets = [task(f"{name}{index}") for index in range(number)]
    for target in targets:
        scene.start(target, RunPlan(WATCHED, ends=after, ending=ending))
    failed = ending is Ending.BROKE
    return [of_task("WebCastTaskFailed", each, "critical") for each in targets if failed]


def test_many_runs_failed(scene: Scene) -> None:
    """Twelve failures among 102 tasks are one alert, which lasts as long as the twelve that it inhibits."""
    scene.configure(callbacks={})
    stop(scene, "Well", 90, Ending.STOPPED_BY_API)
    failed = stop(scene, "Ill", 12, Ending.BROKE)
    scene.passes(minutes=3)
    scene.expects(MANY, *failed)
    scene.passes(minutes=13)
    scene.expects(MANY, *failed)
    scene.passes(minutes=3)
    scene.expects(MANY)
    scene.passes(minutes=5)
    scene.expects()
    scene.prove()


def test_many_classes_are_dark(scene: Scene) -> None:
    """Ten classes that cannot start are as many, until they are over: the single alerts do not follow."""
    targets = [task(f"Ill{number}") for number in range(10)]
    scene.list_all(targets, starts=0, ends=40 * MINUTE)
    for target in targets:
        scene.vendor.says_at_the_end[target] = {"EndTime": 0}
        scene.start(target, RunPlan(WATCHED, starts=None, ends=40.0, ending=Ending.START_FAILED))
    dark = [of_task("WebCastClassDark", target, "critical") for target in targets]
    for minutes in (3, 17, 19):
        scene.passes(minutes=minutes)
        scene.expects(MANY, *dark)
    scene.passes(minutes=4)
    scene.expects(MANY)
    scene.prove()


@pytest.mark.parametrize(("ill", "well"), [(9, 0), (10, 95)])
def test_few_runs_failed(scene: Scene, ill: int, well: int) -> None:
    """Nine failures are not many, whatever their share; nor are ten among a hundred and five."""
    stop(scene, "Well", well, Ending.STOPPED_BY_API)
    failed = stop(scene, "Ill", ill, Ending.BROKE)
    scene.passes(minutes=4)
    scene.expects(*failed)
    scene.prove()


def run(scene: Scene, number: int) -> list[TargetId]:
    """So many classes run."""
    targets = [task(f"Class{index}") for index in range(number)]
    scene.list_all(targets)
    for target in targets:
        scene.start(target)
    return targets


def test_live_runs_vanish_from_the_lists(scene: Scene) -> None:
    """Most of what runs is listed no more and goes on running: its list is broken. Less than half is no alert."""
    scene.configure(callbacks={})
    targets = run(scene, 26)
    scene.passes(minutes=5)
    scene.drop(*targets[:12])
    scene.passes(minutes=10)
    scene.expects()
    scene.drop(*targets[12:14])
    scene.passes(minutes=6)
    scene.expects(
        of_exporter(
            "WebCastTargetsGone",
            "critical",
            instance="10.0.0.1:10960",
            job="monitoring/webcast-exporter",
            namespace="monitoring",
        )
    )
    scene.prove()


def test_a_few_live_runs_vanish(scene: Scene) -> None:
    """Nine are too few to tell a broken list from a person's hand."""
    scene.configure(callbacks={})
    targets = run(scene, 12)
    scene.passes(minutes=5)
    scene.drop(*targets[:9])
    scene.passes(minutes=10)
    scene.expects()
    scene.prove()


def to_come(scene: Scene, number: int) -> list[TargetId]:
    """One class runs, and so many are to come."""
    scene.start(task("Now"), RUNNING)
    targets = [task(f"Class{index}") for index in range(number)]
    scene.list_all(targets, starts=HOUR, ends=2 * HOUR)
    scene.passes(minutes=20)
    return targets


def test_classes_vanish_before_they_begin(scene: Scene) -> None:
    """The classes of the coming hour are listed no more: it would not be seen whether they start."""
    targets = to_come(scene, 22)
    scene.expects()
    scene.drop(*targets[:14])
    scene.passes(minutes=7)
    scene.expects(of_exporter("WebCastTargetsGone", "critical", account="default"))
    scene.prove()


@pytest.mark.parametrize(("listed", "dropped"), [(12, 9), (30, 14)], ids=["nine", "under half"])
def test_some_classes_are_called_off(scene: Scene, listed: int, dropped: int) -> None:
    """Nine of twelve, or fourteen of thirty, may be a person's decision."""
    scene.drop(*to_come(scene, listed)[:dropped])
    scene.passes(minutes=20)
    scene.expects()
    scene.prove()


def test_a_list_is_empty_for_a_moment(scene: Scene) -> None:
    """A backend that forgets its classes for three minutes and finds them again is no alert."""
    targets = to_come(scene, 30)
    scene.drop(*targets)
    scene.passes(minutes=3)
    scene.list_all(targets, starts=HOUR / 2, ends=HOUR)
    scene.passes(minutes=20)
    scene.expects()
    scene.prove()


def test_targets_that_are_no_classes_are_dropped(scene: Scene) -> None:
    """Without times, and unknown to the API, they are nothing that could be missed."""
    scene.start(task("Now"), RUNNING)
    targets = [task(f"Nothing{index}") for index in range(30)]
    scene.list_all(targets)
    scene.passes(minutes=20)
    scene.expects(*(of_task("WebCastTaskNotFound", target, "info") for target in targets))
    scene.drop(*targets)
    scene.passes(minutes=20)
    scene.expects()
    scene.prove()


def test_the_school_closes_early(scene: Scene) -> None:
    """All classes are stopped long before their end and leave the list: they are dark, and no list is broken."""
    scene.configure(callbacks={})
    targets = [task(f"Class{index}") for index in range(12)]
    scene.list_all(targets, starts=-HOUR, ends=HOUR)
    for target in targets:
        scene.start(target, age=HOUR)
    scene.passes(minutes=10)
    for target in targets:
        scene.vendor.fleet.stop(target)
    scene.passes(minutes=2)
    scene.expects(MANY, *(of_task("WebCastClassDark", each, "critical") for each in targets))
    scene.passes(minutes=57)
    scene.expects()
    scene.prove()


def test_a_fleet_goes_to_sleep(scene: Scene) -> None:
    """All classes end within minutes and are dropped as they end; then there is nothing for hours."""
    targets = [task(f"Class{number}") for number in range(30)]
    scene.list_all(targets, starts=-HOUR, ends=10 * MINUTE)
    for target in targets:
        scene.start(target, age=HOUR)
    scene.passes(minutes=3)
    for target in targets:
        scene.vendor.fleet.stop(target)
    scene.drop(*targets)
    scene.passes(minutes=50)
    scene.expects()
    scene.prove()
