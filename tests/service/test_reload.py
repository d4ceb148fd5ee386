import threading

import pytest

from exporter.config.schema import Config
from exporter.errors import ConfigError
from exporter.model.target import TargetId
from exporter.service.exporter import Exporter
from tests.support.small_world import APP, World, samples, text
from tests.support.waiting import wait_until

SUCCESSFUL = "webcast_exporter_config_last_reload_successful"
LOADED_AT = "webcast_exporter_config_last_reload_success_timestamp_seconds"


def shown(exporter: Exporter) -> set[str]:
    return {task for _, _, _, _, task, _ in samples(exporter, "webcast_task_info")}


def test_a_reload_adds_and_removes_targets(world: World) -> None:
    """A new target is read; a removed one that has ended is gone from the next scrape, series and count."""
    old, new = world.task("old", ended=True), world.task("new")
    world.write(static_configs=world.lists(old))
    exporter = world.start()
    wait_until(lambda: samples(exporter, "webcast_task_status"), "the old task")

    world.write(static_configs=world.lists(new))
    exporter.reload()
    assert shown(exporter) == {"new"}
    assert samples(exporter, "webcast_targets")[("static",)] == 1
    assert samples(exporter, "webcast_tasks")["default", APP, "ended"] == 0
    wait_until(lambda: samples(exporter, "webcast_tasks")["default", APP, "running"] == 1, "the new task")
    assert samples(exporter, "webcast_run_ends_unseen_total") == {(APP,): 0}


def test_a_live_run_is_drained(world: World) -> None:
    """A live run whose target is removed is read on and shown, its end is counted, and then it is gone."""
    task = world.task("live")
    world.write(static_configs=world.lists(task), lifecycle={"linger": "0s"})
    exporter = world.start()
    running = ("live", APP)
    wait_until(lambda: samples(exporter, "webcast_tasks").get(("default", APP, "running")) == 1, "the task")

    world.write(static_configs=[])
    exporter.reload()
    reads = world.reads(task)
    wait_until(lambda: world.reads(task) > reads + 1, f"{running} is read on")
    assert samples(exporter, "webcast_targets")[("static",)] == 0
    assert len(samples(exporter, "webcast_task_status")) == 5

    world.simulation.fleet.stop(task)
    wait_until(lambda: not samples(exporter, "webcast_task_info"), "it is gone")
    assert samples(exporter, "webcast_run_stops_total")[APP, "StopByAPI"] == 1
    assert samples(exporter, "webcast_run_ends_unseen_total") == {(APP,): 0}


def test_a_drain_has_an_end(world: World) -> None:
    """A run that outlives its drain is let go and counted so, once."""
    world.write(static_configs=world.lists(world.task("live")), lifecycle={"drain": "1m"})
    exporter = world.start()
    wait_until(lambda: samples(exporter, "webcast_tasks").get(("default", APP, "running")) == 1, "the task")
    world.write(static_configs=[])
    exporter.reload()
    world.shift.seconds += 61
    wait_until(lambda: samples(exporter, "webcast_run_ends_unseen_total") == {(APP,): 1}, "the end of the drain")
    assert samples(exporter, "webcast_task_info") == {}
    assert sum(samples(exporter, "webcast_run_stops_total").values()) == 0


def test_a_bad_file_changes_nothing(world: World) -> None:
    """All problems are reported, the gauge says so, and all else stays as it was, the time of the last load too."""
    world.write(static_configs=world.lists(TargetId(APP, "Room", "Task")))
    exporter = world.start()
    loaded_at = samples(exporter, LOADED_AT)
    assert samples(exporter, SUCCESSFUL) == {(): 1}

    world.shift.seconds += 100
    world.write(static_configs=[], polling={"interval": "0s"}, pollng={})
    with pytest.raises(ConfigError) as caught:
        exporter.reload()
    assert {"polling.interval", "pollng"} <= {problem.path for problem in caught.value.problems}
    assert samples(exporter, SUCCESSFUL) == {(): 0}
    assert samples(exporter, LOADED_AT) == loaded_at
    assert samples(exporter, "webcast_targets")[("static",)] == 1

    del world.document["pollng"]
    world.write(polling={"interval": "1s"})
    exporter.reload()
    assert samples(exporter, SUCCESSFUL) == {(): 1}
    assert samples(exporter, LOADED_AT)[()] == pytest.approx(loaded_at[()] + 100, abs=60)


