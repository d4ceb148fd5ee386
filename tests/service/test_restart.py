import json
import sqlite3
from functools import partial

import pytest

from exporter.errors import StateError
from exporter.model.target import TargetId
from exporter.service.target_manager import MAX_LOGGED_PROBLEMS, log_problems
from tests.support.small_world import APP, World, samples
from tests.support.waiting import wait_until

FLEET = (
    "webcast_run_stops_total",
    "webcast_run_ends_unseen_total",
    "webcast_run_transitions_total",
    "webcast_run_duration_seconds_bucket",
    "webcast_run_duration_seconds_sum",
    "webcast_run_end_detection_delay_seconds_bucket",
)


def test_counters_go_on_over_a_restart(world: World) -> None:
    """The first scrape after a restart shows the stored totals, and no read counts anything twice."""
    world.write(static_configs=world.lists(world.task("ended", ended=True), world.task("live")))
    exporter = world.start()
    wait_until(lambda: sum(samples(exporter, "webcast_run_transitions_total").values()) == 2, "both tasks")
    before = {name: samples(exporter, name) for name in FLEET}
    world.stop(exporter)

    again = world.start()
    assert before == {name: samples(again, name) for name in FLEET}
    wait_until(lambda: samples(again, "webcast_tasks").get(("default", APP, "running")) == 1, "a read of the live task")
    assert before == {name: samples(again, name) for name in FLEET}


def test_a_stopped_run_shows_its_last_state_after_a_restart(world: World) -> None:
    """Within its linger an ended task is shown as it was, and not read again; after it the series go."""
    ended, live = world.task("ended", ended=True), world.task("live")
    world.write(static_configs=world.lists(ended, live), lifecycle={"linger": "10m"})
    exporter = world.start()
    wait_until(lambda: samples(exporter, "webcast_task_end_timestamp_seconds"), "the end")
    states = ("webcast_task_start_timestamp_seconds", "webcast_task_end_timestamp_seconds", "webcast_task_stop_reason")
    before = {name: samples(exporter, name) for name in states}
    world.stop(exporter)

    again = world.start()
    reads = world.reads(live)
    assert {(APP, "Room", "ended"): 1}.items() <= samples(again, "webcast_task_read_success").items()
    assert before["webcast_task_end_timestamp_seconds"] == samples(again, "webcast_task_end_timestamp_seconds")
    assert before["webcast_task_stop_reason"] == samples(again, "webcast_task_stop_reason")
    wait_until(lambda: world.reads(live) > reads + 1, "the live task is read")
    assert world.reads(ended) == 1
    world.shift.seconds += 601
    wait_until(lambda: not samples(again, "webcast_task_stop_reason"), "the end of the linger")


def test_a_run_that_stopped_meanwhile_is_counted(world: World) -> None:
    """A run that was live when the process ended and stopped before the next began is counted once."""
    live = world.task("live")
    world.write(static_configs=world.lists(live))
    exporter = world.start()
    wait_until(lambda: samples(exporter, "webcast_tasks").get(("default", APP, "running")) == 1, "the task")
    world.stop(exporter)
    world.simulation.fleet.stop(live)

    again = world.start()
    wait_until(lambda: samples(again, "webcast_run_stops_total")[APP, "StopByAPI"] == 1, "the end")
    assert samples(again, "webcast_run_transitions_total")[APP, "running"] == 1
    assert samples(again, "webcast_run_end_detection_delay_seconds_count") == {(APP,): 1}


def test_a_drain_goes_on_after_a_restart(world: World) -> None:
    """A live run that no source lists any more at the start is drained: no run is lost without being counted."""
    live = world.task("live")
    world.write(static_configs=world.lists(live, world.task("ended", ended=True)))
    exporter = world.start()
    wait_until(lambda: sum(samples(exporter, "webcast_run_transitions_total").values()) == 2, "both tasks")
    world.stop(exporter)

    world.write(static_configs=[])
    again = world.start()
    assert [task for _, _, _, _, task, _ in samples(again, "webcast_task_info")] == ["live"]
    wait_until(lambda: samples(again, "webcast_task_status"), "it is read on")
    world.simulation.fleet.stop(live)
    wait_until(lambda: samples(again, "webcast_run_stops_total")[APP, "StopByAPI"] == 2, "its end")


def test_a_drain_ends_when_it_was_to_end_however_often_it_is_restarted(world: World) -> None:
    """Its deadline is in the state, and so is what the last list said of the target."""
    live = world.task("live")
    world.write(static_configs=world.lists(live, team="edu"), metrics={"info_labels": ["team"]})
    exporter = world.start()
    wait_until(lambda: samples(exporter, "webcast_task_status"), "the task")
    world.write(static_configs=[])
    exporter.reload()
    for _ in range(2):
        world.stop(exporter)
        world.shift.seconds += 14 * 60
        exporter = world.start()
        assert [labels[-2] for labels in samples(exporter, "webcast_task_info")] == ["edu"]
        wait_until(partial(samples, exporter, "webcast_task_status"), "it is read on")
    assert samples(exporter, "webcast_run_ends_unseen_total") == {(APP,): 0}
    world.stop(exporter)
    world.shift.seconds += 2 * 60 + 1
    assert samples(world.start(), "webcast_run_ends_unseen_total") == {(APP,): 1}


