"""`webcast-exporter`: the group of all commands, and what its exit codes mean."""

from typing import Any

import click

from exporter import __version__
from exporter.cli.check import check
from exporter.cli.dashboards import dashboards
from exporter.cli.demo import demo
from exporter.cli.get import get
from exporter.cli.options import example
from exporter.cli.plan import plan
from exporter.cli.reference import metrics
from exporter.cli.serve import serve
from exporter.cli.simulate import simulate
from exporter.errors import ConfigError, StartError

BAD_USAGE = 2
FAILED = 1


class Commands(click.Group):
    """Turns our errors into sentences: a bad configuration is exit 2, what this machine cannot serve is exit 1."""

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


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]}, epilog=example("demo"))
@click.version_option(__version__, prog_name="webcast-exporter")
def main() -> None:
    """Prometheus exporter for Volcengine RTC WebCast (云录屏).

    Exit codes: 0 fine, 1 what was asked for failed, 2 bad usage or bad configuration.
    """


for command in (serve, check, get, plan, demo, simulate, metrics, dashboards):
    main.add_command(command)
