"""docs/command-line.md tells every flag of serve, and its completion works."""

import os
import re
import subprocess
import sys

import click

from docs.source.log_events import DOCUMENT, events, reference
from exporter.cli.serve import serve
from exporter.logs import CLIENT_LIMIT, MAX_QUEUED_BYTES, USUAL_LIMIT
from tests.docs.reading import ROOT

TEXT = (ROOT / "docs" / "command-line.md").read_text()


def test_every_flag_is_told_with_its_default() -> None:
    told = dict(re.findall(r"^\| `(--[a-z.-]+)[^|]*` \| (.*?) \|", TEXT, re.MULTILINE))
    options = [param for param in serve.params if isinstance(param, click.Option)]
    assert sorted(told) == sorted(option.opts[0] for option in options)
    for option in options:
        default = option.default[0] if isinstance(option.default, list | tuple) else option.default
        if isinstance(default, str) and default:
            assert told[option.opts[0]] == f"`{default}`"


def test_the_limits_of_the_log_are_the_code_s() -> None:
    assert f"a queue of {MAX_QUEUED_BYTES >> 20} MiB" in TEXT
    assert f"at most {USUAL_LIMIT.burst} lines are written at once and {USUAL_LIMIT.per_second:g} a second" in TEXT
    assert f"`uvicorn`) {CLIENT_LIMIT.burst} at once and one in {1 / CLIENT_LIMIT.per_second:g} seconds" in TEXT


COMPLETION = """
import os
from exporter.cli import main
for asked in ("zsh_source", "fish_source", "bash_source", "bash_complete"):
    os.environ["_WEBCAST_EXPORTER_COMPLETE"] = asked
    try:
        main()
    except SystemExit as end:
        assert not end.code
"""


def test_completion_is_offered() -> None:
    """The script of each shell is printed, and asks for the words of a command."""
    words = {"COMP_WORDS": "webcast-exporter serve --web.tel", "COMP_CWORD": "2"}
    found = subprocess.run(
        [sys.executable, "-c", COMPLETION], env=os.environ | words, capture_output=True, text=True, check=True
    ).stdout
    for shell in ("bash", "zsh", "fish"):
        assert f"_WEBCAST_EXPORTER_COMPLETE={shell}_source webcast-exporter" in TEXT
        assert f"{shell}_complete" in found
    assert found.endswith("\nplain,--web.telemetry-path\n")


def test_the_events_of_the_log_are_those_of_the_code() -> None:
    """`make docs` writes them; an event is a constant text without a value in it."""
    assert DOCUMENT.read_text() == reference()
    assert [event for event in events() if "..." in event.name or "%" in event.name or event.name.endswith(".")] == []
