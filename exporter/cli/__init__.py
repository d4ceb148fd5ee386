"""The command line: parse, call, exit code."""

from exporter.cli.group import main

__all__ = ["main"]
