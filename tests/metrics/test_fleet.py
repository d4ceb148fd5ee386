"""The fleet's families: counts of tasks, and the state's totals as counters and histograms."""

from collections.abc import Callable, Mapping
from dataclasses import replace

import pytest
from prometheus_client import CollectorRegistry

from exporter.enums import Severity, Status, StopReason, TaskProblem
from exporter.metrics.families import Kind
from exporter.metrics.fleet import FAMILY_OF_TOTAL, FleetCollector
from exporter.metrics.series_cache import SeriesCache
from exporter.model.run import RunEvent, RunStopped
from exporter.model.target import TargetId
from exporter.model.task_state import ActiveProblem, DisplayStatus
from exporter.store.counters import Series, Total, increments, zeros
from tests.support.task_states import shown_as

Values = dict[tuple[str, ...], float]


@pytest.fixture
def cache() -> SeriesCache:
    """A cache without series, that counts."""
    return SeriesCache((), 1, lambda _: None)


@pytest.fixture
def values(registry: CollectorRegistry, cache: SeriesCache) -> Callable[[Mapping[Series, float], str], Values]:
    """The samples of one name, by their label values, for these totals."""
    totals: dict[Series, float] = {}
    registry.register(FleetCollector(cache, lambda: totals, lambda: ("default",)))

    def found(of: Mapping[Series, float], name: str) -> Values:
        totals.clear()
        totals.update(of)
        samples = [sample for metric in registry.collect() for sample in metric.samples]
        return {tuple(sample.labels.values()): sample.value for sample in samples if sample.name == name}

    return found


def counted(*facts: RunEvent) -> dict[Series, float]:
    totals = dict.fromkeys(zeros("App1"), 0.0)
    for fact in facts:
        for series, amount in increments(fact):
            totals[series] += amount
    return totals


def test_an_open_app_has_every_counter_at_zero(values: Callable[..., Values]) -> None:
    """Each known label value from the moment the app's first target is accepted, histograms included."""
    totals = counted()
    assert values(totals, "webcast_run_stops_total") == {("App1", reason.value): 0.0 for reason in StopReason}
    assert values(totals, "webcast_run_ends_unseen_total") == {("App1",): 0.0}
    assert values(totals, "webcast_run_transitions_total") == {("App1", status.value): 0.0 for status in Status}
    assert values(totals, "webcast_run_duration_seconds_count") == {("App1", "ended"): 0.0, ("App1", "failed"): 0.0}
    assert values(totals, "webcast_run_end_detection_delay_seconds_sum") == {("App1",): 0.0}


def test_without_an_app_there_are_no_samples_of_one(values: Callable[..., Values]) -> None:
    assert values({}, "webcast_run_stops_total") == {}
    assert values({}, "webcast_run_duration_seconds_count") == {}
    assert values({}, "webcast_tasks_without_series") == {(): 0.0}


def test_a_histogram_is_cumulative_and_its_last_bucket_is_its_count(values: Callable[..., Values]) -> None:
    """A value on a bound belongs to that bound; +Inf holds all; the sum is of the values."""
    stops = [
        RunStopped("App1", StopReason.STOP_BY_API, Status.ENDED, seconds) for seconds in (0.0, 10.0, 10.5, 90001.0)
    ]
    totals = counted(*stops)
    name = "webcast_run_duration_seconds"
    buckets = {labels[-1]: value for labels, value in values(totals, f"{name}_bucket").items() if "ended" in labels}
    assert (buckets["10.0"], buckets["60.0"], buckets["90000.0"], buckets["+Inf"]) == (2.0, 3.0, 3.0, 4.0)
    assert sorted(buckets.values()) == list(buckets.values())
    assert values(totals, f"{name}_count") == {("App1", "ended"): 4.0, ("App1", "failed"): 0.0}
    assert values(totals, f"{name}_sum")["App1", "ended"] == 90021.5


