"""SECURITY.md promises nothing without a test, and its bounds are those of the code."""

import re

import pytest

from exporter.config import web_config
from exporter.web import bodies, callback, connection, listener, passwords, server, site, targets_api
from tests.docs.reading import ROOT

TEXT = (ROOT / "SECURITY.md").read_text()
PROMISES = re.findall(r"^\| .* \| (`tests/.*) \|$", TEXT, re.MULTILINE)
BOUNDS = (
    f"| connections | {server.MOST_CONNECTIONS}, or half of",
    f"| a head, a TLS handshake, a body | {connection.PATIENCE[connection.Wait.HEAD]:g} s each",
    f"| an answer that is not taken | {connection.PATIENCE[connection.Wait.ANSWER]:g} s",
    f"| an idle connection | {connection.KEEP_ALIVE} s",
    f"| {callback.LARGEST_BODY >> 10} KiB, {targets_api.LARGEST_BODY >> 20} MiB, {web_config.LARGEST_FILE >> 20} MiB |",
    f"| {site.UNSIGNED_AT_ONCE:g} at once, {site.UNSIGNED_PER_SECOND:g} a second",
    f"| passwords that wait to be checked | {passwords.MOST_WAITING} |",
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
    assert {server.HANDSHAKE, bodies.PATIENCE} == {connection.PATIENCE[connection.Wait.HEAD]}
    assert listener.SHARE == 2
