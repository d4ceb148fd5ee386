"""Options, arguments and words that several commands share."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from exporter.cli import logs
from exporter.config.listening import parse_address

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]


def example(command: str) -> str:
    """The end of a command's help."""
    unfolded = "\b\n"  # click's sign for lines that stay as they are, however long
    return f"{unfolded}Example: webcast-exporter {command}"


def counted(number: int, noun: str) -> str:
    """`1 target`, `2 targets`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def config_file(*, required: bool) -> Decorator:
    """`--config.file`."""
    return click.option(
        "--config.file", "config_file", type=click.Path(path_type=Path), required=required, help="Configuration file."
    )


def web_config_file() -> Decorator:
    """`--web.config.file`."""
    return click.option(
        "--web.config.file",
        "web_config_file",
        type=click.Path(path_type=Path),
        help="File of TLS, passwords and headers, in the form of Prometheus's exporter-toolkit.",
    )


def address(flag: str, default: str) -> Decorator:
    """An option that is HOST:PORT or :PORT; it stays text."""
    return click.option(
        flag,
        "address",
        metavar="HOST:PORT",
        callback=_address,
        default=default,
        show_default=True,
        help="Address to serve on; :PORT is every interface, port 0 a free one.",
    )


def logging_options(default_level: str = "info") -> Decorator:
    """`--log.level` and `--log.format`."""

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        level = click.option(
            "--log.level", "log_level", type=click.Choice(logs.LEVELS), default=default_level, show_default=True
        )
        fmt = click.option(
            "--log.format", "log_format", type=click.Choice(logs.FORMATS), default="logfmt", show_default=True
        )
        return level(fmt(command))

    return decorate


def _address(_ctx: click.Context, _param: click.Parameter, value: str) -> str:
    try:
        parse_address(value)
    except ValueError as error:
        raise click.BadParameter(str(error)) from error
    return value
