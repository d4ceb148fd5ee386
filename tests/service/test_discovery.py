import json
from pathlib import Path
from typing import Any

from exporter.model.target import TargetId
from tests.support.small_world import APP, World, samples
from tests.support.waiting import wait_until

FAILURES = "webcast_discovery_failures_total"
LAST_SUCCESS = "webcast_discovery_last_success_timestamp_seconds"
FILE = ("file_sd_configs[0]", "file")
HTTP = ("http_sd_configs[0]", "http")


def listed(*targets: TargetId, **labels: Any) -> str:
    return json.dumps([{"targets": [str(target) for target in targets], "labels": labels}])


def replace(path: Path, text: str) -> None:
    """Put a whole new file in the place of the old one, as who writes for Prometheus must: no reader sees half."""
    fresh = path.with_suffix(".new")
    fresh.write_text(text)
    fresh.replace(path)


def from_file(world: World, *targets: TargetId, **labels: Any) -> dict[str, Any]:
    """The section for one file, written with these targets."""
    replace(world.folder / "targets.json", listed(*targets, **labels))
    return {"file_sd_configs": [{"files": ["targets.json"], "refresh_interval": "50ms"}]}


def from_url(world: World, url: str = "") -> dict[str, Any]:
    """The section for the simulated backend's own list, or for another URL."""
    return {"http_sd_configs": [{"url": url or f"{world.simulation.url}/targets", "refresh_interval": "50ms"}]}


def test_a_file_is_followed(world: World) -> None:
    """A target comes with the file, goes with it (its ended run is gone at once), and is counted under `file`."""
    old, new = world.task("old", ended=True), world.task("new")
    world.write(**from_file(world, old))
    exporter = world.start()
    wait_until(lambda: samples(exporter, "webcast_task_status"), "the first task")
    expected = {"callback": 0, "file": 1, "http": 0, "push": 0, "static": 0}
    assert samples(exporter, "webcast_targets") == {(source,): count for source, count in expected.items()}

    replace(world.folder / "targets.json", listed(new))
    wait_until(lambda: samples(exporter, "webcast_tasks")["default", APP, "running"] == 1, "the second task")
    assert {task for *_, task, _ in samples(exporter, "webcast_task_info")} == {"new"}
    assert samples(exporter, FAILURES) == {FILE: 0}
    assert samples(exporter, LAST_SUCCESS)[FILE] > 0


def test_a_bad_file_keeps_its_last_good_list(world: World) -> None:
    """A half-written file is counted, its targets stay, and the time of the last success stands still."""
    world.write(**from_file(world, world.task("task")))
    exporter = world.start()
    wait_until(lambda: samples(exporter, "webcast_task_status"), "the task")
    (world.folder / "targets.json").write_text('[{"targets": [')
    wait_until(lambda: samples(exporter, FAILURES)[FILE] >= 2, "the failures")
    good_at = samples(exporter, LAST_SUCCESS)[FILE]
    wait_until(lambda: samples(exporter, FAILURES)[FILE] >= 4, "more failures")
    assert samples(exporter, LAST_SUCCESS)[FILE] == good_at
    assert samples(exporter, "webcast_targets")["file",] == 1


def test_a_backend_that_lists_only_what_is_live_loses_no_end(world: World) -> None:
    """A run that the backend forgets the moment it stops is drained: its end is read and counted."""
    task = world.task("task")
    world.write(**from_url(world), lifecycle={"linger": "0s"})
    exporter = world.start()
    wait_until(lambda: samples(exporter, "webcast_tasks").get(("default", APP, "running")) == 1, "the task")
    world.write(**from_url(world, f"{world.simulation.url}/nothing-here"))
    exporter.reload()
    world.simulation.fleet.stop(task)
    wait_until(lambda: samples(exporter, "webcast_run_stops_total")[APP, "StopByAPI"] == 1, "the end")
    wait_until(lambda: not samples(exporter, "webcast_task_info"), "it is gone")


def test_labels_of_two_sources_are_merged(world: World) -> None:
    """A file's labels win over static ones, key by key; the target counts under both sources."""
    task = world.task("task")
    world.write(
        static_configs=world.lists(task, team="edu", page="quiz"),
        metrics={"info_labels": ["team", "page"]},
        **from_file(world, task, team="live", __expected_end__=2_000_000_000),
    )
    exporter = world.start()
    wait_until(lambda: samples(exporter, "webcast_targets")["file",] == 1, "the file")
    assert samples(exporter, "webcast_targets")["static",] == 1
    [labels] = samples(exporter, "webcast_task_info")
    assert {"quiz", "live"} <= set(labels)
    assert list(samples(exporter, "webcast_task_expected_end_timestamp_seconds").values()) == [2e9]


def test_it_is_ready_once_every_source_was_tried(world: World) -> None:
    """A URL that fails has been tried too; readiness then stays, whatever a reload brings."""
    world.write(**from_url(world, f"{world.simulation.url}/nothing-here"))
    exporter = world.exporter()
    assert exporter.not_ready
    exporter.start()
    wait_until(lambda: not exporter.not_ready, "readiness")
    world.write(**from_url(world, f"{world.simulation.url}/nothing-here-either"))
    exporter.reload()
    assert not exporter.not_ready


def test_a_reload_without_a_source_ends_its_series(world: World) -> None:
    """A source that the configuration no longer has is refreshed no more, and its series are gone."""
    world.write(**from_url(world))
    exporter = world.start()
    wait_until(lambda: samples(exporter, LAST_SUCCESS)[HTTP] > 0, "a refresh")
    world.write(http_sd_configs=[])
    exporter.reload()
    assert samples(exporter, FAILURES) == samples(exporter, LAST_SUCCESS) == {}
