"""What a person should know when a read fails: which key it was, from where, and what this machine's clock says."""

from collections.abc import Iterator
from typing import Final

from exporter.config.credentials import ENVIRONMENT, PAIR, SESSION, given
from exporter.config.schema import Account, Config
from exporter.config.times import format_duration
from exporter.discovery.merge import AccountOf
from exporter.errors import (
    CLOCK_CODE,
    AppRefused,
    ConfigError,
    CredentialsRefused,
    NoAnswer,
    NotFound,
    Problem,
    ReadError,
)
from exporter.model.target import TargetId
from exporter.model.task import ReadResult

REGION_MAY_BE_WRONG: Final = ("InvalidCredential", "SignatureDoesNotMatch")
KEY_OF_CODE: Final = {"SignatureDoesNotMatch": PAIR[1], "InvalidSecretToken": SESSION}
"""Which of the credentials is at fault; for all other codes it is the access key."""
NOTICEABLE_SKEW: Final = 2.0
"""Seconds between two clocks; the server's Date has whole ones."""


def account_for(config: Config, target: TargetId) -> tuple[str, Account]:
    """Return the account of the task's app and its place (`accounts[0]`); ConfigError when none has the app."""
    name = AccountOf(config.accounts)(target.app_id)
    for index, account in enumerate(config.accounts):
        if account.name == name:
            return f"accounts[{index}]", account
    raise ConfigError([Problem("accounts", f"none has the app {target.app_id} in its app_ids")])


def explain_error(error: ReadError, result: ReadResult, account: Account, place: str) -> str:
    """Say what went wrong in a read of this account (`accounts[0]`), and below it where and what to do next."""
    lines = (f"{error.failure}: {error.sentence}", error.advice, *_details(error, result, account, place))
    return "\n  ".join(filter(None, lines))


def swapped(target: TargetId) -> str:
    """Name the triple as it is meant when room and task were confused."""
    return f"if room and task are swapped, it is {TargetId(target.app_id, target.task_id, target.room_id)}"


def _details(error: ReadError, result: ReadResult, account: Account, place: str) -> Iterator[str]:
    match error:
        case NoAnswer():
            yield f"asked was {account.endpoint} ({place}.endpoint): can this machine reach it? curl -v tells more"
            yield f"the timeout is {format_duration(account.timeout)} ({place}.timeout)"
        case NotFound():
            yield swapped(result.target)
        case AppRefused():
            yield f"the app is {result.target.app_id}, asked for with the key of account {account.name}"
        case CredentialsRefused() if error.code == CLOCK_CODE:
            if result.skew is not None and abs(result.skew) >= NOTICEABLE_SKEW:
                which = "behind" if result.skew > 0 else "ahead of"
                yield f"this machine's clock is {format_duration(round(abs(result.skew)))} {which} the API's"
        case CredentialsRefused():
            yield from _key_details(error.code, account, place)


def _key_details(code: str, account: Account, place: str) -> Iterator[str]:
    """Name the key's place, and what else the signature is made of."""
    key = KEY_OF_CODE.get(code, PAIR[0])
    yield f"the {key.replace('_', ' ').removesuffix(' id')} is from {_source(account, place, key)}"
    if code in REGION_MAY_BE_WRONG:
        yield f"the region is {account.region} ({place}.region), the endpoint {account.endpoint}"


def _source(account: Account, place: str, key: str) -> str:
    """Return the place that gives a key; never the key."""
    inline, file = given(account)[key]
    if file:
        return f"{file} ({place}.{key}_file)"
    return f"{place}.{key}" if inline else f"${ENVIRONMENT[key]}"
