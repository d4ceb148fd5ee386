"""Where an account's credentials come from: the file, a file of their own, or the environment."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from pydantic import SecretStr

from exporter.config.accounts import Account
from exporter.config.files import FileFault, read_text
from exporter.config.paths import step
from exporter.config.schema import Config
from exporter.config.texts import one_line
from exporter.errors import ConfigError, Problem
from exporter.model.credentials import Credentials

ENVIRONMENT: Final = {
    "access_key_id": "VOLC_ACCESSKEY",
    "secret_access_key": "VOLC_SECRETKEY",
    "session_token": "VOLC_SESSION_TOKEN",
}
PAIR: Final = ("access_key_id", "secret_access_key")
TOKEN: Final = "session_token"  # noqa: S105 -- the name of a key, not a secret

LARGEST_FILE: Final = 64 * 1024
LARGEST_CA_FILE: Final = 10 * 1024 * 1024

NONE_AT_ALL: Final = (
    "has no credentials: give access_key_id and secret_access_key, or access_key_id_file and secret_access_key_file, "
    "or set $VOLC_ACCESSKEY and $VOLC_SECRETKEY"
)

Given = tuple[SecretStr | None, Path | None]


def given(account: Account) -> dict[str, Given]:
    """Each value's two forms in the configuration: itself, and its file."""
    return {
        "access_key_id": (account.access_key_id, account.access_key_id_file),
        "secret_access_key": (account.secret_access_key, account.secret_access_key_file),
        TOKEN: (account.session_token, account.session_token_file),
    }


def credential_files(account: Account) -> tuple[Path, ...]:
    """The files of the set, which change together."""
    return tuple(file for _, file in given(account).values() if file)


def resolve(account: Account, environ: Mapping[str, str], place: str = "") -> Credentials:
    """What the account signs with now. ConfigError tells all that is wrong, below `place` (`accounts[0]`).

    The environment counts only when neither key of the pair is configured, and its session token only with its keys.
    """
    forms = given(account)
    configured = {key: forms[key] for key in forms if any(forms[key])}
    values, problems = _configured(configured, place)
    if not configured.keys() & set(PAIR):
        found, more = _environment(environ, place)
        values, problems = found | values, problems + more
    else:
        problems += [
            Problem(step(place, key), "is required beside the other key of the pair, itself or as a file")
            for key in PAIR
            if key not in configured
        ]
    if problems:
        raise ConfigError(problems)
    access_key, secret_key = (values[key] for key in PAIR)
    return Credentials(access_key, secret_key, values.get(TOKEN, ""))


def _configured(configured: Mapping[str, Given], place: str) -> tuple[dict[str, str], list[Problem]]:
    values: dict[str, str] = {}
    problems: list[Problem] = []
    for key, (inline, file) in configured.items():
        try:
            values[key] = one_line(read_text(file, LARGEST_FILE)) if file else _shown(inline)
        except ValueError as fault:
            problems.append(Problem(step(place, f"{key}_file"), f"the file {fault}"))
    return values, problems


def _shown(inline: SecretStr | None) -> str:
    return inline.get_secret_value() if inline else ""


def _environment(environ: Mapping[str, str], place: str) -> tuple[dict[str, str], list[Problem]]:
    present = {key: environ[name] for key, name in ENVIRONMENT.items() if environ.get(name)}
    missing = [key for key in PAIR if key not in present]
    if len(missing) == len(PAIR):
        return {}, [Problem(place, NONE_AT_ALL)]
    problems = [Problem(place, f"${ENVIRONMENT[key]} is not set, the other key's variable is") for key in missing]
    values: dict[str, str] = {}
    for key, raw in present.items():
        try:
            values[key] = one_line(raw)
        except ValueError as fault:
            problems.append(Problem(place, f"${ENVIRONMENT[key]} {fault}"))
    return values, problems


def check_credentials(config: Config, environ: Mapping[str, str]) -> list[Problem]:
    """What keeps any account from calling: credentials that do not resolve, an authority's file that cannot be read."""
    return [
        problem
        for index, account in enumerate(config.accounts)
        for problem in _of_account(account, environ, f"accounts[{index}]")
    ]


def _of_account(account: Account, environ: Mapping[str, str], place: str) -> Iterator[Problem]:
    try:
        resolve(account, environ, place)
    except ConfigError as error:
        yield from error.problems
    if account.tls_config.ca_file:
        try:
            read_text(account.tls_config.ca_file, LARGEST_CA_FILE)
        except FileFault as fault:
            yield Problem(f"{place}.tls_config.ca_file", f"the file {fault}")
