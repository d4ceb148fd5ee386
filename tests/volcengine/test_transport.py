"""Connections as networks treat them: forgotten while idle, proxied, hanging, and trusted by the environment."""

import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import pytest

from exporter.errors import ConfigError, TimedOut, TlsFailed, Unreachable
from exporter.model.target import TargetId
from exporter.model.task import ReadResult
from exporter.simulator.server import Certificates
from exporter.volcengine import client as client_module
from exporter.volcengine.client import (
    CA_VARIABLES,
    MAX_POOLS,
    Client,
    Endpoint,
    Transport,
    new_session,
    proxies_for,
    trusted_authorities,
)
from exporter.volcengine.rate_limiter import RateLimiter
from tests.faults.proxy import relay
from tests.support.credentials import fixed
from tests.support.loopback import TASK, Answer, LoopbackServer, reply, request_of, reset, silence, swallow

TARGET = TargetId("app", "room", "task")
LIMIT = 60
"""Seconds that a test waits for a condition at most."""

Serve = Callable[[Answer], LoopbackServer]


@pytest.fixture
def server() -> Iterator[Serve]:
    made: list[LoopbackServer] = []

    def start(serve: Answer) -> LoopbackServer:
        made.append(LoopbackServer(serve))
        return made[-1]

    yield start
    for each in made:
        each.close()


def client_of(url: str, timeout: float = LIMIT, **keys: str) -> Client:
    return Client(Endpoint(url=url, timeout=timeout, **keys), fixed(), RateLimiter(1000))


def end(connection: socket.socket) -> None:
    """Close without an answer."""
    connection.shutdown(socket.SHUT_RDWR)


