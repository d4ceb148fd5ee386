"""docs/behaviour.md: each row names a test, and that test exists."""

import re

from tests.docs.reading import ROOT

DOCUMENT = ROOT / "docs" / "behaviour.md"
REFERENCE = re.compile(r"`(tests/[\w/]+\.py)::(test_\w+)`")


def rows() -> list[str]:
    """The rows of every table whose last column is Test."""
    found: list[str] = []
    in_table = False
    for line in DOCUMENT.read_text().splitlines():
        if line.startswith("|") and line.rstrip(" |").endswith("Test"):
            in_table = True
        elif not line.startswith("|"):
            in_table = False
        elif in_table and not line.startswith("| ---"):
            found.append(line)
    return found


def test_each_row_names_a_test_that_exists() -> None:
    """A row without a test would be a promise that nothing keeps."""
    assert len(rows()) > 20
    missing: list[str] = []
    for row in rows():
        references = REFERENCE.findall(row)
        if not references:
            missing.append(row)
        for file, name in references:
            path = ROOT / file
            if not path.is_file() or not re.search(rf"^(?:async )?def {name}\(", path.read_text(), re.MULTILINE):
                missing.append(f"{file}::{name}")
    assert missing == []
