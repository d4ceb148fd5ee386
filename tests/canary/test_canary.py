"""Secrets with texts of their own go through everything that an exporter does; none of them appears anywhere."""

import pytest

from exporter.cli.group import COMMANDS
from tests.canary import commands, given
from tests.canary.visit import Visit

pytestmark = pytest.mark.real


def leaks(said: str, words: tuple[str, ...]) -> list[str]:
    return [word for word in words if word in said]


def test_nothing_is_told(visited: Visit) -> None:
    """In no line of the log, on no page, in no error, by no command, in no file of the state."""
    words = (*given.WORDS, *given.key_lines(visited.certificates))
    assert leaks(visited.written(), words) == []
    assert {asked: found for asked, said in visited.answers.items() if (found := leaks(said, words))} == {}


def test_a_crash_tells_nothing(crashed: Visit) -> None:
    """Neither do unexpected errors, nor the trace of the crash; only what failed is told."""
    words = (*given.WORDS, *given.key_lines(crashed.certificates))
    assert leaks(crashed.written(), words) == []
    assert {asked: found for asked, said in crashed.answers.items() if (found := leaks(said, words))} == {}


def test_it_was_all_looked_at(visited: Visit) -> None:
    """What is searched is not empty: pages are answered, the log has its lines at debug, commands were run."""
    asked = {key.rpartition(" ")[0]: said.partition(" ")[0] for key, said in visited.answers.items()}
    pages = {key: code for key, code in asked.items() if key.startswith("GET ")}
    assert {key for key, code in pages.items() if code not in ("200", "401", "405")} == set()
    assert {"GET /", "GET /metrics", "GET /status", "GET /api/v1/targets", "GET /dashboards/"} <= pages.keys()
    assert "level=debug" in visited.running.written()
    assert set(COMMANDS) - commands.WITHOUT <= set(asked)


def test_callbacks_and_pushes_were_taken(visited: Visit) -> None:
    codes = [said.partition(" ")[0] for asked, said in visited.answers.items() if asked.startswith("POST /callback")]
    assert codes == ["200", "400", "401", "400"]
    codes = [said.partition(" ")[0] for asked, said in visited.answers.items() if asked.startswith("POST /api")]
    assert codes == ["200", "400", "401", "401"]


def test_the_crash_was_one(crashed: Visit) -> None:
    """Each edge told its error with a trace, and so did the end."""
    said = crashed.running.written()
    assert said.count("made to fail") >= 5
    assert said.rstrip().endswith("RuntimeError: made to fail")
