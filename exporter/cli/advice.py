"""Where a person looks when a read fails: which key it was, from where, and what this machine's clock says."""

from collections.abc import Iterator

from exporter.config.credentials import ENVIRONMENT, PAIR, TOKEN, given
from exporter.config.schema import Account
from exporter.config.times import format_duration
from exporter.errors import AppRefused, CredentialsRefused, NoAnswer, NotFound, ReadError
from exporter.model.read_result import ReadResult
from exporter.model.target import TargetId

REGION_MAY_BE_WRONG = ("InvalidCredential", "SignatureDoesNotMatch")
KEY_OF_CODE = {"SignatureDoesNotMatch": PAIR[1], "InvalidSecretToken": TOKEN}
"""What of the credentials is at fault; all else is the access key's."""
OF_THE_CLOCK = "InvalidTimestamp"
NOTICEABLE = 2.0
"""Seconds between two clocks; the server's Date has whole ones."""


def told(error: ReadError, reading: ReadResult, account: Account, place: str) -> str:
    """A failed read of this account (`accounts[0]`): what went wrong, and below it where and what to do next."""
    lines = (f"{error.failure}: {error.sentence}", error.advice, *_where(error, reading, account, place))
    return "\n  ".join(filter(None, lines))


def swapped(target: TargetId) -> str:
    """The triple as somebody means it who has taken the room for the task."""
    return f"if room and task are swapped, it is {TargetId(target.app_id, target.task_id, target.room_id)}"


def _where(error: ReadError, reading: ReadResult, account: Account, place: str) -> Iterator[str]:
    match error:
        case NoAnswer():
            yield f"asked was {account.endpoint} ({place}.endpoint): can this machine reach it? curl -v tells more"
            yield f"the timeout is {format_duration(account.timeout)} ({place}.timeout)"
        case NotFound():
            yield swapped(reading.target)
        case AppRefused():
            yield f"the app is {reading.target.app_id}, asked for with the key of account {account.name}"
        case CredentialsRefused() if error.code == OF_THE_CLOCK:
            yield from _of_the_clock(reading)
        case CredentialsRefused():
            yield from _of_the_key(error.code, account, place)


def _of_the_clock(reading: ReadResult) -> Iterator[str]:
    """The difference is known from the answer's Date."""
    if reading.skew is not None and abs(reading.skew) >= NOTICEABLE:
        which = "behind" if reading.skew > 0 else "ahead of"
        yield f"this machine's clock is {format_duration(round(abs(reading.skew)))} {which} the API's"


def _of_the_key(code: str, account: Account, place: str) -> Iterator[str]:
    """The key's place, and what else the signature is made of."""
    key = KEY_OF_CODE.get(code, PAIR[0])
    yield f"the {key.replace('_', ' ').removesuffix(' id')} is from {_source(account, place, key)}"
    if code in REGION_MAY_BE_WRONG:
        yield f"the region is {account.region} ({place}.region), the endpoint {account.endpoint}"


def _source(account: Account, place: str, key: str) -> str:
    """The place that gives a key; never the key."""
    inline, file = given(account)[key]
    if file:
        return f"{file} ({place}.{key}_file)"
    return f"{place}.{key}" if inline else f"${ENVIRONMENT[key]}"
