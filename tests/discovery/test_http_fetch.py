import contextlib
import io
import logging
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from requests import PreparedRequest, Response
from requests.adapters import BaseAdapter
from requests.structures import CaseInsensitiveDict
from urllib3.util import connection

from exporter.config.schema import HttpSdConfig
from exporter.discovery import http_sd
from exporter.discovery.http_sd import ListFetcher
from exporter.discovery.sd_format import SDSourceError
from exporter.volcengine.client import CA_VARIABLES, proxies_for

Section = Callable[..., HttpSdConfig]


class Clock:
    """A clock that stands still until a test moves it."""

    now = 100.0

    def __call__(self) -> float:
        """The time it shows."""
        return self.now


class Slow(io.BytesIO):
    """A body each of whose pieces takes four seconds."""

    clock: Clock

    def read(self, _: int | None = -1) -> bytes:
        """One byte."""
        self.clock.now += 4
        return super().read(1)


class Network(BaseAdapter):
    """Answers in the place of the network; `sent` are the calls."""

    def __init__(self, body: io.BytesIO | None = None, location: str = "") -> None:
        super().__init__()
        self.body = body or io.BytesIO(b"[]")
        self.location = location
        self.clock = Clock()
        self.sent: list[dict[str, Any]] = []

    def send(self, request: PreparedRequest, *_: Any, **kwargs: Any) -> Response:
        """Answer at once, or redirect after four seconds."""
        self.sent.append({"url": request.url, "headers": dict(request.headers), **kwargs})
        response = Response()
        response.status_code = 302 if self.location else 200
        response.headers = CaseInsensitiveDict({"Content-Type": "application/json"})
        if self.location:
            self.clock.now += 4
            response.headers["Location"] = self.location
        response.raw = self.body
        return response

    def close(self) -> None:
        """Nothing is open."""


