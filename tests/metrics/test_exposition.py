"""One scrape: what is in it, and what `name[]` and `collect[]=fleet` leave out."""

from collections import Counter
from collections.abc import Callable, Iterable

import pytest
from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector, generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from exporter.metrics.exposition import Exposition, Format
from exporter.metrics.families import Group, task_families
from exporter.metrics.fleet import FLEET, FleetCollector
from exporter.metrics.self_metrics import EXPORTER, AccountNumbers, SelfMetrics, account_families, state_families
from exporter.metrics.series_cache import SeriesCache
from exporter.model.task_state import DisplayStatus
from exporter.store.counters import zeros
from tests.support.task_states import NOW, shown_as

ROWS = task_families(Group, ["team"])
PARSERS: dict[Format, Callable[[str], Iterable[Metric]]] = {
    Format.TEXT: parse_text,
    Format.OPENMETRICS: parse_openmetrics,
}
formats = pytest.mark.parametrize("fmt", Format)


@pytest.fixture
def whole(registry: CollectorRegistry) -> Exposition:
    """Everything that an exporter serves: tasks of every display status, all collectors, an awkward account name."""
    for collector in (ProcessCollector, PlatformCollector, GCCollector):
        collector(registry=registry)
    account = 'a "name"\\with\nall'
    cache = SeriesCache(ROWS, 100, lambda _: None)
    for number, state in enumerate(DisplayStatus):
        cache.show(shown_as(state, f"Task{number}", account=account, labels={"team": account}, end=NOW))
    SelfMetrics(registry).open_account(account)
    totals = dict.fromkeys([*zeros("App1"), *zeros("App2")], 2.0)
    registry.register(FleetCollector(cache, lambda: totals, lambda: (account,)))
    numbers = AccountNumbers(48.0, 48.0, 1.0, up=False, clock_skew=-1.0, oldest_due=NOW)
    registry.register(account_families(lambda: {account: numbers}))
    registry.register(state_families(lambda: 1.0, lambda: 0))
    return Exposition(registry, cache)


def families(text: bytes, fmt: Format) -> dict[str, Metric]:
    """What a client reads, by the name of the type line."""
    found = list(PARSERS[fmt](text.decode()))
    assert max(Counter(metric.name for metric in found).values()) == 1
    return {metric.name: metric for metric in found}


def per_task(names: Iterable[str]) -> set[str]:
    """The per-task ones of these names."""
    return {name for name in names if name.startswith("webcast_task_")}


@formats
def test_the_whole_scrape_is_legal_and_each_series_occurs_once(whole: Exposition, fmt: Format) -> None:
    """In both formats, with nothing `_created`, no timestamps and no exemplars."""
    found = families(whole.scrape(fmt), fmt)
    samples = [sample for metric in found.values() for sample in metric.samples]
    assert set(Counter((sample.name, *sorted(sample.labels.items())) for sample in samples).values()) == {1}
    assert not [sample for sample in samples if sample.name.endswith("_created")]
    assert not [sample for sample in samples if sample.timestamp is not None or sample.exemplar is not None]


@formats
def test_the_scrape_holds_every_row_with_its_type(whole: Exposition, fmt: Format) -> None:
    """The tables say what is served; besides them there are only the client library's own."""
    types = {metric.name: metric.type for metric in families(whole.scrape(fmt), fmt).values()}
    ours = {name: kind for name, kind in types.items() if name.startswith("webcast_")}
    rows = (*(row.family for row in ROWS), *FLEET, *EXPORTER)
    assert ours == {row.name.removesuffix("_total"): row.kind.value for row in rows}
    assert {name.partition("_")[0] for name in types.keys() - ours.keys()} == {"process", "python"}


def test_openmetrics_ends_once_and_at_its_end(whole: Exposition) -> None:
    """Prometheus refuses an OpenMetrics scrape without `# EOF`, and anything after it."""
    assert whole.scrape(Format.OPENMETRICS).endswith(b"\n# EOF\n")
    assert whole.scrape(Format.OPENMETRICS).count(b"# EOF") == 1
    assert whole.scrape(Format.OPENMETRICS, per_task=False).count(b"# EOF") == 1
    assert whole.scrape(Format.OPENMETRICS, ["no_such_name"]) == b"# EOF\n"
    assert b"# EOF" not in whole.scrape(Format.TEXT)


@formats
def test_without_the_tasks_all_else_is_there(whole: Exposition, fmt: Format) -> None:
    """`collect[]=fleet`: a job of its own survives a sample limit."""
    everything, fleet = families(whole.scrape(fmt), fmt), families(whole.scrape(fmt, per_task=False), fmt)
    assert everything.keys() - per_task(everything) == fleet.keys()


@formats
def test_names_restrict_to_those_samples(whole: Exposition, fmt: Format) -> None:
    """`name[]` takes sample names, of tasks and of all else alike, as the client library has it."""
    names = {
        *("webcast_task_status", "webcast_tasks", "webcast_run_stops_total"),
        *(f"webcast_run_duration_seconds_{part}" for part in ("bucket", "count", "sum")),
        *("webcast_exporter_log_lines_dropped_total", "webcast_api_up", "python_info"),
    }
    found = families(whole.scrape(fmt, [*names, "no_such_name"]), fmt)
    assert {sample.name for metric in found.values() for sample in metric.samples} == names


@formats
def test_a_named_family_without_a_sample_is_left_out(registry: CollectorRegistry, fmt: Format) -> None:
    """So does the client library; without names an empty family still tells its help and type."""
    exposition = Exposition(registry, SeriesCache(ROWS, 100, lambda _: None))
    assert b"webcast_task_status" in exposition.scrape(fmt)
    assert exposition.scrape(fmt, ["webcast_task_status"]) in {b"", b"# EOF\n"}


@formats
def test_an_empty_name_is_no_name(whole: Exposition, fmt: Format) -> None:
    """`?name[]=` restricts nothing, as in the client library, which drops blank parameters."""
    assert families(whole.scrape(fmt), fmt).keys() == families(whole.scrape(fmt, [""]), fmt).keys()
    assert families(whole.scrape(fmt, ["", "webcast_tasks"]), fmt).keys() == {"webcast_tasks"}


def test_names_and_fleet_together_give_what_both_allow(whole: Exposition) -> None:
    names = ["webcast_task_status", "webcast_tasks_without_series"]
    found = families(whole.scrape(Format.TEXT, names, per_task=False), Format.TEXT)
    assert found.keys() == {"webcast_tasks_without_series"}


def test_without_tasks_the_text_is_the_registrys_and_the_headings(registry: CollectorRegistry) -> None:
    SelfMetrics(registry)
    exposition = Exposition(registry, SeriesCache(ROWS, 100, lambda _: None))
    text = exposition.scrape(Format.TEXT)
    assert text.startswith(generate_latest(registry))
    # The parser names a counter as OpenMetrics does, without the `_total` of its samples.
    assert per_task(families(text, Format.TEXT)) == {row.family.name.removesuffix("_total") for row in ROWS}
