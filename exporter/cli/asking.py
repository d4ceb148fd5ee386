"""Asking a running exporter over HTTP: its sentence when it refuses, ours when nobody answers."""

import os
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import click
import requests

from exporter.cli.options import Decorator
from exporter.errors import StartError

USUAL = "http://127.0.0.1:10960"
TIMEOUT = 30.0
NO_PROXIES = {"http": "", "https": "", "all": ""}
"""Those of the environment know nothing of this machine's own ports; its other settings, as of a CA, are kept."""
USER, PASSWORD = "WEBCAST_EXPORTER_USER", "WEBCAST_EXPORTER_PASSWORD"
"""Who asks, where the exporter has passwords."""


def url_option() -> Decorator:
    """`--url`."""
    return click.option(
        "--url",
        default=USUAL,
        show_default=True,
        callback=_checked,
        help=f"The running exporter. Its password, if it has one: ${USER}, ${PASSWORD}.",
    )


def ask(url: str, path: str, query: Mapping[str, str | int] | None = None) -> requests.Response:
    """GET one path; StartError with a sentence when there is no good answer."""
    user = os.environ.get(USER)
    login = (user, os.environ.get(PASSWORD, "")) if user else None
    try:
        answer = requests.get(
            url + path, params=query, auth=login, timeout=TIMEOUT, allow_redirects=False, proxies=NO_PROXIES
        )
    except requests.RequestException as error:
        raise StartError(f"no exporter answers at {url} ({type(error).__name__}); name it with --url") from error
    if answer.status_code != requests.codes.ok:
        raise StartError(f"{url} answers {answer.status_code}: {_sentence(answer)}")
    return answer


def data_of(answer: requests.Response) -> dict[str, Any]:
    """The `data` of its envelope; StartError when something else answers there."""
    try:
        document = answer.json()
        data: dict[str, Any] = dict(document["data"])
    except (ValueError, KeyError, TypeError) as error:
        raise StartError(f"{_bare(answer.url)} is no webcast-exporter, or one of another version") from error
    return data


def _sentence(answer: requests.Response) -> str:
    if answer.status_code == requests.codes.unauthorized:
        return f"it asks for a password: set ${USER} and ${PASSWORD}"
    try:
        return str(answer.json()["error"])
    except (ValueError, KeyError, TypeError):
        return "is a webcast-exporter of this version there?"


def _bare(url: str) -> str:
    return urlunsplit(urlsplit(url)._replace(query=""))


def _checked(_ctx: click.Context, _param: click.Parameter, value: str) -> str:
    parts = urlsplit(value)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise click.BadParameter(f"must be like {USUAL}")
    if parts.username is not None or parts.password is not None:
        raise click.BadParameter(f"must hold no password: set ${USER} and ${PASSWORD}")
    return value.rstrip("/")
