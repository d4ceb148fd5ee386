import gzip
import zlib
from typing import TYPE_CHECKING

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics_families
from prometheus_client.parser import text_string_to_metric_families

from exporter.web import endpoints

if TYPE_CHECKING:
    from tests.web.conftest import Site

TEXT = "text/plain; version=0.0.4; charset=utf-8"
OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"
PROMETHEUS = (
    "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,"
    "text/plain;version=1.0.0;escaping=allow-utf-8;q=0.5,text/plain;version=0.0.4;q=0.4,*/*;q=0.3"
)


def names(text: str) -> set[str]:
    """The families of one scrape."""
    return {family.name for family in text_string_to_metric_families(text)}


@pytest.mark.parametrize(
    ("accept", "content_type"),
    [
        ("", TEXT),
        ("*/*", TEXT),
        ("text/html", TEXT),
        ("text/plain;version=0.0.4", TEXT),
        ("application/openmetrics-text;version=1.0.0", OPENMETRICS),
        (PROMETHEUS, OPENMETRICS),
        ("application/openmetrics-text;q=0.1, text/plain;q=0.9", TEXT),
        (";;;,,q=nonsense", TEXT),
    ],
)
def test_accept_chooses_the_format(site: "Site", accept: str, content_type: str) -> None:
    """The format is the one that the scraper likes best, and plain text when it asks for neither."""
    answer = site.get("/metrics", accept=accept)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == content_type


def test_openmetrics_parses_and_ends(site: "Site") -> None:
    """The OpenMetrics answer is whole: it has its end mark, and a strict parser takes it."""
    text = site.get("/metrics", accept="application/openmetrics-text").text
    assert text.endswith("# EOF\n")
    assert {"webcast_example", "webcast_task_info"} <= {family.name for family in openmetrics_families(text)}


@pytest.mark.parametrize(("encoding", "packed"), [("gzip", True), ("*", True), ("", False), ("gzip;q=0", False)])
def test_gzip_only_for_who_takes_it(site: "Site", encoding: str, *, packed: bool) -> None:
    """The body is compressed if Accept-Encoding allows it, and is the same text either way."""
    with site.client.stream("GET", "/metrics", headers={"Accept-Encoding": encoding}) as answer:
        body = b"".join(answer.iter_raw())
    assert (answer.headers.get("content-encoding") == "gzip") is packed
    assert "webcast_example 7.0" in (gzip.decompress(body) if packed else body).decode()
    assert answer.headers["vary"] == "Accept, Accept-Encoding"


def test_names_restrict_the_families(site: "Site") -> None:
    """`name[]` asks for what it names and nothing else, of the fleet and of the tasks alike."""
    assert names(site.get("/metrics?name[]=webcast_example").text) == {"webcast_example"}
    assert names(site.get("/metrics?name[]=webcast_task_info").text) == {"webcast_task_info"}
    both = site.get("/metrics?name[]=webcast_task_info&name%5B%5D=webcast_example").text
    assert names(both) == {"webcast_example", "webcast_task_info"}
    assert names(site.get("/metrics?name[]=nothing_of_the_kind").text) == set()


def test_fleet_leaves_the_tasks_out(site: "Site") -> None:
    """`collect[]=fleet` is all but the per-task series; another word changes nothing."""
    assert names(site.get("/metrics?collect[]=fleet").text) == {"webcast_example"}
    assert "webcast_task_info" in names(site.get("/metrics?collect[]=everything").text)


def test_head_has_the_headers_and_no_body(site: "Site") -> None:
    """HEAD is a GET without its body."""
    answer = site.ask("HEAD", "/metrics")
    assert (answer.status_code, answer.content) == (200, b"")
    assert answer.headers["content-type"] == TEXT
    assert int(answer.headers["content-length"]) > 0


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
def test_metrics_are_only_read(site: "Site", method: str) -> None:
    answer = site.ask(method, "/metrics")
    assert answer.status_code == 405
    assert "GET" in answer.headers["allow"]


def test_without_its_fast_part_gzip_is_the_standard_librarys(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a machine for which there is no build, the same text is packed by zlib."""
    body = b"webcast_task_status 1\n" * 1000
    for compressor in (zlib, endpoints.compressor):
        monkeypatch.setattr(endpoints, "compressor", compressor)
        assert gzip.decompress(b"".join(endpoints.compress([body]).parts)) == body
