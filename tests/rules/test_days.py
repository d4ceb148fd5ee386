"""Whole days: what a healthy fleet does all the time raises nothing."""

import heapq
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random

import pytest

from exporter.enums import PageReason
from exporter.model.target import TargetId
from exporter.simulator.lifecycle import Ending, PageTrouble, RunPlan
from exporter.simulator.replies import INTERNAL_ERROR
from tests.rules.scene import MINUTE, WATCHED, Scene, task

pytestmark = pytest.mark.real

CLASSES = 100
BEGIN_WITHIN = 50 * MINUTE


@dataclass
class Day:
    """Classes that are listed before they start, start about in time, run, are stopped, and leave the list."""

    scene: Scene
    rng: Random = field(default_factory=lambda: Random(11))
    due: list[tuple[float, int, Callable[[], None]]] = field(default_factory=list)

    def at(self, moment: float, action: Callable[[], None]) -> None:
        """Do this when the time has come."""
        heapq.heappush(self.due, (moment, len(self.due), action))

    def plan(self, target: TargetId, begins: float) -> None:
        """One class, a little earlier or later than its timetable says; the page of every twentieth freezes once."""
        scene, rng = self.scene, self.rng
        ends = begins + rng.uniform(8, 12) * MINUTE
        started = begins + rng.uniform(-1, 1) * MINUTE
        stopped = ends + rng.uniform(-4, 6) * MINUTE
        frozen = (PageTrouble(PageReason.FREEZE, 300.0),) if rng.random() < 1 / 20 else ()
        plan = RunPlan(WATCHED, ends=stopped - started, ending=Ending.STOPPED_BY_API, troubles=frozen)
        self.at(begins - 5 * MINUTE, lambda: scene.list(target, begins - scene.now, ends - scene.now))
        self.at(started, lambda: scene.start(target, plan, age=scene.now - started))
        self.at(stopped + rng.uniform(0, 1) * MINUTE, lambda: scene.drop(target))

    def passes(self, *, minutes: float) -> None:
        """With all that falls into it."""
        for _ in range(round(minutes)):
            while self.due and self.due[0][0] <= self.scene.now:
                heapq.heappop(self.due)[2]()
            self.scene.passes(minutes=1)


def test_a_healthy_day(scene: Scene) -> None:
    """A hundred classes come and go, a call in a hundred fails, a pod is replaced, evening comes: nothing fires.

    Nor does it where Prometheus scrapes as rarely as it may, once a minute.
    """
    scene.scrape_every(60)
    day = Day(scene)
    for number in range(CLASSES):
        day.plan(task(f"Class{number}"), scene.now + day.rng.uniform(5 * MINUTE, BEGIN_WITHIN))
    scene.vendor.refuses = lambda _target: INTERNAL_ERROR if day.rng.random() < 1 / 100 else None
    day.passes(minutes=25)
    scene.kill()
    day.passes(minutes=1)
    scene.restart("webcast-exporter-1")
    day.passes(minutes=46)
    assert sum(scene.whole.stops().values()) == CLASSES
    scene.expects()
    scene.prove()
