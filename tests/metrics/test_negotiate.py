"""Which format and which encoding a scraper gets, by the headers that real ones send."""

import pytest

from exporter.metrics.exposition import Format, accepts_gzip, choose_format

OPENMETRICS = "application/openmetrics-text"
PROTOBUF = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited"
PROMETHEUS_3 = (
    "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,"
    "application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,"
    "text/plain;version=0.0.4;q=0.3,*/*;q=0.2"
)
LIKE_OPENMETRICS = {
    "Prometheus 2.20": "application/openmetrics-text; version=0.0.1,text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
    "Prometheus 2.45": (
        "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,"
        "text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
    ),
    "Prometheus 2.53": (
        "application/openmetrics-text;version=1.0.0;q=0.5,application/openmetrics-text;version=0.0.1;q=0.4,"
        "text/plain;version=0.0.4;q=0.3,*/*;q=0.2"
    ),
    "Prometheus 3": PROMETHEUS_3,
    "native histograms": f"{PROTOBUF};q=0.7,{PROMETHEUS_3}",
    "alone": OPENMETRICS,
    "charset": f"{OPENMETRICS}; version=1.0.0; charset=utf-8",
    "quoted": f'{OPENMETRICS}; version="1.0.0"',
    "case": "Application/OpenMetrics-Text; Version=1.0.0",
    "spaces": f"  {OPENMETRICS} ; version = 1.0.0 ",
    "second, better": f"text/plain;q=0.5, {OPENMETRICS};q=0.6",
    "first of equals": f"{OPENMETRICS}, text/plain",
    "the other refused": f"text/plain;q=0, {OPENMETRICS};q=0.001",
    "empty parts": f", ,{OPENMETRICS},",
    "q above 1": f"{OPENMETRICS};q=2",
}
CHROME = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8"
LIKE_TEXT = {
    "nothing": "",
    "anything": "*/*",
    "any text": "text/*",
    "text": "text/plain",
    "vmagent": "text/plain;version=0.0.4;q=1,*/*;q=0.1",
    "Chrome": CHROME,
    "Firefox": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
    "Prometheus 3, text only": "text/plain;version=0.0.4;q=0.6,*/*;q=0.5",
    "Prometheus 3, new text only": "text/plain;version=1.0.0;escaping=allow-utf-8;q=0.6,*/*;q=0.5",
    "JSON": "application/json",
    "protobuf": PROTOBUF,
    "first of equals": f"text/plain, {OPENMETRICS}",
    "better": f"text/plain;q=0.6, {OPENMETRICS};q=0.5",
    "later version": f"{OPENMETRICS};version=2.0.0",
    "short version": f"{OPENMETRICS};version=1",
    "q=0": f"{OPENMETRICS};q=0",
    "all q=0": f"{OPENMETRICS};q=0.0, */*;q=0",
    "q below 0": f"{OPENMETRICS};q=-1",
    "q a word": f"{OPENMETRICS};q=high",
    "q=nan": f"{OPENMETRICS};q=nan",
    "q empty": f"{OPENMETRICS};q=",
    "cut": "application/openmetrics",
    "more in front": f"x{OPENMETRICS}",
    "punctuation": ";;;,,;q=1,=",
    "bytes": "\x00\xff",
}


@pytest.mark.parametrize("accept", LIKE_OPENMETRICS.values(), ids=LIKE_OPENMETRICS)
def test_openmetrics_is_served_where_it_is_preferred(accept: str) -> None:
    """By the highest quality, the first of equals, whatever the case, the spaces and the order are."""
    assert choose_format(accept) is Format.OPENMETRICS


@pytest.mark.parametrize("accept", LIKE_TEXT.values(), ids=LIKE_TEXT)
def test_all_others_get_the_text_format(accept: str) -> None:
    """What every Prometheus, a browser and curl can read; a scrape is answered whatever the header is."""
    assert choose_format(accept) is Format.TEXT


def test_the_content_types_are_those_of_the_formats() -> None:
    """Prometheus chooses its parser by them."""
    assert Format.TEXT.value == "text/plain; version=0.0.4; charset=utf-8"
    assert Format.OPENMETRICS.value == "application/openmetrics-text; version=1.0.0; charset=utf-8"


GZIP = """gzip | deflate, gzip, br, zstd | gzip, deflate, br | GZIP | * | gzip;q=0.1 | gzip; q=1.0, identity; q=0.5
| identity, gzip | identity;q=0, gzip;q=0.5 | *;q=0, gzip | gzip ; q = 0.5 ,"""
PLAIN = """ | identity | deflate, br | gzip;q=0 | gzip;q=0.000, * | *;q=0 | gzip;q=x | gzip;q=0.5, identity;q=0.9
| gzipped | x;gzip"""


@pytest.mark.parametrize(
    ("accept_encoding", "accepted"), [(each, table is GZIP) for table in (GZIP, PLAIN) for each in table.split("|")]
)
def test_gzip_is_used_where_it_is_asked_for(accept_encoding: str, accepted: bool) -> None:
    """Named or meant by `*`, not refused by q=0, and not liked less than plain text."""
    assert accepts_gzip(accept_encoding) is accepted
