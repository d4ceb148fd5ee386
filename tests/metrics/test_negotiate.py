"""Which format and which encoding a scraper gets, by the headers that real ones send."""

import pytest

from exporter.metrics.exposition import Format, accepts_gzip, choose_format

PROMETHEUS_2_20 = "application/openmetrics-text; version=0.0.1,text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
PROMETHEUS_2_45 = (
    "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,"
    "text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
)
PROMETHEUS_2_53 = (
    "application/openmetrics-text;version=1.0.0;q=0.5,application/openmetrics-text;version=0.0.1;q=0.4,"
    "text/plain;version=0.0.4;q=0.3,*/*;q=0.2"
)
PROMETHEUS_3 = (
    "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,"
    "application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,"
    "text/plain;version=0.0.4;q=0.3,*/*;q=0.2"
)
NATIVE_HISTOGRAMS = (
    "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;q=0.7," + PROMETHEUS_3
)
PROMETHEUS_3_TEXT_ONLY = "text/plain;version=0.0.4;q=0.6,*/*;q=0.5"
PROMETHEUS_3_NEW_TEXT_ONLY = "text/plain;version=1.0.0;escaping=allow-utf-8;q=0.6,*/*;q=0.5"
VMAGENT = "text/plain;version=0.0.4;q=1,*/*;q=0.1"
CHROME = (
    "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,image/apng,*/*;q=0.8,"
    "application/signed-exchange;v=b3;q=0.7"
)
FIREFOX = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"

OPENMETRICS = "application/openmetrics-text"


@pytest.mark.parametrize(
    "accept",
    [
        PROMETHEUS_2_20,
        PROMETHEUS_2_45,
        PROMETHEUS_2_53,
        PROMETHEUS_3,
        NATIVE_HISTOGRAMS,
        OPENMETRICS,
        f"{OPENMETRICS}; version=1.0.0; charset=utf-8",
        f'{OPENMETRICS}; version="1.0.0"',
        "Application/OpenMetrics-Text; Version=1.0.0",
        f"  {OPENMETRICS} ; version = 1.0.0 ",
        f"text/plain;q=0.5, {OPENMETRICS};q=0.6",
        f"{OPENMETRICS}, text/plain",
        f"text/plain;q=0, {OPENMETRICS};q=0.001",
        f", ,{OPENMETRICS},",
        f"{OPENMETRICS};q=2",
    ],
)
def test_openmetrics_is_for_who_likes_it_best(accept: str) -> None:
    """By the highest quality, the first of equals, whatever the case, the spaces and the order are."""
    assert choose_format(accept) is Format.OPENMETRICS


@pytest.mark.parametrize(
    "accept",
    [
        "",
        "*/*",
        "text/*",
        "text/plain",
        VMAGENT,
        CHROME,
        FIREFOX,
        PROMETHEUS_3_TEXT_ONLY,
        PROMETHEUS_3_NEW_TEXT_ONLY,
        "application/json",
        "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited",
        f"text/plain, {OPENMETRICS}",
        f"text/plain;q=0.6, {OPENMETRICS};q=0.5",
        f"{OPENMETRICS};version=2.0.0",
        f"{OPENMETRICS};version=1",
        f"{OPENMETRICS};q=0",
        f"{OPENMETRICS};q=0.0, */*;q=0",
        f"{OPENMETRICS};q=-1",
        f"{OPENMETRICS};q=high",
        f"{OPENMETRICS};q=nan",
        f"{OPENMETRICS};q=",
        "application/openmetrics",
        f"x{OPENMETRICS}",
        ";;;,,;q=1,=",
        "\x00\xff",
    ],
)
def test_all_others_get_the_text_format(accept: str) -> None:
    """What every Prometheus, a browser and curl can read; a scrape is answered whatever the header is."""
    assert choose_format(accept) is Format.TEXT


def test_the_content_types_are_those_of_the_formats() -> None:
    """Prometheus goes by them to choose its parser."""
    assert Format.TEXT.value == "text/plain; version=0.0.4; charset=utf-8"
    assert Format.OPENMETRICS.value == "application/openmetrics-text; version=1.0.0; charset=utf-8"


@pytest.mark.parametrize(
    ("accept_encoding", "accepted"),
    [
        ("gzip", True),
        ("deflate, gzip, br, zstd", True),
        ("gzip, deflate, br", True),
        ("GZIP", True),
        ("*", True),
        ("gzip;q=0.1", True),
        ("gzip; q=1.0, identity; q=0.5", True),
        ("identity, gzip", True),
        ("identity;q=0, gzip;q=0.5", True),
        ("*;q=0, gzip", True),
        (" gzip ; q = 0.5 ,", True),
        ("", False),
        ("identity", False),
        ("deflate, br", False),
        ("gzip;q=0", False),
        ("gzip;q=0.000, *", False),
        ("*;q=0", False),
        ("gzip;q=x", False),
        ("gzip;q=0.5, identity;q=0.9", False),
        ("gzipped", False),
        ("x;gzip", False),
    ],
)
def test_gzip_is_for_who_asks_for_it(accept_encoding: str, accepted: bool) -> None:  # noqa: FBT001 - of the table above
    """Named or meant by `*`, not refused by q=0, and not liked less than plain text."""
    assert accepts_gzip(accept_encoding) is accepted
