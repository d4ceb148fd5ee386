"""What every row must be like, whichever it is; and that nothing but the rows says which families there are."""

import re
from collections.abc import Iterable
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.metrics_core import Metric
from prometheus_client.samples import Sample

from exporter.cli.metrics import reference
from exporter.enums import Source
from exporter.metrics.families import TARGET_LABELS, Family, Group, Kind, TaskFamily, task_families
from exporter.metrics.fleet import FAMILY_OF_TOTAL, FLEET, FleetCollector
from exporter.metrics.self_metrics import EXPORTER, AccountNumbers, SelfMetrics, account_families, state_families
from exporter.metrics.series_cache import SeriesCache
from exporter.store.counters import Total, zeros
from tests.support.task_states import unread

TASK_ROWS = task_families(Group)
ROWS: tuple[Family, ...] = (*(row.family for row in TASK_ROWS), *FLEET, *EXPORTER)
DOCUMENT = Path(__file__).parents[2] / "docs" / "metrics.md"

BASE_UNITS = {"seconds", "bytes", "pixels", "frames", "requests", "ratio"}
OTHER_UNITS = re.compile(
    r"_(milliseconds|millis|ms|minutes|hours|days|kbps|mbps|bits|kilobytes|percent|fps|kb|mb)(_|$)"
)
RESERVED_SUFFIXES = ("_count", "_sum", "_bucket", "_created", "_gsum", "_gcount")
# What Prometheus and its service discoveries put on a target: a label of that name would be renamed to exported_...
TARGETS_OWN = {"job", "instance", "le", "quantile", "env", "environment", "region", "service", "cluster", "namespace"}

each = pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)


@each
def test_a_name_is_as_prometheus_asks(row: Family) -> None:
    """One prefix, base units, `_total` for counters alone, no suffix that a type adds, `per` between two units."""
    assert re.fullmatch(r"webcast_[a-z]+(_[a-z]+)*", row.name)
    assert (row.kind is Kind.COUNTER) == row.name.endswith("_total")
    assert not OTHER_UNITS.search(row.name)
    assert not row.name.endswith(RESERVED_SUFFIXES)
    if "timestamp" in row.name:
        assert row.name.endswith("_timestamp_seconds")
    if row.kind is Kind.HISTOGRAM:
        assert row.name.rpartition("_")[2] in BASE_UNITS
    for unit in re.findall(r"_([a-z]+)_per_", row.name):
        assert unit in BASE_UNITS


@each
def test_a_row_can_be_written_in_both_formats(row: Family) -> None:
    """Its help is a sentence with nothing to escape, also in a table; labels are legal, distinct, none of a target's.

    The upper bounds of a histogram rise, and +Inf is not among them.
    """
    assert re.fullmatch(r"[A-Z0-9].*\.", row.help)
    assert not re.search(r'[\\"\n|]|  |\s$', row.help)
    assert len(row.labels) == len(set(row.labels))
    for label in row.labels:
        assert re.fullmatch(r"[a-z]+(_[a-z]+)*", label)
        assert label not in TARGETS_OWN
    assert (row.kind is Kind.HISTOGRAM) == bool(row.buckets)
    assert sorted(set(row.buckets)) == list(row.buckets)
    assert float("inf") not in row.buckets


def test_each_name_is_one_familys_only() -> None:
    """No two families share a name, and none has the name of another's samples."""
    names = [name for row in ROWS for name in _sample_names(row)]
    assert sorted(set(names)) == sorted(names)


def _sample_names(row: Family) -> list[str]:
    if row.kind is Kind.HISTOGRAM:
        return [f"{row.name}{suffix}" for suffix in ("", "_bucket", "_count", "_sum")]
    return list({row.name, row.name.removesuffix("_total")})


def test_the_prefix_webcast_task_is_of_the_per_task_families_alone() -> None:
    """One relabelling rule can drop all that is per task and nothing else."""
    per_task = {row.family.name for row in TASK_ROWS}
    assert per_task == {row.name for row in ROWS if row.name.startswith("webcast_task_")}


@pytest.mark.parametrize("row", TASK_ROWS, ids=lambda row: row.family.name)
def test_a_per_task_family_begins_with_the_targets_labels(row: TaskFamily) -> None:
    """The triple names the task in every family alike."""
    assert row.family.labels[:3] == TARGET_LABELS


def test_what_the_registry_serves_is_what_the_tables_say(
    registry: CollectorRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every row beside the per-task ones is served with its help, type and labels, and nothing else is."""
    cache = SeriesCache((), 1, lambda _: None)
    cache.show(unread())
    numbers = AccountNumbers(48.0, 24.0, 12.0, up=True, clock_skew=-0.5, oldest_due=1.0)
    self_metrics = SelfMetrics(registry)
    self_metrics.open_account("default")
    self_metrics.open_source(Source.HTTP, "http_sd_configs[0]")
    self_metrics.hung_jobs = lambda: {"watch-files": 1.0}
    self_metrics.lease_answered_at = lambda: 1.0
    monkeypatch.setattr("exporter.metrics.self_metrics.blocked_since", lambda: 1.0)
    totals = dict.fromkeys(zeros("App1"), 0.0)
    registry.register(FleetCollector(cache, lambda: totals, lambda: ("default",)))
    registry.register(account_families(lambda: {"default": numbers}))
    registry.register(state_families(lambda: 1.0, lambda: 0))
    served = {_name(metric): metric for metric in registry.collect()}
    assert {row.name for row in (*FLEET, *EXPORTER)} == set(served)
    for row in (*FLEET, *EXPORTER):
        assert (row.kind, row.help) == (served[row.name].type, served[row.name].documentation)
        assert {row.labels} == _labels(served[row.name].samples)


def _name(metric: Metric) -> str:
    return f"{metric.name}_total" if metric.type == "counter" else metric.name


def _labels(samples: Iterable[Sample]) -> set[tuple[str, ...]]:
    return {tuple(label for label in sample.labels if label != "le") for sample in samples}


def test_the_reference_is_what_the_command_prints() -> None:
    """docs/metrics.md is the output of `webcast-exporter metrics`: none is missing there, none left over."""
    assert DOCUMENT.read_text() == reference()


@each
def test_each_row_has_one_line_in_the_reference(row: Family) -> None:
    """A new metric is one new line there, with type, labels, meaning and buckets."""
    (line,) = [line for line in reference().splitlines() if line.startswith(f"| `{row.name}` |")]
    assert [f"`{row.name}`", row.kind] == [cell.strip() for cell in line.split("|")[1:3]]
    assert " ".join(f"`{label}`" for label in row.labels) == line.split("|")[3].strip()
    assert row.help in line
    assert all(f"{bound:g}" in line for bound in row.buckets)


@pytest.mark.parametrize("openmetrics", [False, True])
def test_openmetrics_names_a_counter_without_total(openmetrics: bool) -> None:
    """HELP and TYPE carry the family's name, which is the samples' but for OpenMetrics counters."""
    name = "webcast_run_stops" if openmetrics else "webcast_run_stops_total"
    expected = f"# HELP {name} {FAMILY_OF_TOTAL[Total.RUN_STOPS].help}\n# TYPE {name} counter\n".encode()
    assert expected == FAMILY_OF_TOTAL[Total.RUN_STOPS].heading(openmetrics=openmetrics)
