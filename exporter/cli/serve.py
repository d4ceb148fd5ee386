"""`serve`: the exporter."""

import os
from functools import partial
from pathlib import Path

import click

from exporter.app import serve as app
from exporter.cli import logs
from exporter.cli.options import config_file, listen_address, logging_options
from exporter.config.load import load


@click.command()
@config_file(required=True)
@listen_address(":10960")
@logging_options()
def serve(config_file: Path, address: str, log_level: str, log_format: str) -> None:
    """Read the configured tasks and serve their metrics.

    Stops on SIGTERM and SIGINT, reloads the configuration on SIGHUP and on POST /-/reload.

    \b
    Example: webcast-exporter serve --config.file webcast-exporter.yml
    """  # noqa: D301 - \b keeps click from folding the example
    logs.configure(log_level, log_format)
    app.serve(partial(load, config_file, os.environ), address, os.environ)
