from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.config.times import expected_times, parse_expected_time, parse_time, time_text

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
        ("2026-01-15T08:30:00+25:00", "is no date and time of the calendar"),
        ("0000-01-15T08:30:00Z", "is no date and time of the calendar"),
        ("1768465800000", "looks like milliseconds"),
        ("1e99", "looks like milliseconds"),
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
    """No text fails in another way than by a ValueError."""
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
    """A class cannot end before it starts."""
    with pytest.raises(ValueError, match="__expected_end__ is before __expected_start__"):
        expected_times({"__expected_start__": "1700000200", "__expected_end__": "1700000100"})


def test_the_label_is_named() -> None:
    """The sentence says which of the two labels is wrong."""
    with pytest.raises(ValueError, match=r"^__expected_end__ needs a date"):
        expected_times({"__expected_start__": "1700000200", "__expected_end__": "soon"})
