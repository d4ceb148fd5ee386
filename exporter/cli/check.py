"""`check`: whether the configuration is good, and whether the API answers to it."""

import os
from pathlib import Path

import click

from exporter.app.once import read_once
from exporter.cli.options import Triple, config_file
from exporter.config.accounts import Account
from exporter.config.load import load
from exporter.config.rules import warnings
from exporter.config.schema import Config
from exporter.errors import AppRefused, NotFound
from exporter.model.reading import Reading
from exporter.model.target import TargetId
from exporter.targets.listing import Accepted, AccountOf, accept
from exporter.targets.static import static_listing

NO_SUCH_ROOM = "webcast-exporter-probe"
NO_SUCH_APP = "000000000000000000000000"


ANY = "any"
"""What `--probe` alone stands for."""


class OptionalTriple(click.ParamType[TargetId | str]):
    """APP_ID/ROOM_ID/TASK_ID, or nothing at all (None)."""

    name = "app/room/task"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> TargetId | str:
        """Read the three ids, if any."""
        return value if value == ANY else Triple().convert(value, param, ctx)


@click.command()
@config_file(required=True)
@click.option(
    "--probe",
    is_flag=False,
    flag_value=ANY,
    type=OptionalTriple(),
    metavar="[APP/ROOM/TASK]",
    help="Make one signed call per account: for this task, or for one that cannot exist.",
)
def check(config_file: Path, probe: TargetId | str | None) -> None:
    """Check a configuration file; every problem is told at once.

    With --probe also ask the API. A task that cannot exist is not found when key, signature, clock and right are good.

    \b
    Example: webcast-exporter check --config.file webcast-exporter.yml --probe
    """  # noqa: D301 - \b keeps click from folding the example
    config = load(config_file, os.environ)
    accepted = accept([static_listing(config)], config.accounts)
    for warning in warnings(config):
        click.echo(f"warning: {warning}")
    for orphan in sorted(accepted.without_account):
        click.echo(f"warning: {orphan} is read by no account: its app is in no app_ids")
    click.echo(f"{config_file}: good, {len(config.accounts)} account(s), {len(accepted.targets)} target(s)")
    if probe is not None and not _probe(config, accepted, probe):
        raise click.exceptions.Exit(1)


def _probe(config: Config, accepted: Accepted, asked: TargetId | str) -> bool:
    """Ask the API for each account that has to do with it; says what came of it, and whether all is well."""
    good = True
    for index, account in enumerate(config.accounts):
        if isinstance(asked, TargetId):
            if AccountOf(config.accounts)(asked.app_id) != account.name:
                continue
            target = asked
        else:
            target = TargetId(_app_of(account, accepted), NO_SUCH_ROOM, NO_SUCH_ROOM)
        well, sentence = _verdict(read_once(account, target, os.environ, f"accounts[{index}]"), asked)
        click.echo(f"account {account.name}: {sentence}", err=not well)
        good = good and well
    return good


def _app_of(account: Account, accepted: Accepted) -> str:
    listed = (target.id.app_id for target in accepted.targets.values() if target.account == account.name)
    return next(iter((*account.app_ids, *listed)), NO_SUCH_APP)


def _verdict(reading: Reading, asked: TargetId | str) -> tuple[bool, str]:
    error, task = reading.error, reading.task
    if task is not None:
        return True, f"{reading.target} is {task.status}; key, signature, clock and right are good"
    if isinstance(error, NotFound):
        found = "as it should be" if asked == ANY else f"{reading.target} is not known, or started over 72 hours ago"
        return asked == ANY, f"not found, {found}; key, signature, clock and right are good"
    if isinstance(error, AppRefused) and reading.target.app_id == NO_SUCH_APP:
        return True, "key and signature are good; name an app in app_ids or static_configs to have its right checked"
    return False, f"{error.failure if error else ''}: {error}"
