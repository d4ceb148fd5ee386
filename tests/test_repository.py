"""What is committed: it names no package host and no machine, and its lists agree with each other."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import exporter

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parent.parent
THIS_FILE = Path(__file__).relative_to(ROOT)

# Spelled in pieces, so that this file does not say what it forbids.
PACKAGE_SOURCES = [
    r"(?:extra-)?index" + r"[-_]url",
    "find" + r"[-_]links",
    r"https?://\S+\." + r"(?:whl|tar\.gz|tgz|deb)\b",
    "pypi" + r"\.org",
    "python" + r"hosted\.org",
    "deb" + r"\.debian\.org",
    "registry" + r"\.npmjs",
    "proxy" + r"\.golang\.org",
]
MACHINE_PATHS = [
    rf"(?<![\w.*-])/{name}/" for name in ("work", "root", "opt/wheels", "opt/pypi", r"home/\w+", "tmp/bash")
]


def committed() -> list[Path]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip("not a git checkout")
    return [Path(name) for name in listed.stdout.split("\0") if name and (ROOT / name).is_file()]


def lines_matching(patterns: list[str]) -> list[str]:
    """`file:line: text` of every committed line that one of the patterns finds; payloads are the vendor's words."""
    forbidden = re.compile("|".join(patterns))
    return [
        f"{path}:{number}: {line.strip()}"
        for path in committed()
        if "payloads" not in path.parts
        for number, line in enumerate((ROOT / path).read_text(errors="replace").splitlines(), 1)
        if forbidden.search(line)
    ]


def test_no_committed_line_names_where_packages_come_from() -> None:
    """Where packages are fetched from is the machine's configuration, never the repository's."""
    assert lines_matching(PACKAGE_SOURCES) == []


def test_no_committed_line_names_a_path_of_one_machine() -> None:
    """A clone works in any directory of any user."""
    assert lines_matching(MACHINE_PATHS) == []


@pytest.mark.parametrize(
    ("patterns", "line"),
    [
        (PACKAGE_SOURCES, "pip install --index" + "-url=somewhere"),
        (PACKAGE_SOURCES, "curl https://host.example/a" + ".whl"),
        (MACHINE_PATHS, "cd /ro" + "ot/checkout"),
        (MACHINE_PATHS, 'path = "/ho' + 'me/somebody/checkout"'),
    ],
)
def test_the_forbidden_patterns_find_what_they_are_for(patterns: list[str], line: str) -> None:
    """The two rules above cannot pass by finding nothing at all."""
    assert re.search("|".join(patterns), line)


def test_constraints_pin_exact_versions_without_hosts() -> None:
    """constraints.txt holds sorted `name==version` lines, no paths, no URLs and not the project itself."""
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    assert [line for line in lines if not re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9.+!]+", line)] == []
    assert sorted(lines, key=str.lower) == lines
    assert "webcast-exporter" not in {line.split("==")[0] for line in lines}


def test_constraints_pin_every_declared_dependency() -> None:
    """Nothing pyproject.toml asks for is left to the day of the installation."""
    declared = re.findall(
        r'^    "([A-Za-z0-9._-]+)(?:\[[a-z]+\])?[><=]=', (ROOT / "pyproject.toml").read_text(), re.MULTILINE
    )
    pinned = {
        line.split("==")[0].lower().replace("_", "-") for line in (ROOT / "constraints.txt").read_text().splitlines()
    }
    assert {name.lower().replace("_", "-") for name in declared} - pinned == set()
    assert "requests" in declared


def test_make_help_lists_every_target() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    shown = subprocess.run(["make", "-s"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert targets == set(re.findall(r"^  make ([a-z]+) +\S", shown, re.MULTILINE))
    assert {"run", "test"} <= targets


def test_changelog_begins_with_what_is_unreleased_or_this_version() -> None:
    """The first heading of CHANGELOG.md is `[Unreleased]` or the package's version."""
    headings = re.findall(r"^## \[(.+?)\]", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert headings[0] in {"Unreleased", exporter.__version__}


def test_dockerfile_has_no_warning() -> None:
    hadolint = Path(sys.executable).parent / "hadolint"
    command = [str(hadolint), "--failure-threshold", "warning", str(ROOT / "Dockerfile")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


def test_the_image_s_context_has_all_that_the_wheel_is_built_from() -> None:
    """A file that .dockerignore leaves out makes the build of the image fail."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    wheel = project["tool"]["hatch"]["build"]["targets"]["wheel"]
    needed = {*wheel["packages"], *wheel["force-include"], project["project"]["readme"], "LICENSE", "constraints.txt"}
    included = [line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    assert {path for path in needed if not any(f"{path}/".startswith(f"{each}/") for each in included)} == set()
    assert "pyproject.toml" in included


def test_what_the_image_compiles_can_be_imported() -> None:
    """The modules of `serve` whose bytecode the image keeps."""
    (imports,) = re.findall(r"python3 -c '(import [^']+)'", (ROOT / "Dockerfile").read_text())
    subprocess.run([sys.executable, "-c", imports], check=True)


def test_image_does_not_run_as_root() -> None:
    """The last stage's user is a number that Kubernetes can see is not 0 (runAsNonRoot)."""
    users = re.findall(r"^USER (\d+):\d+$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    assert users == ["65532"]


@pytest.mark.parametrize("script", [path for path in sorted((ROOT / ".ci").iterdir()) if path.is_file()], ids=str)
def test_scripts_are_executable_and_parse(script: Path) -> None:
    """Every shell script of .ci can be started and stops at its first error."""
    text = script.read_text()
    assert script.stat().st_mode & 0o111
    if text.startswith("#!/usr/bin/env bash"):
        subprocess.run(["bash", "-n", script], check=True)
        assert "set -euo pipefail" in text
