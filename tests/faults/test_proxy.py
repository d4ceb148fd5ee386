"""The test kit's proxy itself."""

import http.client
import socket
from collections.abc import Callable, Iterator

import pytest

from exporter.simulator.server import Simulation, SimulationOptions
from tests.faults.proxy import Proxy, ProxyMode
from tests.real.conftest import wait_until

LIMIT = 60.0


@pytest.fixture
def proxy() -> Iterator[Proxy]:
    made = Proxy()
    yield made
    made.close()


@pytest.fixture
def server() -> Iterator[str]:
    """`host:port` of a server behind it."""
    with Simulation(SimulationOptions(tasks=1)) as simulation:
        yield simulation.url.removeprefix("http://")


def forwarded(proxy: Proxy, server: str, times: int = 1) -> list[int]:
    """The statuses of plain requests by way of it, over one connection."""
    connection = http.client.HTTPConnection("127.0.0.1", proxy.port, timeout=LIMIT)
    try:
        statuses = []
        for _ in range(times):
            connection.request("GET", f"http://{server}/truth")
            answer = connection.getresponse()
            answer.read()
            statuses.append(answer.status)
        return statuses
    finally:
        connection.close()


def tunnelled(proxy: Proxy, server: str) -> int:
    """The status of a request through a tunnel."""
    connection = http.client.HTTPConnection("127.0.0.1", proxy.port, timeout=LIMIT)
    connection.set_tunnel(server)
    try:
        connection.request("GET", "/truth")
        return connection.getresponse().status
    finally:
        connection.close()


def test_it_passes_requests_on(proxy: Proxy, server: str) -> None:
    assert forwarded(proxy, server, times=2) == [200, 200]
    assert tunnelled(proxy, server) == 200
    assert [head.split()[0] for head in proxy.heads] == ["GET", "CONNECT"]


@pytest.mark.parametrize(("mode", "status"), [(ProxyMode.FORBID, 403), (ProxyMode.ASK_PASSWORD, 407)])
@pytest.mark.parametrize("ask", [forwarded, tunnelled])
def test_it_says_no(
    proxy: Proxy, server: str, mode: ProxyMode, status: int, ask: Callable[[Proxy, str], object]
) -> None:
    proxy.turn(mode)
    if ask is forwarded:
        assert ask(proxy, server) == [status]
    else:
        with pytest.raises(OSError, match=f"Tunnel connection failed: {status}"):
            ask(proxy, server)
    proxy.turn(ProxyMode.PASS)
    assert ask(proxy, server) in (200, [200])


def test_its_port_closes_and_opens(proxy: Proxy, server: str) -> None:
    """Old tunnels break with it."""
    with socket.create_connection(("127.0.0.1", proxy.port), LIMIT) as old:
        old.sendall(f"CONNECT {server} HTTP/1.1\r\n\r\n".encode())
        assert old.recv(4096).startswith(b"HTTP/1.1 200")
        proxy.turn(ProxyMode.DOWN)
        assert old.recv(4096) == b""
    with pytest.raises(ConnectionRefusedError):
        tunnelled(proxy, server)
    proxy.turn(ProxyMode.PASS)
    wait_until(lambda: tunnelled(proxy, server) == 200, "it answers again")
