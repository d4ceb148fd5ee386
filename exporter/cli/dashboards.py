"""`dashboards export`: the bundled dashboards and rules, as files."""

from pathlib import Path
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import click

from exporter.bundle.files import LANGUAGES, ExportOptions, bundle
from exporter.cli.group import CommandGroup
from exporter.cli.options import Command, example, guide
from exporter.errors import StartError

EXPORT = "dashboards export monitoring/webcast"
FILLED_IN = f"{EXPORT} --exporter-url https://webcast.example.internal --language zh --timezone Asia/Shanghai"


@click.group(cls=CommandGroup, epilog=example(EXPORT))
def dashboards() -> None:
    """Work with the bundled dashboards and rules."""


def _url(_context: click.Context, _parameter: click.Parameter, value: str) -> str:
    if "@" in value.partition("://")[2].partition("/")[0]:
        raise click.BadParameter("must hold no password: it would stand in every message")
    try:
        parts = urlsplit(value)
        usable = parts.scheme in {"http", "https"} and parts.hostname and not set(value) & set("'{}?# ")
    except ValueError:
        usable = False
    if value and not usable:
        raise click.BadParameter(f"{value!r} is no address such as https://webcast.example.internal")
    return value


def _zone(_context: click.Context, _parameter: click.Parameter, value: str) -> str:
    try:
        return ZoneInfo(value).key
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise click.BadParameter(f"{value!r} is no time zone that this machine knows, such as Asia/Shanghai") from error


@dashboards.command(
    cls=Command,
    short_help="Write them to a directory.",
    epilog=guide(
        EXPORT,
        exits={0: "the files are there", 1: "one cannot be written", 2: "bad usage"},
        more={"Links, language and time of messages filled in": FILLED_IN},
    ),
)
@click.argument("directory", type=click.Path(file_okay=False, path_type=Path))
@click.option(
    "--exporter-url",
    default="",
    callback=_url,
    help="Address of the exporter for links in messages; else the one that Prometheus scrapes.",
)
@click.option(
    "--runbook-url", default="", callback=_url, help="Address of your copy of the runbooks; else the exporter's pages."
)
@click.option(
    "--language",
    type=click.Choice(LANGUAGES, case_sensitive=False),
    default="en",
    show_default=True,
    help="Of titles, alerts and messages.",
)
@click.option(
    "--timezone", default="UTC", show_default=True, callback=_zone, help="Of the times in messages and on dashboards."
)
def export(directory: Path, exporter_url: str, runbook_url: str, language: str, timezone: str) -> None:
    """Write what is bundled for Grafana, Prometheus, Alertmanager and Kubernetes to DIRECTORY.

    It is made if need be, files of the same name are replaced.
    """
    files = bundle(ExportOptions(language, exporter_url, runbook_url, timezone))
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
