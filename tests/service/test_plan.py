from dataclasses import replace
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families

from exporter.cli.plan import READ_AT, TYPICAL_ID, TYPICAL_TASK, account_plans, scrape_size
from exporter.config.loader import parse_config
from exporter.config.schema import Config
from exporter.metrics.exposition import Exposition, Format
from exporter.metrics.families import task_families
from exporter.metrics.series_cache import SeriesCache
from exporter.model.target import Target
from exporter.model.task import ReadResult
from exporter.model.task_state import TaskState, apply_read

TWO = "accounts: [{name: one, app_ids: [a]}, {name: two, app_ids: [b], max_qps: 2}]\n"
LISTED = "static_configs: [{targets: [a/r/1, a/r/2, a/r/3, b/r/1, c/r/1]}]\n"


def config(text: str = "accounts: [{name: default}]") -> Config:
    return parse_config(text, Path())


@pytest.mark.parametrize(
    ("text", "tasks", "loads"),
    [
        ("accounts: [{name: default}]", None, [1000]),
        ("accounts: [{name: default}]", 7, [7]),
        (TWO, None, [500, 500]),
        (TWO, 7, [4, 3]),
        (TWO + LISTED, None, [3, 1]),
        (TWO + LISTED, 7, [4, 3]),
        (TWO + "static_configs: [{targets: [a/r/1]}]", None, [1, 0]),
    ],
)
def test_whose_tasks_are_planned_for(text: str, tasks: int | None, loads: list[int]) -> None:
    """As many as are asked for, shared evenly; else the listed ones, each its account's; else 1000, shared evenly."""
    assert loads == [each.load.tasks for each in account_plans(config(text), tasks, 0)]


def test_starts_are_shared_evenly() -> None:
    """Whether tasks are listed or not."""
    for text in (TWO, TWO + LISTED):
        assert [each.load.starts_per_day for each in account_plans(config(text), None, 101)] == [51, 50]


def test_each_account_has_its_own_budget() -> None:
    """The same load fits one account and not the other."""
    assert [(each.plan.budget, each.plan.fits) for each in account_plans(config(TWO), 400, 0)] == [
        (48.0, True),
        (2.0, False),
    ]


def test_the_polling_section_is_what_is_planned_with() -> None:
    """Its interval is the one in force while it fits."""
    (each,) = account_plans(config("polling: {interval: 45s}"), 90, 0)
    assert (each.plan.demand, each.plan.interval) == (2.0, 45.0)


def served(state: TaskState, of: Config, tasks: int) -> str:
    """What a scrape of so many such tasks really is; their ids are all of the same length."""
    cache = SeriesCache(
        task_families(of.metrics.groups, of.metrics.info_labels), of.metrics.max_tasks, lambda _target: None
    )
    for index in range(tasks):
        target = replace(state.target, id=state.target.id._replace(task_id=f"{state.target.id.task_id[:-1]}{index}"))
        cache.show(replace(state, target=target))
    return Exposition(CollectorRegistry(), cache).scrape(Format.TEXT).decode()


@pytest.mark.parametrize("metrics", ["{}", "{groups: []}", "{groups: [video]}", "{info_labels: [team]}"])
@pytest.mark.parametrize("tasks", [1, 5])
def test_the_size_is_that_of_a_real_scrape(metrics: str, tasks: int) -> None:
    """To the byte and the series, whatever is configured to be shown."""
    of = config(f"metrics: {metrics}")
    result = ReadResult(TYPICAL_ID, at=READ_AT + 0.123456, server_time=READ_AT, elapsed=0.1, outcome=TYPICAL_TASK)
    state = apply_read(TaskState(Target(TYPICAL_ID, "default")), result)[0]
    text = served(state, of, tasks)
    series = sum(len(family.samples) for family in text_string_to_metric_families(text))
    size = scrape_size(of, account_plans(of, tasks, 0))
    assert (tasks, series, len(text)) == (size.tasks, size.series, size.size)


def test_a_listed_target_is_the_measure() -> None:
    """Its own ids, expected times and labels make longer or shorter lines, more or fewer series."""
    times = '{__expected_start__: "2026-11-22T08:00:00Z", __expected_end__: "2026-11-22T09:30:00Z"}'
    short, timed = (
        scrape_size(of, account_plans(of, None, 0))
        for of in (
            config("static_configs: [{targets: [a/r/t]}]"),
            config(f"static_configs: [{{targets: [a/r/t], labels: {times}}}]"),
        )
    )
    made_up = scrape_size(config(), account_plans(config(), 1, 0))
    assert short.bytes_per_task < made_up.bytes_per_task
    assert short.series_per_task + 2 == timed.series_per_task


def test_tasks_that_start_or_linger_have_series_too() -> None:
    """A start a minute: 1 that starts, and 15 minutes' worth of stopped ones."""
    assert scrape_size(config(), account_plans(config(), 10, 1440)).tasks == 10 + 1 + 15


def test_no_more_tasks_than_max_tasks_have_series() -> None:
    """What is beyond is shown, and `max_tasks: 0` leaves the headings."""
    of = config("metrics: {max_tasks: 4}")
    size = scrape_size(of, account_plans(of, 10, 0))
    assert (10, 4, 4 * size.series_per_task) == (size.tracked, size.tasks, size.series)
    none = config("metrics: {max_tasks: 0}")
    empty = scrape_size(none, account_plans(none, 10, 0))
    assert (0, empty.bytes_of_headings) == (empty.series, empty.size)
