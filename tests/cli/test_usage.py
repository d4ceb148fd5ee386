import re
import subprocess
import sys
from collections.abc import Callable

import click
import pytest
from click.testing import Result

import exporter
from exporter.cli.group import COMMANDS as NAMES
from exporter.cli.group import main

Run = Callable[..., Result]

COMMANDS = [[], *([name] for name in NAMES), ["dashboards", "export"]]


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
@pytest.mark.parametrize("flag", ["--help", "-h"])
def test_help_ends_with_an_example(run: Run, command: list[str], flag: str) -> None:
    """Every command's help is exit 0, and its last line is an example of that very command."""
    result = run(*command, flag)
    assert result.exit_code == 0
    last = result.stdout.rstrip().splitlines()[-1]
    assert last.startswith(f"  Example: webcast-exporter {' '.join(command)}".rstrip())


def examples(run: Run, command: list[str]) -> list[list[str]]:
    """The words of every command line that a help shows, without its redirection."""
    shown = re.findall(r"^ +(?:Example: )?webcast-exporter (.+)$", run(*command, "--help").stdout, re.MULTILINE)
    return [example.partition(" > ")[0].split() for example in shown]


def parsed(words: list[str]) -> None:
    """Have click take the words in, as far as running them; UsageError when they are none of its own."""
    command: click.Command = main
    context = click.Context(main, **main.context_settings)  # a command keeps the help options of the first context
    while isinstance(command, click.Group) and words:
        _, found, words = command.resolve_command(context, words)
        assert found is not None
        command = found
    command.make_context("example", words, parent=context)


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_examples_are_accepted(run: Run, command: list[str]) -> None:
    """What a help shows is no bad usage: its commands, options and arguments exist, and values are possible."""
    assert examples(run, command)
    for words in examples(run, command):
        parsed(words)


def test_an_example_with_an_option_that_does_not_exist_is_found() -> None:
    """The rule itself."""
    with pytest.raises(click.UsageError):
        parsed(["plan", "--config.file", "x", "--task", "1"])


@pytest.mark.parametrize("group", [[], ["dashboards"]], ids=" ".join)
def test_lists_of_commands_say_it_in_one_line(run: Run, group: list[str]) -> None:
    """No sentence is cut short."""
    assert "..." not in run(*group, "--help").stdout.partition("Commands:")[2]


@pytest.mark.parametrize("name", ["check", "demo", "explain", "get", "plan", "runs", "serve", "simulate"])
def test_help_tells_what_the_exit_codes_mean(run: Run, name: str) -> None:
    """A cron job or a unit file needs them; 0 and 2 are everybody's."""
    codes = re.findall(r"^    (\d)  \w", run(name, "--help").stdout, re.MULTILINE)
    assert {"0", "2"} <= set(codes) <= {"0", "1", "2"}


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_option_has_its_words(command: list[str]) -> None:
    """None is left to its name."""
    found: click.Command = main
    for name in command:
        assert isinstance(found, click.Group)
        found = found.get_command(click.Context(found), name) or found
    assert [each.name for each in found.params if isinstance(each, click.Option) and not each.help] == []


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
