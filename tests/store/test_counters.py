"""What is counted, and which counter each event raises."""

from collections.abc import Iterable

import pytest

from exporter.enums import PageAction, PageReason, Status, StopReason
from exporter.model.run import EndUnseen, PageActionTaken, RunEvent, RunStopped, StatusEntered
from exporter.store.counters import (
    DELAY_BUCKETS,
    DURATION_BUCKETS,
    INFINITE,
    SUM,
    Series,
    Total,
    bound_text,
    increments,
    zeros,
)


def test_an_app_begins_with_every_counter() -> None:
    """Contract, section 4: counters exist at zero for every label value, each once."""
    series = list(zeros("app"))
    buckets = {Total.RUN_DURATION: (13 + 2) * 2, Total.RUN_END_DETECTION_DELAY: 14 + 2}
    pages = {Total.PAGE_REFRESHES: 6, Total.PAGE_RESCHEDULES: 6}
    expected = {Total.RUN_STOPS: 7, Total.RUN_ENDS_UNSEEN: 1, Total.RUN_TRANSITIONS: 5, **pages, **buckets}
    assert expected == {total: len([one for one in series if one.total is total]) for total in Total}
    assert len(set(series)) == len(series)
    assert {one.app_id for one in series} == {"app"}


def test_the_buckets_are_the_contracts() -> None:
    """A bucket's bounds are a promise to every histogram_quantile."""
    durations = "10 60 300 600 1800 3600 7200 14400 28800 43200 64800 86400 90000"
    delays = "1 2.5 5 10 15 30 60 120 300 900 3600 21600 86400 172800"
    assert [float(bound) for bound in durations.split()] == list(DURATION_BUCKETS)
    assert [float(bound) for bound in delays.split()] == list(DELAY_BUCKETS)


ALL_EVENTS: tuple[RunEvent, ...] = (
    EndUnseen("app"),
    *(StatusEntered("app", status) for status in Status),
    *(RunStopped("app", reason) for reason in StopReason),
    *(PageActionTaken("app", action, reason) for action in PageAction for reason in PageReason),
    *(
        RunStopped("app", StopReason.OTHER, status, value, value)
        for status in (Status.ENDED, Status.FAILED)
        for value in (0.0, 10.0, 1e9, *DURATION_BUCKETS, *DELAY_BUCKETS)
    ),
)


def test_an_event_raises_only_what_exists() -> None:
    """No event makes a series that was not there at zero before it, and none takes anything away."""
    existing = set(zeros("app"))
    for event in ALL_EVENTS:
        raised = dict(increments(event))
        assert raised.keys() <= existing, event
        assert min(raised.values()) >= 0, event


def _buckets(events: Iterable[RunEvent], total: Total) -> dict[str, float]:
    return {series.bucket: amount for event in events for series, amount in increments(event) if series.total is total}


@pytest.mark.parametrize(
    ("value", "duration", "delay"),
    [
        (0.0, "10.0", "1.0"),
        (10.0, "10.0", "10.0"),
        (10.5, "60.0", "15.0"),
        (90000.0, "90000.0", "172800.0"),
        (90001.0, INFINITE, "172800.0"),
        (172801.0, INFINITE, INFINITE),
    ],
)
def test_a_value_touches_one_bucket_and_the_sum(value: float, duration: str, delay: str) -> None:
    """A bucket's upper bound is within it; beyond the last there is +Inf."""
    event = RunStopped("app", StopReason.OTHER, Status.ENDED, value, value)
    assert {duration: 1.0, SUM: value} == _buckets([event], Total.RUN_DURATION)
    assert {delay: 1.0, SUM: value} == _buckets([event], Total.RUN_END_DETECTION_DELAY)


def test_what_is_not_known_is_not_observed() -> None:
    """A lost run stops without duration and delay; the counters know each reason and status by its label."""
    assert {Series(Total.RUN_STOPS, "app", "Lost"): 1.0} == dict(increments(RunStopped("app", StopReason.LOST)))
    assert {Series(Total.RUN_TRANSITIONS, "app", "failed"): 1.0} == dict(
        increments(StatusEntered("app", Status.FAILED))
    )
    assert {Series(Total.RUN_ENDS_UNSEEN, "app"): 1.0} == dict(increments(EndUnseen("app")))


def test_a_bound_is_written_as_prometheus_writes_it() -> None:
    """A bound has its decimal point; the state file keeps buckets by that text."""
    assert [bound_text(bound) for bound in (1, 2.5, 86400)] == ["1.0", "2.5", "86400.0"]
