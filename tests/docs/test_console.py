"""What the documents have people type is understood: by click, by the routes, by make."""

import re
from typing import cast
from urllib.parse import urlsplit

import click
import pytest
from starlette.routing import Match

from exporter.cli.group import main
from exporter.discovery.sd_format import groups_of_json
from exporter.web.app import create_app
from exporter.web.interfaces import ExporterApi
from tests.docs.console import Call, commands, curl, lines, sent
from tests.docs.reading import ROOT, Block, blocks

OTHERS = re.compile(
    r"\.|amtool|cd|chmod|cp|du|docker|export|git|htpasswd|kill|kubectl|mkdir|mv|openssl|pip|podman|promtool|python3"
    r"|sqlite3|systemctl"
)
"""First words of commands that are not ours. Files that they name are checked elsewhere (tests/bundle, tests/rules)."""

EXPORTER, SIMULATOR = 10960, 18080
PAGES_OF_THE_SIMULATOR = {"/", "/targets", "/truth", "/fault"}
SHELLS = [block for block in blocks("console", "text") if any(lines(block))]
NO_API = cast("ExporterApi", None)


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
        return url.path in PAGES_OF_THE_SIMULATOR or url.path.startswith("/task/")
    scope = {"type": "http", "method": call.method, "path": url.path, "root_path": "", "headers": []}
    routes = create_app(NO_API, lambda _what, _error: None).routes
    return any(route.matches(scope)[0] is Match.FULL for route in routes)


@pytest.mark.parametrize("block", SHELLS, ids=lambda block: block.place)
def test_commands(block: Block) -> None:
    """Ours are parsed by click, curl's calls have a route, make's targets exist, others are listed above."""
    targets = re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    for words in commands(block):
        match words[0]:
            case "webcast-exporter":
                parsed([word for word in words if word != ">"][: words.index(">") if ">" in words else None])
            case "docker" if "run" in words:
                (image,) = [place for place, word in enumerate(words) if "/webcast-exporter:" in word]
                parsed(["webcast-exporter", *words[image + 1 :]])
            case "make":
                assert words[1] in targets, words
            case ".venv/bin/pytest":
                assert [word for word in words if word.startswith("tests/") and not (ROOT / word).exists()] == []
            case "curl":
                _check_call(curl(words))
            case other:
                assert OTHERS.fullmatch(other), words


def _check_call(call: Call) -> None:
    if urlsplit(call.url).port in (EXPORTER, SIMULATOR):
        assert answered(call), call
    if call.url.endswith("/api/v1/targets") and sent(call) is not None:
        assert groups_of_json(call.data)


def test_text_without_a_command_is_listed() -> None:
    """What is shown and not typed: pictures in letters, and what is on /metrics."""
    shown = [block.place.partition(":")[0] for block in blocks("text") if not any(lines(block))]
    assert set(shown) <= {
        "README.md",
        "README.zh-CN.md",
        "docs/alerting.md",
        "docs/architecture.md",
        "docs/command-line.md",
    }


@pytest.mark.parametrize("line", ["serv --config.file x", "check --prob", "get app room", "dashboards import x"])
def test_a_command_that_does_not_exist_is_found(line: str) -> None:
    with pytest.raises(click.UsageError):
        parsed(["webcast-exporter", *line.split()])


def test_a_call_without_a_route_is_found() -> None:
    """The check itself, for calls; a variable of the block is filled in."""
    text = "$ api=http://127.0.0.1:10960/api/v1\n$ curl -X PUT $api/targets\n$ curl $api/rooms\n"
    assert [answered(curl(words)) for words in commands(Block(ROOT, 1, "console", text))] == [True, False]
