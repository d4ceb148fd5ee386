"""Where a person looks when the API refuses: which key it was, from where, and what this machine's clock says."""

from exporter.config.accounts import Account
from exporter.config.credentials import ENVIRONMENT, PAIR, TOKEN, given
from exporter.config.durations import format_duration
from exporter.errors import AppRefused, CredentialsRefused, NotFound, ReadError
from exporter.model.reading import Reading
from exporter.model.target import TargetId

REGION_MAY_BE_WRONG = ("InvalidCredential", "SignatureDoesNotMatch")
OF_THE_TOKEN, OF_THE_CLOCK, OF_THE_SIGNATURE = "InvalidSecretToken", "InvalidTimestamp", "SignatureDoesNotMatch"
NOTICEABLE = 2.0
"""Seconds between two clocks; the server's Date has whole ones."""


def told(error: ReadError, reading: Reading, account: Account, place: str) -> str:
    """A failed read of this account (`accounts[0]`) as a sentence: what, where and what to do next."""
    return "; ".join((f"{error.failure}: {error}", *_where(error, reading, account, place)))


def swapped(target: TargetId) -> str:
    """The triple as somebody means it who has taken the room for the task."""
    return f"if room and task are swapped, it is {TargetId(target.app_id, target.task_id, target.room_id)}"


def _where(error: ReadError, reading: Reading, account: Account, place: str) -> list[str]:
    match error:
        case NotFound():
            return [swapped(reading.target)]
        case AppRefused():
            return [f"the app is {reading.target.app_id}, asked for with the key of account {account.name}"]
        case CredentialsRefused() if error.code == OF_THE_CLOCK:
            return _of_the_clock(reading)
        case CredentialsRefused():
            return _of_the_key(error.code, account, place)
    return []


def _of_the_clock(reading: Reading) -> list[str]:
    """Reads have the difference from the answer's Date."""
    if reading.skew is None or abs(reading.skew) < NOTICEABLE:
        return []
    which = "behind" if reading.skew > 0 else "ahead of"
    return [f"it is {format_duration(round(abs(reading.skew)))} {which} the API's"]


def _of_the_key(code: str, account: Account, place: str) -> list[str]:
    """The key's place, and what else the signature is made of."""
    key = TOKEN if code == OF_THE_TOKEN else PAIR[code == OF_THE_SIGNATURE]
    region = [f"{place}.region is {account.region}, the endpoint {account.endpoint}"]
    return [f"it is from {_source(account, place, key)}", *(region if code in REGION_MAY_BE_WRONG else [])]


def _source(account: Account, place: str, key: str) -> str:
    """The place that gives a key; never the key."""
    inline, file = given(account)[key]
    if file:
        return f"{place}.{key}_file, {file}"
    return f"{place}.{key}" if inline else f"${ENVIRONMENT[key]}"
