"""The whole chain: simulator, exporter, a real Prometheus; what it answers is held against the simulator's truth."""

import re
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from exporter.enums import Status, StopReason
from exporter.model.target import TargetId
from exporter.simulator.fleet import Fleet, status_counts, stop_counts, stopped_runs
from exporter.simulator.lifecycle import Ending, RunPlan, TaskSettings
from exporter.simulator.replies import Outcome
from exporter.simulator.server import Simulation, SimulationOptions
from tests.support.waiting import wait_equal

if TYPE_CHECKING:
    from tests.real.conftest import Prometheus, Running, StartExporter, StartPrometheus

pytestmark = pytest.mark.real

APPS = ("661e0000000000000000543c", "661e0000000000000000543d")
AGE = 300.0
LATER = 10_000.0
MAX_QPS = 48
PLANS = {
    "Waiting": (RunPlan(starts=LATER), 3),
    "Running": (RunPlan(), 7),
    "Vague": (RunPlan(unknown=((0, LATER),)), 2),
    "Stopped": (RunPlan(ends=11.5, ending=Ending.STOPPED_BY_API), 4),
    "Closed": (RunPlan(ends=120), 1),
    "TimedOut": (RunPlan(TaskSettings(max_running_time=60)), 2),
    "Refused": (RunPlan(starts=None, ends=5, ending=Ending.START_FAILED), 3),
    "Broken": (RunPlan(ends=77.25, ending=Ending.BROKE), 2),
}
"""What the fleet is made of, and of how many each; all created `AGE` seconds ago."""
ENDS_UNDER_WATCH = TargetId(APPS[0], "Room", "Running0")
STRANGER = TargetId(APPS[0], "Nowhere", "Task")


@dataclass(frozen=True)
class Chain:
    """The three of them, running."""

    simulation: Simulation
    exporter: "Running"
    prometheus: "Prometheus"

    @property
    def fleet(self) -> Fleet:
        """The tasks there really are."""
        return self.simulation.fleet

    def now(self) -> int:
        """The simulator's time, Unix milliseconds."""
        return int(self.fleet.clock() * 1000)


def populate(fleet: Fleet) -> None:
    """Begin every planned life, spread over two apps."""
    for name, (plan, count) in PLANS.items():
        for number in range(count):
            fleet.begin(TargetId(APPS[number % 2], "Room", f"{name}{number}"), plan, age=AGE)


@pytest.fixture(scope="module")
def chain(
    start_exporter: "StartExporter",
    start_prometheus: "StartPrometheus",
    tmp_path_factory: pytest.TempPathFactory,
    wait: Callable[..., None],
) -> Iterator[Chain]:
    """The chain, as soon as Prometheus has seen every task read."""
    directory = tmp_path_factory.mktemp("chain")
    with Simulation(SimulationOptions(tasks=0, speed=1)) as simulation:
        populate(simulation.fleet)
        account = {
            "name": "default",
            "endpoint": simulation.url,
            "access_key_id": simulation.credentials.access_key,
            "secret_access_key": simulation.credentials.secret_key,
            "max_qps": MAX_QPS,
        }
        targets = [str(target) for target in (*simulation.fleet.targets(), STRANGER)]
        config = {
            "accounts": [account],
            "static_configs": [{"targets": targets}],
            "polling": {"interval": "1s", "fast_interval": "1s"},
        }
        exporter = start_exporter(directory / "exporter", config)
        address = exporter.url.removeprefix("http://")
        scrape = {"job_name": "webcast", "static_configs": [{"targets": [address]}]}
        prometheus = start_prometheus(directory / "prometheus", [scrape])
        seen = "count(webcast_task_read_success)"
        wait(lambda: prometheus.query(seen) == {(): len(targets)}, f"{len(targets)} tasks in Prometheus")
        yield Chain(simulation, exporter, prometheus)


def test_the_scrape_is_up_and_whole(chain: Chain) -> None:
    """Prometheus takes every sample and has nothing to say about the format."""
    wait_equal(lambda: [target["lastError"] for target in chain.prometheus.targets()], [""])
    wait_equal(partial(chain.prometheus.query, "up"), {(): 1})
    kept = chain.prometheus.query("scrape_samples_post_metric_relabeling")
    assert kept == chain.prometheus.query("scrape_samples_scraped")
    log = [line for line in chain.prometheus.running.written().splitlines() if "scrape" in line]
    late = "context deadline exceeded"  # on a busy machine a scrape may take longer than its second
    log = [line for line in log if late not in line]
    assert [line for line in log if re.search(r"duplicate|out.of.order|err=", line, re.IGNORECASE)] == []


