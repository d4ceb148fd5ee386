"""Durations and points in time."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.config.times import (
    MAX_DURATION_SECONDS,
    expected_times,
    format_duration,
    parse_duration,
    parse_expected_time,
    parse_time,
    parse_time_or_duration,
    time_text,
)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("30s", 30),
        ("1h30m", 5400),
        ("500ms", 0.5),
        ("1m500ms", 60.5),
        ("1d", 86_400),
        ("1w", 604_800),
        ("1y", 31_536_000),
        ("0", 0),
        ("0s", 0),
        ("1y2w3d4h5m6s7ms", 33_019_506.007),
    ],
)
def test_what_prometheus_reads(text: str, seconds: float) -> None:
    assert seconds == parse_duration(text)


@pytest.mark.parametrize(
    "text", ["", "s", "1m1h", "1s1s", "1.5s", "-1s", "1 s", " 1s", "1S", "1us", "\u0661s", "1s\n", "inf"]
)
def test_what_is_no_duration(text: str) -> None:
    """Units go from large to small, each once, and nothing else is a duration."""
    with pytest.raises(ValueError, match="must be a duration such as 30s"):
        parse_duration(text)


def test_a_unit_is_required() -> None:
    """A number alone is refused with the text that was probably meant."""
    with pytest.raises(ValueError, match="needs a unit: write 30s"):
        parse_duration("30")


@pytest.mark.parametrize("text", ["300y", "9" * 60 + "s", "9" * 5000 + "s", "00" * 40 + "1s"])
def test_too_long_a_duration(text: str) -> None:
    """A duration that Prometheus could not count in 64 bits is refused."""
    with pytest.raises(ValueError, match="is too long a duration"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0s"), (30, "30s"), (5400, "1h30m"), (0.5, "500ms"), (604_800, "1w"), (691_200, "8d"), (31_536_000, "1y")],
)
def test_how_it_is_written(seconds: float, text: str) -> None:
    """Seconds are written as Prometheus writes them: weeks and years only when nothing is left."""
    assert text == format_duration(seconds)


@given(st.integers(min_value=0, max_value=int(MAX_DURATION_SECONDS * 1000) - 1))
def test_round_trip(milliseconds: int) -> None:
    assert milliseconds / 1000 == parse_duration(format_duration(milliseconds / 1000))


TIMELESS = [
    "2026-01-15T08:30:00",
    "2026-01-15",
    "2026-01-15 08:30",
    "18:30:00",
    "8:30",
    "8:30Z",
    "tomorrow",
    "",
    "true",
    "20260115",
    "1_768_465_800",
    "inf",
]
MORNING = 1_768_465_800.0  # 2026-01-15T08:30:00Z


@pytest.mark.parametrize(
    "text",
    [
        "2026-01-15T08:30:00Z",
        "2026-01-15t08:30:00z",
        "2026-01-15 16:30:00+08:00",
        "2026-1-15  16:30:00 +8",
        "2026-01-15 16:30:00 +0800",
        "2026-01-15T08:30:00.000000000Z",
        " 1768465800\n",
        "1768465800.0",
        "1.7684658e9",
    ],
)
def test_forms_of_a_time(text: str) -> None:
    """RFC 3339, what YAML takes for a timestamp with a zone, and Unix seconds."""
    assert parse_time(text) == MORNING


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        *((text, "needs a date, a time of day and a time zone, as in") for text in TIMELESS),
        ("2026-02-30T08:30:00Z", "is no date and time of the calendar"),
        ("2026-01-15T24:30:00Z", "is no date and time of the calendar"),
        ("2026-01-15T08:30:00+05:75", "needs a date, a time of day and a time zone"),
        ("2026-01-15T08:30:00+25:00", "is no date and time of the calendar"),
        ("0000-01-15T08:30:00Z", "is no date and time of the calendar"),
        ("1768465800000", "looks like milliseconds"),
        ("1e99", "looks like milliseconds"),
        ("9999-12-31T23:59:59Z", "is no time between 1970 and 5138"),
        ("1969-12-31T23:59:59Z", "is no time between 1970 and 5138"),
        ("1999-12-31T23:59:59Z", "is before 2015; it needs a date, a time of day and a time zone"),
        ("-1", "zero or more"),
    ],
)
def test_what_is_no_time(text: str, sentence: str) -> None:
    """Each way to get a time wrong has a sentence that says how to write it."""
    with pytest.raises(ValueError, match=sentence):
        parse_expected_time(text)


@pytest.mark.parametrize("text", ["0", "30600", "66600", "1420070399", "2014-12-31T23:59:59Z", "2026"])
def test_a_class_is_meant_to_be_after_2014(text: str) -> None:
    """YAML makes 30600 of `8:30`; but all runs since 1970 may be asked for."""
    assert parse_time(text) >= 0
    with pytest.raises(ValueError, match="needs a date, a time of day and a time zone"):
        parse_expected_time(text)


@given(st.floats(min_value=0, max_value=9e10))
def test_a_number_keeps_its_time_as_text(seconds: float) -> None:
    """What is kept as label text is the same time when it is read again."""
    assert parse_time(time_text(seconds)) == pytest.approx(seconds, abs=1e-5)


@given(st.text())
def test_any_text_is_a_time_or_a_sentence(text: str) -> None:
    with suppress(ValueError):
        assert parse_time(text) >= 0


def test_both_expected_times() -> None:
    """The two labels are read together; either may be missing."""
    both = {"__expected_start__": "1700000100", "__expected_end__": "1700000200"}
    assert expected_times(both) == (1_700_000_100.0, 1_700_000_200.0)
    assert expected_times({"team": "edu"}) == (None, None)
    assert expected_times({"__expected_end__": "1700000200"}) == (None, 1_700_000_200.0)
    assert expected_times({"__expected_start__": "1700000100", "__expected_end__": "1700000100"}) == (
        1_700_000_100.0,
        1_700_000_100.0,
    )


def test_an_end_before_its_start() -> None:
    with pytest.raises(ValueError, match="__expected_end__ is before __expected_start__"):
        expected_times({"__expected_start__": "1700000200", "__expected_end__": "1700000100"})


def test_the_label_is_named() -> None:
    with pytest.raises(ValueError, match=r"^__expected_end__ needs a date"):
        expected_times({"__expected_start__": "1700000200", "__expected_end__": "soon"})


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("24h", 913_600.0), (" 1m ", 999_940.0), ("0", 0.0), ("2026-01-15T08:30:00Z", 1_768_465_800.0)],
)
def test_a_time_or_how_long_ago(text: str, seconds: float) -> None:
    """0 is the Unix time, so that "since 0" is everything."""
    assert parse_time_or_duration(text, 1_000_000.0) == seconds


def test_neither_a_time_nor_a_duration() -> None:
    with pytest.raises(ValueError, match=r"needs a date.* or a duration such as 24h"):
        parse_time_or_duration("yesterday", 1_000_000.0)
