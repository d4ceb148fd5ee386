"""Secrets: where they come from, and how they are read again when their files change."""

import threading
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from hashlib import sha256
from hmac import compare_digest
from pathlib import Path
from typing import Final, NamedTuple

import structlog
from pydantic import SecretStr

from exporter.config.documents import FileFault, Fingerprints, fingerprints, read_text, step
from exporter.config.fields import no_template, one_line
from exporter.config.schema import Account, Config, HttpSdConfig
from exporter.errors import ConfigError, Problem
from exporter.model.credentials import Credentials

log = structlog.stdlib.get_logger(__name__)

ENVIRONMENT: Final = {
    "access_key_id": "VOLC_ACCESSKEY",
    "secret_access_key": "VOLC_SECRETKEY",
    "session_token": "VOLC_SESSION_TOKEN",
}
PAIR: Final = ("access_key_id", "secret_access_key")
SESSION: Final = "session_token"

MAX_SECRET_FILE: Final = 64 * 1024
MAX_CERTIFICATE_FILE: Final = 10 * 1024 * 1024

NO_CREDENTIALS: Final = (
    "has no credentials: give access_key_id and secret_access_key, or access_key_id_file and secret_access_key_file, "
    "or set $VOLC_ACCESSKEY and $VOLC_SECRETKEY"
)

Given = tuple[SecretStr | None, Path | None]


# Accounts


def given(account: Account) -> dict[str, Given]:
    """Return each credential's two forms in the configuration: itself, and its file."""
    return {
        "access_key_id": (account.access_key_id, account.access_key_id_file),
        "secret_access_key": (account.secret_access_key, account.secret_access_key_file),
        SESSION: (account.session_token, account.session_token_file),
    }


def resolve(account: Account, environ: Mapping[str, str], place: str = "") -> Credentials:
    """Return what the account signs with now. ConfigError tells all that is wrong, below `place` (`accounts[0]`).

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
    return Credentials(access_key, secret_key, values.get(SESSION, ""))


def _configured(configured: Mapping[str, Given], place: str) -> tuple[dict[str, str], list[Problem]]:
    values: dict[str, str] = {}
    problems: list[Problem] = []
    for key, (inline, file) in configured.items():
        try:
            values[key] = one_line(read_text(file, MAX_SECRET_FILE)) if file else _value(inline)
        except ValueError as fault:
            problems.append(Problem(step(place, f"{key}_file"), f"the file {fault}"))
    return values, problems


def _value(inline: SecretStr | None) -> str:
    return inline.get_secret_value() if inline else ""


def _environment(environ: Mapping[str, str], place: str) -> tuple[dict[str, str], list[Problem]]:
    present = {key: environ[name] for key, name in ENVIRONMENT.items() if environ.get(name)}
    missing = [key for key in PAIR if key not in present]
    if len(missing) == len(PAIR):
        return {}, [Problem(place, NO_CREDENTIALS)]
    problems = [Problem(place, f"${ENVIRONMENT[key]} is not set, the other key's variable is") for key in missing]
    values: dict[str, str] = {}
    for key, raw in present.items():
        try:
            values[key] = one_line(raw)
        except ValueError as fault:
            problems.append(Problem(place, f"${ENVIRONMENT[key]} {fault}"))
    return values, problems


class CredentialSource:
    """One account's credentials; ConfigError when they cannot be had to begin with.

    `in_force` is the set to sign with, and takes no look at the disk. While files that have changed cannot be used, the
    last good set stays, and `problems` says what is wrong, which is logged once.
    """

    def __init__(self, account: Account, environ: Mapping[str, str], place: str = "") -> None:
        self.account = account.name
        self.problems: tuple[Problem, ...] = ()
        self._resolve = partial(resolve, account, environ, place)
        self._files = {step(place, f"{key}_file"): file for key, (_, file) in given(account).items() if file}
        before = self._look()
        self.in_force = self._resolve()
        # A set that changed while it was being read is better than none, and is read once more.
        self._fingerprints = before if self._look() == before else None

    def __repr__(self) -> str:
        """The account's name, and no more."""
        return f"CredentialSource(account={self.account!r})"

    def refresh(self) -> bool:
        """Read the files again if they have changed; whether another set is in force now. One thread at a time."""
        before = self._look()
        if before == self._fingerprints and not self.problems:
            return False
        try:
            found = self._resolve()
        except ConfigError as error:
            for problem in error.problems:
                if problem not in self.problems:
                    path = str(self._files[problem.path])
                    log.warning("secret file not reloaded", source=problem.path, path=path, error=problem.sentence)
            self.problems = error.problems
            return False
        if self._look() != before:
            return False  # it changed while it was being read
        self._fingerprints, self.problems = before, ()
        changed, self.in_force = found != self.in_force, found
        return changed

    def _look(self) -> Fingerprints:
        return fingerprints(self._files.values())