def test_statuses_are_the_truth(chain: Chain, wait: Callable[..., None]) -> None:
    """As many tasks in each status as the simulator has, by the task's series and by the fleet's."""
    expected = {(status.value,): count for status, count in status_counts(chain.fleet, chain.now()).items()}
    statuses = "|".join(Status)
    by_task = "sum by (status) (webcast_task_status)"
    by_fleet = f'sum by (status) (webcast_tasks{{status=~"{statuses}"}})'
    wait(lambda: chain.prometheus.query(by_task, "status") == expected, f"{expected} by task")
    assert expected == chain.prometheus.query(by_fleet, "status")


def test_stop_reasons_are_the_truth(chain: Chain) -> None:
    """Each stopped task shows its reason, and each stopped run is counted under it."""
    counts = stop_counts(chain.fleet, chain.now())
    expected = {(reason.value,): count for reason, count in counts.items() if count}
    assert expected == chain.prometheus.query("count by (reason) (webcast_task_stop_reason == 1)", "reason")
    every = {(reason.value,): counts.get(reason, 0) for reason in StopReason}
    assert every == chain.prometheus.query("sum by (reason) (webcast_run_stops_total)", "reason")


def test_durations_of_stopped_tasks_are_the_truth(chain: Chain) -> None:
    """End minus start in seconds, to the millisecond; a task that never started has none."""
    durations = {
        tuple(target): (life.end - life.start) / 1000
        for target, life in stopped_runs(chain.fleet, chain.now())
        if life.start is not None and life.end is not None
    }
    stopped = "webcast_task_duration_seconds and on (app_id, room_id, task_id) webcast_task_stop_reason"
    found = chain.prometheus.query(stopped, "app_id", "room_id", "task_id")
    assert durations == pytest.approx(found, abs=1e-6)
    total = chain.prometheus.query("sum(webcast_run_duration_seconds_sum)")
    assert total == pytest.approx({(): sum(durations.values())}, abs=1e-3)


def test_a_task_that_cannot_be_found_is_no_failure_of_the_api(chain: Chain) -> None:
    """It is counted as not found and says so; the API is up and has failed no call."""
    assert chain.prometheus.query('sum(webcast_tasks{status="not_found"})') == {(): 1}
    errors = chain.prometheus.query("webcast_task_read_error", "app_id", "room_id", "task_id", "reason")
    assert errors == {(*STRANGER, "not_found"): 1}
    assert chain.prometheus.query("webcast_api_up") == {(): 1}
    assert chain.prometheus.query("sum(webcast_api_request_failures_total)") == {(): 0}


def test_a_stop_is_seen_and_counted_once(chain: Chain, wait: Callable[..., None]) -> None:
    """A task that ends under watch is ended in Prometheus a few seconds later, one stop more, its delay measured."""
    counted = 'sum(webcast_run_stops_total{reason="StopByAPI"})'
    before = chain.prometheus.query(counted)[()]
    chain.fleet.stop(ENDS_UNDER_WATCH)
    ended = f'webcast_task_status{{task_id="{ENDS_UNDER_WATCH.task_id}", status="ended"}}'
    wait(lambda: chain.prometheus.query(ended) == {(): 1}, f"{ENDS_UNDER_WATCH} has ended")
    assert chain.prometheus.query(counted) == {(): before + 1}
    assert chain.prometheus.query("sum(webcast_run_end_detection_delay_seconds_count)") == {(): 1}


def test_no_call_was_refused_or_throttled(chain: Chain) -> None:
    """The simulator checks signature, clock, ids and rate of each call: all were in order."""
    counts = chain.simulation.calls.counts
    assert counts[Outcome.ANSWERED] == sum(counts.values())
    assert chain.simulation.calls.max_calls_in_a_second() <= MAX_QPS


def test_promtool_finds_no_fault_with_the_text(chain: Chain, promtool_bin: Path) -> None:
    """`promtool check metrics`: names, types, helps and the text itself."""
    text = chain.exporter.get("/metrics").content
    done = subprocess.run([promtool_bin, "check", "metrics"], input=text, capture_output=True, check=False)
    assert (done.returncode, done.stdout + done.stderr) == (0, b"")


def test_a_scrape_calls_nothing(chain: Chain) -> None:
    """However often it is scraped, a stopped task has been read once."""
    for _ in range(20):
        chain.exporter.get("/metrics")
    stopped = [target for target, _ in stopped_runs(chain.fleet, chain.now()) if target != ENDS_UNDER_WATCH]
    assert dict.fromkeys(stopped, 1) == {target: len(chain.simulation.calls.reads_of(target)) for target in stopped}
