"""What strangers and crowds send is refused, bounded or ignored; probes and scrapes are answered all the same."""

import logging
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import httpx
import pytest
from starlette.responses import PlainTextResponse
from structlog.testing import capture_logs

from exporter.config.web_config import parse_web_config
from exporter.metrics.exposition import Format, choose_format
from exporter.web import endpoints
from exporter.web.app import WebOptions, create_app
from exporter.web.auth import CurrentPolicy, WebPolicy, make_policy
from exporter.web.interfaces import ExporterApi
from exporter.web.server import Listener, bind_all
from exporter.web.tls import Tls, make_tls
from tests.support import web_client
from tests.support.certificates import HASH, client_context
from tests.support.waiting import wait_until
from tests.web.conftest import FakeExporter

if TYPE_CHECKING:
    from exporter.simulator.server import Certificates
    from tests.web.conftest import Site

WAIT = 60.0


def exchange(url: httpx.URL | str, *lines: str) -> str:
    """Send raw lines, and return all that is answered until the server closes."""
    at = httpx.URL(str(url))
    with socket.create_connection((at.host, at.port or 0), WAIT) as client:
        client.sendall("\r\n".join((*lines, "", "")).encode())
        answer = b""
        with suppress(ConnectionResetError):
            while part := client.recv(65536):
                answer += part
        return answer.decode()


@pytest.mark.parametrize("target", ["http://elsewhere.example/-/healthy", "HTTPS://elsewhere.example/-/healthy"])
def test_an_absolute_target_is_served_as_its_path(site: "Site", target: str) -> None:
    """RFC 9112 requires it of every server."""
    answer = exchange(site.client.base_url, f"GET {target} HTTP/1.1", "Host: a", "Connection: close")
    assert "200 OK" in answer
    assert "webcast-exporter is healthy" in answer


@pytest.mark.parametrize("target", ["http://a/metrics", "http:///metrics", "http://a/-/healthy/../metrics", "*", "x"])
def test_an_absolute_target_asks_for_the_password(site: "Site", target: str) -> None:
    """No spelling of a target passes the password by."""
    site.exporter.policy.now = make_policy(parse_web_config(f"basic_auth_users: {{alice: {HASH}}}", Path()))
    answer = exchange(site.client.base_url, f"GET {target} HTTP/1.1", "Host: a", "Connection: close")
    assert "401 Unauthorized" in answer


@pytest.mark.parametrize("upgrade", ["h2c", "websocket", "TLS/1.0"])
def test_an_upgrade_header_is_ignored_without_a_log_line(
    site: "Site", caplog: pytest.LogCaptureFixture, upgrade: str
) -> None:
    """Java's HttpClient and `curl --http2` send it with every request."""
    lines = ("GET /-/healthy HTTP/1.1", "Host: a", "Connection: Upgrade, close", f"Upgrade: {upgrade}")
    with caplog.at_level(logging.DEBUG):
        assert "200 OK" in exchange(site.client.base_url, *lines)
    assert [record for record in caplog.records if record.name.startswith("uvicorn")] == []


@pytest.mark.parametrize("order", [0, 1])
def test_two_lengths_are_refused(site: "Site", order: int) -> None:
    """A proxy in front may read the other one: what follows would be a request of its own."""
    both = ["Content-Length: 3", "Transfer-Encoding: chunked"]
    answer = exchange(
        site.client.base_url, "POST /callback HTTP/1.1", "Host: a", both[order], both[1 - order], "", "0", ""
    )
    assert answer.startswith("HTTP/1.1 400 ")
    assert answer.count("HTTP/1.1") == 1
    assert site.exporter.callbacks.bodies == []


def test_a_callback_path_may_end_with_a_slash(site: "Site", callback_site: "Site") -> None:
    """The vendor counts a redirect as a failure."""
    assert [each.client.post("/callback/", content=b"{}").status_code for each in (site, callback_site)] == [200, 200]
    site.exporter.policy.now = make_policy(parse_web_config(f"basic_auth_users: {{alice: {HASH}}}", Path()))
    assert site.client.post("/callback/", content=b"{}").status_code == 200


@contextmanager
def listening(app: Any, *addresses: str, tls: Tls | None = None) -> Iterator[Listener]:
    """A listener, started and stopped."""
    policy = CurrentPolicy()
    policy.now = WebPolicy(tls)
    listener = Listener(app, bind_all(addresses or ["127.0.0.1:0"]), lambda *_: None, policy)
    listener.start()
    yield listener
    listener.stop()


