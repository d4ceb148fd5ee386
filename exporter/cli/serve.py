"""`serve`: the exporter."""

import os
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

import click

from exporter import logs
from exporter.cli.group import print_version
from exporter.cli.options import (
    BAD_USAGE,
    command,
    config_file,
    guide,
    listen_addresses,
    logging_options,
    web_config_file,
)
from exporter.config.loader import load
from exporter.service import serve as service
from exporter.web.app import WebOptions

OTHER_PATHS = (
    "",
    "-",
    "api",
    "callback",
    "config",
    "dashboards",
    "favicon.ico",
    "runbooks",
    "static",
    "status",
    "tasks",
)
"""What the first part of the metrics' path cannot be: the exporter has other pages there."""


def _telemetry_path(_ctx: click.Context, _param: click.Parameter, value: str) -> str:
    if not value.startswith("/") or not value.isascii() or not value.isprintable() or set(value) & set(' ?#%{}"\\'):
        raise click.BadParameter("must be a path such as /metrics")
    if value.split("/")[1] in OTHER_PATHS:
        raise click.BadParameter(f"{value} is another page of the exporter")
    return value


def _external_url(_ctx: click.Context, _param: click.Parameter, value: str) -> str:
    try:
        parts = urlsplit(value)
        good = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0 and value.isprintable()
    except ValueError:
        good = False
    if value and (not good or "?" in value or "#" in value or "@" in parts.netloc or not value.isascii()):
        raise click.BadParameter("must be a URL such as https://monitoring.example/webcast, without login and query")
    return value.rstrip("/")


@command(
    epilog=guide(
        "serve --config.file webcast-exporter.yml",
        exits={0: "a clean stop", 1: "the port, the state or a listener cannot be had", 2: BAD_USAGE},
        more={
            "For this machine alone": "serve --web.listen-address 127.0.0.1:10960",
            "With TLS and passwords": "serve --config.file webcast-exporter.yml --web.config.file web.yml",
            "Behind a reverse proxy": "serve --web.external-url https://monitoring.example/webcast",
            "For a log collector": "serve --config.file webcast-exporter.yml --log.format json",
        },
    )
)
@config_file()
@listen_addresses(":10960")
@click.option(
    "--web.telemetry-path",
    "telemetry_path",
    default="/metrics",
    show_default=True,
    metavar="PATH",
    callback=_telemetry_path,
    help="Where the metrics are.",
)
@click.option(
    "--web.systemd-socket",
    "systemd_socket",
    is_flag=True,
    help="Serve on the sockets that systemd passes, in place of --web.listen-address.",
)
@click.option(
    "--web.external-url",
    "external_url",
    default="",
    metavar="URL",
    callback=_external_url,
    help="Where people reach the exporter, if that is behind a reverse proxy; its path goes before every link.",
)
@web_config_file
@logging_options()
@click.option(
    "--version", is_flag=True, is_eager=True, expose_value=False, callback=print_version, help="Show the version."
)
def serve(
    *,
    config_file: Path,
    addresses: tuple[str, ...],
    telemetry_path: str,
    systemd_socket: bool,
    external_url: str,
    web_config_file: Path | None,
    log_level: str,
    log_format: str,
) -> None:
    """Read the configured tasks and serve their metrics.

    Stops on SIGTERM and SIGINT, reloads the configuration on SIGHUP and on POST /-/reload.
    """
    logs.configure(log_level, log_format)
    flags = {
        "--config.file": str(config_file),
        "--web.listen-address": ", ".join(addresses),
        "--web.telemetry-path": telemetry_path,
        "--web.systemd-socket": "true" if systemd_socket else "",
        "--web.external-url": external_url,
        "--web.config.file": str(web_config_file or ""),
        "--log.level": log_level,
        "--log.format": log_format,
    }
    service.serve(
        partial(load, config_file, os.environ),
        addresses,
        os.environ,
        flags={name: value for name, value in flags.items() if value},
        config_file=config_file,
        web_file=web_config_file,
        web=WebOptions(telemetry_path, external_url),
        systemd_socket=systemd_socket,
        end_process=partial(os._exit, 0),
    )
