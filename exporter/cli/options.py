"""What several commands share: their base class, options and arguments, and how they ask a running exporter."""

import os
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from difflib import get_close_matches
from functools import partial
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit, urlunsplit

import click
import requests

from exporter import logs
from exporter.config.fields import is_loopback, parse_listen_address
from exporter.errors import StartError
from exporter.model.target import TargetId

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]

BAD_USAGE: Final = "bad usage, or a bad configuration: each problem is a line on standard error, with its path"
DEFAULT_CONFIG_FILE: Final = "webcast-exporter.yml"


class Command(click.Command):
    """A command whose options may be given once, and which knows Go's `-config.file` for `--config.file`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read the command line; UsageError says what cannot be understood."""
        options = [name for param in self.get_params(ctx) for name in param.opts]
        for word in args[: args.index("--")] if "--" in args else args:
            if f"-{word.partition('=')[0]}" in options and word not in options:
                raise click.NoSuchOption(word.partition("=")[0], possibilities=[f"-{word.partition('=')[0]}"], ctx=ctx)
        try:
            _, _, order = self.make_parser(ctx).parse_args(args=list(args))
        except click.UsageError as error:
            error.ctx = error.ctx or ctx  # so that its end is that of all others: "Try ... --help"
            raise
        for param, times in Counter(order).items():
            if times > 1 and isinstance(param, click.Option) and not param.multiple:
                raise click.UsageError(f"{param.opts[0]} is given {times} times: it takes one value", ctx)
        return super().parse_args(ctx, args)


HELP: Final = {"help_option_names": ["-h", "--help"]}
"""Of the group and of each command: click keeps the help option of the context that was made first."""

command = partial(click.command, cls=Command, context_settings=HELP)


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return `; did you mean X?` for the nearest of the known words, or nothing."""
    close = get_close_matches(word, list(known), n=1)
    return f"; did you mean {close[0]}?" if close else ""


def example(words: str) -> str:
    """Return the end of a command's help."""
    unfolded = "\b\n"  # click's sign for lines that stay as they are, however long
    return f"{unfolded}Example: webcast-exporter {words}"


def guide(words: str, *, exits: Mapping[int, str] | None = None, more: Mapping[str, str] | None = None) -> str:
    """Return the end of a help with what exit codes mean, and `more` commands, each under what it is for."""
    unfolded = "\b\n"
    codes = [f"  {code}  {meaning}" for code, meaning in (exits or {}).items()]
    others = [f"  {purpose}:\n    webcast-exporter {other}" for purpose, other in (more or {}).items()]
    parts = [f"{unfolded}Exit codes:\n" + "\n".join(codes)] if codes else []
    parts += [f"{unfolded}More:\n" + "\n".join(others)] if others else []
    return "\n\n".join([*parts, example(words)])


def coloured(text: str, colour: str) -> str:
    """Return the text in a colour; click takes it off again where no terminal is. $NO_COLOR (no-color.org) is kept."""
    return text if os.environ.get("NO_COLOR") else click.style(text, fg=colour)


def counted(number: int, noun: str) -> str:
    """Return `1 target` or `2 targets`."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def parse_target(words: Iterable[str]) -> TargetId:
    """Read a task's name, `APP/ROOM/TASK` or its three ids apart; UsageError when it is none."""
    name = "/".join(word.strip() for word in words)
    try:
        return TargetId.parse(name)
    except ValueError as error:
        raise click.UsageError(f"{error}; write APP_ID ROOM_ID TASK_ID or APP_ID/ROOM_ID/TASK_ID") from error


target_argument = click.argument(
    "target",
    nargs=-1,
    required=True,
    metavar="APP_ID ROOM_ID TASK_ID",
    callback=lambda _ctx, _param, words: parse_target(words),
)
"""`APP_ID ROOM_ID TASK_ID` or `APP_ID/ROOM_ID/TASK_ID`."""


def config_file(*, optional: bool = False) -> Decorator:
    """`--config.file`; None without it where it is optional, else the usual file."""
    usual = "" if optional else f" [default: {DEFAULT_CONFIG_FILE}]"

    def read(_ctx: click.Context, _param: click.Parameter, value: Path | None) -> Path | None:
        if value is None and not optional:
            value = Path(DEFAULT_CONFIG_FILE)
            if not value.exists():
                raise click.UsageError(f"there is no {DEFAULT_CONFIG_FILE} here; name a file with --config.file")
        return value

    return click.option(
        "--config.file",
        "config_file",
        type=click.Path(path_type=Path),
        callback=read,
        help=f"Configuration file.{usual}",
    )


def output_option(*formats: str, help_text: str) -> Decorator:
    """`--output`, whose first format is the default."""
    return click.option(
        "--output",
        type=click.Choice(formats, case_sensitive=False),
        default=formats[0],
        show_default=True,
        help=help_text,
    )


