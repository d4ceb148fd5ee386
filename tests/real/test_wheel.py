"""The sdist, and the wheel made from it: in an empty environment without the dev extras, the product runs."""

import os
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING
from zipfile import ZipFile

import pytest

import exporter

if TYPE_CHECKING:
    from tests.real.conftest import Running

pytestmark = pytest.mark.real

ROOT = Path(__file__).parent.parent.parent
PIP = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
COMMANDS = ("serve", "check", "get", "demo", "simulate", "dashboards", "metrics")


@pytest.fixture(scope="module")
def sdist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The source archive of this checkout."""
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run([*PIP, "install", "--quiet", "--target", folder / "tools", "hatchling"], check=True)
    build = [sys.executable, "-m", "hatchling", "build", "--target", "sdist", "--directory", str(folder)]
    subprocess.run(build, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(folder / "tools")}, check=True)
    return next(folder.glob("*.tar.gz"))


@pytest.fixture(scope="module")
def wheel(sdist: Path) -> Path:
    """The wheel that pip builds from the sdist, as PyPI's users without a wheel would."""
    subprocess.run([*PIP, "wheel", "--quiet", "--no-deps", "--wheel-dir", sdist.parent, sdist], check=True)
    return next(sdist.parent.glob("*.whl"))


@pytest.fixture(scope="module")
def command(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`webcast-exporter` of an environment that holds the wheel and what it declares, nothing more."""
    environment = tmp_path_factory.mktemp("environment")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", environment], check=True)
    into = [*PIP, "--python", str(environment / "bin" / "python")]
    subprocess.run(
        [*into, "install", "--quiet", "--no-compile", "-c", str(ROOT / "constraints.txt"), str(wheel)], check=True
    )
    return environment / "bin" / "webcast-exporter"


def output(command: Path, *arguments: str, cwd: Path | None = None) -> str:
    """Standard output of one command that must succeed without a word on standard error."""
    done = subprocess.run([command, *arguments], capture_output=True, text=True, check=False, cwd=cwd, timeout=120)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_the_sdist_holds_every_tracked_file(sdist: Path) -> None:
    """The chart, the unit, the workflows and the tests too; of a link to a folder, what is in the folder."""
    with tarfile.open(sdist) as archive:
        held = {name.partition("/")[2] for name in archive.getnames()}
    held |= {str(parent) for name in held for parent in Path(name).parents}
    listed = subprocess.run(["git", "-C", ROOT, "ls-files", "-z"], capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip("not a git checkout")
    assert set(filter(None, listed.stdout.split("\0"))) - held == set()


@pytest.mark.parametrize("kept", ["dashboards", "runbooks", "web/templates"])
def test_the_wheel_carries_the_files_that_are_no_python(wheel: Path, kept: str) -> None:
    """Dashboards, rules, runbooks and templates travel inside the package."""
    sources = {
        "dashboards": ROOT / "dashboards",
        "runbooks": ROOT / "docs" / "runbooks",
        "web/templates": ROOT / "exporter" / "web" / "templates",
    }
    expected = {
        f"exporter/{kept}/{path.relative_to(sources[kept])}"
        for path in sources[kept].rglob("*")
        if path.is_file() and path.suffix not in {".py", ".pyc"}
    }
    assert expected
    assert expected - set(ZipFile(wheel).namelist()) == set()


def test_the_wheel_carries_the_package_alone(wheel: Path) -> None:
    """It has no tests, and the simulator is too small a part to be an extra of its own."""
    sizes = {file.filename: file.file_size for file in ZipFile(wheel).filelist if ".dist-info/" not in file.filename}
    assert {name.split("/")[0] for name in sizes} == {"exporter"}
    simulator = sum(size for name, size in sizes.items() if name.startswith("exporter/simulator/"))
    assert 0 < simulator < 0.1 * sum(sizes.values())


def test_version_is_the_packages(command: Path) -> None:
    """`--version` says what is installed."""
    assert exporter.__version__ in output(command, "--version")


def test_help_names_the_commands(command: Path) -> None:
    """`--help` works without the dev extras and lists what there is."""
    shown = output(command, "--help")
    assert [name for name in COMMANDS if name not in shown] == []


def test_metrics_is_the_committed_reference(command: Path) -> None:
    """`metrics` prints docs/metrics.md."""
    assert (ROOT / "docs" / "metrics.md").read_text() == output(command, "metrics")


def test_dashboards_are_exported_from_the_wheel(command: Path, tmp_path: Path) -> None:
    """`dashboards export` writes files although there is no checkout around."""
    output(command, "dashboards", "export", str(tmp_path / "out"), cwd=tmp_path)
    assert [path for path in (tmp_path / "out").rglob("*") if path.is_file()]


def test_demo_shows_tasks_and_stops_cleanly(
    command: Path,
    tmp_path: Path,
    unused_port: Callable[[], int],
    start_process: Callable[[list[str], Path, str], "Running"],
    wait: Callable[..., None],
) -> None:
    """`demo` needs no credentials: tasks are on /metrics, and SIGTERM ends it with 0."""
    address = f"127.0.0.1:{unused_port()}"
    demo = start_process([str(command), "demo", "--web.listen-address", address], tmp_path, f"http://{address}")
    wait(lambda: demo.answers("/metrics"), "the demo answers")
    wait(lambda: 'status="running"} 1' in demo.get("/metrics").text, "a running task in the demo")
    assert demo.end() == 0, demo.written()
    assert "Traceback" not in demo.written()
