"""Faults at the door, over real sockets and real TLS."""

import http.client
import ssl
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from exporter.errors import StartError
from exporter.simulator.certificates import Certificates, make_certificates
from exporter.simulator.faults import FaultMode
from exporter.simulator.simulation import Scene, Simulation

Wait = Callable[..., None]
PATIENCE = 20.0


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    """Made once."""
    return make_certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture
def plain() -> Iterator[Simulation]:
    """An http endpoint."""
    with Simulation(Scene(tasks=1)) as running:
        yield running


@pytest.fixture
def secured(certificates: Certificates) -> Iterator[Simulation]:
    """An https endpoint."""
    with Simulation(Scene(tasks=1, certificates=certificates)) as running:
        yield running


def fetch(simulation: Simulation) -> int:
    """The HTTP status of its /truth on a new connection, its own authority trusted alone."""
    parts = urlsplit(simulation.url)
    certificates = simulation.scene.certificates
    connection: http.client.HTTPConnection
    if certificates is None:
        connection = http.client.HTTPConnection(parts.netloc, timeout=PATIENCE)
    else:
        context = ssl.create_default_context(cafile=certificates.authority)
        connection = http.client.HTTPSConnection(parts.netloc, timeout=PATIENCE, context=context)
    try:
        connection.request("GET", "/truth")
        return connection.getresponse().status
    finally:
        connection.close()


def failure(simulation: Simulation) -> type[Exception] | None:
    """What a call ends with."""
    try:
        fetch(simulation)
    except (OSError, http.client.HTTPException) as error:
        return type(error)
    return None


def test_a_refused_connection_and_the_same_port_afterwards(plain: Simulation, wait: Wait) -> None:
    """Nobody listens, connections that were there are closed; when it is over the port answers again."""
    kept = http.client.HTTPConnection(urlsplit(plain.url).netloc, timeout=PATIENCE)
    kept.request("GET", "/truth")
    assert kept.getresponse().read()
    plain.faults.mode = FaultMode.CONNECTION_REFUSED
    wait(lambda: failure(plain) is ConnectionRefusedError)
    assert kept.sock.recv(1) == b""
    kept.close()
    plain.faults.mode = FaultMode.NONE
    wait(lambda: failure(plain) is None)
    assert plain.server.errors == 0


def test_a_fault_with_an_end_ends_by_itself(plain: Simulation, wait: Wait) -> None:
    """Nobody needs to ask for it, which is good while nobody can."""
    plain.faults.begin(FaultMode.CONNECTION_REFUSED, until=plain.fleet.clock() + 0.5)
    wait(lambda: failure(plain) is ConnectionRefusedError)
    wait(lambda: failure(plain) is None)
    assert plain.faults.mode is FaultMode.NONE


def test_it_is_stopped_while_it_refuses() -> None:
    """As fast as ever."""
    with Simulation(Scene(tasks=1)) as simulation:
        simulation.faults.mode = FaultMode.CONNECTION_REFUSED
    assert failure(simulation) is ConnectionRefusedError


def test_https_with_a_certificate_of_its_own(secured: Simulation) -> None:
    """Whoever trusts its authority is answered, nobody else."""
    assert secured.url.startswith("https://127.0.0.1:")
    assert fetch(secured) == 200
    with pytest.raises(ssl.SSLCertVerificationError):
        http.client.HTTPSConnection(urlsplit(secured.url).netloc, timeout=PATIENCE).request("GET", "/truth")
    assert secured.server.errors == 0


@pytest.mark.parametrize(
    ("mode", "error"), [(FaultMode.UNKNOWN_CA, ssl.SSLCertVerificationError), (FaultMode.NO_TLS, ssl.SSLError)]
)
def test_faults_of_tls(secured: Simulation, mode: FaultMode, error: type[Exception], wait: Wait) -> None:
    """A stranger's certificate, or a plain answer to a TLS greeting; and all is well afterwards."""
    secured.faults.mode = mode
    wait(lambda: failure(secured) is error)
    secured.faults.mode = FaultMode.NONE
    wait(lambda: failure(secured) is None)
    assert secured.server.errors == 0


def test_a_close_over_tls_does_not_wait_for_anyone(certificates: Certificates) -> None:
    """A call without an answer is dropped, and no thread of it is left."""
    before = threading.active_count()
    with Simulation(Scene(tasks=1, certificates=certificates)) as simulation:
        context = ssl.create_default_context(cafile=certificates.authority)
        idle = http.client.HTTPSConnection(urlsplit(simulation.url).netloc, timeout=PATIENCE, context=context)
        idle.request("GET", "/truth")
        assert idle.getresponse().read()
        assert threading.active_count() > before
    assert threading.active_count() == before
    idle.close()


def test_without_openssl_it_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A StartError with a sentence."""
    monkeypatch.setenv("PATH", "")
    with pytest.raises(StartError, match="The command openssl makes no certificate: FileNotFoundError"):
        make_certificates(tmp_path)


def test_keys_are_nobody_else_s_to_read(certificates: Certificates) -> None:
    """Made-up keys, and private all the same."""
    assert certificates.trusted.stat().st_mode & 0o077 == 0
    assert b"PRIVATE KEY" not in certificates.authority.read_bytes()
