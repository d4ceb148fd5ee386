"""The exporter as a process whose disk, name resolution and wall clock a test can stop or set.

`python tests/support/freezable.py serve ...` is `python -m exporter serve ...` beside two files of its folder: while
a line of `frozen` is part of a path, or is the name of a host or `database`, calls on it hang, as with a disk or a
resolver that does not answer, and make the file `hangs`; `clock` holds the seconds by which the wall clock is ahead.
"""

import os
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path
from threading import Thread
from typing import Any

import sqlalchemy as sa
import time_machine

FROZEN, HANGS, CLOCK, DATABASE = "frozen", "hangs", "clock", "database"
LOOK = 0.05

stat, open_file, resolve = os.stat, os.open, socket.getaddrinfo


def content(name: str) -> str:
    try:
        descriptor = open_file(name, os.O_RDONLY)
    except FileNotFoundError:
        return ""
    try:
        return os.read(descriptor, 4096).decode()
    finally:
        os.close(descriptor)


def hang(subject: object) -> None:
    """Come back when nothing that is frozen is a part of it."""
    while any(word in str(subject) for word in content(FROZEN).split()):
        os.close(open_file(HANGS, os.O_CREAT | os.O_WRONLY))
        time.sleep(LOOK)


def hanging(call: Callable[..., Any]) -> Callable[..., Any]:
    """The call, which hangs while its first argument is frozen."""

    def wrapped(subject: Any, *args: Any, **kwargs: Any) -> Any:
        hang(subject)
        return call(subject, *args, **kwargs)

    return wrapped


def follow_clock() -> None:
    """Set the wall clock as the file says, again and again."""
    ahead = 0.0
    clock = time_machine.travel(time.time(), tick=True).start()
    while True:
        wanted = float(content(CLOCK) or 0.0)
        clock.shift(wanted - ahead)
        ahead = wanted
        time.sleep(LOOK)


def main() -> None:
    os.stat = hanging(stat)
    os.open = hanging(open_file)
    socket.getaddrinfo = hanging(resolve)
    sa.event.listen(sa.Engine, "before_cursor_execute", lambda *_: hang(DATABASE))
    sa.event.listen(sa.Engine, "commit", lambda *_: hang(DATABASE))
    if Path(CLOCK).exists():
        Thread(target=follow_clock, daemon=True).start()
    from exporter.cli import main as run  # noqa: PLC0415 - what it imports takes the calls above

    sys.argv[0] = "webcast-exporter"
    run()


if __name__ == "__main__":
    main()
