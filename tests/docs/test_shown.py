"""What the documents show as printed is what the commands above it print, and figures in words are theirs."""

import re
from pathlib import Path
from time import time

import pytest
from click.testing import CliRunner

from exporter.cli.group import main
from exporter.model.target import TargetId
from exporter.simulator.lifecycle import CallbackEvent, callback_payload
from tests.docs.console import lines
from tests.docs.reading import ROOT, Block, blocks, blocks_of

README = ROOT / "README.md"
SECRET = "a-secret-of-the-tests"


def written_as_in_the_readme() -> None:
    """webcast-exporter.yml here, as README.md has it at the end, and its files of secrets."""
    (*_, ours) = (block.text for block in blocks_of(README) if block.text.startswith("accounts:"))
    Path("webcast-exporter.yml").write_text(ours)
    Path("keys").mkdir()
    for name in ("callback-secrets", "push-tokens"):
        (Path("keys") / name).touch(mode=0o600)
        (Path("keys") / name).write_text(SECRET)


def plan_of(tasks: str) -> str:
    """What `plan` prints for so many tasks."""
    command = ["plan", "--config.file", "webcast-exporter.yml", "--tasks", tasks.replace(",", "")]
    return CliRunner().invoke(main, command).stdout


@pytest.mark.parametrize("readme", [README, ROOT / "README.zh-CN.md"], ids=lambda path: path.name)
def test_the_table_of_sizes_is_what_plan_prints(readme: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each cell is a figure of the command for the row's number of tasks."""
    monkeypatch.chdir(tmp_path)
    written_as_in_the_readme()
    rows = re.findall(r"^\| ([\d,]+) \| (.*) \|$", readme.read_text(), re.MULTILINE)
    assert len(rows) >= 6
    for tasks, cells in rows:
        printed = plan_of(tasks)
        patterns = (r"calls needed +(\S+)", r"interval in force +(\S+ s)", r"seen within +(\S+ s)", r"bytes +(\S+)")
        calls, interval, delay, size = (re.findall(pattern, printed)[0] for pattern in patterns)
        accounts = re.findall(r"split the tasks over (\d+)", printed) or ["1"]
        assert cells.split(" | ") == [calls, interval, delay, accounts[0], size]


def test_the_series_of_a_task_are_as_many_as_the_faq_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With all groups, and with none."""
    monkeypatch.chdir(tmp_path)
    written_as_in_the_readme()
    every = plan_of("100")
    with Path("webcast-exporter.yml").open("a") as file:
        file.write("metrics: {groups: []}\n")
    said = (ROOT / "docs/faq.md").read_text()
    told = re.findall(r"bounded: (\d+) series a task.*?`metrics.groups: \[\]` leaves (\d+)", said, re.DOTALL)
    assert told == [tuple(re.findall(r"\((\d+) a task\)", printed)[0] for printed in (every, plan_of("100")))]


SHOWN = [block for block in blocks("text") if any(lines(block))]


@pytest.mark.parametrize("block", SHOWN, ids=lambda block: block.place)
def test_what_is_shown_is_what_is_printed(block: Block, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A figure is that of the command above it; a captured body and a key are at hand."""
    monkeypatch.chdir(tmp_path)
    written_as_in_the_readme()
    notice = CallbackEvent(
        TargetId("661e0000000000000000543c", "Room1", "Task1"), int(time() * 1000), 4, "PageFreeze", "evt"
    )
    Path("body.json").write_bytes(callback_payload(notice, SECRET, "4821"))
    for shown in re.split(r"^\$ webcast-exporter ", block.text, flags=re.MULTILINE)[1:]:
        command, _, output = shown.partition("\n")
        printed = CliRunner().invoke(
            main, command.split(), env={"VOLC_ACCESSKEY": "made-up", "VOLC_SECRETKEY": "made-up"}
        )
        assert printed.stdout.strip() == output.strip()
