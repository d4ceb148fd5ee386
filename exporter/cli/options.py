"""Options and arguments that several commands share."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from exporter.cli import logs
from exporter.model.target import TargetId
from exporter.web.listener import parse_address

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]


class Address(click.ParamType[str]):
    """HOST:PORT or :PORT."""

    name = "address"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Check it; it stays text."""
        try:
            parse_address(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)
        return value


class Triple(click.ParamType[TargetId]):
    """APP_ID/ROOM_ID/TASK_ID."""

    name = "app/room/task"

    def convert(self, value: str | TargetId, param: click.Parameter | None, ctx: click.Context | None) -> TargetId:
        """Read the three ids."""
        if isinstance(value, TargetId):
            return value
        try:
            return TargetId.parse(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


def config_file(*, required: bool) -> Decorator:
    """`--config.file`."""
    return click.option(
        "--config.file", "config_file", type=click.Path(path_type=Path), required=required, help="Configuration file."
    )


def listen_address(default: str) -> Decorator:
    """`--web.listen-address`."""
    return click.option(
        "--web.listen-address",
        "address",
        type=Address(),
        default=default,
        show_default=True,
        help="Address to serve on; :PORT is every interface.",
    )


def logging_options(default_level: str = "info") -> Decorator:
    """`--log.level` and `--log.format`; they take effect at once."""

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        level = click.option(
            "--log.level", "log_level", type=click.Choice(logs.LEVELS), default=default_level, show_default=True
        )
        fmt = click.option(
            "--log.format", "log_format", type=click.Choice(logs.FORMATS), default="logfmt", show_default=True
        )
        return level(fmt(command))

    return decorate
