"""`check`: whether the configuration is good, and whether the API answers to it."""

import os
from pathlib import Path

import click

from exporter.cli.check_callback import check_callback
from exporter.cli.check_probe import ANY, check_probe
from exporter.cli.options import BAD_USAGE, coloured, config_file, counted, guide, web_config_file
from exporter.config.checks import warnings
from exporter.config.loader import load
from exporter.discovery.sources import Sources
from exporter.model.target import TargetId
from exporter.service.file_watcher import load_both
from exporter.service.target_manager import take_lists


def _triple(_ctx: click.Context, _param: click.Parameter, value: str | None) -> TargetId | str | None:
    if value is None or value == ANY:
        return value
    try:
        return TargetId.parse(value)
    except ValueError as error:
        raise click.BadParameter(str(error)) from error


@click.command(
    epilog=guide(
        "check --config.file webcast-exporter.yml --probe",
        exits={
            0: "all is good; warnings do not count",
            1: "the API refuses or does not know the task, or the callback would not be taken",
            2: BAD_USAGE,
        },
        more={
            "No call": "check --config.file webcast-exporter.yml",
            "One task": "check --config.file webcast-exporter.yml --probe 661e0000000000000000543c/Room1/Task1",
            "Which EventType comes, does the secret fit": (
                "check --config.file webcast-exporter.yml --callback body.json"
            ),
        },
    )
)
@config_file(required=True)
@click.option(
    "--probe",
    is_flag=False,
    flag_value=ANY,
    callback=_triple,
    metavar="[APP/ROOM/TASK]",
    help="Make one signed call per account: for this task, or for one that cannot exist.",
)
@click.option(
    "--callback",
    "callback_file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Read one captured body of a callback: does its signature fit, and what would it count?",
)
@web_config_file()
def check(
    config_file: Path, probe: TargetId | str | None, callback_file: Path | None, web_config_file: Path | None
) -> None:
    """Check a configuration file; every problem is told at once. Its lists of targets are asked for once.

    With --web.config.file also check that one: its keys, certificates and hashes.

    With --probe also ask the API. A task that cannot exist is not found when key, signature, clock and right are good.
    """
    config, watched = load_both(lambda: load(config_file, os.environ), config_file, web_config_file)
    sources = Sources(config)
    problems = [f"{feed.place}: {problem}" for feed in sources if (problem := feed.refresh().problem)]
    accepted, remarks = take_lists(sources.listings(), config)
    sources.close()
    for warning in (*warnings(config), *watched.readable_by_all(config), *problems, *remarks):
        click.echo(f"{coloured('warning', 'yellow')}: {warning}")
    accounts, targets = counted(len(config.accounts), "account"), counted(len(accepted.targets), "target")
    click.echo(f"{config_file}: good, {accounts}, {targets}")
    if web_config_file:
        click.echo(f"{web_config_file}: good")
    good = [
        probe is None or check_probe(config, accepted, probe),
        callback_file is None or check_callback(config, callback_file),
    ]
    if not all(good):
        raise click.exceptions.Exit(1)
