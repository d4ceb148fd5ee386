"""Fleet families: counts of tasks, and the counters and histograms that go on over restarts."""

from collections import defaultdict
from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from itertools import accumulate, product
from typing import Any

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from exporter.enums import TaskProblem
from exporter.metrics.families import Family, Kind
from exporter.metrics.series_cache import SeriesCache
from exporter.model.task_state import DisplayStatus
from exporter.store.counters import DELAY_BUCKETS, DURATION_BUCKETS, INFINITE, SUM, Series, Total, bound_text

TASKS = Family(
    "webcast_tasks",
    Kind.GAUGE,
    "Tracked tasks by last known fresh state; a stopped one counts as long as it has series.",
    ("account", "app_id", "status"),
)
PROBLEM_TASKS = Family(
    "webcast_problem_tasks", Kind.GAUGE, "Tasks that have this problem now.", ("account", "app_id", "problem")
)
TASKS_WITHOUT_SERIES = Family(
    "webcast_tasks_without_series", Kind.GAUGE, "Tracked tasks that have no series because of metrics.max_tasks."
)
FAMILY_OF_TOTAL = {
    Total.RUN_STOPS: Family(
        "webcast_run_stops_total", Kind.COUNTER, "Runs that stopped, each once, by reason.", ("app_id", "reason")
    ),
    Total.RUN_ENDS_UNSEEN: Family(
        "webcast_run_ends_unseen_total",
        Kind.COUNTER,
        "Runs let go while live, whose end will not be read.",
        ("app_id",),
    ),
    Total.RUN_TRANSITIONS: Family(
        "webcast_run_transitions_total",
        Kind.COUNTER,
        "Runs that entered a status, each at most once per status, the first sight included.",
        ("app_id", "status"),
    ),
    Total.RUN_DURATION: Family(
        "webcast_run_duration_seconds",
        Kind.HISTOGRAM,
        "How long runs had run when they stopped.",
        ("app_id", "status"),
        DURATION_BUCKETS,
    ),
    Total.RUN_END_DETECTION_DELAY: Family(
        "webcast_run_end_detection_delay_seconds",
        Kind.HISTOGRAM,
        "From a run's end to its first sight here, for runs seen live before.",
        ("app_id",),
        DELAY_BUCKETS,
    ),
    Total.PAGE_REFRESHES: Family(
        "webcast_page_refreshes_total",
        Kind.COUNTER,
        "Page refreshes by the vendor, by what was wrong with the page; from callbacks.",
        ("app_id", "reason"),
    ),
    Total.PAGE_RESCHEDULES: Family(
        "webcast_page_reschedules_total",
        Kind.COUNTER,
        "Task reschedules by the vendor, by what was wrong with the page; from callbacks.",
        ("app_id", "reason"),
    ),
}
"""The family of each counter that the state keeps."""

FLEET = (TASKS, PROBLEM_TASKS, TASKS_WITHOUT_SERIES, *FAMILY_OF_TOTAL.values())


class FleetCollector(Collector):
    """Makes the Fleet families at each scrape: a few hundred samples.

    `totals` returns the committed counters, `accounts` the configured ones: those of an account that is gone are shown
    only while it has tasks.
    """

    def __init__(
        self,
        series_cache: SeriesCache,
        totals: Callable[[], Mapping[Series, float]],
        accounts: Callable[[], Container[str]],
    ) -> None:
        self._series_cache = series_cache
        self._totals = totals
        self._accounts = accounts

    def collect(self) -> Iterator[Metric]:
        """Every family, also without samples."""
        counts = self._series_cache.counts()
        accounts = self._accounts()
        apps = sorted({(key.account, key.app_id) for key, count in counts.items() if count or key.account in accounts})
        yield _tasks(TASKS, DisplayStatus, apps, counts)
        yield _tasks(PROBLEM_TASKS, TaskProblem, apps, self._series_cache.problem_counts())
        yield GaugeMetricFamily(
            TASKS_WITHOUT_SERIES.name, TASKS_WITHOUT_SERIES.help, value=self._series_cache.without_series()
        )
        by_total: defaultdict[Total, dict[Series, float]] = defaultdict(dict)
        for series, value in sorted(self._totals().items()):
            by_total[series.total][series] = value
        for total, family in FAMILY_OF_TOTAL.items():
            make = _histogram if family.kind is Kind.HISTOGRAM else _counter
            yield make(family, by_total[total])


def _tasks(family: Family, values: Iterable[str], apps: Iterable[tuple[str, str]], counts: Mapping[Any, int]) -> Metric:
    """Counts by account, app and one of `values`; zeros too."""
    metric = GaugeMetricFamily(family.name, family.help, labels=family.labels)
    for labels in ((*app, value) for app, value in product(apps, values)):
        metric.add_metric(labels, counts.get(labels, 0))
    return metric


def _counter(family: Family, values: Mapping[Series, float]) -> Metric:
    metric = CounterMetricFamily(family.name, family.help, labels=family.labels)
    for series, value in values.items():
        metric.add_metric(_labels(family, series), value)
    return metric


def _histogram(family: Family, values: Mapping[Series, float]) -> Metric:
    metric = HistogramMetricFamily(family.name, family.help, labels=family.labels)
    bounds = (*map(bound_text, family.buckets), INFINITE)
    for series in sorted({series._replace(bucket="") for series in values}):
        found = [values.get(series._replace(bucket=bound), 0.0) for bound in bounds]
        cumulative = list(zip(bounds, accumulate(found), strict=True))
        metric.add_metric(
            _labels(family, series), buckets=cumulative, sum_value=values.get(series._replace(bucket=SUM), 0.0)
        )
    return metric


def _labels(family: Family, series: Series) -> tuple[str, ...]:
    return (series.app_id, series.label)[: len(family.labels)]
