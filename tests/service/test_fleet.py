import pytest

from exporter.model.target import TargetId
from exporter.scheduler.poller import Poller
from tests.support.small_world import APP, World, samples
from tests.support.waiting import wait_until


def test_an_account_that_breaks_does_not_starve_the_others(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """An unexpected error in one account's round is counted, and the other account is read on."""
    send_due = Poller.send_due

    def broken(poller: Poller) -> float:
        if poller.account.name == "bad":
            raise ArithmeticError
        return send_due(poller)

    monkeypatch.setattr(Poller, "send_due", broken)
    world.write(
        accounts=[world.account(name="bad", app_ids=["other"]), world.account(name="good", app_ids=[APP])],
        static_configs=world.lists(TargetId("other", "Room", "Task"), world.task("task")),
    )
    exporter = world.start()
    wait_until(lambda: samples(exporter, "webcast_tasks").get(("good", APP, "running")) == 1, "the good account's task")
    assert samples(exporter, "webcast_exporter_internal_errors_total")[()] > 0


def test_a_target_listed_again_is_not_forgotten(world: World) -> None:
    """A target that goes and comes back between two ticks is read on."""
    task = world.task("task", ended=True)
    world.write(static_configs=world.lists(task), polling={"interval": "1s", "reread_stopped": "1s"})
    exporter = world.start()
    wait_until(lambda: world.reads(task), "the first read")
    for targets in ([], [task]) * 5:
        world.write(static_configs=world.lists(*targets))
        exporter.reload()
    reads = world.reads(task)
    wait_until(lambda: world.reads(task) > reads, "it is read again")