def test_what_was_drained_and_has_ended_lingers_over_a_restart(world: World) -> None:
    """Its end is shown for as long as it would have been; listed again, it is no drained one any more."""
    live, back = world.task("live"), world.task("back")
    world.write(static_configs=world.lists(live, back))
    exporter = world.start()
    wait_until(lambda: len(samples(exporter, "webcast_task_duration_seconds")) == 2, "the tasks")
    world.write(static_configs=[])
    exporter.reload()
    world.simulation.fleet.stop(live)
    wait_until(lambda: samples(exporter, "webcast_task_stop_reason"), "the end")
    world.stop(exporter)
    world.write(static_configs=world.lists(back))
    again = world.start()
    assert [task for *_, task in samples(again, "webcast_task_stop_reason")] == ["live"]
    assert {state.target.id.task_id: state.drain_until is None for state in again.tracked()} == {
        "live": False,
        "back": True,
    }
    world.shift.seconds += 15 * 60 + 1
    wait_until(lambda: not samples(again, "webcast_task_stop_reason"), "the end of the linger")


def test_a_live_run_that_no_account_can_read_is_left_alone(world: World) -> None:
    """Without an account for its app a run of the state is not tracked: nothing could be said of it."""
    world.write(static_configs=world.lists(world.task("live")))
    exporter = world.start()
    wait_until(lambda: samples(exporter, "webcast_task_status"), "the task")
    world.stop(exporter)
    world.write(static_configs=[], accounts=[world.account(app_ids=["another"])])
    assert samples(world.start(), "webcast_task_info") == {}


def test_app_ids_have_their_counters_before_any_target(world: World) -> None:
    """The counters of an account's app_ids exist at zero, for every reason and status, before its first target."""
    world.write(accounts=[world.account(app_ids=["first", "second"])])
    exporter = world.start()
    stops = samples(exporter, "webcast_run_stops_total")
    assert {app for app, _ in stops} == {"first", "second"}
    assert set(stops.values()) == {0}
    assert len(samples(exporter, "webcast_run_transitions_total")) == 2 * 5
    assert samples(exporter, "webcast_run_ends_unseen_total") == {("first",): 0, ("second",): 0}


def test_targets_are_counted_by_source_and_rejection(world: World, caplog: pytest.LogCaptureFixture) -> None:
    """Each listed entry is either a target or in one rejection; the log names the place of each rejected one."""
    task = TargetId("mine", "Room", "Task")
    world.write(
        accounts=[world.account(app_ids=["mine"])],
        static_configs=world.lists(task, task, TargetId("another", "Room", "Task")),
    )
    exporter = world.start()
    assert samples(exporter, "webcast_targets")[("static",)] == 1
    rejected = {("invalid",): 0, ("duplicate",): 1, ("no_account",): 1, ("over_limit",): 0}
    assert rejected == samples(exporter, "webcast_targets_rejected")
    assert "static_configs[0].targets[1]" in caplog.text
    assert "another/Room/Task is read by no account" in caplog.text


def test_many_remarks_do_not_flood_the_log(world: World, caplog: pytest.LogCaptureFixture) -> None:
    """After a number of remarks the log says how many more there are."""
    world.write(
        accounts=[world.account(app_ids=["mine"])],
        static_configs=world.lists(*(TargetId("another", "Room", f"Task{number}") for number in range(500))),
    )
    world.start()
    logged = [record.getMessage() for record in caplog.records if "configuration problem" in record.getMessage()]
    assert len(logged) == MAX_LOGGED_PROBLEMS + 1
    assert logged[-1] == "more configuration problems source=configuration count=480 command=check"


def test_a_file_of_many_problems_hides_no_other(caplog: pytest.LogCaptureFixture) -> None:
    """The bound is each document's own."""
    bad = [f"file_sd_configs[0] (bad.yml)[0].targets[{number}]: 'x' is none" for number in range(100)]
    log_problems([*bad, "file_sd_configs[0] (b.yml)[0].labels.a-b: must be a label name", "http_sd_configs[1][0]: bad"])
    logged = [record.getMessage() for record in caplog.records]
    assert len(logged) == MAX_LOGGED_PROBLEMS + 3
    assert "more configuration problems source=file_sd_configs[0] (bad.yml) count=80 command=check" in logged
    assert logged[-1].endswith("problem=http_sd_configs[1][0]: bad")


def test_state_in_memory(world: World) -> None:
    """`sqlite://` works as any other state, and leaves no file."""
    world.write(static_configs=world.lists(world.task("ended", ended=True)), state={"url": "sqlite://"})
    exporter = world.start()
    wait_until(lambda: samples(exporter, "webcast_run_stops_total")[APP, "StopByAPI"] == 1, "the end")
    world.stop(exporter)
    assert [path.name for path in world.folder.iterdir()] == ["webcast-exporter.yml"]


