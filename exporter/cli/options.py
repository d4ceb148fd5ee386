"""Options, arguments and words that several commands share."""

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import click

from exporter.cli import logs
from exporter.config.fields import parse_listen_address

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]

BAD_USAGE = "bad usage, or a bad configuration: each problem is a line on standard error, with its path"
NO_EXITS: Mapping[int, str] = {}
NO_MORE: Mapping[str, str] = {}


def example(command: str) -> str:
    """The end of a command's help."""
    unfolded = "\b\n"  # click's sign for lines that stay as they are, however long
    return f"{unfolded}Example: webcast-exporter {command}"


def guide(command: str, *, exits: Mapping[int, str] = NO_EXITS, more: Mapping[str, str] = NO_MORE) -> str:
    """The same with what exit codes mean, and `more` commands, each under what it is for."""
    unfolded = "\b\n"
    codes = [f"  {code}  {meaning}" for code, meaning in exits.items()]
    others = [line for purpose, other in more.items() for line in (f"  {purpose}:", f"    webcast-exporter {other}")]
    parts = [f"{unfolded}Exit codes:\n" + "\n".join(codes)] if codes else []
    parts += [f"{unfolded}More:\n" + "\n".join(others)] if others else []
    return "\n\n".join([*parts, example(command)])


def coloured(text: str, colour: str) -> str:
    """The text in a colour; click takes it off again where no terminal is. $NO_COLOR (no-color.org) is kept."""
    return text if os.environ.get("NO_COLOR") else click.style(text, fg=colour)


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
            "--log.level",
            "log_level",
            type=click.Choice(logs.LEVELS),
            default=default_level,
            show_default=True,
            help="What is logged on standard error; debug has a line for each failed read.",
        )
        fmt = click.option(
            "--log.format",
            "log_format",
            type=click.Choice(logs.FORMATS),
            default="logfmt",
            show_default=True,
            help="How each line is written.",
        )
        return level(fmt(command))

    return decorate


def _address(_ctx: click.Context, _param: click.Parameter, value: str) -> str:
    try:
        parse_listen_address(value)
    except ValueError as error:
        raise click.BadParameter(str(error)) from error
    return value