def test_a_file_that_is_no_yaml_or_gone(world: World) -> None:
    exporter = world.start()
    world.file.write_text("accounts: [\n")
    with pytest.raises(ConfigError, match="is not YAML"):
        exporter.reload()
    world.file.unlink()
    with pytest.raises(ConfigError, match="does not exist"):
        exporter.reload()
    assert samples(exporter, SUCCESSFUL) == {(): 0}


def test_the_state_stays_where_it_is(world: World) -> None:
    """A new state.url is refused with the way to get it, and nothing of that file is in force."""
    exporter = world.start()
    world.write(
        state={"url": f"sqlite:///{world.folder}/other.db"},
        static_configs=world.lists(TargetId(APP, "Room", "Task")),
    )
    with pytest.raises(ConfigError, match=r"state\.url: cannot change while it is in use; restart"):
        exporter.reload()
    assert samples(exporter, "webcast_targets")[("static",)] == 0


def test_an_error_inside_a_reload_is_contained(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever fails, the caller gets a ConfigError without the cause, which is counted and logged."""
    exporter = world.start()

    def broken() -> Config:
        raise RuntimeError("canary")

    monkeypatch.setattr(exporter, "_load_config", broken)
    with pytest.raises(ConfigError, match="the reload failed inside; the log says more"):
        exporter.reload()
    assert samples(exporter, "webcast_exporter_internal_errors_total") == {(): 1}
    assert samples(exporter, SUCCESSFUL) == {(): 0}
    assert "unexpected error job=reload" in caplog.text


def test_another_interval_is_in_force(world: World) -> None:
    """The demand follows the interval, and nothing is forgotten for it."""
    tasks = [world.task(f"task{number}") for number in range(4)]
    world.write(static_configs=world.lists(*tasks), polling={"interval": "100s", "fast_interval": "100s"})
    exporter = world.start()
    demand = "webcast_poll_demand_requests_per_second"

    def all_read() -> bool:
        return samples(exporter, "webcast_tasks").get(("default", APP, "running")) == 4

    wait_until(all_read, "all tasks")
    assert samples(exporter, demand)[("default",)] == pytest.approx(0.04)
    world.write(polling={"interval": "10s", "fast_interval": "10s"})
    exporter.reload()
    assert samples(exporter, demand)[("default",)] == pytest.approx(0.4)
    assert all_read()


def test_groups_and_labels_change(world: World) -> None:
    """Groups that are switched off go with the reload, and labels that are allowed come with it, without a read."""
    world.write(static_configs=world.lists(world.task("live"), team="edu", room="9"))
    exporter = world.start()
    wait_until(lambda: "webcast_task_video_width_pixels{" in text(exporter), "the task")
    assert '"edu"' not in text(exporter)

    world.write(metrics={"groups": ["monitor"], "info_labels": ["team"]})
    exporter.reload()
    assert "webcast_task_video" not in text(exporter)
    assert "webcast_task_monitor_interval_seconds{" in text(exporter)
    assert 'team="edu"' in text(exporter)


def test_fifty_reloads_leave_no_threads(world: World) -> None:
    """Neither the same file nor a key that changes each time leaves a thread behind."""
    world.write(static_configs=world.lists(TargetId(APP, "Room", "Task")))
    exporter = world.start()

    def threads() -> list[str]:
        """Those that are bounded elsewhere (the scheduler's pools, the simulator's requests) left out."""
        names = (thread.name for thread in threading.enumerate())
        return [name for name in names if "Pool" not in name and "request" not in name]

    wait_until(lambda: "read-default_0" in threads(), "the first read")
    before = len(threads())
    for number in range(50):
        if number % 2:
            world.write(accounts=[world.account(timeout=f"{number}s")])
        exporter.reload()
    wait_until(lambda: len(threads()) <= before, "the end of what was replaced")


def test_removed_and_added_again(world: World) -> None:
    """An ended task that comes back is the run that was counted: its state is shown, and counted once."""
    task = world.task("ended", ended=True)
    world.write(static_configs=world.lists(task))
    exporter = world.start()
    wait_until(lambda: samples(exporter, "webcast_run_stops_total").get((APP, "StopByAPI")) == 1, "the end")
    world.write(static_configs=[])
    exporter.reload()
    assert shown(exporter) == set()
    world.write(static_configs=world.lists(task))
    exporter.reload()
    assert samples(exporter, "webcast_task_status")[APP, "Room", "ended", "ended"] == 1
    assert samples(exporter, "webcast_run_stops_total")[APP, "StopByAPI"] == 1
    assert world.reads(task) == 1


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
