"""Scenes, and the real tools that judge them."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from secrets import token_hex
from typing import TYPE_CHECKING

import pytest

from tests.real.conftest import Running, real_part, start
from tests.rules.scene import Scene

if TYPE_CHECKING:
    from tests.whole import Whole

TEMPLATES = Path("/usr/share/prometheus/alertmanager")


@pytest.fixture(scope="session")
def promtool_bin() -> Path:
    """Prometheus's tool."""
    return real_part("promtool")


@pytest.fixture(scope="session")
def prometheus_bin() -> Path:
    """The real Prometheus."""
    return real_part("prometheus")


@pytest.fixture(scope="session")
def amtool_bin() -> Path:
    """Alertmanager's tool."""
    return real_part("amtool")


@pytest.fixture(scope="session")
def alertmanager_bin(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The real Alertmanager; Debian gives it another name."""
    found = real_part("alertmanager" if shutil.which("alertmanager") else "prometheus-alertmanager")
    unpacked = found.parent.parent / TEMPLATES.relative_to("/usr")
    if TEMPLATES.exists() or not unpacked.exists():
        yield found
        return
    # Debian's looks for its own templates in /usr/share. One that is only unpacked is told, in a copy, to look in a
    # place with a name of the same length.
    short = Path("/tmp") / token_hex(len(str(TEMPLATES)))[: len(str(TEMPLATES)) - len("/tmp/")]
    copy = tmp_path_factory.mktemp("alertmanager") / "alertmanager"
    copy.write_bytes(found.read_bytes().replace(bytes(TEMPLATES), bytes(short)))
    copy.chmod(0o755)
    short.symlink_to(unpacked)
    yield copy
    short.unlink()


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
    """An empty scene at its first moment."""
    return Scene(new_whole, promtool_bin, tmp_path)
