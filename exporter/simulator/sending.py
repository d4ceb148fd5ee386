"""How bytes go out on a connection: whole, or as a broken way lets them through."""

import select
import socket
import struct
from enum import Enum
from threading import Event

DRIP = 0.2
"""Seconds between two bytes of a trickle."""
LOOK = 0.05
RESET_ON_CLOSE = struct.pack("ii", 1, 0)


class Sending(Enum):
    """What becomes of an answer on its way."""

    WHOLE = "whole"
    NEVER = "never"
    DRIPPING = "dripping"
    CLOSED = "closed"
    RESET = "reset"
    RESET_HALFWAY = "reset halfway"


def send(connection: socket.socket, data: bytes, sending: Sending, stopping: Event) -> bool:
    """Send `data` in this manner; whether another answer can follow it. OSError when the other side has gone."""
    if sending is Sending.WHOLE:
        connection.sendall(data)
        return True
    if sending is Sending.NEVER:
        while not stopping.is_set() and not _has_news(connection):
            pass
    elif sending is Sending.DRIPPING:
        _drip(connection, data, stopping)
    elif sending is not Sending.CLOSED:
        if sending is Sending.RESET_HALFWAY:
            connection.sendall(data[: len(data) // 2])
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
        connection.close()  # without a farewell before it, or that would arrive in place of the reset
    return False


def _has_news(connection: socket.socket) -> bool:
    """Whether the other side has said something more, or farewell; it looks for a moment."""
    poll = select.poll()
    poll.register(connection, select.POLLIN)
    return bool(poll.poll(LOOK * 1000))


def _drip(connection: socket.socket, data: bytes, stopping: Event) -> None:
    for number in range(len(data)):
        connection.sendall(data[number : number + 1])
        if stopping.wait(DRIP):
            return
