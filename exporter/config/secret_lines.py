"""Secrets in a file, one a line, each of which is good, so that one can take another's place."""

import logging
from collections.abc import Callable, Mapping
from hashlib import sha256
from hmac import compare_digest
from pathlib import Path
from threading import Lock
from typing import Final, NamedTuple

from pydantic import SecretStr

from exporter.config.files import FileFault, read_text
from exporter.config.rotation import LOOK_AGAIN, Traces, traces
from exporter.config.schema import Config
from exporter.config.texts import one_line
from exporter.errors import ConfigError, Problem

log = logging.getLogger(__name__)

LARGEST_FILE: Final = 64 * 1024
SHORT: Final = 16
"""Characters; a shorter one can be guessed."""


class Key(NamedTuple):
    """The key of the configuration that names the file, and what one line of it is called."""

    place: str
    noun: str


PUSH_TOKENS: Final = Key("push.token_file", "token")
CALLBACK_SECRETS: Final = Key("callbacks.secret_file", "secret")


def lines_in(file: Path, noun: str) -> tuple[SecretStr, ...]:
    """The secrets, without the white space around them; FileFault when there is none or a line cannot be one."""
    secrets = []
    for number, line in enumerate(read_text(file, LARGEST_FILE).split("\n"), 1):
        if not line.strip():
            continue
        try:
            secrets.append(SecretStr(one_line(line)))
        except ValueError:
            raise FileFault(f"must have plain ASCII text in line {number}") from None
    if not secrets:
        raise FileFault(f"holds no {noun}")
    return tuple(secrets)


def secret_files(config: Config) -> Mapping[Key, Path]:
    """The files that hold a secret a line, by the key that names each."""
    named = {PUSH_TOKENS: config.push.token_file, CALLBACK_SECRETS: config.callbacks.secret_file}
    return {key: file for key, file in named.items() if file}


class SecretLines:
    """The lines of one file, read again when it changes; while it cannot be used, its last good ones stay.

    `clock` is in seconds. ConfigError when it cannot be used to begin with.
    """

    def __init__(self, key: Key, file: Path, clock: Callable[[], float]) -> None:
        self.key = key
        self.file = file
        self._clock = clock
        self._lock = Lock()
        self._looked_at = clock()
        self._traces: Traces | None = traces((file,))
        self._fault = ""
        try:
            self._lines = lines_in(file, key.noun)
        except FileFault as fault:
            raise ConfigError([Problem(key.place, f"the file {fault}")]) from None

    def __repr__(self) -> str:
        """How many there are, and no more."""
        return f"SecretLines({len(self._lines)} {self.key.noun}s)"

    def current(self) -> tuple[SecretStr, ...]:
        """The lines in force. Looks at the disk once a second at most."""
        with self._lock:
            if self._clock() - self._looked_at >= LOOK_AGAIN:
                self._looked_at = self._clock()
                self._look()
            return self._lines

    def hold(self, given: str) -> bool:
        """Whether `given` is one of them, in a time that does not tell how much of it is right."""
        digest = sha256(given.encode()).digest()
        found = [compare_digest(digest, sha256(_shown(line).encode()).digest()) for line in self.current()]
        return any(found)

    def _look(self) -> None:
        before = traces((self.file,))
        if before == self._traces and not self._fault:
            return
        try:
            found = lines_in(self.file, self.key.noun)
        except FileFault as fault:
            self._tell(str(fault))
            return
        self._tell("")
        # Changed while it was being read, it is read once more.
        self._traces = before if traces((self.file,)) == before else None
        self._lines = found

    def _tell(self, fault: str) -> None:
        if fault and fault != self._fault:
            log.warning("%s: the file %s; the %ss it had stay", self.key.place, fault, self.key.noun)
        self._fault = fault


def _shown(line: SecretStr) -> str:
    return line.get_secret_value()