def test_a_histogram_has_the_buckets_of_its_row(values: Callable[..., Values]) -> None:
    """Bounds are written alike in the row, in the state and in the exposition."""
    for family in FAMILY_OF_TOTAL.values():
        bounds = [float(labels[-1]) for labels in values(counted(), f"{family.name}_bucket")]
        assert sorted({*bounds} - {float("inf")}) == list(family.buckets)


def test_each_stored_total_is_shown() -> None:
    """A total without a family would be counted in vain, and a histogram's has bounds."""
    assert set(Total) == set(FAMILY_OF_TOTAL)
    kept = {series.total for series in zeros("App1") if series.bucket}
    assert kept == {total for total, family in FAMILY_OF_TOTAL.items() if family.kind is Kind.HISTOGRAM}


def test_the_apps_stand_beside_each_other(values: Callable[..., Values]) -> None:
    totals = {Series(Total.RUN_ENDS_UNSEEN, "App2"): 2.0, Series(Total.RUN_ENDS_UNSEEN, "App1"): 1.0}
    assert values(totals, "webcast_run_ends_unseen_total") == {("App1",): 1.0, ("App2",): 2.0}


def test_tasks_are_counted_under_every_status(cache: SeriesCache, values: Callable[..., Values]) -> None:
    """Eight samples for each account and app that has or had a task, most of them zero."""
    cache.show(shown_as(DisplayStatus.RUNNING, "Task1"))
    cache.show(shown_as(DisplayStatus.RUNNING, "Task2"))
    cache.show(shown_as(DisplayStatus.STALE, "Task3"))
    cache.hide(shown_as(DisplayStatus.STALE, "Task3").target.id)
    running = {("default", "App1", state.value): 2.0 * (state is DisplayStatus.RUNNING) for state in DisplayStatus}
    assert values({}, "webcast_tasks") == running
    assert values({}, "webcast_tasks_without_series") == {(): 1.0}


def test_an_account_that_is_gone_is_shown_only_while_it_has_tasks(
    cache: SeriesCache, values: Callable[..., Values]
) -> None:
    """After a renaming its tasks count once, under the new name."""
    cache.show(shown_as(DisplayStatus.RUNNING, "Task1", account="old"))
    assert {labels[0] for labels in values({}, "webcast_tasks")} == {"old"}
    cache.show(shown_as(DisplayStatus.RUNNING, "Task1", account="default"))
    assert {labels[0] for labels in values({}, "webcast_tasks")} == {"default"}
    assert {labels[0] for labels in values({}, "webcast_problem_tasks")} == {"default"}


def test_problems_are_counted_with_zeros(cache: SeriesCache, values: Callable[..., Values]) -> None:
    """One sample for each problem there can be, from the app's first task on."""
    dark = ActiveProblem(TaskProblem.CLASS_DARK, Severity.CRITICAL, 1.0)
    stale = ActiveProblem(TaskProblem.STALE, Severity.WARNING, 1.0)
    cache.show(replace(shown_as(DisplayStatus.STALE, "Task1"), problems=(dark, stale)))
    cache.show(replace(shown_as(DisplayStatus.STALE, "Task2"), problems=(stale,)))
    expected = {("default", "App1", problem.value): 0.0 for problem in TaskProblem}
    expected |= {("default", "App1", "class_dark"): 1.0, ("default", "App1", "stale"): 2.0}
    assert values({}, "webcast_problem_tasks") == expected
    cache.show(replace(shown_as(DisplayStatus.STALE, "Task1"), problems=()))
    cache.hide(shown_as(DisplayStatus.STALE, "Task2").target.id)
    assert set(values({}, "webcast_problem_tasks").values()) == {0.0}


def test_the_zeros_of_an_app_that_is_closed_go(cache: SeriesCache, values: Callable[..., Values]) -> None:
    """An app id that was listed by mistake leaves nothing behind; one that counts stays."""
    for app_id in ("App1", "App2", "App3"):
        cache.show(shown_as(DisplayStatus.RUNNING, app_id=app_id))
    for app_id in ("App1", "App2"):
        cache.hide(TargetId(app_id, "Room1", "Task1"))
    cache.close_apps({"App2"})
    assert {labels[1] for labels in values({}, "webcast_tasks")} == {"App2", "App3"}
