from collections.abc import Callable
from pathlib import Path

import pytest

from exporter.config.loader import parse_config
from exporter.config.schema import Config
from exporter.errors import ConfigError

FOLDER = Path("/etc/webcast")


@pytest.fixture
def read() -> Callable[[str], Config]:
    """Read the text of a file that stands in /etc/webcast."""
    return lambda text: parse_config(text, FOLDER)


@pytest.fixture
def problems() -> Callable[[str], list[str]]:
    """The problems of a bad file's text, each as `path: sentence`."""

    def told(text: str) -> list[str]:
        with pytest.raises(ConfigError) as caught:
            parse_config(text, FOLDER)
        return [str(problem) for problem in caught.value.problems]

    return told
