"""What 48 hours without a read cost: nothing, while the API still tells of what happened."""

from collections.abc import Callable
from random import Random
from typing import TYPE_CHECKING

import pytest

from exporter.model.target import TargetId
from exporter.simulator.fleet import stop_counts
from exporter.simulator.lifecycle import Ending, RunPlan, TaskSettings

if TYPE_CHECKING:
    from tests.support.simulated_exporter import Whole, World

pytestmark = pytest.mark.no_cover  # simulations of days, twice as long under coverage

TASKS = 200
HOUR = 3600.0
OUTAGE = 48 * HOUR

Outage = Callable[["Whole", "World", Callable[..., "Whole"]], "Whole"]


def killed(whole: "Whole", world: "World", new_whole: Callable[..., "Whole"]) -> "Whole":
    """The process is killed, and started again two days later."""
    whole.kill()
    world.now += OUTAGE
    return new_whole(world)


def suspended(whole: "Whole", world: "World", _new_whole: Callable[..., "Whole"]) -> "Whole":
    """The machine sleeps for two days, and its clocks jump."""
    world.now += OUTAGE
    return whole


def unanswered(whole: "Whole", world: "World", _new_whole: Callable[..., "Whole"]) -> "Whole":
    """The API fails for two days; the middle of them is passed over, where nothing but probes happens."""
    world.failing = True
    whole.run(2 * HOUR, step=60.0)
    world.now += OUTAGE - 4 * HOUR
    whole.run(2 * HOUR, step=60.0)
    world.failing = False
    return whole


@pytest.mark.parametrize("outage", [killed, suspended, unanswered])
def test_all_ends_are_found_after_two_days(
    outage: Outage, new_world: Callable[[], "World"], new_whole: Callable[..., "Whole"]
) -> None:
    """Runs that were live before a 48 h outage and ended in it are counted once each, by their reason, on return."""
    world, dice = new_world(), Random(48)
    targets = [TargetId("661e0000000000000000543c", "Room", f"Task{number}") for number in range(TASKS)]
    for number, target in enumerate(targets):
        ending = list(Ending)[number % len(Ending)]
        starts = None if ending is Ending.START_FAILED else 0.0
        longest = TaskSettings(max_running_time=round(dice.uniform(2, 24) * HOUR))
        world.begin(target, RunPlan(longest, starts, dice.uniform(2, 47) * HOUR, ending), age=HOUR)
    whole = new_whole(world)
    whole.list(targets)
    whole.run(10)
    assert whole.stops() == {}

    whole = outage(whole, world, new_whole)
    whole.list(targets)
    whole.run(45)  # after an outage all are read within one interval
    truth = stop_counts(world.fleet, world.milliseconds)
    assert {reason.value: count for reason, count in truth.items() if count} == whole.stops()
    assert sum(truth.values()) == TASKS
