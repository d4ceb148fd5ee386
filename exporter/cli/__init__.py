"""The command line: parse, call, exit code."""

import logging
import os
import signal
import sys
from contextlib import suppress
from importlib import import_module

SERVERS = ("serve", "demo", "simulate")


def main() -> None:
    """The program. A stop that comes while it is still importing, most of its start, is as clean as a later one."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _stop_early)
    try:
        import_module("exporter.cli.group").main()
    except SystemExit as end:
        if sys.argv[1:2] and sys.argv[1] in SERVERS:
            end_process(end.code if isinstance(end.code, int) else 1)
        raise


def end_process(code: int = 0) -> None:
    """End the process without a wait for its threads, which may hang in a call, a name's resolution or a disk."""
    logging.shutdown()
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
    os._exit(code)


def _stop_early(_signal: int, _frame: object) -> None:
    """Nothing was begun: whoever was to serve is done, whoever was asked something has no answer.

    The process ends here and now, as an exception may come up in a place that ignores it.
    """
    os._exit(0 if sys.argv[1:2] and sys.argv[1] in SERVERS else 1)
