from contextlib import suppress
from datetime import UTC, date, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.config.times import expected_times, parse_time, time_text

MORNING = 1_768_465_800.0  # 2026-01-15T08:30:00Z


@pytest.mark.parametrize(
    "value",
    [
        "2026-01-15T08:30:00Z",
        "2026-01-15t08:30:00z",
        "2026-01-15 16:30:00+08:00",
        "2026-01-15T08:30:00.000000000Z",
        "1768465800",
        "1768465800.0",
        1_768_465_800,
        1_768_465_800.0,
        datetime(2026, 1, 15, 8, 30, tzinfo=UTC),
        datetime(2026, 1, 15, 16, 30, tzinfo=timezone(timedelta(hours=8))),
    ],
)
def test_forms_of_a_time(value: object) -> None:
    """RFC 3339 and Unix seconds are read, as text or as what YAML makes of them."""
    assert parse_time(value) == MORNING


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        ("2026-01-15T08:30:00", "needs a time of day and a time zone"),
        ("2026-01-15", "needs a time of day and a time zone"),
        (datetime(2026, 1, 15, 8, 30), "needs a time of day and a time zone"),  # noqa: DTZ001 -- that it has none is the point
        (date(2026, 1, 15), "needs a time of day and a time zone"),
        ("2026-02-30T08:30:00Z", "is no date and time of the calendar"),
        ("1768465800000", "looks like milliseconds"),
        (1_768_465_800_000, "looks like milliseconds"),
        (10**400, "looks like milliseconds"),
        (-1, "zero or more"),
        (float("nan"), "zero or more"),
        (float("inf"), "zero or more"),
        ("tomorrow", "must be a time as in"),
        ("", "must be a time as in"),
        ("1e9", "must be a time as in"),
        (True, "must be a time as in"),
        (None, "must be a time as in"),
        ([], "must be a time as in"),
    ],
)
def test_what_is_no_time(value: object, sentence: str) -> None:
    """Each way to get a time wrong has a sentence that says how to write it."""
    with pytest.raises(ValueError, match=sentence):
        parse_time(value)


@given(st.floats(min_value=0, max_value=9e10) | st.integers(min_value=0, max_value=90_000_000_000))
def test_a_number_keeps_its_time_as_text(value: float) -> None:
    """A time that YAML read as a number is the same time as label text."""
    assert parse_time(value) == pytest.approx(parse_time(time_text(value)), abs=1e-5)


@given(st.text())
def test_any_text_is_a_time_or_a_sentence(text: str) -> None:
    """No text fails in another way than by a ValueError."""
    with suppress(ValueError):
        assert parse_time(text) >= 0


def test_both_expected_times() -> None:
    """The two labels are read together; either may be missing."""
    both = {"__expected_start__": "100", "__expected_end__": "200"}
    assert expected_times(both) == (100.0, 200.0)
    assert expected_times({"team": "edu"}) == (None, None)
    assert expected_times({"__expected_end__": "200"}) == (None, 200.0)
    assert expected_times({"__expected_start__": "100", "__expected_end__": "100"}) == (100.0, 100.0)


def test_an_end_before_its_start() -> None:
    """A class cannot end before it starts."""
    with pytest.raises(ValueError, match="__expected_end__ is before __expected_start__"):
        expected_times({"__expected_start__": "200", "__expected_end__": "100"})


def test_the_label_is_named() -> None:
    """The sentence says which of the two labels is wrong."""
    with pytest.raises(ValueError, match=r"^__expected_end__ must be a time"):
        expected_times({"__expected_start__": "200", "__expected_end__": "soon"})