def test_unreadable_rows_of_runs(world: World, caplog: pytest.LogCaptureFixture) -> None:
    """A row of another program leaves its target alone, with an event, and the start goes on."""
    world.write(static_configs=world.lists(world.task("ended", ended=True)))
    exporter = world.start()
    wait_until(lambda: samples(exporter, "webcast_run_stops_total")[APP, "StopByAPI"] == 1, "the end")
    world.stop(exporter)
    with sqlite3.connect(world.folder / "state.db") as connection:
        connection.execute("UPDATE runs SET earlier = 'nonsense'")
        live = "INSERT INTO runs (app_id, room_id, task_id, first_seen, entered, earlier) VALUES "
        connection.execute(f"{live} ('an app', '../..', 'Task', 1, 'running', '')")  # ids that the API refuses
    connection.close()
    again = world.start()
    assert len(again.tracked()) == 1
    assert caplog.text.count("run not readable") == 2


def test_a_list_that_changes_while_the_state_fails_is_applied_later(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A reload does not need the state: its new targets are applied once their runs can be looked up."""
    world.write(static_configs=world.lists(world.task("old")))
    exporter = world.start()
    store = exporter._components.store

    def broken(*_: object) -> None:
        raise StateError("the runs in the state cannot be read: OperationalError")

    with monkeypatch.context() as patch:
        patch.setattr(store, "latest_runs", broken)
        world.write(static_configs=world.lists(world.task("old"), world.task("new")))
        exporter.reload()
        assert samples(exporter, "webcast_exporter_config_last_reload_successful") == {(): 1}
        assert {task for *_, task, _ in samples(exporter, "webcast_task_info")} == {"old"}
    wait_until(
        lambda: {task for *_, task, _ in samples(exporter, "webcast_task_info")} == {"old", "new"}, "the new target"
    )


@pytest.mark.parametrize("gone", ["late", "never"])
def test_no_target_is_released_before_each_source_has_answered(world: World, gone: str) -> None:
    """After a restart, a live run whose list was not read yet is no unseen end, however short the drain."""
    world.task("kept")
    listed = world.folder / "targets.json"
    listed.write_text(json.dumps([{"targets": [f"{APP}/Room/kept"]}]))
    world.write(file_sd_configs=[{"files": ["targets.json"], "refresh_interval": "50ms"}], lifecycle={"drain": "0s"})
    exporter = world.start()
    wait_until(lambda: samples(exporter, "webcast_tasks").get(("default", APP, "running")) == 1, "the run")
    world.stop(exporter)
    good = listed.read_text()
    listed.write_text("[")
    exporter = world.start()
    wait_until(
        lambda: samples(exporter, "webcast_discovery_failures_total")["file_sd_configs[0]", "file"] >= 3, "failures"
    )
    assert samples(exporter, "webcast_tasks")["default", APP, "running"] == 1
    listed.write_text(good if gone == "late" else "[]")
    last_success = "webcast_discovery_last_success_timestamp_seconds"
    wait_until(lambda: samples(exporter, last_success)["file_sd_configs[0]", "file"] > 0, "a good list")
    wait_until(
        lambda: samples(exporter, "webcast_run_ends_unseen_total")[APP,] == (gone == "never"), "the released run"
    )
    assert samples(exporter, "webcast_tasks")["default", APP, "running"] == (gone == "late")


def test_writes_that_fail_are_counted_and_said_once(world: World, caplog: pytest.LogCaptureFixture) -> None:
    """A locked state costs no read: the failure is counted, said once, and what was counted is written later."""
    world.write(static_configs=world.lists(world.task("ended", ended=True)))
    exporter = world.exporter()
    blocker = sqlite3.connect(world.folder / "state.db")
    blocker.execute("BEGIN IMMEDIATE")
    exporter.start()
    wait_until(lambda: samples(exporter, "webcast_state_write_failures_total")[()] >= 2, "two failures")
    assert samples(exporter, "webcast_task_stop_reason") != {}
    assert sum(samples(exporter, "webcast_run_stops_total").values()) == 0
    blocker.rollback()
    blocker.close()
    wait_until(lambda: sum(samples(exporter, "webcast_run_stops_total").values()) == 1, "the write")
    assert caplog.text.count("state write failed, it is tried again") == 1


def test_old_runs_are_forgotten(world: World) -> None:
    """Housekeeping drops runs beyond the history, though never one that the API could still tell of."""
    ended = world.task("ended", ended=True)
    world.write(static_configs=world.lists(ended), lifecycle={"history": "1s"})
    exporter = world.start()
    wait_until(lambda: sum(samples(exporter, "webcast_run_stops_total").values()) == 1, "the end")
    kept = []
    for hours in (72, 25):
        world.shift.seconds += hours * 3600
        exporter._housekeep()
        assert exporter._components.store.flush()
        kept.append(len(exporter._components.store.latest_runs([ended])))
    assert kept == [1, 0]
