"""`check`: whether the configuration is good, whether the API answers to it, and what a captured callback counts."""

import os
import time
from pathlib import Path
from typing import Final

import click

from exporter.cli.advice import account_for, explain_error, swapped
from exporter.cli.options import (
    BAD_USAGE,
    coloured,
    command,
    config_file,
    counted,
    guide,
    parse_target,
    web_config_file,
)
from exporter.config.credentials import CALLBACK_SECRETS, read_tokens
from exporter.config.documents import FileFault, read_bytes
from exporter.config.loader import load, warnings
from exporter.config.schema import Account, Config
from exporter.config.times import format_duration
from exporter.discovery.merge import Accepted, AccountOf
from exporter.discovery.sources import Sources
from exporter.enums import CallbackOutcome
from exporter.errors import AppRefused, ConfigError, NotFound, Problem, Rejected, StartError
from exporter.model.target import TargetId
from exporter.model.task import ReadResult
from exporter.service.accounts import read_once
from exporter.service.file_watcher import load_both
from exporter.service.target_manager import merge_lists
from exporter.volcengine.callbacks import CallbackResult, CallbackRules, verify_callback
from exporter.web.endpoints import MAX_CALLBACK_BYTES
from exporter.web.serializers import rfc3339

ANY_TASK: Final = "any"
"""What `--probe` alone stands for."""
NO_SUCH_ROOM: Final = "webcast-exporter-probe"
NO_SUCH_APP: Final = "000000000000000000000000"
ALL_GOOD: Final = "key, signature, clock and right are good"

ADVICE: Final = {
    CallbackOutcome.BAD_SIGNATURE: (
        "is its app's secret in callbacks.secret_file, {file}, and this byte for byte what came?"
    ),
    CallbackOutcome.IGNORED: "add it to callbacks.event_types if these are the events of WebCast",
}


