"""docs/reliability.md names tests that exist, and every fault that is tried."""

import re

import pytest

from tests.docs.reading import ROOT
from tests.faults.cases import CASES

PAGE = (ROOT / "docs" / "reliability.md").read_text("utf-8")
SCALING = (ROOT / "docs" / "scaling.md").read_text("utf-8")
NAMED = re.compile(r"`(tests/[\w/]+\.py)?(?:::(test_\w+))?`")


def references(page: str) -> list[tuple[str, str]]:
    """File and test of each reference; a test without a file is in that of the test before, no test is a whole file."""
    found, file = [], ""
    for named, test in NAMED.findall(page):
        if named or test:
            found.append((named or file, test))
        if test:
            file = named or file
    return found


@pytest.mark.parametrize("reference", references(PAGE) + references(SCALING), ids="::".join)
def test_the_tests_that_are_named_exist(reference: tuple[str, str]) -> None:
    """A test that was renamed is renamed here too."""
    file, test = reference
    assert not test or f"def {test}(" in (ROOT / file).read_text("utf-8")
    assert (ROOT / file).is_file()


def test_every_fault_is_told() -> None:
    """By the name of its case."""
    names = {name for line in PAGE.splitlines() if line.startswith("|") for name in re.findall(r"`(\w+)`", line)}
    assert {case.name for case in CASES} - names == set()
