import re
import subprocess
import sys
from collections.abc import Callable

import pytest
from click.testing import Result

import exporter
from exporter.cli.group import main

Run = Callable[..., Result]

COMMANDS = [[], *([name] for name in main.commands), ["dashboards", "export"]]


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
@pytest.mark.parametrize("flag", ["--help", "-h"])
def test_help_ends_with_an_example(run: Run, command: list[str], flag: str) -> None:
    """Every command's help is exit 0, and its last line is an example of that very command."""
    result = run(*command, flag)
    assert result.exit_code == 0
    last = result.stdout.rstrip().splitlines()[-1]
    assert last.startswith(f"  Example: webcast-exporter {' '.join(command)}".rstrip())


def test_examples_are_accepted(run: Run) -> None:
    """What a help shows as an example is no bad usage: its options and arguments exist."""
    for command in COMMANDS:
        example = run(*command, "--help").stdout.rstrip().splitlines()[-1].partition("webcast-exporter ")[2]
        words = example.partition(" > ")[0].split()
        assert re.search("^Usage", run(*words, "--help").stdout)


def test_version(run: Run) -> None:
    """`--version` tells name and version."""
    result = run("--version")
    assert (result.exit_code, result.stdout) == (0, f"webcast-exporter, version {exporter.__version__}\n")


@pytest.mark.parametrize(
    "arguments",
    [
        ("nonsense",),
        ("serve",),
        ("check",),
        ("serve", "--config.file"),
        ("serve", "--config.file", "x", "--log.level", "loud"),
        ("serve", "--config.file", "x", "--log.format", "xml"),
        ("serve", "--config.file", "x", "--web.listen-address", "10960"),
        ("demo", "--tasks", "0"),
        ("demo", "--speed", "fast"),
        ("simulate", "--listen", "::1:80"),
        ("get", "app"),
        ("check", "--config.file", "x", "--probe", "app/room"),
        ("metrics", "extra"),
    ],
    ids=" ".join,
)
def test_bad_usage(run: Run, arguments: tuple[str, ...]) -> None:
    """What cannot be understood is exit 2, told on standard error, nothing on standard output."""
    result = run(*arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert "Error: " in result.stderr


@pytest.mark.parametrize(
    ("problem", "arguments"),
    [
        ("brackets, [::1]:10960", ("serve", "--config.file", "x", "--web.listen-address", "::1:10960")),
        ("HOST:PORT or :PORT", ("demo", "--web.listen-address", "localhost")),
        ("'app/room' is not APP_ID/ROOM_ID/TASK_ID", ("check", "--config.file", "x", "--probe", "app/room")),
        ("app id 'a b' must be", ("get", "a b", "room", "task")),
    ],
)
def test_bad_usage_says_what_is_wrong(run: Run, problem: str, arguments: tuple[str, ...]) -> None:
    """The sentence tells how it should be."""
    assert problem in run(*arguments).stderr


def test_a_reader_that_leaves_early() -> None:
    """`webcast-exporter metrics | head -1` ends without a word of Python."""
    command = [sys.executable, "-m", "exporter", "metrics"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == ""
