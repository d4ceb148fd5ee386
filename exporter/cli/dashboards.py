"""`dashboards export`: the bundled dashboards and rules, as files."""

from pathlib import Path

import click

from exporter.bundle.files import bundle
from exporter.cli.options import example, guide
from exporter.errors import StartError

EXPORT = "dashboards export monitoring/webcast"


@click.group(epilog=example(EXPORT))
def dashboards() -> None:
    """Work with the bundled dashboards and rules."""


@dashboards.command(
    short_help="Write them to a directory.",
    epilog=guide(EXPORT, exits={0: "the files are there", 1: "one cannot be written", 2: "bad usage"}),
)
@click.argument("directory", type=click.Path(file_okay=False, path_type=Path))
def export(directory: Path) -> None:
    """Write what is bundled for Grafana, Prometheus, Alertmanager and Kubernetes to DIRECTORY.

    It is made if need be, files of the same name are replaced.
    """
    files = bundle()
    if not files:
        raise StartError("this installation holds no dashboards; install the released package")
    for name, text in files.items():
        path = directory / name
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, "utf-8")
        except OSError as error:
            raise StartError(f"cannot write {path}: {(error.strerror or str(error)).lower()}") from error
        click.echo(path)
