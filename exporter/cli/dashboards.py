"""`dashboards export`: the bundled dashboards, as files."""

import shutil
from importlib.resources import files
from pathlib import Path

import click

from exporter.errors import StartError

IN_THE_WHEEL = Path(str(files("exporter"))) / "dashboards"
IN_THE_REPOSITORY = IN_THE_WHEEL.parent.parent / "dashboards"


def bundled() -> Path:
    """The folder of the bundled dashboards: inside the package, or beside it in a checkout."""
    return IN_THE_WHEEL if IN_THE_WHEEL.is_dir() else IN_THE_REPOSITORY


@click.group()
def dashboards() -> None:
    """Work with the bundled dashboards."""


@dashboards.command()
@click.argument("directory", type=click.Path(file_okay=False, path_type=Path))
def export(directory: Path) -> None:
    """Write the bundled dashboards to DIRECTORY; it is made if need be, files of the same name are replaced.

    \b
    Example: webcast-exporter dashboards export /etc/webcast-dashboards
    """  # noqa: D301 - \b keeps click from folding the example
    try:
        shutil.copytree(bundled(), directory, dirs_exist_ok=True)
    except OSError as error:
        raise StartError(f"cannot write to {directory}: {error}") from error
    for path in sorted(bundled().rglob("*.*")):
        click.echo(directory / path.relative_to(bundled()))
