import os
import platform
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import click
import pytest
from click.testing import Result

import exporter
from exporter.cli import group
from exporter.cli.group import COMMANDS as NAMES
from exporter.cli.group import main

pytestmark = pytest.mark.slow

Run = Callable[..., Result]

HELP_AND_METRICS = """
import sys
from exporter.cli import main
for command in ("--help", "metrics"):
    sys.argv = ["webcast-exporter", command]
    try:
        main()
    except SystemExit as end:
        assert not end.code
from prometheus_client import Counter
Counter("calls", "As serve has them: in multiprocess mode this opens a file.")
"""
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
def test_examples_are_accepted(run: Run, command: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What a help shows is no bad usage: its commands, options and arguments exist, and values are possible."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "webcast-exporter.yml").touch()
    assert examples(run, command)
    for words in examples(run, command):
        parsed(words)


def test_an_example_with_an_option_that_does_not_exist_is_found() -> None:
    with pytest.raises(click.UsageError):
        parsed(["plan", "--config.file", "x", "--task", "1"])


@pytest.mark.parametrize("group", [[], ["dashboards"]], ids=" ".join)
def test_without_a_command_the_help_is_shown(run: Run, group: list[str]) -> None:
    """It is no error to be told, and nothing that was asked for: the help as it is, exit 2."""
    result, help_text = run(*group), run(*group, "--help").stdout
    assert (result.exit_code, result.stdout, result.stderr) == (2, "", help_text)


@pytest.mark.parametrize("group", [[], ["dashboards"]], ids=" ".join)
def test_lists_of_commands_say_it_in_one_line(run: Run, group: list[str]) -> None:
    assert "..." not in run(*group, "--help").stdout.partition("Commands:")[2]


@pytest.mark.parametrize("name", ["check", "demo", "explain", "get", "plan", "runs", "serve", "simulate"])
def test_help_tells_what_the_exit_codes_mean(run: Run, name: str) -> None:
    """A cron job or a unit file needs them; 0 and 2 are everybody's."""
    codes = re.findall(r"^    (\d)  \w", run(name, "--help").stdout, re.MULTILINE)
    assert {"0", "2"} <= set(codes) <= {"0", "1", "2"}


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_option_has_its_words(command: list[str]) -> None:
    found: click.Command = main
    for name in command:
        assert isinstance(found, click.Group)
        found = found.get_command(click.Context(found), name) or found
    assert [each.name for each in found.params if isinstance(each, click.Option) and not each.help] == []


@pytest.mark.parametrize("arguments", [("--version",), ("version",), ("serve", "--version")], ids=" ".join)
def test_version(run: Run, arguments: tuple[str, ...]) -> None:
    """Version, revision and Python, as the Prometheus projects print them."""
    result = run(*arguments)
    assert result.exit_code == 0
    first, python, _platform = result.stdout.splitlines()
    assert re.fullmatch(rf"webcast-exporter, version {re.escape(exporter.__version__)} \(revision: [0-9a-z]+\)", first)
    assert python == f"  python version: {platform.python_version()}"


def test_a_revision_is_that_of_the_image(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Without one and without a repository it is unknown."""
    monkeypatch.setattr(group, "__file__", str(tmp_path / "exporter" / "cli" / "group.py"))
    assert group.revision() == "unknown"
    monkeypatch.setenv(exporter.REVISION_VARIABLE, "abc1234")
    assert group.revision() == "abc1234"


@pytest.mark.parametrize(
    "environ",
    [
        {"PYTHONIOENCODING": "ascii"},
        {"PYTHONIOENCODING": "cp437", "PROMETHEUS_MULTIPROC_DIR": "/nowhere"},
        {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
        {"LC_ALL": "xx_YY.unknown"},
    ],
    ids=str,
)
def test_no_environment_breaks_the_help(environ: dict[str, str]) -> None:
    """A terminal without Chinese gets it escaped; the multiprocess mode of other programs is not this one's."""
    done = subprocess.run(
        [sys.executable, "-c", HELP_AND_METRICS], env=os.environ | environ, capture_output=True, check=False
    )
    assert (done.returncode, done.stderr, done.stdout.count(b"webcast_task_info") > 0) == (0, b"", True)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("serv",), "no such command: serv; did you mean serve?"),
        (("dashboards", "exprot"), "no such command: exprot; did you mean export?"),
        (("serve", "--zzz", "x"), "no such option: --zzz"),
        (("serve", "--config-file", "x"), "no such option: --config-file; did you mean --config.file?"),
        (("serve", "-config.file", "x"), "no such option: -config.file; did you mean --config.file?"),
        (("demo", "-web.listen-address=:1"), "no such option: -web.listen-address; did you mean --web.listen-address?"),
        (("simulate", "--fault", "throtle"), "'throtle' is no fault, --help lists them; did you mean throttle?"),
        (("plan", "--tasks", "1", "--tasks", "2"), "--tasks is given 2 times: it takes one value"),
        (("serve", "--config.file", "a", "--config.file=b"), "--config.file is given 2 times"),
        (("simulate", "--tls", "--tls"), "--tls is given 2 times"),
        (("serve", "--web.listen-address", ":1", "--web.listen-address", ":1"), "names :1 twice"),
        (("serve",), "there is no webcast-exporter.yml here; name a file with --config.file"),
        (
            ("check", "a/b/c", "--config.file", "x"),
            "got unexpected arguments: a/b/c; a task to ask for comes after --probe",
        ),
        (("check", "--probe", "a/b", "--config.file", "x"), "'a/b' is not APP_ID/ROOM_ID/TASK_ID"),
        (("get", "a b", "room", "task"), "app id 'a b' must be"),
        (("serve", "--config.file", "x", "--web.listen-address", "::1:10960"), "brackets, [::1]:10960"),
        (("demo", "--web.listen-address", "localhost"), "HOST:PORT or :PORT"),
        (("serve", "--web.telemetry-path", "metrics"), "must be a path such as /metrics"),
        (("serve", "--web.telemetry-path", "/tasks"), "/tasks is another page of the exporter"),
        (("serve", "--web.telemetry-path", "/"), "/ is another page of the exporter"),
        (("serve", "--web.external-url", "monitoring.example"), "must be a URL such as https://monitoring.example"),
        (("serve", "--web.external-url", "https://u:p@monitoring.example"), "without login and query"),
        (("dashboards", "export", "x", "--exporter-url", "http://[x"), "'http://[x' is no address such as"),
    ],
    ids=" ".join,
)
def test_what_people_mistype(run: Run, arguments: tuple[str, ...], sentence: str) -> None:
    """Exit 2, one style, and the nearest word that is known."""
    result = run(*arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith("webcast-exporter: ")
    assert sentence in result.stderr


def test_the_usual_configuration_file(run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Without --config.file it is the one of that name in the working directory."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "webcast-exporter.yml").write_text("accounts: [{access_key_id: AK, secret_access_key: SK}]")
    for words in (("check",), ("plan",)):
        assert run(*words).exit_code == 0


def test_a_fifo_as_configuration_is_refused_and_not_waited_for(run: Run, tmp_path: Path) -> None:
    """Reading it would never end."""
    os.mkfifo(tmp_path / "pipe")
    for file, sentence in (
        (tmp_path / "pipe", "is a named pipe"),
        ("/dev/null", "is a device"),
        (tmp_path, "is a dir"),
    ):
        result = run("check", "--config.file", str(file))
        assert (result.exit_code, f"{file} {sentence}" in result.stderr) == (2, True)
        result = run("check", "--config.file", str(file), "--web.config.file", str(file))
        assert result.stderr.count(sentence) == 2


@pytest.mark.parametrize(
    "arguments",
    [
        ("nonsense",),
        ("check",),
        ("serve", "--config.file"),
        ("serve", "--web.listen-address"),
        ("serve", "--config.file", "x", "--log.level", "loud"),
        ("serve", "--config.file", "x", "--log.format", "xml"),
        ("serve", "--config.file", "x", "--web.listen-address", "10960"),
        ("demo", "--tasks", "0"),
        ("demo", "--speed", "fast"),
        ("simulate", "--listen", "::1:80"),
        ("get", "app"),
        ("metrics", "extra"),
    ],
    ids=" ".join,
)
def test_bad_usage(run: Run, arguments: tuple[str, ...]) -> None:
    """What cannot be understood is exit 2, told on standard error, nothing on standard output."""
    result = run(*arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    first, *rest = result.stderr.splitlines()
    assert first.startswith("webcast-exporter: ")
    assert re.fullmatch("Try 'webcast-exporter.* --help'\\.", rest[-1])


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="Linux alone has a device that is always full")
def test_a_full_disk_behind_the_output() -> None:
    """`webcast-exporter metrics > /full/metrics.md` is one line, as every error."""
    with Path("/dev/full").open("w") as full:
        command = [sys.executable, "-m", "exporter", "metrics"]
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    sentence = "webcast-exporter: cannot write: no space is left on the device\n"
    assert (done.returncode, done.stderr) == (1, sentence)


def test_no_thread_to_be_had(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is one line, also when the stop fails for it; another error of its class is one that nobody expects."""
    file = tmp_path / "webcast-exporter.yml"
    file.write_text("accounts: [{access_key_id: AK, secret_access_key: SK}]\n")
    error = RuntimeError("cannot join thread before it is started")
    error.__context__ = RuntimeError("can't start new thread")

    def fail(_addresses: object) -> None:
        raise error

    monkeypatch.setattr("exporter.service.serve.bind_all", fail)
    result = run("serve", "--config.file", str(file))
    assert (result.exit_code, result.stderr.partition(":")[0]) == (1, "webcast-exporter")
    assert "no thread can be started: look at ulimit -u" in result.stderr
    error.__context__ = None
    with pytest.raises(AssertionError, match="cannot join"):
        run("serve", "--config.file", str(file))


def test_a_reader_that_leaves_early() -> None:
    """`webcast-exporter metrics | head -1` ends without a word of Python."""
    command = [sys.executable, "-m", "exporter", "metrics"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == ""
