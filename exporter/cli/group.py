"""`webcast-exporter`: the group of all commands, and what its exit codes mean."""

from importlib import import_module
from typing import Any

import click

from exporter import __version__
from exporter.cli import logs
from exporter.cli.options import guide
from exporter.errors import ConfigError, StartError

BAD_USAGE = 2
FAILED = 1

BEGIN = {
    "With your own account": "check --config.file webcast-exporter.yml --probe",
    "Then": "serve --config.file webcast-exporter.yml",
}
COMMANDS = ("check", "dashboards", "demo", "explain", "get", "metrics", "plan", "runs", "serve", "simulate")
"""Each is the function of its name in the module of its name; none is imported before it is asked for."""


class Commands(click.Group):
    """Turns our errors into sentences: a bad configuration is exit 2, what this machine cannot serve is exit 1."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Every name."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's signature
        """The command of this name, if there is one."""
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = getattr(import_module(f"exporter.cli.{cmd_name}"), cmd_name)
        return command

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command that was asked for."""
        try:
            return super().invoke(ctx)
        except ConfigError as error:
            for problem in error.problems:
                click.echo(f"webcast-exporter: {problem}", err=True)
            ctx.exit(BAD_USAGE)
        except StartError as error:
            click.echo(f"webcast-exporter: {error}", err=True)
            ctx.exit(FAILED)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]}, epilog=guide("demo", more=BEGIN))
@click.version_option(__version__, prog_name="webcast-exporter")
def main() -> None:
    """Prometheus exporter for Volcengine RTC WebCast (云录屏).

    Exit codes: 0 fine, 1 what was asked for failed, 2 bad usage or bad configuration.
    """
    logs.configure("warn", "logfmt")
