"""What people may look into, of a real exporter over the simulated API."""

import pytest

from exporter.enums import Rejection, Source, StopReason
from exporter.errors import ConfigError, StateError
from exporter.model.target import TargetId
from exporter.model.task_state import DisplayStatus
from exporter.store.run_table import RunQuery
from tests.support.small_world import APP, World
from tests.support.waiting import wait_until

MISSING = TargetId(APP, "Room", "missing")


def test_a_task_and_its_reads(world: World) -> None:
    """Its state, its last reads with their errors, when it is read next, and whether it has series."""
    running = world.task("running")
    world.write(static_configs=world.lists(running, MISSING))
    exporter = world.start()
    queries = exporter.queries
    wait_until(lambda: len(queries.history(running).reads) > 1, "two good reads")
    wait_until(lambda: len(queries.history(MISSING).reads) > 1, "two failed reads")
    state = queries.task_state(running)
    assert state is not None
    assert state.display_status is DisplayStatus.RUNNING
    assert {read.failure for read in queries.history(running).reads} == {None}
    assert {read.failure for read in queries.history(MISSING).reads} == {"not_found"}
    next_read = queries.next_read(state)
    assert next_read is not None
    assert next_read.due is None or abs(next_read.due - queries.now) < 5
    assert queries.has_series(running)
    assert queries.task_state(TargetId(APP, "Room", "unlisted")) is None
    assert not queries.has_series(TargetId(APP, "Room", "unlisted"))


def test_a_change_of_what_it_counts_as(world: World) -> None:
    """From running to ended, with the vendor's reason; its run is kept with the labels that may be shown."""
    task = world.task("ends")
    world.write(static_configs=world.lists(task, team="edu", city="x"), metrics={"info_labels": ["team"]})
    exporter = world.start()
    wait_until(lambda: exporter.queries.history(task).reads, "a read")
    assert exporter.queries.history(task).changes == ()
    world.simulation.fleet.stop(task)
    wait_until(lambda: exporter.queries.history(task).changes, "the end")
    change = exporter.queries.history(task).changes[0]
    assert (change.before, change.after, change.reason) == (
        DisplayStatus.RUNNING,
        DisplayStatus.ENDED,
        StopReason.STOP_BY_API,
    )
    assert exporter._components.store.flush()
    found = exporter.queries.stopped_runs(RunQuery(0.0))
    assert [(run.target, run.stopped) for run in found.runs] == [(task, StopReason.STOP_BY_API)]
    assert found.labels == ({"team": "edu"},)


def test_accounts_lists_and_reloads(world: World) -> None:
    """Who reads which app, how many targets each source lists, and how the last reload went."""
    world.write(static_configs=world.lists(world.task("one"), MISSING), accounts=[world.account(app_ids=[APP])])
    exporter = world.start()
    queries = exporter.queries
    assert (queries.account_of(APP), queries.account_of("other")) == ("default", None)
    assert queries.by_source()[Source.STATIC] == 2
    assert queries.rejected()[Rejection.NO_ACCOUNT] == 0
    wait_until(lambda: queries.accounts()["default"].up, "an answer")
    assert queries.lifetimes.linger == 900.0
    assert queries.reload is not None
    assert queries.reload.good
    world.write(polling={"interval": "never"})
    with pytest.raises(ConfigError):
        exporter.reload()
    assert not queries.reload.good


def test_while_the_state_is_closed(world: World) -> None:
    exporter = world.start()
    world.stop(exporter)
    with pytest.raises(StateError):
        exporter.queries.stopped_runs(RunQuery(0.0))


def test_a_stopped_task_is_removed_by_hand(world: World) -> None:
    """Its series go at once, though its source lists it still; what is not tracked cannot be removed."""
    task = world.task("ended", ended=True)
    world.write(static_configs=world.lists(task))
    exporter = world.start()
    wait_until(lambda: exporter.queries.has_series(task) and exporter.queries.history(task).reads, "its series")
    assert exporter.dismiss(task)
    assert not exporter.queries.has_series(task)
    assert not exporter.dismiss(TargetId(APP, "Room", "unlisted"))


def test_the_jobs_of_a_running_exporter(world: World) -> None:
    """Each account's reads are a row, with its last and its next run."""
    world.write(static_configs=world.lists(world.task("one")))
    exporter = world.start()
    wait_until(lambda: any(job.last_run and job.next_run for job in exporter.queries.jobs()), "a run")
    assert "read:default" in {job.name for job in exporter.queries.jobs()}
    assert [job.errors for job in exporter.queries.jobs()] == [0] * len(exporter.queries.jobs())
