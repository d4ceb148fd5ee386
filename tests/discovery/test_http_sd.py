import dataclasses
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from exporter import __version__
from exporter.config.schema import HttpSdConfig
from exporter.discovery.http_sd import MAX_REDIRECTS, HttpSource
from exporter.discovery.sd_format import MAX_DOCUMENT_BYTES, Refreshed
from exporter.enums import Source

Section = Callable[..., HttpSdConfig]
CHANGED, SAME = Refreshed(changed=True), Refreshed(changed=False)


def failed(problem: str) -> Refreshed:
    return Refreshed(changed=False, failures=1, problem=problem)


def tasks(source: HttpSource) -> list[str]:
    return [target.task_id for target in source.listing.targets]


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """The machine's own proxies play no part."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@pytest.fixture
def source(backend: Any, section: Section) -> HttpSource:
    """A source that has had its first list, of the tasks 1 and 2."""
    source = HttpSource(section(f"{backend.url}/targets?key=s3cret"), "http_sd_configs[1]")
    backend.lists("1", "2")
    assert source.refresh() == CHANGED
    return source


def test_before_the_first_refresh(section: Section) -> None:
    """A source lists nothing and asks no server until it is refreshed."""
    source = HttpSource(section("http://127.0.0.1:1", "refresh_interval: 5s"), "http_sd_configs[1]")
    assert (source.tried, source.source, source.place, source.refresh_interval) == (
        False,
        Source.HTTP,
        "http_sd_configs[1]",
        5.0,
    )
    assert tasks(source) == []


def test_the_request(backend: Any, source: HttpSource) -> None:
    """It is Prometheus's request: the URL as it is, JSON wanted, and how often it is asked."""
    assert tasks(source) == ["1", "2"]
    ((path, headers),) = backend.asked
    assert path == "/targets?key=s3cret"
    assert headers["accept"] == "application/json"
    assert headers["x-prometheus-refresh-interval-seconds"] == "30"
    assert f"webcast-exporter/{__version__}" == headers["user-agent"]
    assert "authorization" not in headers


def test_a_fraction_of_a_second(backend: Any, section: Section) -> None:
    """The interval is reported in seconds, as short as it can be written."""
    HttpSource(section(backend.url, "refresh_interval: 1s500ms"), "x").refresh()
    assert backend.asked[0][1]["x-prometheus-refresh-interval-seconds"] == "1.5"


def test_a_list_that_changes(backend: Any, source: HttpSource) -> None:
    """The newest good list is the list; an equal answer is no change, and is not even parsed."""
    before = source.listing
    assert source.refresh() == SAME
    assert before is source.listing
    backend.lists("2", "3")
    assert source.refresh() == CHANGED
    assert tasks(source) == ["2", "3"]


@pytest.mark.parametrize("body", [b"[]", b"null", b"[{}]", b"\xef\xbb\xbf[]"])
def test_an_empty_list(backend: Any, source: HttpSource, body: bytes) -> None:
    """That nothing is live is a good answer, and takes all targets away."""
    backend.answer = dataclasses.replace(backend.answer, body=body)
    assert source.refresh() == CHANGED
    assert tasks(source) == []


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"status": 500}, "answered with HTTP status 500"),
        ({"status": 201}, "answered with HTTP status 201"),
        ({"status": 204, "body": b""}, "answered with HTTP status 204"),
        ({"content_type": "text/html"}, "answered with a Content-Type other than application/json"),
        ({"content_type": "application/jsonx"}, "answered with a Content-Type other than application/json"),
        ({"content_type": None}, "answered with a Content-Type other than application/json"),
        (
            {"body": b""},
            "answered with a document that cannot be used: it is not JSON at line 1, column 1: Expecting value",
        ),
        (
            {"body": b'{"targets": ["app/room/s3cret"]}'},
            "answered with a document that cannot be used: it must be a list of groups, each with targets and labels",
        ),
        ({"body": b"\xff\xfe[]"}, "answered with text that is not UTF-8"),
        ({"cut": True}, "cannot be had: the answer stopped half way"),
        ({"encoding": "gzip"}, "cannot be had: the answer cannot be decompressed"),
    ],
)
def test_a_bad_answer(backend: Any, source: HttpSource, change: dict[str, Any], problem: str) -> None:
    """Any other answer is a failure at each refresh and keeps the last good list; the next good one is taken."""
    good = backend.answer
    backend.answer = dataclasses.replace(good, **change)
    for _ in range(2):
        assert failed(problem) == source.refresh()
        assert tasks(source) == ["1", "2"]
    backend.answer = good
    assert source.refresh() == SAME
    backend.lists("3")
    assert source.refresh() == CHANGED