web_config_file = click.option(
    "--web.config.file",
    "web_config_file",
    type=click.Path(),
    callback=lambda _ctx, _param, value: Path(value) if value else None,
    help="File of TLS, passwords and headers, in the form of Prometheus's exporter-toolkit; an empty name is none.",
)


def listen_addresses(default: str) -> Decorator:
    """`--web.listen-address`, which may be given several times."""

    def read(ctx: click.Context, param: click.Parameter, values: tuple[str, ...]) -> tuple[str, ...]:
        for value in values:
            listen_address(ctx, param, value)
            if values.count(value) > 1:
                raise click.BadParameter(f"names {value} twice")
        return values

    return click.option(
        "--web.listen-address",
        "addresses",
        metavar="HOST:PORT",
        callback=read,
        default=[default],
        show_default=True,
        multiple=True,
        help="Address to serve on; :PORT is every interface, port 0 a free one. May be given several times.",
    )


def logging_options(default_level: str = "info") -> Decorator:
    """`--log.level` and `--log.format`."""

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        level = click.option(
            "--log.level",
            "log_level",
            type=click.Choice(logs.LEVELS, case_sensitive=False),
            default=default_level,
            show_default=True,
            help="What is logged on standard error; debug has a line for each failed read.",
        )
        fmt = click.option(
            "--log.format",
            "log_format",
            type=click.Choice(logs.FORMATS, case_sensitive=False),
            default="logfmt",
            show_default=True,
            help="How each line is written.",
        )
        return level(fmt(function))

    return decorate


def listen_address(_ctx: click.Context, _param: click.Parameter, value: str) -> str:
    """Check an option that is HOST:PORT or :PORT; it stays text."""
    try:
        parse_listen_address(value)
    except ValueError as error:
        raise click.BadParameter(str(error)) from error
    return value


# Asking a running exporter

USUAL_URL: Final = "http://127.0.0.1:10960"
TIMEOUT: Final = 30.0
NO_PROXIES: Final = {"http": "", "https": "", "all": ""}
"""For this machine's own ports, of which no proxy knows; other settings of the environment, as of a CA, are kept."""
USER, PASSWORD = "WEBCAST_EXPORTER_USER", "WEBCAST_EXPORTER_PASSWORD"
"""The login of an exporter that has passwords."""


def ask(url: str, path: str, query: Mapping[str, str | int] | None = None) -> requests.Response:
    """GET one path; StartError with a sentence when there is no good answer."""
    user = os.environ.get(USER)
    login = (user, os.environ.get(PASSWORD, "")) if user else None
    proxies = NO_PROXIES if is_loopback(urlsplit(url).hostname or "") else None
    try:
        answer = requests.get(
            url + path, params=query, auth=login, timeout=TIMEOUT, allow_redirects=False, proxies=proxies
        )
    except (requests.RequestException, ValueError) as error:  # ValueError: a host that no name can have
        raise StartError(f"no exporter answers at {url} ({type(error).__name__}); name it with --url") from error
    if answer.status_code != requests.codes.ok:
        raise StartError(f"{url} answers {answer.status_code}: {_sentence(answer)}")
    return answer


def data_of(answer: requests.Response) -> dict[str, Any]:
    """Return the `data` of its envelope; StartError when something else answers there."""
    try:
        document = answer.json()
        data: dict[str, Any] = dict(document["data"])
    except (ValueError, KeyError, TypeError) as error:
        bare = urlunsplit(urlsplit(answer.url)._replace(query=""))
        raise StartError(f"{bare} is no webcast-exporter, or one of another version") from error
    return data


def _sentence(answer: requests.Response) -> str:
    if answer.status_code == requests.codes.unauthorized:
        return f"it asks for a password: set ${USER} and ${PASSWORD}"
    try:
        return str(answer.json()["error"])
    except (ValueError, KeyError, TypeError):
        return "is a webcast-exporter of this version there?"


def _url(_ctx: click.Context, _param: click.Parameter, value: str) -> str:
    try:
        parts = urlsplit(value)
        usable = parts.scheme in ("http", "https") and parts.hostname and not (parts.query or parts.fragment)
        _ = parts.port
    except ValueError:
        raise click.BadParameter(f"must be like {USUAL_URL}") from None
    if not usable:
        raise click.BadParameter(f"must be like {USUAL_URL}")
    if parts.username is not None or parts.password is not None:
        raise click.BadParameter(f"must hold no password: set ${USER} and ${PASSWORD}")
    return value.rstrip("/")


url_option = click.option(
    "--url",
    default=USUAL_URL,
    show_default=True,
    callback=_url,
    help=f"The running exporter. Its password, if it has one: ${USER}, ${PASSWORD}.",
)
