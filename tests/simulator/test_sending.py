"""What arrives of an answer, over real sockets."""

import socket
import threading
from collections.abc import Iterator

import pytest

from exporter.simulator.sending import Sending, send

DATA = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n0123456789"
PATIENCE = 20.0


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Both ends of a connection: the simulator's, the caller's."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        caller = socket.create_connection(listener.getsockname(), PATIENCE)
        server, _ = listener.accept()
    yield server, caller
    server.close()
    caller.close()


def received(caller: socket.socket) -> bytes:
    """All until the end of the connection."""
    return b"".join(iter(lambda: caller.recv(4096), b""))


def test_a_whole_answer_may_be_followed_by_another(ends: tuple[socket.socket, socket.socket]) -> None:
    """The connection goes on."""
    server, caller = ends
    assert send(server, DATA, Sending.WHOLE, threading.Event())
    assert caller.recv(4096) == DATA


def test_a_closed_connection_has_said_nothing(ends: tuple[socket.socket, socket.socket]) -> None:
    """Its owner closes it, in order."""
    server, caller = ends
    assert not send(server, DATA, Sending.CLOSED, threading.Event())
    server.close()
    assert received(caller) == b""


@pytest.mark.parametrize("sending", [Sending.RESET, Sending.RESET_HALFWAY])
def test_a_reset_is_one_on_the_wire(ends: tuple[socket.socket, socket.socket], sending: Sending) -> None:
    """The caller is told by the kernel; halfway, half of the answer may have come."""
    server, caller = ends
    assert not send(server, DATA, sending, threading.Event())
    with pytest.raises(ConnectionResetError):
        received(caller)


def test_a_trickle_goes_on_for_as_long_as_it_lasts(ends: tuple[socket.socket, socket.socket]) -> None:
    """A byte at a time, until it stops."""
    server, caller = ends
    stopping = threading.Event()
    dripping = threading.Thread(target=send, args=(server, DATA, Sending.DRIPPING, stopping))
    dripping.start()
    assert [caller.recv(4096) for _ in range(3)] == [b"H", b"T", b"T"]
    stopping.set()
    dripping.join(PATIENCE)
    assert not dripping.is_alive()


@pytest.mark.parametrize("by_caller", [True, False])
def test_a_stall_ends_with_the_caller_or_the_simulator(
    ends: tuple[socket.socket, socket.socket], *, by_caller: bool
) -> None:
    """Nothing is sent, and no thread is left behind."""
    server, caller = ends
    stopping = threading.Event()
    stalling = threading.Thread(target=send, args=(server, DATA, Sending.NEVER, stopping))
    stalling.start()
    caller.settimeout(0.2)
    with pytest.raises(TimeoutError):
        caller.recv(1)
    if by_caller:
        caller.close()
    else:
        stopping.set()
    stalling.join(PATIENCE)
    assert not stalling.is_alive()
