"""The command line: parse, call, exit code."""

import os
import signal
import sys
from importlib import import_module

SERVERS = ("serve", "demo", "simulate")


def main() -> None:
    """The program. A stop that comes while it is still importing, most of its start, is as clean as a later one."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _stop_early)
    import_module("exporter.cli.group").main()


def _stop_early(_signal: int, _frame: object) -> None:
    """Nothing was begun: whoever was to serve is done, whoever was asked something has no answer.

    The process ends here and now, as an exception may come up in a place that ignores it.
    """
    os._exit(0 if sys.argv[1:2] and sys.argv[1] in SERVERS else 1)