@command(
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
@config_file()
@click.option(
    "--probe",
    is_flag=False,
    flag_value=ANY_TASK,
    metavar="[APP/ROOM/TASK]",
    help="Make one signed call per account: for this task, or for one that cannot exist.",
)
@click.argument("ids", nargs=-1, metavar="")
@click.option(
    "--callback",
    "callback_file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Read one captured body of a callback: does its signature fit, and what would it count?",
)
@web_config_file
def check(
    config_file: Path, probe: str | None, ids: tuple[str, ...], callback_file: Path | None, web_config_file: Path | None
) -> None:
    """Check a configuration file; every problem is listed at once. Its lists of targets are fetched once.

    With --web.config.file also check that one: its keys, certificates and hashes.

    With --probe also ask the API. A task that cannot exist is not found when key, signature, clock and right are good.
    """
    if ids and probe in (None, ANY_TASK):
        raise click.UsageError(f"got unexpected arguments: {' '.join(ids)}; a task to ask for comes after --probe")
    target = parse_target([probe, *ids]) if probe not in (None, ANY_TASK) else None
    config, file_watcher = load_both(lambda: load(config_file, os.environ), config_file, web_config_file)
    sources = Sources(config)
    problems = [f"{source.place}: {problem}" for source in sources if (problem := source.refresh().problem)]
    accepted, remarks = merge_lists(sources.listings(), config)
    sources.close()
    for warning in (*warnings(config), *file_watcher.readable_by_all(config), *problems, *remarks):
        click.echo(f"{coloured('warning', 'yellow')}: {warning}")
    accounts, targets = counted(len(config.accounts), "account"), counted(len(accepted.targets), "target")
    click.echo(f"{config_file}: good, {accounts}, {targets}")
    if web_config_file:
        click.echo(f"{web_config_file}: good")
    good = [
        probe is None or _probe(config, accepted, target),
        callback_file is None or _check_callback(config, callback_file),
    ]
    if not all(good):
        raise click.exceptions.Exit(1)


# --probe


def _probe(config: Config, accepted: Accepted, target: TargetId | None) -> bool:
    """Print what the API answers, as each answer comes; return whether that is good everywhere."""
    all_good = True
    for place, account, asked in _questions(config, accepted, target):
        good, sentence = _judge(place, account, read_once(account, asked, os.environ, place), target)
        text = f"account {account.name}: {sentence}"
        click.echo(coloured(text, "green" if good else "red"), err=not good)
        all_good &= good
    return all_good


def _questions(config: Config, accepted: Accepted, target: TargetId | None) -> list[tuple[str, Account, TargetId]]:
    """Return which accounts are to read which task: that of the given one, or else each one that cannot exist."""
    if target:
        return [(*account_for(config, target), target)]
    return [
        (f"accounts[{index}]", account, TargetId(_app_of(account, accepted), NO_SUCH_ROOM, NO_SUCH_ROOM))
        for index, account in enumerate(config.accounts)
    ]


def _app_of(account: Account, accepted: Accepted) -> str:
    listed = (target.id.app_id for target in accepted.targets.values() if target.account == account.name)
    return next(iter((*account.app_ids, *listed)), NO_SUCH_APP)


def _judge(place: str, account: Account, result: ReadResult, target: TargetId | None) -> tuple[bool, str]:
    """Return whether the answer is what it should be, and a sentence."""
    error, task = result.error, result.task
    if task is not None and result.target.room_id == NO_SUCH_ROOM:
        return False, (
            f"the API describes a task that cannot exist ({result.target} is {task.status}); such answers would make "
            "every removed task a live one for ever: please report the answer of this account's API as an issue"
        )
    if task is not None:
        return True, f"{result.target} is {task.status}; {ALL_GOOD}"
    if isinstance(error, NotFound):
        if target is None:
            return True, f"not found, as it should be; {ALL_GOOD}"
        unknown = f"{result.target} is not known, or started over 72 hours ago"
        return False, f"{unknown}\n  {swapped(result.target)}\n  {ALL_GOOD}"
    # A made-up app is refused by the product, which comes after the check of key and signature.
    of_the_product = isinstance(error, AppRefused) or (
        isinstance(error, Rejected) and error.code.startswith("InvalidParameter")
    )
    if of_the_product and result.target.app_id == NO_SUCH_APP:
        return True, "key and signature are good; name an app in app_ids or static_configs to have its right checked"
    return False, explain_error(error, result, account, place) if error else ""


# --callback


def _check_callback(config: Config, file: Path) -> bool:
    """Print what the body in a file comes to; return whether it would be taken. ConfigError while callbacks are off."""
    secret_file, rules = config.callbacks.secret_file, _rules(config)
    result = verify_callback(_body(file), rules, time.time())
    if result.shape.event_type:
        click.echo(f"{file}: EventType {result.shape.event_type!r}, EventData has {', '.join(result.shape.keys)}")
    if not result.app_id:
        advice = ADVICE.get(result.outcome, "").format(file=secret_file)
        click.echo(f"{file}: {result.outcome}: {result.problem}{f'; {advice}' if advice else ''}", err=True)
        return False
    return _tell_callback(config, file, result)


def _tell_callback(config: Config, file: Path, result: CallbackResult) -> bool:
    click.echo(f"{file}: the signature fits")
    if AccountOf(config.accounts)(result.app_id) is None:
        click.echo(
            f"{file}: ignored: app {result.app_id} is in no account's app_ids, so that it could not be read", err=True
        )
        return False
    callback = result.callback
    if callback is None:
        click.echo(f"{file}: counts nothing; the live tasks of its room and user are read at once")
    else:
        page = callback.page
        counts = f"counts a page {page.action} for {page.reason}" if page else "counts no page event"
        click.echo(f"{file}: {counts}; {callback.target} is then a target, and is read at once")
    for field in result.unexpected:
        click.echo(f"{file}: {field} has a value that the vendor does not document")
    if result.outcome is CallbackOutcome.STALE:
        limit = format_duration(config.callbacks.max_age)
        written = f"its EventTime is {rfc3339(callback.at)}" if callback else "it is not of now"
        click.echo(f"{file}: {written}; sent now it would be stale (max_age is {limit})")
    return True


def _body(file: Path) -> bytes:
    try:
        return read_bytes(file, MAX_CALLBACK_BYTES)
    except FileFault as fault:
        refused = ", and would be refused (413)" if "more than" in str(fault) else ""
        raise StartError(f"{file}: {fault}{refused}") from None


def _rules(config: Config) -> CallbackRules:
    if config.callbacks.secret_file is None:
        raise ConfigError([Problem(CALLBACK_SECRETS.place, "is needed to check a callback")])
    secrets = read_tokens(config.callbacks.secret_file, CALLBACK_SECRETS.noun)
    return CallbackRules(
        tuple(secret.get_secret_value() for secret in secrets), config.callbacks.event_types, config.callbacks.max_age
    )
