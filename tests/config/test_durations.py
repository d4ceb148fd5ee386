import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.config.times import MAX_DURATION_SECONDS, format_duration, parse_duration


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
    """A duration means the seconds it means to Prometheus."""
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
    """What is written is read back as the same seconds."""
    assert milliseconds / 1000 == parse_duration(format_duration(milliseconds / 1000))