def tls_of(keys: str, folder: Path) -> Tls:
    """TLS with good.pem of the folder, and more keys."""
    text = f"tls_server_config: {{cert_file: good.pem, key_file: good.pem, {keys}}}"
    section = parse_web_config(text, folder).tls_server_config
    assert section is not None
    return make_tls(section)[0]


def old_tls(context: ssl.SSLContext) -> None:
    """A client of the days before TLS 1.2."""
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1


@pytest.mark.parametrize(
    ("keys", "client", "reason"),
    [
        ("", "plain", "the client speaks plain HTTP"),
        ("client_auth_type: RequireAndVerifyClientCert, client_ca_file: good.pem", "none", "showed no certificate"),
        ("client_auth_type: RequireAndVerifyClientCert, client_ca_file: good.pem", "stranger", "is not trusted"),
        ("", "old", "TLS version is not accepted"),
        ("", "distrustful", "the client does not trust the certificate"),
        (
            "client_auth_type: RequireAndVerifyClientCert, client_ca_file: good.pem, client_allowed_sans: [b.example]",
            "good",
            "none of the names of client_allowed_sans",
        ),
    ],
)
@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1_1")
def test_a_refused_handshake_is_logged_with_its_reason(
    certificates: "Certificates", tmp_path: Path, keys: str, client: str, reason: str
) -> None:
    """One line says who was refused and why; it holds nothing that the client sent."""
    (tmp_path / "good.pem").write_bytes(certificates.trusted.read_bytes())
    tls = tls_of(keys, tmp_path)
    shown = {"stranger": certificates.stranger, "good": certificates.trusted}.get(client)
    context = client_context(certificates.authority, shown)
    if client == "old":
        old_tls(context)
    if client == "distrustful":
        context = ssl.create_default_context()
    with capture_logs() as logs, listening(PlainTextResponse("hello"), tls=tls) as listener:
        host, port = listener.url.removeprefix("https://").split(":")
        with socket.create_connection((host, int(port)), WAIT) as plain, suppress(OSError):
            if client == "plain":
                plain.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
                plain.recv(100)
            else:
                with context.wrap_socket(plain, server_hostname=host) as wrapped:
                    wrapped.sendall(b"GET / HTTP/1.1\r\n\r\n")
                    wrapped.recv(100)
        wait_until(lambda: logs, "a line is logged")
    assert [(log["log_level"], log["client"]) for log in logs] == [("warning", "127.0.0.1")]
    assert reason in logs[0]["reason"]


def test_a_client_that_leaves_during_the_handshake_is_not_logged(certificates: "Certificates", tmp_path: Path) -> None:
    """So does every TCP probe."""
    (tmp_path / "good.pem").write_bytes(certificates.trusted.read_bytes())
    section = parse_web_config(
        "tls_server_config: {cert_file: good.pem, key_file: good.pem}", tmp_path
    ).tls_server_config
    assert section is not None
    tls, _ = make_tls(section)
    with capture_logs() as logs, listening(PlainTextResponse("hello"), tls=tls) as listener:
        host, port = listener.url.removeprefix("https://").split(":")
        socket.create_connection((host, int(port)), WAIT).close()
        context = client_context(certificates.authority)
        with socket.create_connection((host, int(port)), WAIT) as plain:
            context.wrap_socket(plain, server_hostname=host).close()
    assert logs == []


def test_every_address_is_served() -> None:
    """--web.listen-address may be given several times; IPv4 and IPv6 may share a port."""
    with listening(PlainTextResponse("hello"), "127.0.0.1:0", "[::1]:0", "127.0.0.1:0") as listener:
        assert [web_client.get(url).text for url in listener.urls] == ["hello"] * 3
        assert len(set(listener.urls)) == 3


SYSTEMD = """
import os, socket
from exporter.errors import StartError
from exporter.web.server import systemd_sockets
for kind, number in (("STREAM", "1"), ("DGRAM", "1"), ("STREAM", "0"), ("STREAM", "")):
    bound = socket.socket(socket.AF_INET, getattr(socket, f"SOCK_{kind}"))
    bound.bind(("127.0.0.1", 0))
    os.dup2(bound.detach(), 3)
    try:
        print(len(systemd_sockets({"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": number})), "socket")
    except StartError as error:
        print(error)
"""


