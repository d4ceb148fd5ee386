"""The files that are looked at while the process runs: the web config file, and the permissions of secret files."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import structlog

from exporter.config.documents import Fingerprints, fingerprints
from exporter.config.loader import holds_secrets, readable_by_all, secret_files
from exporter.config.schema import Config
from exporter.config.web_config import WebConfig, load_web_config, secret_files_of_web_config
from exporter.errors import ConfigError, Problem
from exporter.web.auth import CurrentPolicy, make_policy

log = structlog.stdlib.get_logger(__name__)

EMPTY = WebConfig()
EMPTIED = Problem("", "asks for nothing any more; without a restart its protection is not taken away")


class WebFile:
    """One file, and the policy that it asks for; while it cannot be used, the last good one stays.

    `refresh` is to be called now and then. A changed file is loaded once it is the same at two calls in a row, so that
    neither half of it nor a certificate without its key is. ConfigError, naming the file, when it is bad to begin with.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._logged = ""
        self._config = EMPTY
        self.policy = CurrentPolicy()
        try:
            self._load()
        except ConfigError as error:
            raise ConfigError([Problem(str(file), str(each)) for each in error.problems]) from None
        self._seen = self._loaded

    @property
    def secret_files(self) -> Mapping[str, Path]:
        """The files with secrets: this one, if it holds any, and those that it names."""
        return secret_files_of_web_config(self._file, self._config)

    def refresh(self) -> None:
        """Take the file again if it has changed, and has come to rest."""
        before, self._seen = self._seen, self._fingerprints()
        if self._seen == self._loaded:
            self._logged = ""
        elif self._seen == before:
            self._reload()

    def _reload(self) -> None:
        try:
            self._load()
        except ConfigError as error:
            if str(error) != self._logged:
                problems = str(error).replace("\n", "; ")
                log.error("web config file not reloaded", path=str(self._file), error=problems)
            self._logged = str(error)
        else:
            log.info("web config file reloaded", path=str(self._file))

    def _load(self) -> None:
        # Fingerprints come before what they are of: what changes while it is read is a change at the next look.
        of_file = fingerprints((self._file,))
        config = load_web_config(self._file)
        if config == EMPTY != self._config:
            raise ConfigError([EMPTIED])
        of_named = fingerprints(tuple(config.files.values()))
        policy = make_policy(config)
        if config.basic_auth_users and config.basic_auth_users == self._config.basic_auth_users:
            policy = replace(policy, passwords=self.policy.now.passwords)  # with what it knows to be good
        self.policy.now, self._config = policy, config
        self._loaded = of_file + of_named

    def _fingerprints(self) -> Fingerprints:
        return fingerprints((self._file, *self._config.files.values()))


class FileWatcher:
    """Watches the two files of the command line, where given. ConfigError when the web config file is bad."""

    def __init__(self, config_file: Path | None, web_file: Path | None) -> None:
        self._config_file = config_file
        self._web_file = WebFile(web_file) if web_file else None
        self.policy = self._web_file.policy if self._web_file else CurrentPolicy()
        self._logged: dict[Path, tuple[str, Fingerprints]] = {}

    def check(self, config: Config) -> None:
        """Look at the web config file, and warn of files of secrets that everybody can read."""
        if self._web_file:
            self._web_file.refresh()
        files = self._files(config)
        for problem in readable_by_all(files):
            self._warn(problem, files[problem.path])

    def readable_by_all(self, config: Config) -> list[Problem]:
        """The files of secrets that everybody can read now."""
        return readable_by_all(self._files(config))

    def _files(self, config: Config) -> dict[str, Path]:
        """All that hold secrets, by the places that name them."""
        files = secret_files(config)
        if self._config_file and holds_secrets(config):
            files[str(self._config_file)] = self._config_file
        if self._web_file:
            files |= self._web_file.secret_files
        return files

    def _warn(self, problem: Problem, file: Path) -> None:
        """Once for each version of a file."""
        version = problem.sentence, fingerprints((file,))
        if self._logged.get(file) != version:
            self._logged[file] = version
            log.warning("secret file readable by all", path=str(file), problem=str(problem))


def load_both(
    load_config: Callable[[], Config], config_file: Path | None, web_file: Path | None
) -> tuple[Config, FileWatcher]:
    """The configuration, and the watcher of the files beside it; ConfigError with the problems of both files."""
    problems: list[Problem] = []
    config, file_watcher = None, None
    try:
        config = load_config()
    except ConfigError as error:
        problems += error.problems
    try:
        file_watcher = FileWatcher(config_file, web_file)
    except ConfigError as error:
        problems += error.problems
    if config is None or file_watcher is None:
        raise ConfigError(problems)
    return config, file_watcher
