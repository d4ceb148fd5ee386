"""The command line: parse, call, exit code."""

import os
import signal
import sys
from contextlib import suppress
from importlib import import_module

SERVERS = ("serve", "demo", "simulate")
MULTIPROCESS = ("PROMETHEUS_MULTIPROC_DIR", "prometheus_multiproc_dir")
"""Of other programs on the machine: the client library would put this one's counters into their files."""


def main() -> None:
    """Run the program. A stop that comes while it is still importing, most of its start, is as clean as a later one."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _stop_early)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")  # a terminal may have no Chinese
    for name in MULTIPROCESS:
        os.environ.pop(name, None)
    try:
        import_module("exporter.cli.group").main()
    except SystemExit as end:
        if not _serves():
            raise
        with suppress(OSError):
            sys.stdout.flush()
        os._exit(end.code if isinstance(end.code, int) else 1)  # the interpreter would join threads, which may hang


def _serves() -> bool:
    return sys.argv[1:2] != [] and sys.argv[1] in SERVERS


def _stop_early(_signal: int, _frame: object) -> None:
    """End at once: a server has begun nothing, a question has no answer.

    Not by an exception: it may come up in a place that ignores it.
    """
    os._exit(0 if _serves() else 1)
