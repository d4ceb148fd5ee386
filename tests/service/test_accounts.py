from functools import partial

import pytest

from exporter.errors import ConfigError
from exporter.model.target import TargetId
from exporter.scheduler.poller import Poller
from exporter.simulator.faults import FaultMode
from tests.support.small_world import APP, World, samples, text
from tests.support.waiting import wait_until


def calls_beyond(world: World, number: int) -> bool:
    """Whether more calls than so many were made."""
    return sum(world.simulation.calls.counts.values()) > number


def test_an_account_without_credentials_stops_the_whole_reload(world: World) -> None:
    """One account of two that cannot call leaves both as they were."""
    world.write(static_configs=world.lists(TargetId(APP, "Room", "Task")))
    exporter = world.start()
    good = world.account(name="first", app_ids=[APP])
    bad = world.account(name="second", app_ids=["other"], secret_access_key_file=str(world.folder))
    del bad["secret_access_key"]
    world.write(accounts=[good, bad])
    with pytest.raises(ConfigError, match=r"accounts\[1\].secret_access_key_file: the file is a directory"):
        exporter.reload()
    assert set(samples(exporter, "webcast_poll_demand_requests_per_second")) == {("default",)}
    assert [account for account, *_ in samples(exporter, "webcast_task_info")] == ["default"]


def test_a_target_changes_its_account(world: World) -> None:
    """After the reload the new account reads the task and stands in its labels; the old one makes no call more."""
    task = world.task("live")
    world.write(
        static_configs=world.lists(task),
        accounts=[world.account(name="first", app_ids=[APP]), world.account(name="second", app_ids=["other"])],
    )
    exporter = world.start()
    wait_until(lambda: samples(exporter, "webcast_api_requests_total")[("first",)] > 0, "a call of the first account")
    assert samples(exporter, "webcast_api_requests_total")[("second",)] == 0

    world.write(accounts=[world.account(name="first", app_ids=["other"]), world.account(name="second", app_ids=[APP])])
    exporter.reload()
    assert [account for account, *_ in samples(exporter, "webcast_task_info")] == ["second"]
    before = samples(exporter, "webcast_api_requests_total")[("first",)]
    wait_until(lambda: samples(exporter, "webcast_api_requests_total")[("second",)] > 1, "calls of the second account")
    assert samples(exporter, "webcast_api_requests_total")[("first",)] <= before + 1  # one may have been on its way
    assert samples(exporter, "webcast_tasks")["second", APP, "running"] == 1


def test_an_account_is_removed(world: World) -> None:
    """Its gauges go, and its targets are counted as having no account."""
    both = [world.account(name="first", app_ids=[APP]), world.account(name="second", app_ids=["other"])]
    world.write(
        accounts=both, static_configs=world.lists(TargetId(APP, "Room", "Task"), TargetId("other", "Room", "Task"))
    )
    exporter = world.start()
    assert set(samples(exporter, "webcast_poll_demand_requests_per_second")) == {("first",), ("second",)}

    world.write(accounts=both[:1])
    exporter.reload()
    assert set(samples(exporter, "webcast_poll_demand_requests_per_second")) == {("first",)}
    assert samples(exporter, "webcast_targets_rejected")[("no_account",)] == 1
    assert [app for _, app, *_ in samples(exporter, "webcast_task_info")] == [APP]


def test_a_new_secret_is_in_force(world: World) -> None:
    """A wrong secret in the file is refused by the API; the right one, reloaded, reads at once."""
    task = world.task("live")
    world.write(static_configs=world.lists(task), accounts=[world.account(secret_access_key="wrong")])
    exporter = world.start()
    refused = APP, "auth", "Room", "live"
    wait_until(lambda: samples(exporter, "webcast_task_read_error").get(refused) == 1, "the refusal")
    assert samples(exporter, "webcast_api_request_failures_total")["default", "auth"] > 0

    world.write(accounts=[world.account()])
    exporter.reload()
    wait_until(lambda: samples(exporter, "webcast_task_read_success").get((APP, "Room", "live")) == 1, "a read")


def test_the_budget_holds_across_reloads(world: World) -> None:
    """The rate limiter, which counts sends, goes on through each change of its account; arrivals may be delayed."""
    world.write(
        accounts=[world.account(max_qps=20)],
        static_configs=world.lists(*(TargetId(APP, "Room", f"Task{number}") for number in range(60))),
    )
    exporter = world.start()
    limiter = exporter._components.pollers.by_account["default"].account.rate_limiter
    for number in range(10):
        seen = sum(world.simulation.calls.counts.values())
        wait_until(partial(calls_beyond, world, seen + 2), "calls")
        world.write(accounts=[world.account(max_qps=20, timeout=f"{5 + number}s")])
        exporter.reload()
        assert exporter._components.pollers.by_account["default"].account.rate_limiter is limiter
    assert limiter.configured == 20


def test_calls_in_flight_survive_a_new_key(world: World) -> None:
    """A call that was on its way when its account was replaced is taken in as any other."""
    task = world.task("live")
    world.simulation.faults.mode, world.simulation.faults.latency = FaultMode.LATENCY, 0.5
    world.write(static_configs=world.lists(task))
    exporter = world.start()
    wait_until(lambda: world.reads(task) == 1, "a call is on its way")
    world.write(accounts=[world.account(timeout="7s")])
    exporter.reload()
    wait_until(lambda: samples(exporter, "webcast_task_read_success"), "its answer")
    assert samples(exporter, "webcast_task_read_success") == {(APP, "Room", "live"): 1}


def test_a_replaced_client_is_closed_in_time(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The old connections are closed once every call on them had its timeout, and not before."""
    exporter = world.start()
    client = exporter._components.pollers.by_account["default"].account.client
    closed: list[float] = []
    monkeypatch.setattr(client, "close", lambda: closed.append(world.shift.seconds))
    world.write(accounts=[world.account(timeout="1h")])
    exporter.reload()
    world.write(accounts=[world.account(timeout="2h")])
    exporter.reload()
    assert closed == []
    world.shift.seconds += 30
    wait_until(lambda: closed == [30], "the close")


def test_another_name_for_an_account_gives_it_no_second_budget(world: World) -> None:
    """The rate limiter is that of its access key; the poller of the old name reads no more, and its series go."""
    world.write(static_configs=world.lists(world.task("live")))
    exporter = world.start()
    wait_until(lambda: 'webcast_api_requests_total{account="default"' in text(exporter), "a read")
    before = exporter._components.pollers.by_account["default"].account.rate_limiter
    world.write(accounts=[world.account(name="renamed")])
    exporter.reload()
    pollers = exporter._components.pollers.by_account
    assert list(pollers) == ["renamed"]
    assert pollers["renamed"].account.rate_limiter is before
    assert [row.name for row in exporter._components.scheduler.jobs() if row.name.startswith("read:")] == [
        "read:renamed"
    ]
    wait_until(lambda: 'account="default"' not in text(exporter), "the series of the other name alone")
    assert 'account="renamed"' in text(exporter)


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
