"""`check`: whether the configuration is good, and whether the API answers to it."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import click

from exporter.app.lists import take_lists
from exporter.app.once import read_once
from exporter.app.watched import load_both
from exporter.cli.accounts import account_for
from exporter.cli.advice import swapped, told
from exporter.cli.check_callback import check_callback
from exporter.cli.options import BAD_USAGE, coloured, config_file, counted, guide, web_config_file
from exporter.config.accounts import Account
from exporter.config.load import load
from exporter.config.rules import warnings
from exporter.config.schema import Config
from exporter.errors import AppRefused, NotFound, Rejected
from exporter.model.reading import Reading
from exporter.model.target import TargetId
from exporter.targets.listing import Accepted
from exporter.targets.sources import Sources

NO_SUCH_ROOM = "webcast-exporter-probe"
NO_SUCH_APP = "000000000000000000000000"

ANY = "any"
"""What `--probe` alone stands for."""

ALL_GOOD = "key, signature, clock and right are good"


class _Probed(NamedTuple):
    """What the API answered to an account, which has its `place` in the file."""

    place: str
    account: Account
    reading: Reading


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
    for warning in (*warnings(config), *watched.exposed(config), *problems, *remarks):
        click.echo(f"{coloured('warning', 'yellow')}: {warning}")
    accounts, targets = counted(len(config.accounts), "account"), counted(len(accepted.targets), "target")
    click.echo(f"{config_file}: good, {accounts}, {targets}")
    if web_config_file:
        click.echo(f"{web_config_file}: good")
    good = [
        probe is None or _probe(config, accepted, probe),
        callback_file is None or check_callback(config, callback_file),
    ]
    if not all(good):
        raise click.exceptions.Exit(1)


def _probe(config: Config, accepted: Accepted, asked: TargetId | str) -> bool:
    """Tell what the API answers, as each answer comes; whether that is good everywhere."""
    all_good = True
    for probed in _probes(config, accepted, asked):
        good, sentence = _verdict(probed, asked)
        click.echo(coloured(sentence, "green") if good else coloured(sentence, "red"), err=not good)
        all_good &= good
    return all_good


def _probes(config: Config, accepted: Accepted, asked: TargetId | str) -> Iterator[_Probed]:
    """Ask the API: the account of the task that is asked for, or else each."""
    if isinstance(asked, TargetId):
        place, account = account_for(config, asked)
        yield _Probed(place, account, read_once(account, asked, os.environ, place))
        return
    for index, account in enumerate(config.accounts):
        target = TargetId(_app_of(account, accepted), NO_SUCH_ROOM, NO_SUCH_ROOM)
        place = f"accounts[{index}]"
        yield _Probed(place, account, read_once(account, target, os.environ, place))


def _app_of(account: Account, accepted: Accepted) -> str:
    listed = (target.id.app_id for target in accepted.targets.values() if target.account == account.name)
    return next(iter((*account.app_ids, *listed)), NO_SUCH_APP)


def _verdict(probed: _Probed, asked: TargetId | str) -> tuple[bool, str]:
    good, sentence = _judged(probed, asked)
    return good, f"account {probed.account.name}: {sentence}"


def _judged(probed: _Probed, asked: TargetId | str) -> tuple[bool, str]:
    """Whether the answer is what it should be, and a sentence."""
    place, account, reading = probed
    error, task = reading.error, reading.task
    if task is not None:
        return True, f"{reading.target} is {task.status}; {ALL_GOOD}"
    if isinstance(error, NotFound):
        if asked == ANY:
            return True, f"not found, as it should be; {ALL_GOOD}"
        unknown = f"{reading.target} is not known, or started over 72 hours ago"
        return False, f"{unknown}\n  {swapped(reading.target)}\n  {ALL_GOOD}"
    # A made-up app is refused by the product, which comes after the check of key and signature.
    of_the_product = isinstance(error, AppRefused) or (
        isinstance(error, Rejected) and error.code.startswith("InvalidParameter")
    )
    if of_the_product and reading.target.app_id == NO_SUCH_APP:
        return True, "key and signature are good; name an app in app_ids or static_configs to have its right checked"
    return False, told(error, reading, account, place) if error else ""
