"""`serve`: the exporter."""

import os
from functools import partial
from pathlib import Path

import click

from exporter.cli import logs
from exporter.cli.options import BAD_USAGE, address, config_file, guide, logging_options, web_config_file
from exporter.config.loader import load
from exporter.service import serve as app


@click.command(
    epilog=guide(
        "serve --config.file webcast-exporter.yml",
        exits={0: "a clean stop", 1: "the port, the state or a listener cannot be had", 2: BAD_USAGE},
        more={
            "For this machine alone": "serve --config.file webcast-exporter.yml --web.listen-address 127.0.0.1:10960",
            "With TLS and passwords": "serve --config.file webcast-exporter.yml --web.config.file web.yml",
            "For a log collector": "serve --config.file webcast-exporter.yml --log.format json",
        },
    )
)
@config_file(required=True)
@address("--web.listen-address", ":10960")
@web_config_file()
@logging_options()
def serve(config_file: Path, address: str, web_config_file: Path | None, log_level: str, log_format: str) -> None:
    """Read the configured tasks and serve their metrics.

    Stops on SIGTERM and SIGINT, reloads the configuration on SIGHUP and on POST /-/reload.
    """
    logs.configure(log_level, log_format)
    flags = {
        "--config.file": str(config_file),
        "--web.listen-address": address,
        "--log.level": log_level,
        "--log.format": log_format,
    }
    if web_config_file:
        flags["--web.config.file"] = str(web_config_file)
    app.serve(
        partial(load, config_file, os.environ),
        [address],
        os.environ,
        flags=flags,
        config_file=config_file,
        web_file=web_config_file,
        end_process=partial(os._exit, 0),
    )