@pytest.mark.slow
@pytest.mark.parametrize("forget", [reset, swallow, end])
def test_a_nat_that_forgets_idle_connections_fails_no_read(
    server: Serve, forget: Answer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each connection answers one request and forgets the next: the call is repeated on a fresh connection."""
    monkeypatch.setattr(client_module, "SUSPECT_IDLE", 0.0)

    def serve(connection: socket.socket) -> None:
        request_of(connection)
        reply()(connection)
        request_of(connection)
        forget(connection)

    client = client_of(server(serve).url, timeout=2)
    assert [client.read(TARGET).error for _ in range(4)] == [None] * 4


def test_a_repeated_call_takes_a_permit_and_a_signature_of_its_own(server: Serve) -> None:
    """Three requests on the wire for two reads are three calls of the budget, each signed when it is sent."""
    heads: list[bytes] = []

    def serve(connection: socket.socket) -> None:
        heads.append(request_of(connection))
        reply()(connection)
        heads.append(request_of(connection))
        reset(connection)

    at = server(serve)
    rate_limiter = RateLimiter(1000)
    client = Client(
        Endpoint(url=at.url),
        fixed(),
        rate_limiter,
        clock=map(float, count(1_768_465_805)).__next__,
    )
    results = [client.read(TARGET) for _ in range(2)]
    assert [(result.error, result.calls) for result in results] == [(None, 1), (None, 2)]
    signatures = [head.partition(b"Signature=")[2].partition(b"\r\n")[0] for head in heads if head]
    assert (len(signatures), len(set(signatures)), len(rate_limiter._sent)) == (3, 3, 3)


def test_a_call_is_repeated_once(server: Serve) -> None:
    """A fresh connection that fails is a failed read; a connection that never answered is no stale one."""
    requests = [0]

    def serve(connection: socket.socket) -> None:
        request_of(connection)
        requests[0] += 1
        if requests[0] == 1:
            reply()(connection)
            request_of(connection)
            requests[0] += 1
        reset(connection)

    client = client_of(server(serve).url)
    assert client.read(TARGET).error is None
    assert isinstance(client.read(TARGET).error, Unreachable)
    assert requests == [3]


def test_an_answer_that_breaks_off_is_not_repeated(server: Serve) -> None:
    """Its request was received: one byte of the answer is enough to know."""
    requests = [0]

    def serve(connection: socket.socket) -> None:
        request_of(connection)
        reply()(connection)
        while request_of(connection):
            requests[0] += 1
            connection.sendall(b"HTTP/1.1 2")
            reset(connection)

    client = client_of(server(serve).url)
    assert client.read(TARGET).error is None
    assert isinstance(client.read(TARGET).error, Unreachable)
    assert requests == [1]


def test_a_connection_idle_for_too_long_is_not_reused(server: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    """A NAT that swallows costs no timeout: the idle connection is closed before it is used."""

    def serve(connection: socket.socket) -> None:
        while request_of(connection):
            reply()(connection)

    used = []
    for idle in (60.0, 0.0):
        monkeypatch.setattr(client_module, "MAX_IDLE", idle)
        peer = server(serve)
        client = client_of(peer.url)
        assert [client.read(TARGET).error for _ in range(3)] == [None] * 3
        used.append(len(peer.connections))
    assert used == [1, 3]


@pytest.mark.slow
def test_a_nat_that_swallows_costs_one_timeout(server: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    """Once known, connections that were idle for so long are not reused, though they could be by the usual limit."""
    monkeypatch.setattr(client_module, "SUSPECT_IDLE", 0.0)
    swallowed = []

    def serve(connection: socket.socket) -> None:
        request_of(connection)
        reply()(connection)
        if request_of(connection):
            swallowed.append(connection)
            swallow(connection)

    client = client_of(server(serve).url, timeout=2)
    for _ in range(5):
        assert client.read(TARGET).error is None
        time.sleep(0.1)  # the NAT forgets
    assert len(swallowed) == 1


def test_what_is_kept_of_servers_is_bounded(server: Serve) -> None:
    """A list that redirects to another server or path each time fills no memory, and breaks no connection."""

    def serve(connection: socket.socket) -> None:
        while request_of(connection):
            reply()(connection)

    adapter = Transport(1, lambda: None)
    session = new_session(adapter)
    servers = [server(serve) for _ in range(3 * MAX_POOLS)]
    for number in range(3):
        for each in servers:
            for path in ("a", "b"):
                assert session.get(f"{each.url}/{path}{number}?c=d", timeout=LIMIT).content == TASK
    assert len(adapter._pools) <= MAX_POOLS


@pytest.mark.parametrize("scheme", ["https", "http"])
@pytest.mark.parametrize("proxied", [True, False])
def test_close_does_not_wait_for_what_hangs(server: Serve, scheme: str, *, proxied: bool) -> None:
    """TLS handshake, proxy and answer may hang for the whole timeout; close returns, and no call is made after it."""
    peer = server(swallow)
    url = peer.url
    endpoint = {"url": f"{scheme}://rtc.example", "proxy_url": url} if proxied else {"url": f"{scheme}{url[4:]}"}
    client = client_of(timeout=LIMIT * 10, **endpoint)
    results: list[ReadResult] = []
    caller = threading.Thread(target=lambda: results.append(client.read(TARGET)), daemon=True)
    caller.start()
    assert peer.accepted.wait(LIMIT)
    client.close()  # returns: the timeout of the call is ten times the limit of this test
    assert isinstance(client.read(TARGET).error, Unreachable)
    peer.close()
    caller.join(LIMIT)
    assert [type(result.error) for result in results] in ([Unreachable], [TlsFailed])


def test_close_does_not_wait_for_name_resolution(monkeypatch: pytest.MonkeyPatch) -> None:
    """A resolver that hangs holds its own thread only."""
    asked, answer = threading.Event(), threading.Event()

    def resolve(*_: object, **__: object) -> list[object]:
        asked.set()
        answer.wait(LIMIT)
        raise socket.gaierror(-2, "no such name")

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    client = client_of("https://rtc.example")
    caller = threading.Thread(target=client.read, args=(TARGET,), daemon=True)
    caller.start()
    assert asked.wait(LIMIT)
    client.close()
    assert caller.is_alive()
    answer.set()
    caller.join(LIMIT)


def test_a_socks_proxy_of_the_environment_is_used(server: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    """HTTPS_PROXY=socks5h://: the proxy is asked for the host by name, and the call is made through it."""
    asked: list[bytes] = []

    def serve(connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(b"\x05\x00")  # no authentication
        asked.append(connection.recv(65536))
        connection.sendall(b"\x05\x00\x00\x01\x00\x00\x00\x00\x00\x00")
        while request_of(connection):
            reply()(connection)

    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY", "no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HTTP_PROXY", f"socks5h://127.0.0.1:{server(serve).port}")
    monkeypatch.setenv("http_proxy", f"socks5h://127.0.0.1:{server(serve).port}")
    client = client_of("http://rtc.example")
    assert [client.read(TARGET).error for _ in range(2)] == [None, None]
    assert [b"rtc.example" in each for each in asked] == [True]


@pytest.mark.parametrize(
    ("answers", "sentence"),
    [
        ([b"\x05\xff"], "the proxy does not accept its user or password"),
        ([b"\x05\x02", b"\x01\x01"], "the proxy does not accept its user or password"),
        ([b"\x05\x00", b"\x05\x02\x00\x01\x00\x00\x00\x00\x00\x00"], "the proxy refused"),
    ],
)
def test_a_socks_proxy_that_refuses_is_told(server: Serve, answers: list[bytes], sentence: str) -> None:
    """It wants a password, does not accept it, or may not connect to the host."""

    def serve(connection: socket.socket) -> None:
        for each in answers:
            connection.recv(65536)
            connection.sendall(each)

    url = f"socks5h://user:s3cret@127.0.0.1:{server(serve).port}"
    assert str(client_of("http://rtc.example", proxy_url=url).read(TARGET).error) == sentence


def test_a_proxy_that_speaks_tls(server: Serve, certificates: Certificates) -> None:
    """Calls go through it, end at their timeout, and closing the client is no error; its certificate is checked."""
    api, silent = tls_server(server, certificates), tls_server(server, certificates, silence)
    context = certificates.context(stranger=False)

    def serve(connection: socket.socket) -> None:
        with context.wrap_socket(connection, server_side=True) as client:
            port = int(request_of(client).split()[1].rpartition(b":")[2])
            with socket.create_connection(("127.0.0.1", port)) as upstream:
                client.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
                relay(client, upstream, lambda: False, lambda data: data)

    proxy = {"proxy_url": f"https://127.0.0.1:{server(serve).port}"}
    trusted = {**proxy, "ca_file": str(certificates.authority)}
    client = client_of(f"https://127.0.0.1:{api.port}", LIMIT, **trusted)
    assert [client.read(TARGET).error for _ in range(3)] == [None] * 3
    client.close()
    error = client_of(f"https://127.0.0.1:{silent.port}", timeout=1.0, **trusted).read(TARGET).error
    assert isinstance(error, TimedOut)
    error = client_of(f"https://127.0.0.1:{api.port}", LIMIT, **proxy).read(TARGET).error
    assert str(error).startswith(
        "the proxy cannot be reached: the certificate is not trusted: self-signed certificate;"
    )


def test_a_socks_proxy_that_hangs_is_a_timeout(server: Serve) -> None:
    """Its greeting is bounded by the call's timeout."""
    url = f"socks5h://127.0.0.1:{server(swallow).port}"
    assert isinstance(client_of("http://rtc.example", timeout=0.5, proxy_url=url).read(TARGET).error, TimedOut)


@pytest.mark.parametrize("scheme", ["http", "socks5"])
def test_a_proxy_that_cannot_be_reached_is_named(scheme: str) -> None:
    """Whatever its kind."""
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    error = client_of("https://rtc.example", proxy_url=f"{scheme}://u:s3cret@127.0.0.1:{port}").read(TARGET).error
    assert str(error) == "the proxy cannot be reached: connection refused"


def test_a_proxy_of_an_unknown_kind_says_what_will_do() -> None:
    """The sentence names the variables, and not the password in them."""
    error = client_of("http://rtc.example", proxy_url="gopher://u:s3cret@127.0.0.1:1").read(TARGET).error
    assert "look at proxy_url, HTTPS_PROXY and HTTP_PROXY; http, https and socks5 will do" in str(error)
    assert "s3cret" not in str(error)


@pytest.mark.parametrize(
    ("url", "no_proxy", "goes_through"),
    [
        ("https://[2001:db8::7]:8443", "2001:db8::/32", False),
        ("https://[2001:db8::7]", "10.0.0.0/8, [2001:db8::]/32", False),
        ("https://[2001:db8::7]", "2001:db8::7", False),
        ("https://[2001:db8::7]", "[2001:db8::7]", False),
        ("https://[2001:db9::7]", "2001:db8::/32", True),
        ("https://[2001:db8::7]", "10.0.0.0/8,not an address", True),
        ("https://10.1.2.3", "10.0.0.0/8", False),
        ("https://rtc.example", "2001:db8::/32", True),
        ("https://rtc.example", ".example", False),
        ("https://rtc.example", "*.EXAMPLE", False),
        ("https://rtc.example.", "other rtc.example:443", False),
        ("https://rtc.example", "rtc.example:8443,c.example", True),
        ("https://rtc.example", "other, *", False),
        ("https://rtc.example", "443, ::1", True),
        ("https://10.1.2.3:8443", "10.1.2.3:8443", False),
        ("https://10.1.2.3", "0.0.0.0/0", False),
        ("https://[2001:db8::7]:8443", "[2001:db8::7]:8443", False),
        ("https://[2001:db8::7]", "[2001:db8::7]:8443", True),
    ],
)
def test_no_proxy_takes_the_forms_of_requests_curl_and_go(
    monkeypatch: pytest.MonkeyPatch, url: str, no_proxy: str, *, goes_through: bool
) -> None:
    """Networks, ports and wildcards: one variable serves all programs of a machine."""
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.setenv("NO_PROXY", no_proxy)
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.example:3128")
    assert (proxies_for(url, None) != {}) == goes_through


@pytest.mark.parametrize(
    ("environ", "url", "proxy_url", "expected"),
    [
        ({"ALL_PROXY": "http://p:1"}, "https://h", None, {"https": "http://p:1"}),
        ({"ALL_PROXY": "http://p:1", "HTTPS_PROXY": "http://q:1"}, "https://h", None, {"https": "http://q:1"}),
        ({"HTTPS_PROXY": "http://q:1"}, "https://localhost:1", None, {}),
        ({"HTTPS_PROXY": "http://q:1"}, "https://h", "", {}),
        ({"HTTPS_PROXY": "http://q:1"}, "https://h", "http://own:1", {"https": "http://own:1"}),
        ({"HTTP_PROXY": "http://q:1"}, "https://h", None, {}),
        ({"HTTPS_PROXY": "q:1"}, "https://h", None, {"https": "http://q:1"}),
        ({"HTTPS_PROXY": "u:p@q:1"}, "https://h", None, {"https": "http://u:p@q:1"}),
        ({"HTTPS_PROXY": "http://u:p#@q:1", "NO_PROXY": "h"}, "https://h", None, {}),
    ],
)
def test_the_proxy_of_a_url(
    monkeypatch: pytest.MonkeyPatch, environ: dict[str, str], url: str, proxy_url: str | None, expected: dict[str, str]
) -> None:
    """The configuration's, else the environment's by the URL's scheme, else ALL_PROXY; loopback has none."""
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    assert proxies_for(url, proxy_url) == expected


@pytest.mark.parametrize(
    "proxy",
    [
        "hunter2#@q:1",
        "hunter2/@q:1",
        "hunter2?@q:1",
        "hunter2@q:port",
        "hunter2@q:99999",
        "hunter2@[::1",
        "hunter2@",
        "\u5bc6hunter2@q:1",
    ],
)
@pytest.mark.parametrize("name", ["HTTPS_PROXY", "ALL_PROXY"])
def test_a_proxy_of_the_environment_that_cannot_be_used(monkeypatch: pytest.MonkeyPatch, name: str, proxy: str) -> None:
    """It is a configuration error that names the variable and not its value, which holds a password."""
    for each in ("HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(each, raising=False)
        monkeypatch.delenv(each.lower(), raising=False)
    monkeypatch.setenv(name, f"http://user:{proxy}")
    with pytest.raises(ConfigError) as caught:
        proxies_for("https://rtc.example", None)
    assert str(caught.value).startswith(f"${name}: must be ")
    assert "hunter2" not in str(caught.value)


def tls_server(server: Serve, certificates: Certificates, answer: Answer | None = None) -> LoopbackServer:
    context = certificates.context(stranger=False)

    def serve(connection: socket.socket) -> None:
        with context.wrap_socket(connection, server_side=True) as wrapped:
            while request_of(wrapped):
                (answer or reply())(wrapped)

    return server(serve)


@pytest.mark.parametrize("name", CA_VARIABLES[:3])
def test_the_environment_names_trusted_authorities(
    server: Serve, certificates: Certificates, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """As in requests and curl; tls_config.ca_file counts before it, and an untrusted certificate's advice names it."""
    for each in CA_VARIABLES:
        monkeypatch.delenv(each, raising=False)
    url = f"https://127.0.0.1:{tls_server(server, certificates).port}"
    error = client_of(url).read(TARGET).error
    assert isinstance(error, TlsFailed)
    assert error.advice.endswith("name its certificate in tls_config.ca_file")
    monkeypatch.setenv(name, str(certificates.authority))
    trusting = client_of(url)
    assert [trusting.read(TARGET).error for _ in range(3)] == [None] * 3  # the later ones over the kept connection
    monkeypatch.setenv(name, "/nowhere.pem")
    assert "the CA file cannot be read" in str(client_of(url).read(TARGET).error)
    assert client_of(url, ca_file=str(certificates.authority)).read(TARGET).error is None
    assert trusted_authorities("own.pem") == "own.pem"


def test_a_ca_file_without_a_certificate_is_named(server: Serve, certificates: Certificates, tmp_path: Path) -> None:
    """An empty bundle, or a key in its place."""
    url = f"https://127.0.0.1:{tls_server(server, certificates).port}"
    (tmp_path / "ca.pem").write_text("nothing\n")
    error = client_of(url, ca_file=str(tmp_path / "ca.pem")).read(TARGET).error
    assert "the CA file holds no certificate; it is named by tls_config.ca_file" in str(error)


@pytest.mark.parametrize("kind", ["pipe", "/dev/zero", "/nowhere.pem"])
def test_authorities_that_are_no_file_are_not_read(
    server: Serve, certificates: Certificates, tmp_path: Path, kind: str
) -> None:
    """A pipe would be waited for and a device read for ever, which no timeout bounds."""
    os.mkfifo(tmp_path / "pipe")
    url = f"https://127.0.0.1:{tls_server(server, certificates).port}"
    error = client_of(url, ca_file=str(tmp_path / kind)).read(TARGET).error
    assert "the CA file cannot be read; it is named by tls_config.ca_file" in str(error)