def test_how_it_is_sent(section: Section, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What tls_config says is what the connection is made with, and all of 10 seconds are for it."""
    for name in CA_VARIABLES:
        monkeypatch.delenv(name, raising=False)
    for name in ("ca", "cert", "key"):
        (tmp_path / name).touch()
    expected: dict[str, dict[str, object]] = {
        "refresh_interval: 30s": {"verify": True, "cert": None},
        "tls_config: {ca_file: ca}": {"verify": f"{tmp_path}/ca", "cert": None},
        "tls_config: {insecure_skip_verify: true, ca_file: ca}": {"verify": False, "cert": None},
        "tls_config: {cert_file: cert, key_file: key}": {
            "verify": True,
            "cert": (f"{tmp_path}/cert", f"{tmp_path}/key"),
        },
    }
    for keys, options in expected.items():
        network = Network()
        assert ListFetcher(section("https://127.0.0.1/x?a=b%20c", keys), network, network.clock).fetch() == b"[]"
        assert [{"url": "https://127.0.0.1/x?a=b%20c", "stream": True, "timeout": 10.0, "proxies": {}, **options}] == [
            {name: value for name, value in call.items() if name != "headers"} for call in network.sent
        ]


def test_a_slow_body(section: Section) -> None:
    """An answer that comes in drops is broken off after 10 seconds."""
    network = Network(Slow(b"[" + b" " * 100))
    Slow.clock = network.clock
    with pytest.raises(SDSourceError, match=r"^gave no whole answer within 10 seconds$"):
        ListFetcher(section("http://127.0.0.1"), network, network.clock).fetch()
    assert network.clock.now == 112.0


def test_slow_redirects(section: Section) -> None:
    """All redirects together have the 10 seconds that one answer has."""
    network = Network(location="/x")
    with pytest.raises(SDSourceError, match=r"^gave no whole answer within 10 seconds$"):
        ListFetcher(section("http://127.0.0.1"), network, network.clock).fetch()
    assert [call["timeout"] for call in network.sent] == [10.0, 6.0, 2.0]


@pytest.mark.parametrize(
    ("url", "target", "goes"),
    [
        ("http://h/a", "http://h:80/b", True),
        ("http://h/a", "https://h/b", True),
        ("https://h/a", "http://h/b", False),
        ("http://h:8080/a", "https://h/b", False),
        ("http://h/a", "https://h:8443/b", False),
        ("http://h/a", "http://other/b", False),
        ("http://h/a", "https://other/b", False),
        ("http://h/a", "http://x.h/b", False),
    ],
)
def test_where_credentials_may_go(section: Section, url: str, target: str, *, goes: bool) -> None:
    """To the same origin, and from plain http to https on the usual ports; nowhere else."""
    network = Network(location=target)
    with pytest.raises(SDSourceError):
        ListFetcher(section(url, "authorization: {credentials: s3cret}"), network, network.clock).fetch()
    assert [True, goes] == ["Authorization" in call["headers"] for call in network.sent[:2]]


def test_silence(backend: Any, section: Section, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that takes the call and says nothing is given up."""
    monkeypatch.setattr(http_sd, "TIMEOUT", 0.2)
    backend.server.RequestHandlerClass = lambda *_: threading.Event().wait(1)
    with pytest.raises(SDSourceError, match=r"^cannot be had: no whole answer within the timeout$"):
        ListFetcher(section(backend.url)).fetch()


def test_close_breaks_off(backend: Any, section: Section) -> None:
    """A call under way ends at once when its source is closed."""
    arrived, closed = threading.Event(), threading.Event()

    def hang(*_: object) -> None:
        arrived.set()
        closed.wait(5)

    backend.server.RequestHandlerClass = hang
    fetcher = ListFetcher(section(backend.url))
    problems: list[str] = []

    def get() -> None:
        try:
            fetcher.fetch()
        except SDSourceError as fault:
            problems.append(str(fault))

    thread = threading.Thread(target=get)
    thread.start()
    assert arrived.wait(5)
    fetcher.close()
    thread.join(5)
    closed.set()
    assert len(problems) == 1
    assert problems[0].startswith(("cannot be had: the connection was", "is closed"))


def test_closed_while_it_connects(backend: Any, section: Section, monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection that was being made when its source was closed is not used."""
    fetcher = ListFetcher(section(backend.url))
    create = connection.create_connection

    def slow(*args: Any, **kwargs: Any) -> socket.socket:
        made = create(*args, **kwargs)
        fetcher.close()
        return made

    monkeypatch.setattr(connection, "create_connection", slow)
    for _ in range(2):
        with pytest.raises(SDSourceError, match=r"^is closed$"):
            fetcher.fetch()
    assert backend.asked == []


@pytest.mark.parametrize(
    ("url", "proxy_url", "environ", "expected"),
    [
        ("http://h/", None, {}, {}),
        ("http://h/", None, {"http_proxy": "http://p:1", "https_proxy": "http://q:1"}, {"http": "http://p:1"}),
        ("https://h/", None, {"http_proxy": "http://p:1", "https_proxy": "http://q:1"}, {"https": "http://q:1"}),
        ("https://h/", None, {"https_proxy": "http://q:1", "no_proxy": "h"}, {}),
        ("https://h/", "http://own:1", {"https_proxy": "http://q:1", "no_proxy": "h"}, {"https": "http://own:1"}),
        ("http://127.0.0.1:80/", None, {"http_proxy": "http://p:1"}, {}),
        ("http://127.0.0.1:80/", "http://own:1", {}, {"http": "http://own:1"}),
    ],
)
def test_proxies(
    monkeypatch: pytest.MonkeyPatch, url: str, proxy_url: str | None, environ: dict[str, str], expected: dict[str, str]
) -> None:
    """A proxy_url counts alone; without it the environment decides, and a loopback address needs no proxy."""
    for name in ("http_proxy", "https_proxy", "no_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    assert expected == proxies_for(url, proxy_url)


def test_no_log_tells_the_url(section: Section, caplog: pytest.LogCaptureFixture) -> None:
    """What urllib3 would log of a request, and of an answer with odd headers, is not logged: it tells the query."""
    caplog.set_level(logging.DEBUG)
    listener = socket.create_server(("127.0.0.1", 0))

    def answer() -> None:
        client, _ = listener.accept()
        client.recv(65536)
        client.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nodd\r\nContent-Length: 2\r\n\r\n[]")
        client.close()

    thread = threading.Thread(target=answer)
    thread.start()
    with listener, contextlib.suppress(SDSourceError):
        ListFetcher(section(f"http://127.0.0.1:{listener.getsockname()[1]}/?key=s3cret")).fetch()
    thread.join(5)
    assert "s3cret" not in caplog.text