def test_sockets_of_systemd() -> None:
    """They are taken as sd_listen_fds(3) says, or refused with what to change; file descriptor 3 is no other's."""
    said = subprocess.run([sys.executable, "-c", SYSTEMD], capture_output=True, text=True, check=True).stdout
    taken, datagrams, none, unnamed = said.splitlines()
    assert taken == "1 socket"
    assert "file descriptor 3 is no TCP socket" in datagrams
    assert "systemd passed no socket" in none
    assert "systemd passed no socket" in unnamed


@pytest.mark.parametrize("path", ["/", "/tasks", "/status"])
def test_links_follow_the_external_url(path: str) -> None:
    """Behind a proxy each link begins with the external URL's path; the proxy may strip it or not."""
    exporter = FakeExporter()
    options = WebOptions("/custom", "https://proxy.example/webcast/")
    app = create_app(cast("ExporterApi", exporter), exporter.failed, options=options)
    with listening(app) as listener, web_client.client(listener.url) as client:
        for asked in (path, f"/webcast{path}"):
            page = client.get(asked).text
            assert 'href="/webcast/static/style.css"' in page
            assert 'href="/tasks' not in page
        assert client.get("/webcast/dashboards").headers["location"] == "/webcast/dashboards/"
        assert [client.get(each).status_code for each in ("/custom", "/webcast/custom", "/metrics")] == [200, 200, 404]
        assert 'href="/webcast/custom"' in client.get("/").text


class Stuck:
    """An exporter whose pages wait until `go` is set; it counts what began."""

    def __init__(self, exporter: FakeExporter) -> None:
        self.begun = 0
        self.go = threading.Event()
        self._exporter = exporter

    def tracked(self) -> list[Any]:
        """In place of the exporter's."""
        self.begun += 1
        assert self.go.wait(WAIT)
        return []


def test_probes_and_scrapes_do_not_wait_for_pages(site: "Site", monkeypatch: pytest.MonkeyPatch) -> None:
    """However many people look: a few pages are made at once, some wait, the others get 503 and Retry-After."""
    stuck = Stuck(site.exporter)
    monkeypatch.setattr(site.exporter, "tracked", stuck.tracked)
    url = str(site.client.base_url)
    paths = ("/tasks", "/api/v1/tasks", "/api/v1/targets")
    with ThreadPoolExecutor(60) as people:
        answers = [people.submit(web_client.get, url + paths[number % 3]) for number in range(60)]
        wait_until(lambda: sum(answer.done() for answer in answers) == 50, "50 of 60 are refused at once")
        assert stuck.begun == 2
        for path in ("/-/healthy", "/-/ready", "/metrics", "/status"):
            assert web_client.get(url + path).status_code == 200
        stuck.go.set()
    found = [answer.result() for answer in answers]
    assert sorted({answer.status_code for answer in found}) == [200, 503]
    assert {answer.headers["retry-after"] for answer in found if answer.status_code == 503} == {"1"}


def test_scrapes_that_come_together_are_one(site: "Site", monkeypatch: pytest.MonkeyPatch) -> None:
    """Each sees what was so when it asked, or later; however many they are, they cost as much as three."""
    made, go = [], threading.Event()

    def pieces(*_: object, **__: object) -> list[bytes]:
        made.append(1)
        assert go.wait(WAIT)
        return [b"webcast_example %d\n" % len(made)]

    def choose(accept: str) -> Format:
        arrived.append(accept)
        return choose_format(accept)

    arrived: list[str] = []
    monkeypatch.setattr(endpoints, "choose_format", choose)
    monkeypatch.setattr(site.exporter.exposition, "pieces", pieces)
    url = f"{site.client.base_url}/metrics"
    with ThreadPoolExecutor(50) as scrapers:
        first = scrapers.submit(web_client.get, url)
        wait_until(lambda: made, "the first has begun")
        others = [scrapers.submit(web_client.get, url) for _ in range(49)]
        wait_until(lambda: len(arrived) == 50 and len(made) == 2, "all have arrived")
        go.set()
    assert first.result().status_code == 200
    assert {other.result().status_code for other in others} == {200}
    assert len(made) == 3


@pytest.mark.parametrize(("accept", "kind"), [("text/html", "text/html"), ("*/*", "text/plain")])
def test_what_is_not_there(site: "Site", accept: str, kind: str) -> None:
    """A person gets a page with ways out, a program one line."""
    answer = site.get("/nothing", Accept=accept)
    assert (answer.status_code, answer.headers["content-type"].partition(";")[0]) == (404, kind)
    assert ("/tasks" in answer.text) is (accept == "text/html")