# Files with a secret on each line


class TokenKey(NamedTuple):
    """The key of the configuration that names the file, and what one line of it is called."""

    place: str
    noun: str


PUSH_TOKENS: Final = TokenKey("push.token_file", "token")
CALLBACK_SECRETS: Final = TokenKey("callbacks.secret_file", "secret")


def token_files(config: Config) -> Mapping[TokenKey, Path]:
    """Return the files that hold a secret a line, by the key that names each."""
    named = {PUSH_TOKENS: config.push.token_file, CALLBACK_SECRETS: config.callbacks.secret_file}
    return {key: file for key, file in named.items() if file}


def read_tokens(file: Path, noun: str) -> tuple[SecretStr, ...]:
    """Read a secret from each line; FileFault when there is none, or a line cannot be one."""
    tokens = []
    for number, line in enumerate(read_text(file, MAX_SECRET_FILE).split("\n"), 1):
        if not line.strip():
            continue
        try:
            tokens.append(SecretStr(one_line(line)))
        except ValueError as fault:
            raise FileFault(f"cannot be used: line {number} {fault}") from None
    if not tokens:
        raise FileFault(f"holds no {noun}")
    return tuple(tokens)


class TokenFile:
    """The secrets of one file, `tokens`, each of which is good.

    `refresh` reads the file again when it has changed; the last good ones stay. ConfigError when it cannot be used to
    begin with.
    """

    def __init__(self, key: TokenKey, file: Path) -> None:
        self.key = key
        self.file = file
        self._lock = threading.Lock()
        self._fingerprints: Fingerprints | None = fingerprints((file,))
        self._fault = ""
        try:
            self.tokens = read_tokens(file, key.noun)
        except FileFault as fault:
            raise ConfigError([Problem(key.place, f"the file {fault}")]) from None

    def __repr__(self) -> str:
        """How many there are, and no more."""
        return f"TokenFile({len(self.tokens)} {self.key.noun}s)"

    def refresh(self) -> None:
        """Read the file again if it has changed."""
        with self._lock:
            before = fingerprints((self.file,))
            if before == self._fingerprints and not self._fault:
                return
            try:
                found = read_tokens(self.file, self.key.noun)
            except FileFault as fault:
                if str(fault) != self._fault:
                    self._fault = str(fault)
                    path = str(self.file)
                    log.warning("secret file not reloaded", source=self.key.place, path=path, error=self._fault)
                return
            self._fault = ""
            self._fingerprints = before if fingerprints((self.file,)) == before else None
            self.tokens = found

    def matches(self, presented: str) -> bool:
        """Whether `presented` is one of them, in a time that does not depend on how much of it is right."""
        digest = sha256(presented.encode()).digest()
        found = [compare_digest(digest, sha256(_value(token).encode()).digest()) for token in self.tokens]
        return any(found)


# http_sd_configs


def authorization_header(client: HttpSdConfig) -> str | None:
    """Return the Authorization header with what the files hold now, None when there is to be none; or ConfigError."""
    if client.authorization:
        login = client.authorization
        place = "authorization.credentials_file"
        return f"{login.type} {_inline_or_file(login.credentials, login.credentials_file, place, one_line)}"
    if client.basic_auth:
        basic = client.basic_auth
        place = "basic_auth.password_file"
        password = _inline_or_file(basic.password, basic.password_file, place, lambda text: no_template(text.strip()))
        return "Basic " + b64encode(f"{basic.username}:{password}".encode()).decode("ascii")
    return None


def unusable_files(client: HttpSdConfig) -> Iterator[Problem]:
    """Yield what is wrong now with the files that the section names; paths start from the section."""
    try:
        authorization_header(client)
    except ConfigError as error:
        yield from error.problems
    for key, file in client.tls_config.files.items():
        try:
            read_text(file, MAX_CERTIFICATE_FILE)
        except FileFault as fault:
            yield Problem(f"tls_config.{key}", f"the file {fault}")


def _inline_or_file(inline: SecretStr | None, file: Path | None, place: str, clean: Callable[[str], str]) -> str:
    """Return the one that is given; `clean` takes white space away from what the file holds."""
    if file is None:
        return _value(inline)
    try:
        return clean(read_text(file, MAX_SECRET_FILE))
    except ValueError as fault:
        raise ConfigError([Problem(place, f"the file {fault}")]) from None
