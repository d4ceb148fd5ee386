"""`check --probe`: one signed call per account, and what its answer says of key, signature, clock and right."""

import os
from collections.abc import Iterator
from typing import NamedTuple

import click

from exporter.cli.accounts import account_for
from exporter.cli.advice import swapped, told
from exporter.cli.options import coloured
from exporter.config.schema import Account, Config
from exporter.discovery.merge import Accepted
from exporter.errors import AppRefused, NotFound, Rejected
from exporter.model.read_result import ReadResult
from exporter.model.target import TargetId
from exporter.service.once import read_once

NO_SUCH_ROOM = "webcast-exporter-probe"
NO_SUCH_APP = "000000000000000000000000"

ANY = "any"
"""What `--probe` alone stands for."""

ALL_GOOD = "key, signature, clock and right are good"


class _Probed(NamedTuple):
    """What the API answered to an account, which has its `place` in the file."""

    place: str
    account: Account
    reading: ReadResult


def check_probe(config: Config, accepted: Accepted, asked: TargetId | str) -> bool:
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
    if task is not None and reading.target.room_id == NO_SUCH_ROOM:
        return False, (
            f"the API describes a task that cannot exist ({reading.target} is {task.status}); such answers would make "
            "every removed task a live one for ever: please report the answer of this account's API as an issue"
        )
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