@pytest.mark.parametrize(
    "content_type", ["application/json; charset=utf-8", "Application/JSON", "application/json;x=y"]
)
def test_a_content_type_s_parameters(backend: Any, source: HttpSource, content_type: str) -> None:
    """JSON is JSON with whatever parameters and in whatever case."""
    backend.lists("3")
    backend.answer = dataclasses.replace(backend.answer, content_type=content_type)
    assert source.refresh() == CHANGED


def test_no_server(backend: Any, source: HttpSource) -> None:
    """A backend that is down keeps its last list; the sentence does not tell its URL."""
    backend.stop()
    assert failed("cannot be had: connection refused") == source.refresh()
    assert tasks(source) == ["1", "2"]


def test_no_tls(backend: Any, section: Section) -> None:
    done = HttpSource(section(backend.url.replace("http:", "https:")), "x").refresh()
    assert done.problem.startswith("cannot be had: no TLS connection")


def test_compressed(backend: Any, source: HttpSource) -> None:
    """A compressed list is taken, and one that grows over 16 MiB is refused before it is all in memory."""
    backend.gzipped(b'[{"targets": ["app/room/7"]}]')
    assert source.refresh() == CHANGED
    assert tasks(source) == ["7"]
    backend.gzipped(b" " * (MAX_DOCUMENT_BYTES + 1))
    assert failed("answered with more than 16,777,216 bytes") == source.refresh()


def test_bad_targets(backend: Any, source: HttpSource) -> None:
    """A bad target costs itself, a repeated one counts as a duplicate, each with its place."""
    backend.lists("1", "a b", "1")
    assert source.refresh() == CHANGED
    assert tasks(source) == ["1"]
    assert [(entry.reason.value, entry.problem.path) for entry in source.listing.rejected] == [
        ("invalid", "http_sd_configs[1][0].targets[1]"),
        ("duplicate", "http_sd_configs[1][0].targets[2]"),
    ]


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("location", ["{url}/there", "/there"])
def test_a_redirect(backend: Any, section: Section, status: int, location: str) -> None:
    """A redirect on the same server is followed with the credentials, unless it is not to be."""
    backend.lists("1")
    backend.answers["/"] = dataclasses.replace(
        backend.answer, status=status, body=b"", location=location.format(url=backend.url)
    )
    source = HttpSource(section(backend.url, "authorization: {credentials: s3cret}"), "x")
    assert source.refresh() == CHANGED
    assert [(path, headers["authorization"]) for path, headers in backend.asked] == [
        ("/", "Bearer s3cret"),
        ("/there", "Bearer s3cret"),
    ]
    source = HttpSource(section(backend.url, "follow_redirects: false"), "x")
    assert failed(f"answered with HTTP status {status}") == source.refresh()


def test_a_redirect_elsewhere(backend: Any, section: Section) -> None:
    """Credentials go to no other server than the one that they are for, not even to another port of its host."""
    other = type(backend)()
    other.lists("1")
    backend.answers["/"] = dataclasses.replace(backend.answer, status=302, location=f"{other.url}/there")
    for keys in ("authorization: {credentials: s3cret}", "basic_auth: {username: me, password: s3cret}"):
        assert HttpSource(section(backend.url, keys), "x").refresh() == CHANGED
    other.stop()
    assert [path for path, _ in other.asked] == ["/there", "/there"]
    assert not any("authorization" in headers for _, headers in other.asked)


@pytest.mark.parametrize(
    ("location", "problem", "asked"),
    [
        ("/", f"redirects more than {MAX_REDIRECTS} times", MAX_REDIRECTS + 1),
        ("file:///etc/passwd", "redirects to something that is not http", 1),
        ("http://[", "cannot be had: the call failed", 1),
        ("http://h:99999/", "cannot be had: the endpoint's URL cannot be used", 1),
        ("", "answered with HTTP status 302", 1),
    ],
)
def test_a_bad_redirect(backend: Any, section: Section, location: str, problem: str, asked: int) -> None:
    """A redirect that goes round, or to no other http address, is a failure."""
    backend.answer = dataclasses.replace(backend.answer, status=302, location=location)
    assert failed(problem) == HttpSource(section(backend.url), "x").refresh()
    assert asked == len(backend.asked)


def test_a_rotated_secret(backend: Any, section: Section, tmp_path: Path) -> None:
    """A secret's file is read at each refresh; while it cannot be used nothing is asked and the list stays."""
    source = HttpSource(section(backend.url, "authorization: {credentials_file: token}"), "x")
    (tmp_path / "token").write_text("one\n")
    backend.lists("1")
    source.refresh()
    (tmp_path / "token").write_text("two\n")
    source.refresh()
    (tmp_path / "token").unlink()
    assert failed("authorization.credentials_file: the file does not exist") == source.refresh()
    assert [headers["authorization"] for _, headers in backend.asked] == ["Bearer one", "Bearer two"]
    assert tasks(source) == ["1"]


