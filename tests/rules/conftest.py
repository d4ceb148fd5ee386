"""Scenes, and the real tools that judge them."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.real.conftest import Running, alertmanager_program, real_part, start
from tests.rules.scene import Scene

if TYPE_CHECKING:
    from tests.support.simulated_exporter import Whole


@pytest.fixture(scope="session")
def promtool_bin() -> Path:
    return real_part("promtool")


@pytest.fixture(scope="session")
def prometheus_bin() -> Path:
    return real_part("prometheus")


@pytest.fixture(scope="session")
def amtool_bin() -> Path:
    return real_part("amtool")


@pytest.fixture(scope="session")
def alertmanager_bin(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with alertmanager_program(tmp_path_factory.mktemp("alertmanager")) as program:
        yield program


@pytest.fixture(scope="module")
def start_process() -> Iterator[Callable[[list[str], Path, str], Running]]:
    """Start any command that serves HTTP; it is killed when the module's tests are over."""
    with ExitStack() as running:

        def started(command: list[str], directory: Path, url: str) -> Running:
            process = start(command, directory, url)
            running.callback(process.kill)
            return process

        yield started


@pytest.fixture
def scene(new_whole: Callable[..., "Whole"], promtool_bin: Path, tmp_path: Path) -> Scene:
    return Scene(new_whole, promtool_bin, tmp_path)
