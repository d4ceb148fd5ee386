"""`webcast-exporter`: the group of all commands, its errors and exit codes, and the smallest commands."""

import errno
import os
import platform
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import Any, Final

import click

from exporter import REVISION_VARIABLE, __version__, logs
from exporter.cli.options import HELP, Command, did_you_mean, example, guide
from exporter.errors import ConfigError, StartError, lacks_thread

BAD_USAGE: Final = 2
FAILED: Final = 1
PROGRAM: Final = "webcast-exporter"

BEGIN: Final = {"With your own account": "check --probe", "Then": "serve"}
COMMANDS: Final = (
    "check", "dashboards", "demo", "explain", "get", "metrics", "plan", "runs", "serve", "simulate", "version",
)  # fmt: skip
"""Each is the function of its name in the module of its name, or here; none is imported before it is asked for."""


class CommandGroup(click.Group):
    """Prints every error as `webcast-exporter: sentence` on standard error.

    Bad usage and a bad configuration are exit 2, what cannot be done is exit 1.
    """

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command; an unknown one is answered with the nearest."""
        if args and not args[0].startswith("-") and self.get_command(ctx, args[0]) is None:
            raise click.UsageError(f"no such command: {args[0]}{did_you_mean(args[0], self.list_commands(ctx))}", ctx)
        return super().resolve_command(ctx, args)

    def main(self, *args: Any, **extra: Any) -> Any:
        """Run the command line and end the process with its exit code."""
        try:
            code = super().main(*args, **{**extra, "prog_name": PROGRAM, "standalone_mode": False})
        except click.UsageError as error:
            _tell_usage(error)
            code = BAD_USAGE
        except ConfigError as error:
            for problem in error.problems:
                _tell(str(problem))
            code = BAD_USAGE
        except (StartError, click.ClickException) as error:
            _tell(error.format_message() if isinstance(error, click.ClickException) else str(error))
            code = FAILED
        except click.Abort:
            code = FAILED
        except RuntimeError as error:
            if not lacks_thread(error):
                raise
            _tell("no thread can be started: look at ulimit -u, and at pids.max of the container or unit")
            code = FAILED
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise
            _tell("cannot write: no space is left on the device")
            code = FAILED
        finally:
            logs.flush()
        sys.exit(code if isinstance(code, int) else 0)


class Commands(CommandGroup):
    """The commands of the program, imported when they are asked for."""

    def list_commands(self, _ctx: click.Context) -> list[str]:
        """Return every name."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return the command of this name, if there is one."""
        if cmd_name not in COMMANDS:
            return None
        here = super().get_command(ctx, cmd_name)
        command: click.Command = here or getattr(import_module(f"exporter.cli.{cmd_name}"), cmd_name)
        return command


def _tell(sentence: str) -> None:
    first, *rest = sentence.rstrip(".").splitlines() or [""]
    words = "\n".join([first[:1].lower() + first[1:] if first[1:2].islower() else first, *rest])
    click.echo(f"{PROGRAM}: {words}", err=True)


def _tell_usage(error: click.UsageError) -> None:
    if error.ctx and error.message == error.ctx.get_help():  # as click has it for a group without a command
        click.echo(error.message, err=True)
        return
    if isinstance(error, click.NoSuchOption):
        hint = did_you_mean(error.option_name, error.possibilities or ())
        _tell(f"no such option: {error.option_name}{hint}")
    else:
        _tell(error.format_message())
    if error.ctx:
        click.echo(f"Try '{error.ctx.command_path} --help'.", err=True)


def version_text() -> str:
    """Return version, revision and Python, as the Prometheus projects print them."""
    return (
        f"{PROGRAM}, version {__version__} (revision: {revision()})\n"
        f"  python version: {platform.python_version()}\n"
        f"  platform: {platform.system().lower()}/{platform.machine()}"
    )


def revision() -> str:
    """Return the commit that this was made of: the image says it, or the repository that it runs in."""
    if said := os.environ.get(REVISION_VARIABLE):
        return said
    repository = Path(__file__).parent.parent.parent
    if not (repository / ".git").exists():
        return "unknown"
    command = ["git", "-C", str(repository), "rev-parse", "--short", "HEAD"]
    try:
        return subprocess.run(command, capture_output=True, check=True, text=True, timeout=5).stdout.strip()  # noqa: S603 - no word of it is input
    except (OSError, subprocess.SubprocessError):
        return "unknown"


def print_version(ctx: click.Context, _param: click.Parameter, value: bool) -> None:  # noqa: FBT001 - click passes it by position
    """Print the version and end; the callback of `--version`."""
    if value and not ctx.resilient_parsing:
        click.echo(version_text())
        ctx.exit()


@click.group(cls=Commands, context_settings=HELP, epilog=guide("demo", more=BEGIN))
@click.option(
    "--version", is_flag=True, is_eager=True, expose_value=False, callback=print_version, help="Show the version."
)
def main() -> None:
    """Prometheus exporter for Volcengine RTC WebCast (云录屏).

    Exit codes: 0 fine, 1 what was asked for failed, 2 bad usage or bad configuration.
    """
    logs.configure("warn", "logfmt")


@main.command(cls=Command, epilog=example("version"))
def version() -> None:
    """Show version, revision and Python."""
    click.echo(version_text())
