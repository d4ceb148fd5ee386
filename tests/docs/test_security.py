"""SECURITY.md promises nothing without a test, and its bounds are those of the code."""

import re

import pytest

from exporter.config.web_config import MAX_FILE
from exporter.web import api, auth, endpoints, server
from tests.docs.reading import ROOT

TEXT = (ROOT / "SECURITY.md").read_text()
PROMISES = re.findall(r"^\| .* \| (`tests/.*) \|$", TEXT, re.MULTILINE)
BOUNDS = (
    f"| connections | {server.MAX_CONNECTIONS}, or half of",
    f"| a head, a TLS handshake, a body | {server.STALL_TIMEOUTS[server.Waiting.HEAD]:g} s each",
    f"| an answer that is not taken | {server.STALL_TIMEOUTS[server.Waiting.ANSWER]:g} s",
    f"| an idle connection | {server.KEEP_ALIVE} s",
    f"| {endpoints.MAX_CALLBACK_BYTES >> 10} KiB, {api.MAX_BODY_BYTES >> 20} MiB, {MAX_FILE >> 20} MiB |",
    f"| {endpoints.UNSIGNED_BURST:g} at once, {endpoints.UNSIGNED_PER_SECOND:g} a second",
    f"| passwords that wait to be checked | {auth.MAX_WAITING} for each user",
)


@pytest.mark.parametrize("place", re.findall(r"`(tests/[^`]+)`", TEXT))
def test_a_test_that_is_named_is_there(place: str) -> None:
    """The file or the folder, and the function in it."""
    file, _, name = place.partition("::")
    assert (ROOT / file).exists()
    assert not name or f"def {name}(" in (ROOT / file).read_text()


def test_each_promise_names_a_test() -> None:
    """One row, one promise, its test at the end."""
    table = TEXT.partition("| --- | --- |\n")[2].partition("\n\n")[0]
    assert len(PROMISES) == len(table.splitlines()) > 5


@pytest.mark.parametrize("bound", BOUNDS)
def test_a_bound_is_the_codes(bound: str) -> None:
    """To the number."""
    assert bound in TEXT
    assert {server.HANDSHAKE_TIMEOUT, endpoints.BODY_TIMEOUT} == {server.STALL_TIMEOUTS[server.Waiting.HEAD]}
    assert server.CONNECTION_SHARE == 2