def test_a_certificate_that_is_not_there(backend: Any, section: Section) -> None:
    """A missing certificate is named by its key, and nothing is sent."""
    source = HttpSource(section(backend.url, "tls_config: {ca_file: gone.pem}"), "x")
    assert failed("tls_config.ca_file: the file does not exist") == source.refresh()
    assert backend.asked == []


def test_a_proxy(backend: Any, section: Section) -> None:
    """With a proxy_url the request goes there, with the password for the proxy alone."""
    backend.lists("1")
    proxy = backend.url.replace("http://", "http://me:s3cret@")
    source = HttpSource(section("http://backend.example/targets", f"proxy_url: '{proxy}'"), "x")
    assert source.refresh() == CHANGED
    ((path, headers),) = backend.asked
    assert path == "http://backend.example/targets"
    assert headers["host"] == "backend.example"
    assert headers["proxy-authorization"].startswith("Basic ")


def test_a_proxy_that_is_down(section: Section) -> None:
    source = HttpSource(section("http://backend.example", "proxy_url: 'http://me:s3cret@127.0.0.1:1'"), "x")
    assert failed("cannot be had: the proxy cannot be reached: connection refused") == source.refresh()


def test_no_netrc(backend: Any, section: Section, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Credentials of the machine's user are never sent."""
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login me password s3cret")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    HttpSource(section(backend.url), "x").refresh()
    assert "authorization" not in backend.asked[0][1]


def test_a_reload_while_the_url_is_down(backend: Any, source: HttpSource, section: Section) -> None:
    """The last good list of a URL outlives its source, however it is fetched; another URL's list does not."""
    backend.stop()
    source.refresh()
    same = HttpSource(source.config, "http_sd_configs[0]")
    otherwise = HttpSource(section(source.config.url.whole, "refresh_interval: 5s"), "x")
    another = HttpSource(section(f"{backend.url}/targets?key=other"), "x")
    for new, tried, listed in ((same, True, ["1", "2"]), (otherwise, False, ["1", "2"]), (another, False, [])):
        new.inherit([source])
        assert (tried, listed) == (new.tried, tasks(new))
        assert new.refresh().failures == 1
        assert listed == tasks(new)


def test_two_feeds_of_one_url(backend: Any, section: Section) -> None:
    """Of several sources of one URL a new one takes over from its equal, else from the one in its own place."""
    sources = [
        HttpSource(section(backend.url, f"authorization: {{credentials: {name}}}"), f"http_sd_configs[{index}]")
        for index, name in enumerate(("a", "b"))
    ]
    for source, task in zip(sources, "12", strict=True):
        backend.lists(task)
        source.refresh()
    equal = HttpSource(sources[0].config, "http_sd_configs[1]")
    placed = HttpSource(section(backend.url, "authorization: {credentials: c}"), "http_sd_configs[1]")
    for new, listed in ((equal, ["1"]), (placed, ["2"])):
        new.inherit(sources)
        assert listed == tasks(new)
    backend.lists("2")
    assert placed.refresh() == SAME


def test_places_follow_a_reload(backend: Any, source: HttpSource) -> None:
    """What was rejected is reported with the place that its source has now."""
    backend.lists("a b")
    source.refresh()
    moved = HttpSource(source.config, "http_sd_configs[0]")
    moved.inherit([source])
    assert [entry.problem.path for entry in moved.listing.rejected] == ["http_sd_configs[0][0].targets[0]"]


@pytest.mark.parametrize(
    "body",
    [
        b"[" + b'{"targets":["a/b/c"]},' * (MAX_DOCUMENT_BYTES // 22 - 2) + b"{}]",
        b"[" + b"[]," * (MAX_DOCUMENT_BYTES // 3 - 2) + b"[]]",
        b'[{"targets": ["a/b/c"], "labels": {"a": "' + b"x" * (MAX_DOCUMENT_BYTES - 100) + b'"}}]',
    ],
    ids=["many groups", "many lists", "one long label"],
)
@pytest.mark.usefixtures("no_collection")
def test_a_body_within_the_limit_takes_little_memory(backend: Any, section: Section, body: bytes) -> None:
    """The limit counts bytes; what bytes become is bounded too, far below what a container has."""
    backend.gzipped(body)
    source = HttpSource(section(backend.url), "x")
    tracemalloc.start()
    try:
        source.refresh()
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 100 * 1024 * 1024
