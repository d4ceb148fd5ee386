"""Who may push: each line of a file is a token, and each is accepted, so that one can take another's place."""

import logging
from collections.abc import Callable
from hashlib import sha256
from hmac import compare_digest
from pathlib import Path
from threading import Lock
from typing import Final

from exporter.config.files import FileFault, read_text
from exporter.config.rotation import LOOK_AGAIN, Traces, traces
from exporter.config.texts import one_line
from exporter.errors import ConfigError, Problem

log = logging.getLogger(__name__)

PLACE: Final = "push.token_file"
LARGEST_FILE: Final = 64 * 1024
SHORT: Final = 16
"""Characters; a shorter token can be guessed."""


def tokens_in(file: Path) -> tuple[str, ...]:
    """The tokens, without the white space around them; FileFault when there is none or a line cannot be one."""
    tokens = []
    for number, line in enumerate(read_text(file, LARGEST_FILE).split("\n"), 1):
        if not line.strip():
            continue
        try:
            tokens.append(one_line(line))
        except ValueError:
            raise FileFault(f"must have plain ASCII text in line {number}") from None
    if not tokens:
        raise FileFault("holds no token")
    return tuple(tokens)


class TokenFile:
    """The tokens of one file, read again when it changes; while it cannot be used, its last good ones are accepted.

    Only digests are kept. `clock` is in seconds. ConfigError when it cannot be used to begin with.
    """

    def __init__(self, file: Path, clock: Callable[[], float]) -> None:
        self.file = file
        self._clock = clock
        self._lock = Lock()
        self._looked_at = clock()
        self._traces: Traces | None = traces((file,))
        self._fault = ""
        try:
            self._digests = _digests(file)
        except FileFault as fault:
            raise ConfigError([Problem(PLACE, f"the file {fault}")]) from None

    def __repr__(self) -> str:
        """How many tokens there are, and no more."""
        return f"TokenFile({len(self._digests)} tokens)"

    def accepts(self, token: str) -> bool:
        """Whether it is one of them, in a time that does not tell how much of it is right. Looks at the disk too."""
        given = sha256(token.encode()).digest()
        found = [compare_digest(given, digest) for digest in self._current()]
        return any(found)

    def _current(self) -> tuple[bytes, ...]:
        with self._lock:
            if self._clock() - self._looked_at >= LOOK_AGAIN:
                self._looked_at = self._clock()
                self._look()
            return self._digests

    def _look(self) -> None:
        before = traces((self.file,))
        if before == self._traces and not self._fault:
            return
        try:
            found = _digests(self.file)
        except FileFault as fault:
            self._tell(str(fault))
            return
        self._tell("")
        # Changed while it was being read, it is read once more.
        self._traces = before if traces((self.file,)) == before else None
        self._digests = found

    def _tell(self, fault: str) -> None:
        if fault and fault != self._fault:
            log.warning("%s: the file %s; the tokens it had stay", PLACE, fault)
        self._fault = fault


def _digests(file: Path) -> tuple[bytes, ...]:
    return tuple(sha256(token.encode()).digest() for token in tokens_in(file))
