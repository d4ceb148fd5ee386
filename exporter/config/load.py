"""The configuration file, read and checked: a Config, or every problem at once."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path

from pydantic import ValidationError

from exporter.config.credentials import check_credentials
from exporter.config.document import parse
from exporter.config.fields import FOLDER
from exporter.config.files import FileFault, read_text
from exporter.config.http_client import unusable_files
from exporter.config.problems import NOT_A_MAPPING, translated
from exporter.config.rules import across
from exporter.config.schema import Config
from exporter.config.secret_lines import lines_in, secret_files
from exporter.errors import ConfigError, Problem

LARGEST_FILE = 10 * 1024 * 1024
"""Bytes; 20,000 static targets are under one MiB."""


def load(path: Path, environ: Mapping[str, str] | None = None) -> Config:
    """Read and check one file; ConfigError holds all that is wrong.

    With `environ` it must also be possible to call with it, the API and the feeds, and to be called: credentials
    resolve, certificates and tokens are there.
    """
    try:
        text = read_text(path, LARGEST_FILE)
    except FileFault as fault:
        raise ConfigError([Problem("", f"{path} {fault}")]) from None
    config = parse_config(text, path.parent)
    checks = (partial(check_credentials, environ=environ), check_feeds, check_secrets) if environ is not None else ()
    problems = [problem for check in checks for problem in check(config)]
    if problems:
        raise ConfigError(problems)
    return config


def parse_config(text: str, folder: Path) -> Config:
    """The same for the text of a file; relative paths in it start from `folder`."""
    document, repeated = parse(text)
    if document is None:
        raise ConfigError([Problem("", "the file is empty; the least it can say is `accounts: [{name: default}]`")])
    if not isinstance(document, dict):
        raise ConfigError([Problem("", f"the file {NOT_A_MAPPING}")])
    config, problems = _validated(document, folder)
    problems = [*repeated, *problems, *across(document)]
    if problems or config is None:
        raise ConfigError(problems)
    return config


def check_feeds(config: Config) -> list[Problem]:
    """What keeps a feed from being asked: files of its credentials and certificates that cannot be used."""
    return [
        Problem(f"http_sd_configs[{index}].{problem.path}", problem.sentence)
        for index, feed in enumerate(config.http_sd_configs)
        for problem in unusable_files(feed)
    ]


def check_secrets(config: Config) -> list[Problem]:
    """What keeps backends from pushing and the vendor from calling back: files of secrets that cannot be used."""
    problems = []
    for key, file in secret_files(config).items():
        try:
            lines_in(file, key.noun)
        except FileFault as fault:
            problems.append(Problem(key.place, f"the file {fault}"))
    return problems


def _validated(document: Mapping[str, object], folder: Path) -> tuple[Config | None, list[Problem]]:
    try:
        return Config.model_validate(document, context={FOLDER: folder}), []
    except ValidationError as error:
        return None, translated(error, Config)
