"""What the documents have people type is understood: by click, by the routes, by make; and prints what is shown."""

import re
from pathlib import Path
from time import time
from typing import cast
from urllib.parse import urlsplit

import click
import pytest
from click.testing import CliRunner
from starlette.routing import Match

from exporter.cli.group import main
from exporter.model.target import TargetId
from exporter.simulator.notices import Notice, envelope
from exporter.targets.sd_form import groups_of_json
from exporter.web.house import House
from exporter.web.site import create_site
from tests.docs.console import Call, commands, curl, lines, sent
from tests.docs.reading import ROOT, Block, blocks, blocks_of

OTHERS = {
    ".": "a venv of the reader's",
    "cd": "a folder of the reader's",
    "cp": "a file of the reader's",
    "chmod": "a file of the reader's",
    "docker": "the compose file is checked by tests/bundle",
    "export": "the reader's key",
    "git": "the reader's clone",
    "htpasswd": "of apache2-utils",
    "kill": "a process of the reader's",
    "kubectl": "the manifests are checked by tests/bundle",
    "mkdir": "a folder of the reader's",
    "mv": "a file of the reader's",
    "openssl": "a secret of the reader's",
    "pip": "an installation, done by tests/real/test_wheel.py",
    "amtool": "the file is checked by tests/rules/test_alertmanager.py",
    "promtool": "the files are checked by tests/rules/test_files.py",
    "podman": "as docker",
    "python3": "a venv of the reader's",
    "sqlite3": "a copy, made by tests/docs/test_programs.py",
    "systemctl": "a service of the reader's",
}
"""First words of commands that are not ours, and why nobody runs them here."""

EXPORTER, SIMULATOR = 10960, 18080
PAGES_OF_THE_SIMULATOR = {"/", "/targets", "/truth", "/fault"}
SHELLS = [block for block in blocks("console", "text") if any(lines(block))]
NO_HOUSE = cast("House", None)
SECRET = "a-secret-of-the-tests"
README = ROOT / "README.md"


def name_of(block: Block) -> str:
    """Its place."""
    return block.place


def parsed(words: list[str]) -> None:
    """Have click take the words in, as far as running them; UsageError when they are none of its own."""
    command: click.Command = main
    context = click.Context(main, info_name=words[0], **main.context_settings)
    rest = words[1:]
    while isinstance(command, click.Group) and rest:
        if rest[0] in ("--help", "--version"):
            return
        name, found, rest = command.resolve_command(context, rest)
        if found is None:
            raise click.UsageError(f"no command {rest}")
        command, context = found, click.Context(found, info_name=name, parent=context)
    if "--help" not in rest:
        command.make_context(words[-1], rest, parent=context.parent or context)


def answered(call: Call) -> bool:
    """Whether a route of the exporter, or a page of the simulator, is what is asked for."""
    url = urlsplit(call.url)
    if url.port == SIMULATOR:
        return url.path in PAGES_OF_THE_SIMULATOR
    scope = {"type": "http", "method": call.method, "path": url.path, "root_path": "", "headers": []}
    routes = create_site(NO_HOUSE, lambda _what, _error: None).routes
    return any(route.matches(scope)[0] is Match.FULL for route in routes)


@pytest.mark.parametrize("block", SHELLS, ids=name_of)
def test_commands(block: Block) -> None:
    """Ours are parsed by click, curl's calls have a route, make's targets exist, others are listed above."""
    targets = re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    for words in commands(block):
        match words[0]:
            case "webcast-exporter":
                parsed([word for word in words if word != ">"][: words.index(">") if ">" in words else None])
            case "make":
                assert words[1] in targets, words
            case "curl":
                _check_call(curl(words))
            case other:
                assert other in OTHERS, words


def _check_call(call: Call) -> None:
    if urlsplit(call.url).port in (EXPORTER, SIMULATOR):
        assert answered(call), call
    if call.url.endswith("/api/v1/targets") and sent(call) is not None:
        assert groups_of_json(call.data)


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


SHOWN = [block for block in SHELLS if block.kind == "text"]


@pytest.mark.parametrize("block", SHOWN, ids=name_of)
def test_what_is_shown_is_what_is_printed(block: Block, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A figure is that of the command above it; a captured body and a key are at hand."""
    monkeypatch.chdir(tmp_path)
    written_as_in_the_readme()
    notice = Notice(TargetId("661e0000000000000000543c", "Room1", "Task1"), int(time() * 1000), 4, "PageFreeze", "evt")
    Path("body.json").write_bytes(envelope(notice, SECRET, "4821"))
    for shown in re.split(r"^\$ webcast-exporter ", block.text, flags=re.MULTILINE)[1:]:
        command, _, output = shown.partition("\n")
        printed = CliRunner().invoke(
            main, command.split(), env={"VOLC_ACCESSKEY": "made-up", "VOLC_SECRETKEY": "made-up"}
        )
        assert printed.stdout.strip() == output.strip()


def test_text_without_a_command_is_listed() -> None:
    """What is shown and not typed: pictures in letters, and what is on /metrics."""
    shown = [block.place.partition(":")[0] for block in blocks("text") if not any(lines(block))]
    assert set(shown) <= {"README.md", "README.zh-CN.md", "docs/architecture.md"}


@pytest.mark.parametrize(
    "line",
    [
        "$ webcast-exporter serv --config.file x",
        "$ webcast-exporter check --config.file x --prob",
        "$ webcast-exporter get app room",
        "$ webcast-exporter dashboards import x",
    ],
)
def test_a_command_that_does_not_exist_is_found(line: str) -> None:
    """The rule itself, for commands."""
    with pytest.raises(click.UsageError):
        parsed(next(commands(Block(ROOT, 1, "console", line))))


def test_a_call_that_nobody_answers_is_found() -> None:
    """The rule itself, for calls; a variable of the block is filled in."""
    block = Block(
        ROOT, 1, "console", "$ api=http://127.0.0.1:10960/api/v1\n$ curl -X PUT $api/targets\n$ curl $api/rooms\n"
    )
    assert [answered(curl(words)) for words in commands(block)] == [True, False]
    assert blocks_of(ROOT / "README.md")
