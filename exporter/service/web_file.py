"""The web config file at work: read again when it or a file that it names changes."""

import logging
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from exporter.config.exposed import files_of_web_config
from exporter.config.rotation import Traces, traces
from exporter.config.web_config import WebConfig, load_web_config
from exporter.errors import ConfigError, Problem
from exporter.web.policy import Policy, make_policy, wide_open

log = logging.getLogger(__name__)

NOTHING = WebConfig()
EMPTIED = Problem("", "asks for nothing any more; without a restart its protection is not taken away")


class WebFile:
    """One file, and the policy that it asks for; while it cannot be used, the last good one stays.

    `look` is to be called now and then. A file is taken once it has lain unchanged from one look to the next, so that
    neither half of it nor a certificate without its key is. ConfigError, naming the file, when it is bad to begin with.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._told = ""
        self._config, self._policy = NOTHING, wide_open()
        try:
            self._take()
        except ConfigError as error:
            raise ConfigError([Problem(str(file), str(each)) for each in error.problems]) from None
        self._seen = self._taken

    def now(self) -> Policy:
        """The policy in force."""
        return self._policy

    @property
    def secret_files(self) -> Mapping[str, Path]:
        """The files with secrets: this one, if it holds any, and those that it names."""
        return files_of_web_config(self._file, self._config)

    def look(self) -> None:
        """Take the file again if it has changed, and has come to rest."""
        before, self._seen = self._seen, self._traces()
        if self._seen == self._taken:
            self._told = ""
        elif self._seen == before:
            self._take_again()

    def _take_again(self) -> None:
        try:
            self._take()
        except ConfigError as error:
            self._tell(str(error))
        else:
            log.info("the web config file %s is read again", self._file)

    def _take(self) -> None:
        # Traces come before what they are of: what changes while it is read is a change at the next look.
        of_file = traces((self._file,))
        config = load_web_config(self._file)
        if config == NOTHING != self._config:
            raise ConfigError([EMPTIED])
        of_named = traces(tuple(config.files.values()))
        policy = make_policy(config)
        if config.basic_auth_users and config.basic_auth_users == self._config.basic_auth_users:
            policy = replace(policy, passwords=self._policy.passwords)  # with what it knows to be good
        self._policy, self._config = policy, config
        self._taken = of_file + of_named

    def _traces(self) -> Traces:
        return traces((self._file, *self._config.files.values()))

    def _tell(self, sentence: str) -> None:
        """A sentence once, until it is another or all is well."""
        if sentence != self._told:
            problems = sentence.replace("\n", "; ")
            log.error("the web config file %s is not read again, what it said before stays: %s", self._file, problems)
        self._told = sentence
