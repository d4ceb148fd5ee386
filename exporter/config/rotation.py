"""Credentials that may change under a running process."""

import threading
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Final

from exporter.config.accounts import Account
from exporter.config.credentials import credential_files, resolve
from exporter.errors import ConfigError, Problem
from exporter.model.credentials import Credentials

LOOK_AGAIN: Final = 1.0
"""Seconds between two looks at the files."""

Traces = tuple[tuple[int, int, int] | None, ...]


def traces(files: tuple[Path, ...]) -> Traces:
    """What tells one version of the files from the next: mtime, size, inode; None for a file that is not there."""
    return tuple(_trace(file) for file in files)


def _trace(file: Path) -> tuple[int, int, int] | None:
    try:
        found = file.stat()
    except (OSError, ValueError):
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino


class CredentialSource:
    """One account's credentials, read again when one of its files changes.

    `generation` is 1 for the first set and grows with each set that differs; `changed_at` is when, by `clock`.
    `problems` says what is wrong with files that have changed and cannot be used; the last good set then stays.
    """

    def __init__(
        self,
        account: Account,
        environ: Mapping[str, str],
        clock: Callable[[], float] = time.monotonic,
        place: str = "",
    ) -> None:
        self.account = account.name
        self.generation = 0
        self.changed_at = 0.0
        self.problems: tuple[Problem, ...] = ()
        self._resolve = partial(resolve, account, environ, place)
        self._files = credential_files(account)
        self._clock = clock
        self._lock = threading.Lock()
        self._looked_at = float("-inf")
        self._traces: Traces | None = None
        self._good: Credentials | None = None

    def __repr__(self) -> str:
        """The account's name and how often its set changed, and no more."""
        return f"CredentialSource(account={self.account!r}, generation={self.generation})"

    def current(self) -> Credentials:
        """The set in force; ConfigError while there has never been a good one. Looks at the disk once a second."""
        with self._lock:
            if self._clock() - self._looked_at >= LOOK_AGAIN:
                self._looked_at = self._clock()
                self._look()
            if self._good is None:
                raise ConfigError(self.problems)
            return self._good

    def _look(self) -> None:
        before = traces(self._files)
        if before == self._traces and not self.problems:
            return
        try:
            found = self._resolve()
        except ConfigError as error:
            self.problems = error.problems
            return
        if traces(self._files) == before or self._good is None:
            self._adopt(found, before)

    def _adopt(self, found: Credentials, at_traces: Traces) -> None:
        self._traces = at_traces
        self.problems = ()
        if found != self._good:
            self._good = found
            self.generation += 1
            self.changed_at = self._clock()
