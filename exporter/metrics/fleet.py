"""The Fleet families, made at each scrape from the board's counts and the ledger's totals: a few hundred samples."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import accumulate, product
from typing import Any

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from exporter.enums import TaskProblem
from exporter.metrics.catalog.fleet import OF_TOTAL, PROBLEM_TASKS, TASKS, TASKS_WITHOUT_SERIES
from exporter.metrics.family import Family, Kind
from exporter.metrics.series_cache import SeriesCache
from exporter.model.task_state import DisplayStatus
from exporter.store.totals import INFINITE, SUM, Series, Total, bound_text


class FleetCollector(Collector):
    """Yields every Fleet family; `totals` gives the committed totals of the ledger."""

    def __init__(self, board: SeriesCache, totals: Callable[[], Mapping[Series, float]]) -> None:
        self._board = board
        self._totals = totals

    def collect(self) -> Iterator[Metric]:
        """All families, those without samples too."""
        counts = self._board.counts()
        apps = sorted({(place.account, place.app_id) for place in counts})
        yield _tasks(TASKS, DisplayStatus, apps, counts)
        yield _tasks(PROBLEM_TASKS, TaskProblem, apps, self._board.problem_counts())
        yield GaugeMetricFamily(
            TASKS_WITHOUT_SERIES.name, TASKS_WITHOUT_SERIES.help, value=self._board.without_series()
        )
        by_total: defaultdict[Total, dict[Series, float]] = defaultdict(dict)
        for series, value in sorted(self._totals().items()):
            by_total[series.total][series] = value
        for total, family in OF_TOTAL.items():
            make = _histogram if family.kind is Kind.HISTOGRAM else _counter
            yield make(family, by_total[total])

    def describe(self) -> Iterator[Metric]:
        """The same names without a look at any task, for the registry."""
        yield GaugeMetricFamily(TASKS.name, TASKS.help)
        yield GaugeMetricFamily(PROBLEM_TASKS.name, PROBLEM_TASKS.help)
        yield GaugeMetricFamily(TASKS_WITHOUT_SERIES.name, TASKS_WITHOUT_SERIES.help)
        for family in OF_TOTAL.values():
            yield (_histogram if family.kind is Kind.HISTOGRAM else _counter)(family, {})


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
