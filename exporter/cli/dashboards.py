"""`dashboards export`: the bundled dashboards, as files."""

import shutil
from importlib.resources import files
from pathlib import Path

import click

from exporter.cli.options import example
from exporter.errors import StartError

IN_THE_WHEEL = Path(str(files("exporter"))) / "dashboards"
IN_THE_REPOSITORY = IN_THE_WHEEL.parent.parent / "dashboards"

EXPORT = "dashboards export monitoring/webcast"


def bundled() -> Path:
    """The folder of the bundled dashboards: inside the package, or beside it in a checkout."""
    return IN_THE_WHEEL if IN_THE_WHEEL.is_dir() else IN_THE_REPOSITORY


@click.group(epilog=example(EXPORT))
def dashboards() -> None:
    """Work with the bundled dashboards."""


@dashboards.command(epilog=example(EXPORT))
@click.argument("directory", type=click.Path(file_okay=False, path_type=Path))
def export(directory: Path) -> None:
    """Write the bundled dashboards to DIRECTORY; it is made if need be, files of the same name are replaced."""
    source = bundled()
    if not source.is_dir():
        raise StartError("this installation holds no dashboards; install the released package")
    for path in sorted(path for path in source.rglob("*") if path.is_file()):
        copy = directory / path.relative_to(source)
        try:
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, copy)
        except OSError as error:
            raise StartError(f"cannot write {copy}: {(error.strerror or str(error)).lower()}") from error
        click.echo(copy)
