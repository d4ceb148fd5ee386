"""What the documents promise has a test that exists, every fault is told, and bounds are those of the code."""

import re

import pytest

from exporter.config.web_config import MAX_FILE
from exporter.web import api, auth, endpoints, server
from tests.docs.reading import ROOT, documents
from tests.faults.cases import CASES

NAMED = re.compile(r"`(tests/[\w/]+(?:\.py)?)?(?:::(test_\w+))?`")
SECURITY, BEHAVIOUR, RELIABILITY = (
    (ROOT / name).read_text("utf-8") for name in ("SECURITY.md", "docs/behaviour.md", "docs/reliability.md")
)
PROMISES = re.findall(r"^\| (?!Promise |Case |rule |---).*\|$", SECURITY.partition("## The bounds")[0], re.MULTILINE)
CASES_OF_BEHAVIOUR = [
    row
    for table in re.findall(r"^\| Case .*\| Test \|\n(?:\|.*\n)+", BEHAVIOUR, re.MULTILINE)
    for row in table.splitlines()[2:]
]
BOUNDS = (
    f"| connections | {server.MAX_CONNECTIONS}, or half of",
    f"| a head, a TLS handshake, a body | {server.STALL_TIMEOUTS[server.Waiting.HEAD]:g} s each",
    f"| an answer that is not taken | {server.STALL_TIMEOUTS[server.Waiting.ANSWER]:g} s",
    f"| an idle connection | {server.KEEP_ALIVE} s",
    f"| {endpoints.MAX_CALLBACK_BYTES >> 10} KiB, {api.MAX_BODY_BYTES >> 20} MiB, {MAX_FILE >> 20} MiB |",
    f"| {endpoints.UNSIGNED_BURST:g} at once, {endpoints.UNSIGNED_PER_SECOND:g} a second",
    f"| passwords that wait to be checked | {auth.MAX_WAITING} for each user",
)


def references(page: str) -> list[tuple[str, str]]:
    """File and test of each reference; a test without a file is in that of the test before."""
    found, file = [], ""
    for named, test in NAMED.findall(page):
        if named or test:
            found.append((named or file, test))
        if test:
            file = named or file
    return found


ALL = sorted({reference for path in documents() for reference in references(path.read_text("utf-8"))})


@pytest.mark.parametrize(("file", "test"), ALL)
def test_a_test_that_is_named_is_there(file: str, test: str) -> None:
    assert (ROOT / file).exists()
    assert not test or re.search(rf"^(?:async )?def {test}\(", (ROOT / file).read_text("utf-8"), re.MULTILINE)


def test_each_promise_names_a_test() -> None:
    """Each row of SECURITY.md's first table, and of the tables of behaviour.md."""
    assert len(PROMISES) > 5
    assert len(CASES_OF_BEHAVIOUR) > 20
    assert [row for row in (*PROMISES, *CASES_OF_BEHAVIOUR) if not references(row)] == []


def test_every_fault_is_told() -> None:
    rows = [line for line in RELIABILITY.splitlines() if line.startswith("|")]
    assert {case.name for case in CASES} - {name for row in rows for name in re.findall(r"`(\w+)`", row)} == set()


@pytest.mark.parametrize("bound", BOUNDS)
def test_a_bound_is_the_code_s(bound: str) -> None:
    assert bound in SECURITY
    assert {server.HANDSHAKE_TIMEOUT, endpoints.BODY_TIMEOUT} == {server.STALL_TIMEOUTS[server.Waiting.HEAD]}
    assert server.CONNECTION_SHARE == 2
