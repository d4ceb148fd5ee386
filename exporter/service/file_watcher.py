"""The files that are looked at every second beside the configuration: the web config file, and who can read secrets."""

import logging
from collections.abc import Callable
from pathlib import Path

from exporter.config.exposed import exposed, files_of_secrets, holds_secrets
from exporter.config.rotation import Traces, traces
from exporter.config.schema import Config
from exporter.errors import ConfigError, Problem
from exporter.service.web_file import WebFile
from exporter.web.policy import Policy, wide_open

log = logging.getLogger(__name__)


class FileWatcher:
    """Both files of the command line, as far as they are given. ConfigError when the web config file is bad."""

    def __init__(self, config_file: Path | None, web_file: Path | None) -> None:
        self._config_file = config_file
        self._web_file = WebFile(web_file) if web_file else None
        self._told: dict[Path, tuple[str, Traces]] = {}

    def policy(self) -> Policy:
        """The policy in force."""
        return self._web_file.now() if self._web_file else wide_open()

    def look(self, config: Config) -> None:
        """Look at the web config file, and warn of files of secrets that everybody can read."""
        if self._web_file:
            self._web_file.look()
        files = self._files(config)
        for problem in exposed(files):
            self._warn(problem, files[problem.path])

    def exposed(self, config: Config) -> list[Problem]:
        """The files of secrets that everybody can read now."""
        return exposed(self._files(config))

    def _files(self, config: Config) -> dict[str, Path]:
        """All that hold secrets, by the places that name them."""
        files = files_of_secrets(config)
        if self._config_file and holds_secrets(config):
            files[str(self._config_file)] = self._config_file
        if self._web_file:
            files |= self._web_file.secret_files
        return files

    def _warn(self, problem: Problem, file: Path) -> None:
        """Once for each version of a file."""
        version = problem.sentence, traces((file,))
        if self._told.get(file) != version:
            self._told[file] = version
            log.warning("%s", problem)


def load_both(
    load_config: Callable[[], Config], config_file: Path | None, web_file: Path | None
) -> tuple[Config, FileWatcher]:
    """The configuration, and what is watched beside it; ConfigError with the problems of both files."""
    problems: list[Problem] = []
    config, watched = None, None
    try:
        config = load_config()
    except ConfigError as error:
        problems += error.problems
    try:
        watched = FileWatcher(config_file, web_file)
    except ConfigError as error:
        problems += error.problems
    if config is None or watched is None:
        raise ConfigError(problems)
    return config, watched
