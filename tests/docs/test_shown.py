"""What the documents show as printed is what the commands above it print, and figures in words are theirs."""

import re
from pathlib import Path
from time import time

import pytest
from click.testing import CliRunner

from docs.source.figures import DOCUMENTS, ROOT, ROW, SERIES, SHOWN, configuration, updated
from exporter.cli.group import main
from exporter.model.target import TargetId
from exporter.simulator.lifecycle import CallbackEvent, callback_payload
from tests.docs.console import lines
from tests.docs.reading import Block, blocks

SECRET = "a-secret-of-the-tests"
OTHERS = [block for block in blocks("text") if any(lines(block)) and "$ webcast-exporter plan" not in block.text]


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_figures_are_those_of_plan(path: Path) -> None:
    """`make docs` writes them; an edit by hand would be undone."""
    text = path.read_text("utf-8")
    assert ROW.findall(text) or SHOWN.findall(text) or SERIES.findall(text)
    assert updated(path) == text


def test_no_other_document_shows_plan() -> None:
    """Its figures would not be written by `make docs`."""
    shown = {block.path for block in blocks("text") if "$ webcast-exporter plan" in block.text}
    assert shown == {ROOT / "docs" / "operations.md"}


@pytest.mark.parametrize("block", OTHERS, ids=lambda block: block.place)
def test_what_is_shown_is_what_is_printed(block: Block, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With README's configuration, a captured body and a key at hand."""
    monkeypatch.chdir(tmp_path)
    Path("webcast-exporter.yml").write_text(configuration())
    Path("keys").mkdir()
    for name in ("callback-secrets", "push-tokens"):
        (Path("keys") / name).touch(mode=0o600)
        (Path("keys") / name).write_text(SECRET)
    target = TargetId("661e0000000000000000543c", "Room1", "Task1")
    event = CallbackEvent(target, int(time() * 1000), 4, "PageFreeze", "evt")
    Path("body.json").write_bytes(callback_payload(event, SECRET, "4821"))
    for shown in re.split(r"^\$ webcast-exporter ", block.text, flags=re.MULTILINE)[1:]:
        command, _, output = shown.partition("\n")
        keys = {"VOLC_ACCESSKEY": "made-up", "VOLC_SECRETKEY": "made-up"}
        assert CliRunner().invoke(main, command.split(), env=keys).stdout.strip() == output.strip()
