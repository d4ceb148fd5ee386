"""The per-task text is our own; prometheus_client is the judge of it."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text
from prometheus_client.registry import Collector

from exporter.enums import PageAction, PageReason, ReadFailure, Status, StopReason
from exporter.metrics.exposition import Exposition, Format
from exporter.metrics.families import Group, Kind, task_families
from exporter.metrics.series_cache import SeriesCache
from exporter.model.run import Run
from exporter.model.target import Target, TargetId
from exporter.model.task import EventNotify, MonitorIntervals, PageEvent, Pages, Task, VideoStream
from exporter.model.task_state import TaskState
from tests.support.task_states import unread

pytestmark = [pytest.mark.slow, pytest.mark.no_cover]

ROWS = task_families(Group, ["team", "zone"])
PARSERS: dict[Format, Callable[[str], Iterable[Metric]]] = {
    Format.TEXT: parse_text,
    Format.OPENMETRICS: parse_openmetrics,
}

words = st.text(st.one_of(st.sampled_from('\\"\n{}=, #'), st.characters(exclude_categories=["Cs"])), max_size=8)
floats = st.floats(allow_nan=False)
maybe = st.none() | floats
whole = st.none() | st.integers(0, 10**9)
ids = st.builds(TargetId, *[st.sampled_from(["a", "B-1", "c@d.e_f", "0" * 128])] * 3)
tasks = st.builds(
    Task,
    status=st.sampled_from(Status),
    start=maybe,
    end=maybe,
    stop_reason=st.none() | st.sampled_from(StopReason),
    max_running_time=whole,
    video=st.lists(st.builds(VideoStream, whole, whole, whole, whole), max_size=2).map(tuple),
    monitor=st.builds(MonitorIntervals, whole, whole, whole),
    event_notify=st.builds(EventNotify, st.none() | st.booleans(), whole),
)
targets = st.builds(
    Target,
    ids,
    account=words,
    labels=st.dictionaries(st.sampled_from(["team", "zone", "secret"]), words),
    expected_start=maybe,
    expected_end=maybe,
)
page_events = st.builds(PageEvent, st.sampled_from(list(PageAction)), st.sampled_from(list(PageReason)), floats)
pages = st.builds(
    Pages,
    st.integers(0, 10**6),
    st.integers(0, 10**6),
    st.lists(page_events, max_size=3, unique_by=lambda event: event[:2]).map(tuple),
)
runs = st.builds(Run, target=ids, first_seen=st.just(0.0), pages=pages)
knowns = st.builds(
    TaskState,
    target=targets,
    task=st.none() | tasks,
    task_time=st.floats(0, 1e12),
    user_id=words,
    source_host=words,
    last_read=maybe,
    last_success=maybe,
    failure=st.none() | st.sampled_from(ReadFailure),
    run=st.none() | runs,
)


class SameFamilies(Collector):
    """What an exporter made of the client library alone would collect."""

    def __init__(self, shown: list[TaskState]) -> None:
        self._shown = shown

    def collect(self) -> Iterator[Metric]:
        """Each row as the library's own family."""
        for row in ROWS:
            make = CounterMetricFamily if row.family.kind is Kind.COUNTER else GaugeMetricFamily
            metric = make(row.family.name, row.family.help, labels=row.family.labels)
            for known in self._shown:
                for values, number in row.samples(known):
                    metric.add_metric((*known.target.id, *values), number)
            yield metric


def served(shown: list[TaskState], fmt: Format) -> bytes:
    """The text of these tasks, and of nothing else."""
    cache = SeriesCache(ROWS, 100, lambda _: None)
    for known in shown:
        cache.show(known)
    return Exposition(CollectorRegistry(), cache).scrape(fmt)


def encoded(shown: list[TaskState], fmt: Format) -> bytes:
    """The same by the library's encoders."""
    registry = CollectorRegistry()
    registry.register(SameFamilies(shown))
    if fmt is Format.TEXT:
        return generate_latest(registry)
    text: bytes = generate_openmetrics(registry)
    return text


formats = pytest.mark.parametrize("fmt", Format)


@formats
@given(shown=st.lists(knowns, max_size=4, unique_by=lambda known: known.target.id))
def test_the_text_is_byte_for_byte_the_librarys(fmt: Format, shown: list[TaskState]) -> None:
    """Whatever values and labels there are, a task's text is what prometheus_client would have written."""
    assert encoded(shown, fmt) == served(shown, fmt)


@formats
@given(shown=st.lists(knowns, max_size=4, unique_by=lambda known: known.target.id))
def test_a_parser_reads_back_what_was_said_each_series_once(fmt: Format, shown: list[TaskState]) -> None:
    """No duplicate, no lost sample, no label value that comes back changed."""
    families = list(PARSERS[fmt](served(shown, fmt).decode()))
    samples = [sample for family in families for sample in family.samples]
    series = Counter((sample.name, *sorted(sample.labels.items())) for sample in samples)
    expected = {
        (row.family.name, *sorted(zip(row.family.labels, (*known.target.id, *values), strict=True))): number
        for row in ROWS
        for known in shown
        for values, number in row.samples(known)
    }
    assert set(series.values()) <= {1}
    assert expected == {(sample.name, *sorted(sample.labels.items())): sample.value for sample in samples}


@given(story=st.lists(st.tuples(knowns, st.booleans()), max_size=12), fmt=st.sampled_from(Format))
def test_what_is_rendered_in_part_is_what_is_rendered_whole(story: list[tuple[TaskState, bool]], fmt: Format) -> None:
    """However tasks change, go and come back: only what a row sees is rendered again, and nothing old is left."""
    cache = SeriesCache(ROWS, 100, lambda _: None)
    shown: dict[TargetId, TaskState] = {}
    for known, stays in story:
        shown[known.target.id] = known
        cache.show(known)
        if not stays:
            cache.hide(known.target.id)
            del shown[known.target.id]
    text = Exposition(CollectorRegistry(), cache).scrape(fmt)
    assert Counter(text.split(b"\n")) == Counter(encoded(list(shown.values()), fmt).split(b"\n"))


@formats
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(word=words)
def test_a_lone_surrogate_costs_one_character_and_not_the_scrape(fmt: Format, word: str) -> None:
    """A label of one target that has no UTF-8 form is shown with a question mark."""
    assert served([unread(labels={"team": word + "?"})], fmt) == served([unread(labels={"team": f"{word}\ud800"})], fmt)
